//! Transfers between host and device, each announced to the transfer log. No other file of the crate transfers data, except for
//! `transfer` (staged transfers) and `surface`.

use super::{Direction, Engine, EngineError, Span, note_refused};
use candle_core::{DType, Device, Storage, Tensor, WithDType};
use std::panic::Location;

impl Engine {
    /// Copies bytes to the device as a u8 tensor of `shape`, for instance a frame `[H, W, C]`.
    ///
    /// # Errors
    /// [`EngineError::Tensor`] if the length does not fit the shape or memory ran out.
    #[track_caller]
    pub fn upload_u8(
        &self,
        span: impl Into<Span>,
        bytes: &[u8],
        shape: &[usize],
    ) -> Result<Tensor, EngineError> {
        let upload = || Tensor::from_slice(bytes, shape, self.device());
        self.moving(span, Direction::HostToDevice, bytes.len(), upload)
            .map_err(refused(bytes.len(), "upload of bytes"))
    }

    /// Copies numbers to the device as an f32 tensor of `shape`.
    ///
    /// # Errors
    /// As [`Engine::upload_u8`].
    #[track_caller]
    pub fn upload_f32(
        &self,
        span: impl Into<Span>,
        values: &[f32],
        shape: &[usize],
    ) -> Result<Tensor, EngineError> {
        let upload = || Tensor::from_slice(values, shape, self.device());
        let bytes = values.len() * 4;
        self.moving(span, Direction::HostToDevice, bytes, upload)
            .map_err(refused(bytes, "upload of numbers"))
    }

    /// Copies a host tensor (a weight, a reference) to the device in its own type.
    ///
    /// # Errors
    /// [`EngineError::Tensor`] if memory ran out.
    #[track_caller]
    pub fn upload_tensor(
        &self,
        span: impl Into<Span>,
        tensor: &Tensor,
    ) -> Result<Tensor, EngineError> {
        let bytes = tensor.elem_count() * tensor.dtype().size_in_bytes();
        let upload = || tensor.to_device(self.device());
        self.moving(span, Direction::HostToDevice, bytes, upload)
            .map_err(refused(bytes, "upload of a tensor"))
    }

    /// Copies a tensor of any float type to the host as f32, row-major. Other types are converted on the device: f32 is transferred.
    ///
    /// # Errors
    /// [`EngineError::Tensor`] if the device failed.
    #[track_caller]
    pub fn download_f32(
        &self,
        span: impl Into<Span>,
        tensor: &Tensor,
    ) -> Result<Vec<f32>, EngineError> {
        self.download(span, tensor, |x| x.to_dtype(DType::F32))
    }

    /// Copies a u32 tensor to the host, row-major.
    ///
    /// # Errors
    /// [`EngineError::Tensor`] if the tensor is of another type or the device failed.
    #[track_caller]
    pub fn download_u32(
        &self,
        span: impl Into<Span>,
        tensor: &Tensor,
    ) -> Result<Vec<u32>, EngineError> {
        self.download(span, tensor, |x| Ok(x.clone()))
    }

    /// Copies a u8 tensor to the host, row-major.
    ///
    /// # Errors
    /// As [`Engine::download_u32`].
    #[track_caller]
    pub fn download_u8(
        &self,
        span: impl Into<Span>,
        tensor: &Tensor,
    ) -> Result<Vec<u8>, EngineError> {
        self.download(span, tensor, |x| Ok(x.clone()))
    }

    /// Copies the numbers of a tensor to the host, after `convert` has made them `T` on the device. One transfer, announced for the caller.
    #[track_caller]
    fn download<T: WithDType>(
        &self,
        span: impl Into<Span>,
        tensor: &Tensor,
        convert: impl FnOnce(&Tensor) -> candle_core::Result<Tensor>,
    ) -> Result<Vec<T>, EngineError> {
        let bytes = tensor.elem_count() * T::DTYPE.size_in_bytes();
        let read = || alone(&convert(tensor)?.flatten_all()?)?.to_vec1::<T>();
        self.moving(span, Direction::DeviceToHost, bytes, read)
            .map_err(EngineError::tensor("download of a tensor"))
    }

    /// A tensor of zeros on the device.
    ///
    /// # Errors
    /// [`EngineError::Tensor`] if memory ran out.
    pub fn zeros(&self, dtype: DType, shape: &[usize]) -> Result<Tensor, EngineError> {
        let bytes = shape.iter().product::<usize>() * dtype.size_in_bytes();
        Tensor::zeros(shape, dtype, self.device()).map_err(refused(bytes, "memory on the device"))
    }

    /// Announces a transfer of `bytes` for the caller and runs `work`, which requests it from the driver, once. The transfer may complete
    /// later. For transfers of the caller's own code under an audit; the crate's own are the functions above.
    #[track_caller]
    pub fn announce<T>(
        &self,
        span: impl Into<Span>,
        direction: Direction,
        bytes: usize,
        work: impl FnOnce() -> T,
    ) -> T {
        self.moving(span, direction, bytes, work)
    }

    /// Announces a transfer for the caller of the calling function, and runs `work`, which requests it.
    #[track_caller]
    pub(super) fn moving<T>(
        &self,
        span: impl Into<Span>,
        direction: Direction,
        bytes: usize,
        work: impl FnOnce() -> T,
    ) -> T {
        self.transfer_log().moving(
            !self.is_cpu(),
            (span.into(), direction, bytes as u64),
            Location::caller(),
            work,
        )
    }
}

/// The tensor in memory of its own: of a part of another tensor's memory, candle would copy all of it to the host.
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

/// As [`EngineError::tensor`], for a request for memory of `bytes`, which the device may have refused.
fn refused(bytes: usize, what: &'static str) -> impl FnOnce(candle_core::Error) -> EngineError {
    move |source| {
        note_refused(bytes);
        EngineError::tensor(what)(source)
    }
}

/// Numbers that follow from a model's structure or an input's size, as a tensor on `device`. Not announced: not for data of frames.
///
/// # Errors
/// If their count does not fit `shape` or memory ran out.
pub fn constant<T: WithDType>(
    values: &[T],
    shape: impl Into<candle_core::Shape>,
    device: &Device,
) -> candle_core::Result<Tensor> {
    Tensor::from_slice(values, shape.into(), device)
}
