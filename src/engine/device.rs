//! Choosing and opening the device, and the only functions that move data to and from it.

use super::{Direction, EngineError, Ledger, Stage, Watcher, ledger};
use candle_core::{DType, Device, Storage, Tensor};
use std::{fmt, panic::Location, str::FromStr, sync::Arc};

/// What `--device` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

/// What `--dtype` says: the type of numbers between the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// f16 on a GPU, f32 on the CPU.
    #[default]
    Auto,
    /// 32 bits.
    F32,
    /// IEEE half precision, on a GPU only.
    F16,
    /// The upper half of an f32, on a GPU only.
    Bf16,
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

/// An open device with the ledger of what was moved to and from it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    device: Device,
    dtype: DType,
    ledger: Arc<Ledger>,
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
        let dtype = if device.is_cpu() {
            DType::F32
        } else {
            DType::F16
        };
        Ok(Self {
            device,
            dtype,
            ledger: Arc::new(Ledger::default()),
        })
    }

    /// The same device, computing in another type.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for 16 bits on the CPU.
    pub fn with_precision(self, precision: Precision) -> Result<Self, EngineError> {
        let dtype = match precision {
            Precision::Auto => return Ok(self),
            Precision::F32 => DType::F32,
            Precision::F16 => DType::F16,
            Precision::Bf16 => DType::BF16,
        };
        if self.is_cpu() && dtype != DType::F32 {
            return Err(EngineError::Unsupported {
                dtype: dtype.as_str().to_owned(),
                device: self.name(),
            });
        }
        Ok(Self { dtype, ..self })
    }

    /// The type of numbers between layers.
    pub fn dtype(&self) -> DType {
        self.dtype
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
            dtype: DType::F32,
            ledger: Arc::new(Ledger::default()),
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
        match self.device.location() {
            candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
            candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
            candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
        }
    }

    /// What the driver calls a GPU, with [`Engine::name`]; the CPU's vector instructions are the operations' affair.
    pub fn description(&self) -> String {
        #[cfg(feature = "cuda")]
        if let Some(name) = super::cuda::inner(&self.device).and_then(super::cuda::name) {
            return format!("{} ({name})", self.name());
        }
        self.name()
    }

    /// What was moved so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Does `work` as that of frame number `frame` of the run, on this thread.
    pub fn in_frame<T>(frame: u64, work: impl FnOnce() -> T) -> T {
        ledger::in_frame(frame, work)
    }

    /// Does `work` as that of `stage`: what this thread asks of the device in it belongs to that stage.
    pub fn within<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        self.ledger.within(stage, work)
    }

    /// Lets `watcher` hear of all work of this engine and its clones from now on; only one can: false if there was one before.
    pub fn watch(&self, watcher: Arc<dyn Watcher>) -> bool {
        self.ledger.watch(watcher)
    }

    /// Brings bytes to the device as a u8 tensor of `shape`, for instance a frame `[H, W, C]`.
    ///
    /// # Errors
    /// [`EngineError::Tensor`] if the length does not fit the shape or memory ran out.
    #[track_caller]
    pub fn upload_u8(
        &self,
        stage: Stage,
        bytes: &[u8],
        shape: &[usize],
    ) -> Result<Tensor, EngineError> {
        let upload = || Tensor::from_slice(bytes, shape, &self.device);
        self.moving(stage, Direction::HostToDevice, bytes.len(), upload)
            .map_err(refused(bytes.len(), "upload of bytes"))
    }

    /// Brings numbers to the device as an f32 tensor of `shape`.
    ///
    /// # Errors
    /// As [`Engine::upload_u8`].
    #[track_caller]
    pub fn upload_f32(
        &self,
        stage: Stage,
        values: &[f32],
        shape: &[usize],
    ) -> Result<Tensor, EngineError> {
        let upload = || Tensor::from_slice(values, shape, &self.device);
        let bytes = values.len() * 4;
        self.moving(stage, Direction::HostToDevice, bytes, upload)
            .map_err(refused(bytes, "upload of numbers"))
    }

    /// Brings a host tensor (a weight, a reference) to the device in its own type.
    ///
    /// # Errors
    /// [`EngineError::Tensor`] if memory ran out.
    #[track_caller]
    pub fn upload_tensor(&self, stage: Stage, tensor: &Tensor) -> Result<Tensor, EngineError> {
        let bytes = tensor.elem_count() * tensor.dtype().size_in_bytes();
        let upload = || tensor.to_device(&self.device);
        self.moving(stage, Direction::HostToDevice, bytes, upload)
            .map_err(refused(bytes, "upload of a tensor"))
    }

    /// Brings a tensor of any float type to the host as f32, row-major.
    ///
    /// # Errors
    /// [`EngineError::Tensor`] if the device failed.
    #[track_caller]
    pub fn download_f32(&self, stage: Stage, tensor: &Tensor) -> Result<Vec<f32>, EngineError> {
        // Converted on the device: what crosses is f32.
        let read = || alone(&tensor.to_dtype(DType::F32)?.flatten_all()?)?.to_vec1::<f32>();
        self.moving(
            stage,
            Direction::DeviceToHost,
            tensor.elem_count() * 4,
            read,
        )
        .map_err(tensor_error("download of numbers"))
    }

    /// Brings a contiguous u32 tensor to the host, row-major.
    ///
    /// # Errors
    /// [`EngineError::Tensor`] if the tensor is of another type or the device failed.
    #[track_caller]
    pub fn download_u32(&self, stage: Stage, tensor: &Tensor) -> Result<Vec<u32>, EngineError> {
        let read = || alone(&tensor.flatten_all()?)?.to_vec1::<u32>();
        self.moving(
            stage,
            Direction::DeviceToHost,
            tensor.elem_count() * 4,
            read,
        )
        .map_err(tensor_error("download of numbers"))
    }

    /// Brings a u8 tensor to the host, row-major.
    ///
    /// # Errors
    /// As [`Engine::download_u32`].
    #[track_caller]
    pub fn download_u8(&self, stage: Stage, tensor: &Tensor) -> Result<Vec<u8>, EngineError> {
        let read = || tensor.flatten_all()?.to_vec1::<u8>();
        self.moving(stage, Direction::DeviceToHost, tensor.elem_count(), read)
            .map_err(tensor_error("download of bytes"))
    }

    /// Free and total memory of the device in bytes; none on the CPU.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the driver does not say.
    pub fn memory(&self) -> Result<Option<(usize, usize)>, EngineError> {
        #[cfg(feature = "cuda")]
        if let Some(device) = super::cuda::inner(&self.device) {
            return super::cuda::memory(device).map(Some);
        }
        Ok(None)
    }

    /// The same device and ledger with a stream of its own, so that two models work side by side. On the CPU the same engine.
    ///
    /// # Errors
    /// [`EngineError::NoDevice`] if the device cannot be opened again.
    pub fn sibling(&self) -> Result<Self, EngineError> {
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

    /// What is asked of this engine from now on begins after all that was asked of `other`, a sibling, so far; the host does not wait.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the device failed.
    pub fn follow(&self, other: &Self) -> Result<(), EngineError> {
        #[cfg(feature = "cuda")]
        if let (Some(own), Some(other)) = (
            super::cuda::inner(&self.device),
            super::cuda::inner(&other.device),
        ) {
            return super::cuda::follow(own, other);
        }
        let _ = other;
        Ok(())
    }

    /// A tensor of zeros on the device.
    ///
    /// # Errors
    /// [`EngineError::Tensor`] if memory ran out.
    pub fn zeros(&self, dtype: DType, shape: &[usize]) -> Result<Tensor, EngineError> {
        let bytes = shape.iter().product::<usize>() * dtype.size_in_bytes();
        Tensor::zeros(shape, dtype, &self.device).map_err(refused(bytes, "memory on the device"))
    }

    /// Waits until the device has done everything that was asked of it.
    ///
    /// # Errors
    /// [`EngineError::Tensor`] if it failed.
    pub fn synchronise(&self) -> Result<(), EngineError> {
        self.device
            .synchronize()
            .map_err(tensor_error("waiting for the device"))
    }

    /// Announces a move of `bytes` for the caller and does `work`, which asks the driver for it, once. It may be done later: what
    /// counts for the announcement is that it is asked for within `work`. For loops of one's own under an audit; the crate's own
    /// moves are the functions above.
    #[track_caller]
    pub fn announce<T>(
        &self,
        stage: Stage,
        direction: Direction,
        bytes: usize,
        work: impl FnOnce() -> T,
    ) -> T {
        self.moving(stage, direction, bytes, work)
    }

    /// Announces a move for whoever called the calling function, and does it.
    #[track_caller]
    pub(super) fn moving<T>(
        &self,
        stage: Stage,
        direction: Direction,
        bytes: usize,
        work: impl FnOnce() -> T,
    ) -> T {
        self.ledger.moving(
            !self.is_cpu(),
            (stage, direction, bytes as u64),
            Location::caller(),
            work,
        )
    }
}

/// A tensor that has its memory for itself: of a part of another's, the tensor library would bring all to the host.
fn alone(x: &Tensor) -> candle_core::Result<Tensor> {
    let (storage, layout) = x.storage_and_layout();
    let stored = match &*storage {
        Storage::Cuda(storage) => stored(storage),
        _ => None,
    };
    let alone = layout.is_contiguous() && stored.is_none_or(|stored| stored == x.elem_count());
    drop(storage);
    if alone {
        Ok(x.clone())
    } else {
        x.force_contiguous()
    }
}

#[cfg(feature = "cuda")]
fn stored(storage: &candle_core::CudaStorage) -> Option<usize> {
    super::cuda::stored(storage)
}

#[cfg(not(feature = "cuda"))]
fn stored(_: &candle_core::CudaStorage) -> Option<usize> {
    None
}

/// As [`tensor_error`], of a request for memory, which a device may have refused.
fn refused(bytes: usize, what: &'static str) -> impl FnOnce(candle_core::Error) -> EngineError {
    move |source| {
        super::note_refused(bytes);
        tensor_error(what)(source)
    }
}

fn tensor_error(what: &'static str) -> impl FnOnce(candle_core::Error) -> EngineError {
    move |source| EngineError::Tensor {
        what,
        source: Box::new(source),
    }
}

/// Numbers that follow from a model's structure or an input's size, as a tensor on `device`.
///
/// # Errors
/// If their count does not fit `shape` or memory ran out.
pub fn constant<T: candle_core::WithDType>(
    values: &[T],
    shape: impl Into<candle_core::Shape>,
    device: &Device,
) -> candle_core::Result<Tensor> {
    Tensor::from_slice(values, shape.into(), device)
}

#[cfg(feature = "cuda")]
fn open_cuda(spec: DeviceSpec, ordinal: usize) -> Result<Device, EngineError> {
    let failed = |e: &dyn fmt::Display| EngineError::NoDevice {
        spec: spec.to_string(),
        reason: e.to_string(),
    };
    let device = Device::new_cuda_with_stream(ordinal).map_err(|e| failed(&e))?;
    super::cuda::prepare(&device).map_err(|e| failed(&e))?;
    Ok(device)
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(spec: DeviceSpec, _ordinal: usize) -> Result<Device, EngineError> {
    Err(EngineError::NoCudaBuild(spec.to_string()))
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

    #[cfg(not(feature = "cuda"))]
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
