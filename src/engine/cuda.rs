//! CUDA devices as the engine uses them: one stream, memory kept.

#![allow(unsafe_code)]

use super::{EngineError, MemoryRefused};
use candle_core::{
    CudaDevice, CudaStorage, DType, Device, Storage, Tensor,
    cuda_backend::{
        CudaError, CudaStorageSlice,
        cudarc::{
            cublas::{result::CublasError, sys::cublasStatus_t},
            cudnn::{result::CudnnError, sys::cudnnStatus_t},
            driver::{DevicePtr, DriverError, result, sys},
        },
    },
};
use std::{ffi::c_void, sync::Arc};

/// The driver's refusal of `what`.
pub(super) fn driver(what: &'static str) -> impl Fn(DriverError) -> EngineError {
    move |e| match e.0 {
        sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => EngineError::NoMemory {
            what,
            source: MemoryRefused,
        },
        _ => EngineError::Driver {
            what,
            reason: e.to_string(),
        },
    }
}

/// Whether `error` itself (not its source) is a refusal of device memory: by the error codes of the driver, cuBLAS and cuDNN.
pub(super) fn is_out_of_memory(error: &(dyn std::error::Error + 'static)) -> bool {
    let boxed = || {
        error
            .downcast_ref::<Box<candle_core::Error>>()
            .map(|error| &**error)
    };
    if let Some(error) = error.downcast_ref::<candle_core::Error>().or_else(boxed) {
        return match error {
            candle_core::Error::Cuda(inner) => is_out_of_memory(&**inner),
            candle_core::Error::WithBacktrace { inner, .. }
            | candle_core::Error::Context { inner, .. }
            | candle_core::Error::WithPath { inner, .. } => is_out_of_memory(&**inner),
            _ => false,
        };
    }
    let driver = |error: &DriverError| error.0 == sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY;
    let blas = |error: &CublasError| error.0 == cublasStatus_t::CUBLAS_STATUS_ALLOC_FAILED;
    match error.downcast_ref::<CudaError>() {
        Some(CudaError::Cuda(error) | CudaError::Load { cuda: error, .. }) => driver(error),
        Some(CudaError::Cublas(error)) => blas(error),
        Some(_) => false,
        None => {
            error.downcast_ref::<DriverError>().is_some_and(driver)
                || error.downcast_ref::<CublasError>().is_some_and(blas)
                || matches!(
                    error.downcast_ref::<CudnnError>(),
                    Some(CudnnError(cudnnStatus_t::CUDNN_STATUS_ALLOC_FAILED))
                )
        }
    }
}

/// The device below a tensor library's handle.
pub(super) fn inner(device: &Device) -> Option<&CudaDevice> {
    match device {
        Device::Cuda(device) => Some(device),
        _ => None,
    }
}

/// What must be done before the first tensor: all work of a handle is on one stream, and siblings wait for each other by [`wait_for`], so
/// that no tensor needs events of its own (which a graph could not hold); and memory that was freed stays with the program.
pub(super) fn prepare(device: &Device) -> Result<(), EngineError> {
    let Some(device) = inner(device) else {
        return Ok(());
    };
    // SAFETY: no tensor of this handle exists yet; what is used on another stream is ordered by `wait_for` or by events of its own.
    unsafe { device.disable_event_tracking() };
    let stream = device.cuda_stream();
    stream
        .context()
        .bind_to_thread()
        .map_err(driver("use of the device"))?;
    let pool = pool(device)?;
    let mut threshold = u64::MAX;
    // SAFETY: the pool is the device's own, and the attribute is a 64-bit number.
    unsafe {
        let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut threshold).cast::<c_void>())
            .result()
            .map_err(driver("memory pool"))?;
    }
    Ok(())
}

/// Gives memory that is kept but not used back to the device: graphs have their own, and would come on top of it.
pub(super) fn trim(device: &CudaDevice) -> Result<(), EngineError> {
    device
        .cuda_stream()
        .synchronize()
        .map_err(driver("waiting for the device"))?;
    // SAFETY: the pool is the device's own; only what no tensor has is given back.
    unsafe {
        sys::cuMemPoolTrimTo(pool(device)?, 0)
            .result()
            .map_err(driver("memory pool"))
    }
}

/// What tensors' memory comes from.
fn pool(device: &CudaDevice) -> Result<sys::CUmemoryPool, EngineError> {
    let ordinal = i32::try_from(device.cuda_stream().context().ordinal()).unwrap_or(0);
    let mut pool = std::ptr::null_mut();
    // SAFETY: the driver writes a handle.
    unsafe {
        sys::cuDeviceGetDefaultMemPool(&raw mut pool, ordinal)
            .result()
            .map_err(driver("memory pool"))?
    };
    Ok(pool)
}

/// Free and total memory of the device in bytes.
pub(super) fn memory(device: &CudaDevice) -> Result<(usize, usize), EngineError> {
    device
        .cuda_stream()
        .context()
        .bind_to_thread()
        .map_err(driver("use of the device"))?;
    result::mem_get_info().map_err(driver("memory of the device"))
}

/// The driver's name for the device.
pub(super) fn name(device: &CudaDevice) -> Option<String> {
    device.cuda_stream().context().name().ok()
}

/// Where a contiguous tensor lies, and its size in bytes.
pub(super) fn place(x: &Tensor) -> Result<(u64, usize), EngineError> {
    let (storage, layout) = x.storage_and_layout();
    let what = "a tensor of a graph";
    let refused = |reason: String| EngineError::Driver { what, reason };
    if !layout.is_contiguous() {
        return Err(refused(format!("{:?} is not contiguous", x.shape())));
    }
    let Storage::Cuda(storage) = &*storage else {
        return Err(refused("it is not on a CUDA device".to_owned()));
    };
    let stream = storage.device.cuda_stream();
    let start = match &storage.slice {
        CudaStorageSlice::U8(s) => s.device_ptr(&stream).0,
        CudaStorageSlice::U32(s) => s.device_ptr(&stream).0,
        CudaStorageSlice::F16(s) => s.device_ptr(&stream).0,
        CudaStorageSlice::BF16(s) => s.device_ptr(&stream).0,
        CudaStorageSlice::F32(s) => s.device_ptr(&stream).0,
        _ => return Err(refused(format!("it is of {:?}", x.dtype()))),
    };
    let size = x.dtype().size_in_bytes();
    Ok((
        start + (layout.start_offset() * size) as u64,
        x.elem_count() * size,
    ))
}

/// How many numbers a tensor's memory holds, where it is of a type that is moved.
pub(super) fn stored(storage: &CudaStorage) -> Option<usize> {
    match &storage.slice {
        CudaStorageSlice::U8(s) => Some(s.len()),
        CudaStorageSlice::U32(s) => Some(s.len()),
        CudaStorageSlice::F32(s) => Some(s.len()),
        _ => None,
    }
}

/// Makes the stream of `device` wait, on the device, for the work that the stream of `other` has so far.
pub(super) fn wait_for(device: &CudaDevice, other: &CudaDevice) -> Result<(), EngineError> {
    let (own, theirs) = (device.cuda_stream(), other.cuda_stream());
    if Arc::ptr_eq(&own, &theirs) {
        return Ok(());
    }
    // An event belongs to the handle of the context it is made by; the context below is the same for both.
    let event = theirs
        .record_event(None)
        .map_err(driver("order of two streams"))?;
    own.wait(&event).map_err(driver("order of two streams"))
}

/// Copies `from` over the numbers of `to`, on the device's stream.
pub(super) fn copy(device: &CudaDevice, to: &Tensor, from: &Tensor) -> Result<(), EngineError> {
    let ((to, room), (from, bytes)) = (place(to)?, place(from)?);
    if room != bytes {
        return Err(EngineError::Driver {
            what: "a copy on the device",
            reason: format!("{bytes} bytes to {room}"),
        });
    }
    if bytes == 0 {
        return Ok(());
    }
    // SAFETY: both tensors are contiguous and have that many bytes; the stream keeps the order of work on them.
    unsafe { result::memcpy_dtod_async(to, from, bytes, device.cuda_stream().cu_stream()) }
        .map_err(driver("a copy on the device"))
}

/// A tensor of its own memory with the numbers of `x`.
pub(super) fn duplicate(x: &Tensor) -> Result<Tensor, EngineError> {
    let duplicate = || x.contiguous()?.copy();
    duplicate().map_err(|source| EngineError::Tensor {
        what: "an input of a graph",
        source: Box::new(source),
    })
}

/// The type and shape of a tensor, by which graphs are keyed.
pub(super) fn form(x: &Tensor) -> (DType, Vec<usize>) {
    (x.dtype(), x.dims().to_vec())
}
