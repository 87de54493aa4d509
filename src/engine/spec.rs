//! How a caller names a device and a type of numbers.

use super::EngineError;
use std::{fmt, str::FromStr};

/// Which device to open, as written `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceSpec {
    /// CUDA device 0 where the build and the machine have one, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this ordinal, or an error: never another device.
    Cuda(usize),
}

impl FromStr for DeviceSpec {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|n| n.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| EngineError::BadSpec(text.to_owned())),
        }
    }
}

impl TryFrom<&candle_core::Device> for DeviceSpec {
    type Error = EngineError;

    /// The CPU, or the GPU that `device` is a handle of.
    ///
    /// # Errors
    /// [`EngineError::BadSpec`] for a device that is neither the CPU nor a CUDA device.
    fn try_from(device: &candle_core::Device) -> Result<Self, EngineError> {
        match device.location() {
            candle_core::DeviceLocation::Cpu => Ok(Self::Cpu),
            candle_core::DeviceLocation::Cuda { gpu_id } => Ok(Self::Cuda(gpu_id)),
            candle_core::DeviceLocation::Metal { .. } => {
                Err(EngineError::BadSpec(super::device_name(device)))
            }
        }
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

/// What models compute in, as written `auto`, `f32`, `f16` or `bf16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Precision {
    /// f16 on a GPU, f32 on the CPU.
    #[default]
    Auto,
    /// 32 bits.
    F32,
    /// IEEE half precision, on a GPU only.
    F16,
    /// The upper half of an f32. On the CPU, which must have instructions for it ([`super::multiplies_bf16`]), products round their
    /// factors to it; all else there, sums included, stays f32.
    Bf16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        match text {
            "auto" => Ok(Self::Auto),
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            _ => Err(EngineError::BadPrecision(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_parse_and_nonsense_is_refused() {
        assert_eq!("cuda:3".parse::<DeviceSpec>().unwrap(), DeviceSpec::Cuda(3));
        assert_eq!("cuda".parse::<DeviceSpec>().unwrap(), DeviceSpec::Cuda(0));
        for bad in ["gpu", "cuda:", "cuda:x", ""] {
            assert!(
                matches!(bad.parse::<DeviceSpec>(), Err(EngineError::BadSpec(_))),
                "{bad}"
            );
        }
    }
}
