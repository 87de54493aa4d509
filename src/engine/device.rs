//! The open device.

use super::{DeviceSpec, EngineError, Precision, Span, TransferLog, Watcher, transfer_log};
use candle_core::{DType, Device};
use std::sync::Arc;

/// An open device with the log of the transfers to and from it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    device: Device,
    /// Never `Auto`.
    precision: Precision,
    log: Arc<TransferLog>,
}

impl Engine {
    /// Opens the device that `spec` names.
    ///
    /// # Errors
    /// [`EngineError::NoCudaBuild`] or [`EngineError::NoDevice`] where CUDA was named and is not there. `auto` opens
    /// the CPU only where the build has no CUDA or the machine no CUDA device; a device that is there but fails to open is an error.
    pub fn open(spec: DeviceSpec) -> Result<Self, EngineError> {
        let device = match spec {
            DeviceSpec::Cpu => Device::Cpu,
            DeviceSpec::Auto if !candle_core::utils::cuda_is_available() => Device::Cpu,
            DeviceSpec::Auto => open_cuda(spec, 0)?,
            DeviceSpec::Cuda(ordinal) => open_cuda(spec, ordinal)?,
        };
        let precision = if device.is_cpu() {
            Precision::F32
        } else {
            Precision::F16
        };
        Ok(Self {
            device,
            precision,
            log: Arc::new(TransferLog::default()),
        })
    }

    /// The same device, computing in another type.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for f16 on the CPU, [`EngineError::NoBf16`] for bf16 on one that does not multiply in it
    /// ([`super::multiplies_bf16`]).
    pub fn with_precision(self, precision: Precision) -> Result<Self, EngineError> {
        match precision {
            Precision::Auto => return Ok(self),
            Precision::F16 if self.is_cpu() => {
                return Err(EngineError::Unsupported {
                    dtype: precision.to_string(),
                    device: self.name(),
                });
            }
            Precision::Bf16 if self.is_cpu() && !super::multiplies_bf16() => {
                return Err(EngineError::NoBf16);
            }
            Precision::F32 | Precision::F16 | Precision::Bf16 => {}
        }
        Ok(Self { precision, ..self })
    }

    /// What models compute in, never `Auto`.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The type of numbers between layers: that of [`Engine::precision`] on a GPU, f32 on the CPU.
    pub fn dtype(&self) -> DType {
        match self.precision {
            _ if self.is_cpu() => DType::F32,
            Precision::F32 => DType::F32,
            Precision::Bf16 => DType::BF16,
            Precision::F16 | Precision::Auto => DType::F16,
        }
    }

    /// Sets the number of threads that work on the CPU; only once, before anything runs.
    ///
    /// # Errors
    /// [`EngineError::Threads`] if they were set or used before.
    pub fn set_threads(threads: usize) -> Result<(), EngineError> {
        let built = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global();
        built.map_err(|e| EngineError::Threads {
            threads,
            reason: e.to_string(),
        })
    }

    /// The number of threads that work on the CPU.
    pub fn threads() -> usize {
        rayon::current_num_threads()
    }

    /// The CPU.
    pub fn cpu() -> Self {
        Self {
            device: Device::Cpu,
            precision: Precision::F32,
            log: Arc::new(TransferLog::default()),
        }
    }

    /// Candle's device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Whether tensors live in host memory.
    pub fn is_cpu(&self) -> bool {
        self.device.is_cpu()
    }

    /// `cpu` or `cuda:N`.
    pub fn name(&self) -> String {
        super::callers::device_name(&self.device)
    }

    /// The name of the device and, of a GPU, the driver's name for it.
    pub fn description(&self) -> String {
        #[cfg(feature = "cuda")]
        if let Some(name) = super::cuda::inner(&self.device).and_then(super::cuda::name) {
            return format!("{} ({name})", self.name());
        }
        self.name()
    }

    /// The log of the transfers so far.
    pub fn transfer_log(&self) -> &TransferLog {
        &self.log
    }

    /// Runs `work` on this thread as part of frame number `frame`.
    pub fn in_frame<T>(frame: u64, work: impl FnOnce() -> T) -> T {
        transfer_log::in_frame(frame, work)
    }

    /// Runs `work` under `span`: what this thread requests from the device in it is counted there.
    pub fn within<T>(&self, span: impl Into<Span>, work: impl FnOnce() -> T) -> T {
        self.log.within(span.into(), work)
    }

    /// Sets the watcher of all work of this engine and its clones. Only one can be set: returns false if there was one before.
    pub fn watch(&self, watcher: Arc<dyn Watcher>) -> bool {
        self.log.watch(watcher)
    }

    /// Free and total memory of the device in bytes; none on the CPU.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the driver cannot state it.
    pub fn memory(&self) -> Result<Option<(usize, usize)>, EngineError> {
        #[cfg(feature = "cuda")]
        if let Some(device) = super::cuda::inner(&self.device) {
            return super::cuda::memory(device).map(Some);
        }
        Ok(None)
    }

    /// An engine of the same device and transfer log with a stream of its own, so that two models work at once. On the CPU the same engine.
    ///
    /// # Errors
    /// [`EngineError::NoDevice`] if the device cannot be opened again.
    pub fn with_new_stream(&self) -> Result<Self, EngineError> {
        let device = match self.device.location() {
            candle_core::DeviceLocation::Cuda { gpu_id } => {
                open_cuda(DeviceSpec::Cuda(gpu_id), gpu_id)?
            }
            _ => return Ok(self.clone()),
        };
        Ok(Self {
            device,
            ..self.clone()
        })
    }

    /// Makes the stream of this engine wait, on the device, for all work that `other`, an engine of the same device, has enqueued so far. The
    /// host does not wait.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the device failed.
    pub fn wait_for(&self, other: &Self) -> Result<(), EngineError> {
        #[cfg(feature = "cuda")]
        if let (Some(own), Some(other)) = (
            super::cuda::inner(&self.device),
            super::cuda::inner(&other.device),
        ) {
            return super::cuda::wait_for(own, other);
        }
        let _ = other;
        Ok(())
    }

    /// An engine that enqueues on the stream of `device`, a handle of the same GPU, and shares this engine's transfer log.
    /// [`Engine::wait_for`] orders the two.
    pub(crate) fn on_stream_of(&self, device: &Device) -> Self {
        Self {
            device: device.clone(),
            ..self.clone()
        }
    }

    /// Whether `device` is a handle of the GPU that this engine works on. Handles of one GPU share its memory; each has a stream
    /// of its own.
    pub(crate) fn is_same_gpu(&self, device: &Device) -> bool {
        let location = device.location();
        matches!(location, candle_core::DeviceLocation::Cuda { .. })
            && location == self.device.location()
    }

    /// Blocks until the device has completed all work enqueued on the stream of this engine.
    ///
    /// # Errors
    /// [`EngineError::Tensor`] if it failed.
    pub fn synchronise(&self) -> Result<(), EngineError> {
        self.device
            .synchronize()
            .map_err(EngineError::tensor("waiting for the device"))
    }
}

#[cfg(feature = "cuda")]
fn open_cuda(spec: DeviceSpec, ordinal: usize) -> Result<Device, EngineError> {
    let failed = |e: &dyn std::fmt::Display| EngineError::NoDevice {
        spec: spec.to_string(),
        reason: e.to_string(),
    };
    super::gate::beside_captures(|| {
        let device = Device::new_cuda_with_stream(ordinal).map_err(|e| failed(&e))?;
        super::cuda::prepare(&device).map_err(|e| failed(&e))?;
        Ok(device)
    })
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(spec: DeviceSpec, _ordinal: usize) -> Result<Device, EngineError> {
    Err(EngineError::NoCudaBuild(spec.to_string()))
}

#[cfg(test)]
mod precision_tests {
    use super::*;

    #[test]
    fn the_cpu_computes_in_bf16_where_it_multiplies_in_it() {
        let bf16 = Engine::cpu().with_precision(Precision::Bf16);
        if super::super::multiplies_bf16() {
            let engine = bf16.unwrap();
            assert_eq!(engine.precision(), Precision::Bf16);
            assert_eq!(engine.dtype(), DType::F32);
        } else {
            let error = bf16.unwrap_err().to_string();
            assert!(error.starts_with("bf16: "), "{error}");
            assert!(error.contains("AVX512-BF16"), "{error}");
            assert!(error.ends_with("use f32, or a GPU"), "{error}");
        }
        let error = Engine::cpu().with_precision(Precision::F16).unwrap_err();
        assert_eq!(
            error.to_string(),
            "f16: cpu does not compute in it; use f32, or a GPU"
        );
    }
}

#[cfg(all(test, not(feature = "cuda")))]
mod tests {
    use super::*;

    #[test]
    fn cuda_without_cuda_is_an_error_not_a_fallback() {
        let error = Engine::open(DeviceSpec::Cuda(1)).unwrap_err().to_string();
        assert!(
            error.starts_with("cuda:1: this build has no CUDA"),
            "{error}"
        );
        assert!(Engine::open(DeviceSpec::Auto).unwrap().is_cpu());
    }
}
