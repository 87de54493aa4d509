//! Tensors' memory, in and out.

#![allow(unsafe_code)]

use crate::ops::types::{convolution::Products, result::Result, strides::row_stride};
use candle_core::{Device, Storage, StorageRef, Tensor, WithDType};
use half::bf16;

/// The tensor itself where its last dimension is contiguous and its other dimensions are evenly spaced rows, else a contiguous copy.
pub(super) fn even(x: &Tensor) -> Result<Tensor> {
    if row_stride(x).is_some() {
        Ok(x.clone())
    } else {
        x.contiguous()
    }
}

/// Numbers of a tensor on the CPU whose last dimension is contiguous and whose other dimensions are evenly spaced rows.
pub(super) struct Input<'a, T = f32> {
    storage: StorageRef<'a>,
    start: usize,
    /// Numbers from one row to the next; a row is the last dimension.
    pub(super) stride: usize,
    numbers: std::marker::PhantomData<T>,
}

impl<'a, T: WithDType> Input<'a, T> {
    /// The memory of `x`, which must be as [`even`] gives it.
    pub(super) fn new(x: &'a Tensor, op: &'static str) -> Result<Self> {
        let Some(stride) = row_stride(x) else {
            candle_core::bail!(
                "{op}: a tensor of shape {:?} is not in even rows",
                x.shape()
            )
        };
        if x.dtype() != T::DTYPE {
            candle_core::bail!(
                "{op}: a tensor of {:?}, {:?} was expected",
                x.dtype(),
                T::DTYPE
            );
        }
        let (storage, layout) = x.storage_and_layout();
        let start = layout.start_offset();
        if !matches!(&*storage, Storage::Cpu(_)) {
            candle_core::bail!("{op}: tensors on different devices");
        }
        Ok(Self {
            storage,
            start,
            stride,
            numbers: std::marker::PhantomData,
        })
    }

    /// All numbers from the tensor's first to the end of its memory.
    pub(super) fn slice(&self) -> &[T] {
        let Storage::Cpu(storage) = &*self.storage else {
            return &[];
        };
        T::cpu_storage_as_slice(storage)
            .ok()
            .and_then(|all| all.get(self.start..))
            .unwrap_or(&[])
    }

    /// The first number.
    pub(super) fn ptr(&self) -> *const T {
        self.slice().as_ptr()
    }
}

/// The numbers of a contiguous tensor.
pub(super) fn to_vec(x: &Tensor) -> Result<Vec<f32>> {
    x.flatten_all()?.to_vec1()
}

/// Memory of a result, written by kernels before it becomes a tensor.
pub(super) struct Output<T = f32> {
    data: Vec<T>,
    len: usize,
}

impl Output {
    /// Memory for `len` numbers, not initialised.
    pub(super) fn new(len: usize) -> Self {
        Self::of_any(len)
    }
}

impl Output<bf16> {
    /// Memory for `len` rounded numbers, not initialised.
    pub(super) fn rounded(len: usize) -> Self {
        Self::of_any(len)
    }
}

impl<T: WithDType> Output<T> {
    fn of_any(len: usize) -> Self {
        keep_freed_memory();
        let mut data = Vec::with_capacity(len);
        advise_huge_pages(&mut data);
        Self { data, len }
    }

    /// The first number.
    pub(super) fn ptr(&mut self) -> *mut T {
        self.data.as_mut_ptr()
    }

    /// The tensor of `shape`.
    ///
    /// # Safety
    /// All numbers have been written.
    pub(super) unsafe fn into_tensor(mut self, shape: &[usize]) -> Result<Tensor> {
        // SAFETY: the capacity is at least `len`, and the caller vouched for the numbers.
        unsafe { self.data.set_len(self.len) };
        let storage = Storage::Cpu(T::to_cpu_storage_owned(self.data));
        if shape.iter().product::<usize>() != self.len {
            candle_core::bail!("a result of {} numbers for shape {shape:?}", self.len);
        }
        Ok(Tensor::from_storage(
            storage,
            shape,
            candle_core::op::BackpropOp::none(),
            false,
        ))
    }
}

/// The tensor of `shape` that `write` fills: of f32, or of bf16, pairs of which it is then handed as numbers.
///
/// # Safety
/// `write` writes all numbers.
pub(super) unsafe fn kept_in(
    kept: Products,
    shape: &[usize],
    write: impl FnOnce(*mut f32),
) -> Result<Tensor> {
    let len = shape.iter().product();
    // SAFETY: the caller vouched for the numbers.
    unsafe {
        match kept {
            Products::F32 => {
                let mut out = Output::new(len);
                write(out.ptr());
                out.into_tensor(shape)
            }
            Products::Bf16 => {
                let mut out = Output::rounded(len);
                write(out.ptr().cast());
                out.into_tensor(shape)
            }
        }
    }
}

/// Lets the allocator keep what is freed: the next image's maps are as large, and taking their pages from the system again costs an eighth
/// of the time of a small model.
fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        // SAFETY: both calls change settings of the allocator alone, which it locks.
        ONCE.call_once(|| unsafe {
            libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 30);
            // The largest that it takes.
            libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        });
    }
}

/// Asks for huge pages for large memory: fresh pages of 4 KiB cost more time than writing to them.
fn advise_huge_pages<T>(data: &mut Vec<T>) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 2 << 20;
        let start = data.as_mut_ptr().addr().next_multiple_of(PAGE);
        let end = (data.as_ptr().addr() + data.capacity() * size_of::<T>()) / PAGE * PAGE;
        if end >= start + 2 * PAGE {
            // SAFETY: whole pages within the vector's own memory; the advice changes no contents, and its failure changes nothing.
            unsafe {
                libc::madvise(
                    data.as_mut_ptr()
                        .wrapping_byte_add(start - data.as_ptr().addr())
                        .cast(),
                    end - start,
                    libc::MADV_HUGEPAGE,
                )
            };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = data;
}

/// A pointer that tasks share; they read, or write disjoint parts.
#[derive(Clone, Copy)]
pub(super) struct Shared<T>(T);

// SAFETY: see the type; each use says why the parts are disjoint.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    pub(super) fn new(pointer: T) -> Self {
        Self(pointer)
    }

    pub(super) fn get(&self) -> T {
        self.0
    }
}

/// Whether `x` lives in host memory.
pub(crate) fn is_cpu(x: &Tensor) -> bool {
    matches!(x.device(), Device::Cpu)
}
