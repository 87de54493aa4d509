//! Addresses of tensors, memory for results, and launching of kernels.

#![allow(unsafe_code)]

use super::{kernels, times};
use crate::{
    engine::{self, ArgumentForm, KernelForm},
    ops::types::result::Result,
};
use candle_core::{
    CudaDevice, CudaStorage, DType, Device, Shape, Storage, Tensor,
    cuda_backend::{
        CudaDType, CudaStorageSlice, WrapErr,
        cudarc::driver::{CudaSlice, DevicePtr, DeviceRepr, sys},
    },
    op::BackpropOp,
};
use half::{bf16, f16};
use std::{
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};

/// Threads of a block of the kernels that work number by number or row by row.
pub(super) const THREADS: u32 = 256;
/// Rows a block of the kernels that give a warp to each row.
pub(super) const ROWS_A_BLOCK: usize = THREADS as usize / 32;

/// The device of a tensor that lives on one.
pub(super) fn device(x: &Tensor) -> Result<&CudaDevice> {
    match x.device() {
        Device::Cuda(device) => Ok(device),
        other => candle_core::bail!(
            "a tensor on {:?}, one on a CUDA device was expected",
            other.location()
        ),
    }
}

/// Where a tensor's first number lies; its strides are the caller's concern.
pub(super) fn address(x: &Tensor) -> Result<u64> {
    fn of<T>(slice: &CudaSlice<T>, first: usize) -> u64 {
        let stream = slice.stream().clone();
        // One stream does all work of a device, in order: nothing is waited for here.
        let (start, _synchronised) = slice.device_ptr(&stream);
        start + (first * size_of::<T>()) as u64
    }
    let (storage, layout) = x.storage_and_layout();
    let first = layout.start_offset();
    let Storage::Cuda(storage) = &*storage else {
        candle_core::bail!("tensors on different devices")
    };
    Ok(match &storage.slice {
        CudaStorageSlice::U8(s) => of(s, first),
        CudaStorageSlice::U32(s) => of(s, first),
        CudaStorageSlice::F16(s) => of(s, first),
        CudaStorageSlice::BF16(s) => of(s, first),
        CudaStorageSlice::F32(s) => of(s, first),
        _ => candle_core::bail!("a tensor of {:?} for a CUDA kernel", storage_type(x)),
    })
}

fn storage_type(x: &Tensor) -> DType {
    x.dtype()
}

/// As [`address`], of a contiguous tensor of `dtype`.
pub(super) fn contiguous(x: &Tensor, dtype: DType, op: &'static str) -> Result<u64> {
    if !x.is_contiguous() || x.dtype() != dtype {
        candle_core::bail!(
            "{op}: a tensor {:?} of {:?}, a contiguous one of {dtype:?} was expected",
            x.shape(),
            x.dtype()
        );
    }
    address(x)
}

/// As [`contiguous`]; 0, which kernels take for "none", where there is no tensor.
pub(super) fn optional(x: Option<&Tensor>, dtype: DType, op: &'static str) -> Result<u64> {
    x.map_or(Ok(0), |x| contiguous(x, dtype, op))
}

/// Memory for a result, not initialised, with its address: a kernel must write all of it.
pub(super) fn empty(
    device: &CudaDevice,
    shape: impl Into<Shape>,
    dtype: DType,
) -> Result<(Tensor, u64)> {
    let shape = shape.into();
    let n = shape.elem_count();
    let refused = |e| {
        engine::note_refused(n * dtype.size_in_bytes());
        e
    };
    fn wrap<T: CudaDType + DeviceRepr>(device: &CudaDevice, n: usize) -> Result<CudaStorage> {
        // SAFETY: every kernel that gets this address writes every number before the tensor is read (see each of them).
        let slice = unsafe { device.alloc::<T>(n)? };
        Ok(CudaStorage::wrap_cuda_slice(slice, device.clone()))
    }
    let storage = match dtype {
        DType::F32 => wrap::<f32>(device, n),
        DType::F16 => wrap::<f16>(device, n),
        DType::BF16 => wrap::<bf16>(device, n),
        DType::U32 => wrap::<u32>(device, n),
        DType::U8 => wrap::<u8>(device, n),
        _ => candle_core::bail!("no results of {dtype:?}"),
    }
    .map_err(refused)?;
    let tensor = Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false);
    let at = address(&tensor)?;
    if POISON.load(Ordering::Relaxed) {
        let stream = device.cuda_stream();
        stream.context().bind_to_thread().w()?;
        // SAFETY: the tensor has that many bytes.
        unsafe {
            sys::cuMemsetD8Async(at, 0xff, n * dtype.size_in_bytes(), stream.cu_stream()).result()
        }
        .w()?;
    }
    Ok((tensor, at))
}

/// Whether memory for results is filled with what no result has.
static POISON: AtomicBool = AtomicBool::new(false);

/// See [`crate::ops::poison_results`].
pub(crate) fn poison_results() {
    POISON.store(true, Ordering::Relaxed);
}

/// Sets the first `columns` numbers of each of `rows` rows of `row` u32 to 0.
pub(super) fn clear_columns(
    device: &CudaDevice,
    (start, rows, row): (u64, usize, usize),
    columns: usize,
) -> Result<()> {
    if rows == 0 {
        return Ok(());
    }
    let stream = device.cuda_stream();
    stream.context().bind_to_thread().w()?;
    // SAFETY: the caller's tensor has that many rows of that length, which is at least `columns`.
    unsafe {
        sys::cuMemsetD2D8Async(start, 4 * row, 0, 4 * columns, rows, stream.cu_stream()).result()
    }
    .w()
}

/// A kernel to be launched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernel {
    pub(super) file: &'static str,
    pub(super) name: &'static str,
    pub(super) grid: (usize, usize, usize),
    pub(super) block: (u32, u32),
    /// Dynamic shared memory in bytes.
    pub(super) shared: usize,
}

impl Kernel {
    /// One thread for each of `n` pieces of work.
    pub(super) fn over(file: &'static str, name: &'static str, n: usize) -> Self {
        Self {
            file,
            name,
            grid: (n.div_ceil(THREADS as usize), 1, 1),
            block: (THREADS, 1),
            shared: 0,
        }
    }

    /// One warp for each of `n` rows.
    pub(super) fn rows(file: &'static str, name: &'static str, n: usize) -> Self {
        Self {
            file,
            name,
            grid: (n.div_ceil(ROWS_A_BLOCK), 1, 1),
            block: (THREADS, 1),
            shared: 0,
        }
    }

    /// Launches it with `arguments` on the device's stream.
    ///
    /// # Safety
    /// The arguments are those of the kernel in number, order and layout, and addresses among them are of memory as large as
    /// the kernel takes it to be.
    pub(super) unsafe fn launch(
        &self,
        device: &CudaDevice,
        arguments: &[&dyn Argument],
    ) -> Result<()> {
        // SAFETY: the caller's.
        unsafe { self.with(device, arguments, false) }.map(drop)
    }

    /// Microseconds that a launch takes; it is launched many times.
    ///
    /// # Safety
    /// As [`Kernel::launch`].
    pub(super) unsafe fn time(
        &self,
        device: &CudaDevice,
        arguments: &[&dyn Argument],
    ) -> Result<f32> {
        // SAFETY: the caller's.
        unsafe { self.with(device, arguments, true) }
    }

    unsafe fn with(
        &self,
        device: &CudaDevice,
        arguments: &[&dyn Argument],
        timed: bool,
    ) -> Result<f32> {
        let (x, y, z) = self.grid;
        if x == 0 || y == 0 || z == 0 {
            return Ok(0.0);
        }
        if x > i32::MAX as usize || y > u16::MAX as usize || z > u16::MAX as usize {
            candle_core::bail!(
                "{}: a grid of {:?} blocks is too large",
                self.name,
                self.grid
            );
        }
        let kernel = kernels::function(device, self.file, self.name, self.shared)?;
        let stream = device.cuda_stream();
        let mut parameters: Vec<*mut c_void> = arguments.iter().map(|a| a.pointer()).collect();
        // The kernel may be launched while the one before it runs: it waits for that itself (`begin` of common.cuh).
        let mut overlaps = sys::CUlaunchAttribute {
            id: sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
            pad: [0; 4],
            value: sys::CUlaunchAttributeValue {
                programmaticStreamSerializationAllowed: 1,
            },
        };
        let config = sys::CUlaunchConfig {
            gridDimX: x as u32,
            gridDimY: y as u32,
            gridDimZ: z as u32,
            blockDimX: self.block.0,
            blockDimY: self.block.1,
            blockDimZ: 1,
            sharedMemBytes: self.shared as u32,
            hStream: stream.cu_stream(),
            attrs: &raw mut overlaps,
            // Between the kernels that are captured lie allocations, which let nothing overlap: the engine sees to it once these are gone.
            numAttrs: u32::from(kernel.waits && !engine::is_capturing()),
        };
        engine::note_kernel(kernel.function.cu_function() as usize, || KernelForm {
            waits: kernel.waits,
            arguments: arguments.iter().map(|a| a.form()).collect(),
        });
        let mut launch = || {
            stream.context().bind_to_thread()?;
            // SAFETY: the caller vouches for the arguments, and kernels may run again: none reads what it writes. The function, the attribute
            // and what the parameters point to are alive.
            unsafe {
                let function = kernel.function.cu_function();
                let parameters = parameters.as_mut_ptr();
                sys::cuLaunchKernelEx(&raw const config, function, parameters, ptr::null_mut())
                    .result()
            }
        };
        if timed {
            return times::time(&stream, launch);
        }
        launch().w()?;
        times::measure(&stream, self.name, self.grid, launch)?;
        Ok(0.0)
    }
}

/// Something a kernel takes.
pub(super) trait Argument {
    /// Where it lies.
    fn pointer(&self) -> *mut c_void;
    /// Its size, and where addresses lie in it.
    fn form(&self) -> ArgumentForm;
}

impl<T: Parameter> Argument for T {
    fn pointer(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    fn form(&self) -> ArgumentForm {
        ArgumentForm {
            size: size_of::<T>(),
            addresses: T::ADDRESSES,
        }
    }
}

/// The type of a parameter of a kernel.
///
/// # Safety
/// Its bytes are those of the kernel's own type, and `ADDRESSES` has all of its addresses of device memory.
pub(super) unsafe trait Parameter: DeviceRepr {
    /// Where addresses of device memory lie, in bytes from its start.
    const ADDRESSES: &'static [usize];
}

macro_rules! parameters {
    ($($type:ty: $addresses:expr),*) => {
        $(
            // SAFETY: a plain number; what has 64 bits without a sign is an address.
            unsafe impl Parameter for $type {
                const ADDRESSES: &'static [usize] = &$addresses;
            }
        )*
    };
}

parameters!(u64: [0], i64: [], u32: [], i32: [], f32: [], u8: []);

/// Lets a kernel take a structure of plain numbers by value; those of its fields that are named hold addresses of device memory.
macro_rules! structure {
    ($type:ty: $($field:ident),* $(,)?) => {
        // SAFETY: plain numbers, laid out as the kernel's own type.
        unsafe impl candle_core::cuda_backend::cudarc::driver::DeviceRepr for $type {}
        // SAFETY: as above; the other fields are numbers.
        unsafe impl crate::ops::cuda::launch::Parameter for $type {
            const ADDRESSES: &'static [usize] = &[$(std::mem::offset_of!($type, $field)),*];
        }
    };
}
pub(super) use structure;

/// The name of a kernel for numbers of a type.
macro_rules! named {
    ($name:literal, $dtype:expr) => {
        match $dtype {
            candle_core::DType::F32 => Ok(concat!($name, "_f32")),
            candle_core::DType::F16 => Ok(concat!($name, "_f16")),
            candle_core::DType::BF16 => Ok(concat!($name, "_bf16")),
            other => Err(candle_core::Error::Msg(format!(
                concat!($name, ": numbers of {:?}, not of f32, f16 or bf16"),
                other
            ))),
        }
    };
}
pub(super) use named;

/// A size as kernels take it.
pub(super) fn int(n: usize) -> Result<i32> {
    i32::try_from(n)
        .map_err(|_| candle_core::Error::Msg(format!("{n} is too large for a CUDA kernel")))
}
