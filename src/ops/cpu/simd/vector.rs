//! What kernels are written over: a vector of f32, and code that is compiled for each instruction set.

#![allow(unsafe_code)]

/// A vector of f32 and its operations.
///
/// # Safety of all functions
/// The processor has the instruction set, and pointers are valid for the lanes read or written. No alignment is needed.
pub(crate) trait Simd: Copy {
    /// Lanes of a vector: 8 or 16.
    const LANES: usize;
    /// Whether [`Simd::lookup`] is one instruction.
    const LOOKS_UP: bool;
    /// The vector.
    type V: Copy;

    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    /// The first `n` lanes from memory, zero in the others.
    unsafe fn load_n(p: *const f32, n: usize) -> Self::V;
    /// The first `n` lanes to memory.
    unsafe fn store_n(p: *mut f32, v: Self::V, n: usize);
    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// Without its sign.
    unsafe fn abs(v: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// a·b + c.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The greater of both; b where either is not a number.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// The smaller of both; b where either is not a number.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// To the nearest integer, ties to even.
    unsafe fn round(v: Self::V) -> Self::V;
    /// 2^v for integral v in -126..=127.
    unsafe fn exp2_integral(v: Self::V) -> Self::V;
    /// `a > b ? x : y` in each lane.
    unsafe fn if_greater(a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// In each lane the number of `table` that the lane's last four bits say.
    unsafe fn lookup(table: &[f32; 16], lanes: Self::V) -> Self::V;
    unsafe fn sum(v: Self::V) -> f32;
    unsafe fn greatest(v: Self::V) -> f32;
    /// Transposes 8 rows of 8 from `from[i]` to `to + i·stride`.
    unsafe fn transpose8(from: [*const f32; 8], to: *mut f32, stride: usize);
}

/// Code to be compiled for each instruction set.
pub(crate) trait Kernel {
    /// What it gives back.
    type Output;

    /// The code. Must be `#[inline(always)]`, as must be all generic functions it calls.
    ///
    /// # Safety
    /// The processor has the instruction set of `S`, and the kernel's pointers are valid as its type says.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}
