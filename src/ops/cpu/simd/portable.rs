//! Vectors as arrays of eight, for processors without own code.

#![allow(unsafe_code)]

use super::vector::Simd;

#[derive(Clone, Copy)]
pub(super) struct Portable;

#[inline(always)]
fn zip(a: [f32; 8], b: [f32; 8], f: impl Fn(f32, f32) -> f32) -> [f32; 8] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

// SAFETY (all pointers): as the trait says.
impl Simd for Portable {
    const LANES: usize = 8;
    const LOOKS_UP: bool = false;
    type V = [f32; 8];

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        // SAFETY: the caller vouches for the instruction set, and for the pointers over the lanes that are read or written.
        unsafe { p.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        // SAFETY: the caller vouches for the instruction set, and for the pointers over the lanes that are read or written.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> Self::V {
        let mut v = [0.0; 8];
        for (i, lane) in v.iter_mut().enumerate().take(n) {
            // SAFETY: the caller vouches for the instruction set, and for the pointers over the lanes that are read or written.
            *lane = unsafe { p.add(i).read_unaligned() };
        }
        v
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, v: Self::V, n: usize) {
        for (i, lane) in v.iter().enumerate().take(n) {
            // SAFETY: the caller vouches for the instruction set, and for the pointers over the lanes that are read or written.
            unsafe { p.add(i).write_unaligned(*lane) };
        }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |x, y| x + y)
    }
    #[inline(always)]
    unsafe fn abs(v: Self::V) -> Self::V {
        v.map(f32::abs)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |x, y| x - y)
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |x, y| x * y)
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |x, y| x / y)
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // Where fused multiply-add is not an instruction of every processor of the architecture, it would be a call.
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
            std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
        } else {
            std::array::from_fn(|i| a[i] * b[i] + c[i])
        }
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |x, y| if x < y { x } else { y })
    }
    #[inline(always)]
    unsafe fn round(v: Self::V) -> Self::V {
        // Adding and taking away 1.5·2^23 leaves no place for a fraction; right for |v| < 2^22, which is all that is rounded here.
        const MAGIC: f32 = 12_582_912.0;
        v.map(|x| (x + MAGIC) - MAGIC)
    }
    #[inline(always)]
    unsafe fn exp2_integral(v: Self::V) -> Self::V {
        v.map(|x| f32::from_bits(((x as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    unsafe fn if_greater(a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V {
        std::array::from_fn(|i| if a[i] > b[i] { x[i] } else { y[i] })
    }
    #[inline(always)]
    unsafe fn lookup(table: &[f32; 16], lanes: Self::V) -> Self::V {
        lanes.map(|lane| table[lane.to_bits() as usize % 16])
    }
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
    }
    #[inline(always)]
    unsafe fn greatest(v: Self::V) -> f32 {
        v.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }
    #[inline(always)]
    unsafe fn transpose8(from: [*const f32; 8], to: *mut f32, stride: usize) {
        for (i, row) in from.iter().enumerate() {
            for j in 0..8 {
                // SAFETY: the caller vouches for the instruction set, and for the pointers over the lanes that are read or written.
                unsafe {
                    to.add(j * stride + i)
                        .write_unaligned(row.add(j).read_unaligned())
                };
            }
        }
    }
}
