//! The types of numbers that checkpoints hold.

use candle_core::DType;
use serde::Serialize;

/// Type of one element, named as safetensors names it. Checkpoints may hold more types than the product computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the names say it")]
pub enum ElementType {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    #[serde(rename = "F8_E4M3")]
    F8E4M3,
    #[serde(rename = "F8_E5M2")]
    F8E5M2,
    F16,
    Bf16,
    F32,
    F64,
    C64,
    C128,
}

impl ElementType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 | Self::F8E4M3 | Self::F8E5M2 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::C64 => 8,
            Self::C128 => 16,
        }
    }

    /// Safetensors' name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::U8 => "U8",
            Self::I8 => "I8",
            Self::U16 => "U16",
            Self::I16 => "I16",
            Self::U32 => "U32",
            Self::I32 => "I32",
            Self::U64 => "U64",
            Self::I64 => "I64",
            Self::F8E4M3 => "F8_E4M3",
            Self::F8E5M2 => "F8_E5M2",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::F32 => "F32",
            Self::F64 => "F64",
            Self::C64 => "C64",
            Self::C128 => "C128",
        }
    }

    /// Type of the tensor that [`super::Checkpoint::tensor`] makes of it, where there is one. Types that Candle lacks
    /// become the next wider one that holds every value: BOOL → u8 (0 or 1), I8 → i16, U16 → u32, U64 → i64
    /// (values past i64 are an error).
    pub fn tensor_type(self) -> Option<DType> {
        match self {
            Self::Bool | Self::U8 => Some(DType::U8),
            Self::I8 | Self::I16 => Some(DType::I16),
            Self::U16 | Self::U32 => Some(DType::U32),
            Self::I32 => Some(DType::I32),
            Self::U64 | Self::I64 => Some(DType::I64),
            Self::F8E4M3 => Some(DType::F8E4M3),
            Self::F16 => Some(DType::F16),
            Self::Bf16 => Some(DType::BF16),
            Self::F32 => Some(DType::F32),
            Self::F64 => Some(DType::F64),
            Self::F8E5M2 | Self::C64 | Self::C128 => None,
        }
    }

    /// Size of the unit that a byte order applies to.
    pub(super) fn swap_unit(self) -> usize {
        match self {
            Self::C64 => 4,
            Self::C128 => 8,
            other => other.size(),
        }
    }

    pub(super) fn from_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        use safetensors::Dtype;
        Some(match dtype {
            Dtype::BOOL => Self::Bool,
            Dtype::U8 => Self::U8,
            Dtype::I8 => Self::I8,
            Dtype::U16 => Self::U16,
            Dtype::I16 => Self::I16,
            Dtype::U32 => Self::U32,
            Dtype::I32 => Self::I32,
            Dtype::U64 => Self::U64,
            Dtype::I64 => Self::I64,
            Dtype::F8_E4M3 => Self::F8E4M3,
            Dtype::F8_E5M2 => Self::F8E5M2,
            Dtype::F16 => Self::F16,
            Dtype::BF16 => Self::Bf16,
            Dtype::F32 => Self::F32,
            Dtype::F64 => Self::F64,
            Dtype::C64 => Self::C64,
            _ => return None,
        })
    }

    /// From the class of a typed torch storage, for instance `FloatStorage`.
    pub(super) fn from_torch_storage(class: &str) -> Option<Self> {
        Some(match class {
            "BoolStorage" => Self::Bool,
            "ByteStorage" => Self::U8,
            "CharStorage" => Self::I8,
            "ShortStorage" => Self::I16,
            "IntStorage" => Self::I32,
            "LongStorage" => Self::I64,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::Bf16,
            "FloatStorage" => Self::F32,
            "DoubleStorage" => Self::F64,
            "ComplexFloatStorage" => Self::C64,
            "ComplexDoubleStorage" => Self::C128,
            _ => return None,
        })
    }

    /// From the name of a torch dtype, for instance `uint16`.
    pub(super) fn from_torch_dtype(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "uint8" => Self::U8,
            "int8" => Self::I8,
            "uint16" => Self::U16,
            "int16" | "short" => Self::I16,
            "uint32" => Self::U32,
            "int32" | "int" => Self::I32,
            "uint64" => Self::U64,
            "int64" | "long" => Self::I64,
            "float8_e4m3fn" => Self::F8E4M3,
            "float8_e5m2" => Self::F8E5M2,
            "float16" | "half" => Self::F16,
            "bfloat16" => Self::Bf16,
            "float32" | "float" => Self::F32,
            "float64" | "double" => Self::F64,
            "complex64" => Self::C64,
            "complex128" => Self::C128,
            _ => return None,
        })
    }
}

impl std::fmt::Display for ElementType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serialised_name_is_the_safetensors_name() {
        for element in [
            ElementType::Bool,
            ElementType::Bf16,
            ElementType::F8E4M3,
            ElementType::F8E5M2,
            ElementType::C128,
        ] {
            assert_eq!(serde_json::to_value(element).unwrap(), element.name());
        }
    }
}
