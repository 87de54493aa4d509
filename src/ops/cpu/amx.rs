//! Tiles of AMX: products of bf16 whose factors are 16 rows of 16 pairs, and 16 lines of a panel of [`super::packed`].
//!
//! Rust has no stable intrinsics for them, so a register tile is one block of assembly, and nothing else uses the tile registers.

#![allow(unsafe_code)]

use std::{marker::PhantomData, sync::OnceLock};

/// Rows of a tile of the left factor and of sums.
pub(super) const ROWS: usize = 16;

/// Lines of a panel that a tile holds, each 16 pairs.
pub(super) const LINES: usize = 16;

/// Whether the processor has AMX for bf16 and the system lets this process use it. The first call asks the system; what it allows then
/// holds for all threads.
pub(crate) fn usable() -> bool {
    static USABLE: OnceLock<bool> = OnceLock::new();
    *USABLE.get_or_init(|| has_instructions() && permitted())
}

#[cfg(target_arch = "x86_64")]
fn has_instructions() -> bool {
    use std::arch::x86_64::{__cpuid_count, __get_cpuid_max};
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    if !crate::engine::multiplies_bf16() || __get_cpuid_max(0).0 < 7 {
        return false;
    }
    let wanted = AMX_BF16 | AMX_TILE;
    __cpuid_count(7, 0).edx & wanted == wanted
}

#[cfg(not(target_arch = "x86_64"))]
fn has_instructions() -> bool {
    false
}

/// Asks Linux for the registers' state, which it keeps for those alone that asked. It refuses where it does not know AMX, or where the
/// alternate signal stack of a thread is too small for that state.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: the call reads its two numbers and touches no memory of this process.
    unsafe {
        libc::syscall(
            libc::SYS_arch_prctl,
            ARCH_REQ_XCOMP_PERM,
            XFEATURE_XTILEDATA,
        ) == 0
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn permitted() -> bool {
    false
}

/// Part of the inner dimension: where it begins in both halves of the rows and in both panels.
#[repr(C)]
pub(super) struct Run {
    /// The first row, and that [`ROWS`] below it.
    pub(super) a: [*const f32; 2],
    pub(super) b: [*const f32; 2],
    /// Tiles along the inner dimension, at least 1.
    pub(super) steps: usize,
}

/// Rows that lie evenly in memory.
#[derive(Clone, Copy)]
pub(super) struct Even {
    pub(super) start: *mut f32,
    /// Bytes from one row to the next.
    pub(super) stride: usize,
}

/// The tile registers of this thread, in use until this is dropped.
pub(super) struct Session {
    /// Registers are those of one thread.
    thread: PhantomData<*const ()>,
}

/// Of `ldtilecfg`: which layout, and rows and bytes of a row of each register.
#[cfg(target_arch = "x86_64")]
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

#[cfg(target_arch = "x86_64")]
static CONFIG: Config = Config {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

impl Session {
    /// Takes the registers into use. Where [`usable`] says no there is nothing to take.
    pub(super) fn new() -> Self {
        #[cfg(target_arch = "x86_64")]
        if usable() {
            // SAFETY: the processor has the instruction, the system allows it, and 64 bytes are read.
            unsafe {
                std::arch::asm!("ldtilecfg [{config}]", config = in(reg) &raw const CONFIG, options(nostack, readonly, preserves_flags))
            };
        }
        Self {
            thread: PhantomData,
        }
    }

    /// `sums = Σ a·b` over all runs, of which there is at least one: `halves` (1 or 2) times [`ROWS`] rows, `a_stride` bytes apart, by 1 or
    /// 2 panels.
    ///
    /// # Safety
    /// [`usable`] says yes. All of the rows can be read and written, whole tiles of them.
    pub(super) unsafe fn product(
        &self,
        (halves, panels): (usize, usize),
        runs: &[Run],
        a_stride: usize,
        sums: Even,
    ) {
        debug_assert!(runs.iter().all(|run| run.steps > 0) && !runs.is_empty());
        #[cfg(test)]
        if !usable() {
            // SAFETY: the caller vouched for the memory.
            return unsafe { emulated::product((halves, panels), runs, a_stride, sums) };
        }
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the caller vouched for the instructions and the memory, and for at least one run.
        unsafe {
            match (halves, panels) {
                (1, 1) => x86::product_1x1(runs, a_stride, sums),
                (1, _) => x86::product_1x2(runs, a_stride, sums),
                (_, 1) => x86::product_2x1(runs, a_stride, sums),
                _ => x86::product_2x2(runs, a_stride, sums),
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if usable() {
            // SAFETY: the processor has the instruction, and the system allows it.
            unsafe { std::arch::asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Even, Run};

    /// A function that zeroes the sums (tmm0 to tmm3), goes through the tiles of all runs (rows in tmm4 and tmm5, panels in tmm6 and tmm7)
    /// and stores the sums, those of the lower half last.
    macro_rules! product {
        ($name:ident, zero: $($zero:literal)*, step: $($step:literal)*, upper: $($upper:literal)*, lower: $($lower:literal)*) => {
            /// # Safety
            /// As for [`super::Session::product`].
            pub(super) unsafe fn $name(runs: &[Run], a_stride: usize, sums: Even) {
                // SAFETY: the caller vouched for the instructions, the registers' configuration and the memory; all registers that change
                // are named.
                unsafe {
                    std::arch::asm!(
                        $($zero,)*
                        "2:",
                        "mov {a}, [{runs}]",
                        "mov {a2}, [{runs} + 8]",
                        "mov {b}, [{runs} + 16]",
                        "mov {b2}, [{runs} + 24]",
                        "mov {steps}, [{runs} + 32]",
                        "3:",
                        $($step,)*
                        "add {a}, 64",
                        "add {a2}, 64",
                        "add {b}, 1024",
                        "add {b2}, 1024",
                        "dec {steps}",
                        "jnz 3b",
                        "add {runs}, 40",
                        "dec {count}",
                        "jnz 2b",
                        $($upper,)*
                        "mov {a}, {cs}",
                        "shl {a}, 4",
                        "add {c}, {a}",
                        $($lower,)*
                        runs = inout(reg) runs.as_ptr() => _,
                        count = inout(reg) runs.len() => _,
                        a = out(reg) _,
                        a2 = out(reg) _,
                        b = out(reg) _,
                        b2 = out(reg) _,
                        steps = out(reg) _,
                        s = in(reg) a_stride,
                        line = in(reg) 64usize,
                        c = inout(reg) sums.start => _,
                        cs = in(reg) sums.stride,
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    )
                }
            }
        };
    }

    product!(
        product_1x1,
        zero: "tilezero tmm0",
        step:
            "tileloadd tmm6, [{b} + {line}*1]"
            "tileloadd tmm4, [{a} + {s}*1]"
            "tdpbf16ps tmm0, tmm4, tmm6",
        upper: "tilestored [{c} + {cs}*1], tmm0",
        lower:
    );
    product!(
        product_1x2,
        zero: "tilezero tmm0" "tilezero tmm1",
        step:
            "tileloadd tmm6, [{b} + {line}*1]"
            "tileloadd tmm4, [{a} + {s}*1]"
            "tdpbf16ps tmm0, tmm4, tmm6"
            "tileloadd tmm7, [{b2} + {line}*1]"
            "tdpbf16ps tmm1, tmm4, tmm7",
        upper: "tilestored [{c} + {cs}*1], tmm0" "tilestored [{c} + {cs}*1 + 64], tmm1",
        lower:
    );
    product!(
        product_2x1,
        zero: "tilezero tmm0" "tilezero tmm2",
        step:
            "tileloadd tmm6, [{b} + {line}*1]"
            "tileloadd tmm4, [{a} + {s}*1]"
            "tdpbf16ps tmm0, tmm4, tmm6"
            "tileloadd tmm5, [{a2} + {s}*1]"
            "tdpbf16ps tmm2, tmm5, tmm6",
        upper: "tilestored [{c} + {cs}*1], tmm0",
        lower: "tilestored [{c} + {cs}*1], tmm2"
    );
    product!(
        product_2x2,
        zero: "tilezero tmm0" "tilezero tmm1" "tilezero tmm2" "tilezero tmm3",
        step:
            "tileloadd tmm6, [{b} + {line}*1]"
            "tileloadd tmm4, [{a} + {s}*1]"
            "tdpbf16ps tmm0, tmm4, tmm6"
            "tileloadd tmm7, [{b2} + {line}*1]"
            "tdpbf16ps tmm1, tmm4, tmm7"
            "tileloadd tmm5, [{a2} + {s}*1]"
            "tdpbf16ps tmm2, tmm5, tmm6"
            "tdpbf16ps tmm3, tmm5, tmm7",
        upper: "tilestored [{c} + {cs}*1], tmm0" "tilestored [{c} + {cs}*1 + 64], tmm1",
        lower: "tilestored [{c} + {cs}*1], tmm2" "tilestored [{c} + {cs}*1 + 64], tmm3"
    );
}

/// What the instructions do, for tests on processors that lack them.
#[cfg(test)]
mod emulated {
    use super::{Even, LINES, ROWS, Run};

    /// # Safety
    /// As for [`super::Session::product`], but for the instructions.
    pub(super) unsafe fn product(
        (halves, panels): (usize, usize),
        runs: &[Run],
        a_stride: usize,
        sums: Even,
    ) {
        let first = |pair: u32| f32::from_bits(pair << 16);
        let second = |pair: u32| f32::from_bits(pair & 0xFFFF_0000);
        for (row, column) in
            (0..halves * ROWS).flat_map(|row| (0..panels * 16).map(move |c| (row, c)))
        {
            let mut sum = 0.0;
            for run in runs {
                let a = run.a[row / ROWS].wrapping_byte_add(row % ROWS * a_stride);
                let b = run.b[column / 16].wrapping_add(column % 16);
                for k in 0..run.steps * LINES {
                    // SAFETY: the caller vouched for whole tiles of both.
                    let (a, b) = unsafe {
                        (
                            a.wrapping_add(k).cast::<u32>().read_unaligned(),
                            b.wrapping_add(16 * k).cast::<u32>().read_unaligned(),
                        )
                    };
                    sum += first(a) * first(b) + second(a) * second(b);
                }
            }
            let to = sums.start.wrapping_byte_add(row * sums.stride);
            // SAFETY: as above.
            unsafe { to.wrapping_add(column).write_unaligned(sum) };
        }
    }
}
