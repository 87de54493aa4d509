//! Tensors that the caller of the library made, on a stream of the caller's.

use super::EngineError;
use candle_core::{Device, DeviceLocation, Tensor};

/// `cpu`, `cuda:N` or `metal:N`.
pub(crate) fn device_name(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".to_owned(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

/// Tells the tensor library that what this thread has enqueued on the tensor's stream reads the tensor, as its own operations do:
/// work on another stream that overwrites it waits. Nothing happens on the CPU and where the device tracks no events.
///
/// # Errors
/// [`EngineError::Driver`] for a tensor of a type that the crate has no kernels for.
pub(crate) fn note_read(tensor: &Tensor) -> Result<(), EngineError> {
    #[cfg(feature = "cuda")]
    if tensor.device().is_cuda() {
        return super::cuda::place(tensor).map(drop);
    }
    let _ = tensor;
    Ok(())
}

/// As [`note_read`] for work that writes the tensor: work on another stream that reads it waits.
///
/// # Errors
/// [`EngineError::Tensor`] for a tensor of a type that the crate has no kernels for.
pub(crate) fn note_written(tensor: &Tensor) -> Result<(), EngineError> {
    #[cfg(feature = "cuda")]
    if tensor.device().is_cuda() {
        let noted = tensor.inplace_op1(&written::Written);
        return noted.map_err(EngineError::tensor("a result on the device"));
    }
    let _ = tensor;
    Ok(())
}

#[cfg(feature = "cuda")]
mod written {
    use candle_core::{
        CpuStorage, CudaStorage, InplaceOp1, Layout, Result,
        cuda_backend::{CudaStorageSlice, cudarc::driver::DevicePtrMut},
    };

    /// Records the event of the last write behind what was enqueued so far; the numbers stay as they are.
    pub(super) struct Written;

    impl InplaceOp1 for Written {
        fn name(&self) -> &'static str {
            "note_written"
        }

        fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> Result<()> {
            Ok(())
        }

        fn cuda_fwd(&self, storage: &mut CudaStorage, _: &Layout) -> Result<()> {
            let stream = storage.device.cuda_stream();
            // The event is recorded when the second part of the pair is dropped.
            match &mut storage.slice {
                CudaStorageSlice::U8(s) => drop(s.device_ptr_mut(&stream)),
                CudaStorageSlice::U32(s) => drop(s.device_ptr_mut(&stream)),
                CudaStorageSlice::F32(s) => drop(s.device_ptr_mut(&stream)),
                _ => candle_core::bail!("note_written: numbers of a type that no kernel writes"),
            }
            Ok(())
        }
    }
}
