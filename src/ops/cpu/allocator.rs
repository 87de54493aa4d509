//! A global allocator that keeps large blocks for the next of the same size.
//!
//! Models ask for the same few large blocks again and again. The system hands blocks above some size back to the
//! kernel at once, and writing to fresh pages then costs more than many an operation.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ptr,
    sync::{Mutex, TryLockError},
};

/// Bytes from which on blocks are kept.
const LARGE: usize = 1 << 20;

/// Most blocks that are kept.
const BLOCKS: usize = 64;

/// The system's allocator, but up to `limit` bytes of freed blocks of a mebibyte and more are kept for reuse.
///
/// ```
/// use ultramotion::ops::RecyclingAllocator;
///
/// #[global_allocator]
/// static MEMORY: RecyclingAllocator = RecyclingAllocator::new(512 << 20);
/// ```
#[derive(Debug)]
pub struct RecyclingAllocator {
    kept: Mutex<Kept>,
    limit: usize,
}

#[derive(Debug)]
struct Kept {
    blocks: [Block; BLOCKS],
    bytes: usize,
}

/// A free block; none where `size` is 0.
#[derive(Debug, Clone, Copy)]
struct Block {
    address: *mut u8,
    size: usize,
    align: usize,
}

// SAFETY: kept blocks belong to nobody else.
unsafe impl Send for Block {}

const NONE: Block = Block { address: ptr::null_mut(), size: 0, align: 0 };

impl RecyclingAllocator {
    /// An allocator that keeps at most `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { kept: Mutex::new(Kept { blocks: [NONE; BLOCKS], bytes: 0 }), limit }
    }

    /// Runs `f` on the kept blocks, or not where another thread is at them: nobody waits for memory.
    fn with_kept<T>(&self, f: impl FnOnce(&mut Kept) -> Option<T>) -> Option<T> {
        match self.kept.try_lock() {
            Ok(mut kept) => f(&mut kept),
            Err(TryLockError::Poisoned(kept)) => f(&mut kept.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn take(&self, layout: Layout) -> Option<*mut u8> {
        self.with_kept(|kept| {
            let block = kept.blocks.iter_mut().find(|b| b.size == layout.size() && b.align == layout.align())?;
            let address = std::mem::replace(block, NONE).address;
            kept.bytes -= layout.size();
            Some(address)
        })
    }

    fn keep(&self, address: *mut u8, layout: Layout) -> bool {
        let kept = self.with_kept(|kept| {
            if kept.bytes + layout.size() > self.limit {
                return None;
            }
            let place = kept.blocks.iter_mut().find(|b| b.size == 0)?;
            *place = Block { address, size: layout.size(), align: layout.align() };
            kept.bytes += layout.size();
            Some(())
        });
        kept.is_some()
    }
}

/// The layout with its size rounded up to one of eight steps between powers of two, so that nearly equal sizes share blocks.
fn rounded(layout: Layout) -> Layout {
    let step = (layout.size() / 8).next_power_of_two();
    let size = layout.size().checked_next_multiple_of(step).unwrap_or(layout.size());
    Layout::from_size_align(size, layout.align()).unwrap_or(layout)
}

// SAFETY: blocks come from the system's allocator and go back to it with the layout they were asked for with: that of
// `rounded`, which depends on the caller's layout alone. A kept block has been given up by its owner and is handed out once.
unsafe impl GlobalAlloc for RecyclingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() < LARGE {
            return unsafe { System.alloc(layout) };
        }
        let layout = rounded(layout);
        self.take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        let large = layout.size() >= LARGE;
        let layout = if large { rounded(layout) } else { layout };
        if !large || !self.keep(address, layout) {
            unsafe { System.dealloc(address, layout) }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let system = if layout.size() < LARGE { layout } else { rounded(layout) };
        unsafe { System.alloc_zeroed(system) }
    }

    unsafe fn realloc(&self, address: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(new) = Layout::from_size_align(size, layout.align()) else { return ptr::null_mut() };
        let system = |layout: Layout| if layout.size() < LARGE { layout } else { rounded(layout) };
        let (old, new) = (system(layout), system(new));
        if old.size() == new.size() {
            return address;
        }
        unsafe { System.realloc(address, old, new.size()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_blocks_come_back_within_the_limit() {
        let memory = RecyclingAllocator::new(5 << 20);
        let (a, b) = (Layout::from_size_align(2_100_000, 4).unwrap(), Layout::from_size_align(2_100_100, 4).unwrap());
        // SAFETY: each block is freed once, by the layout it was made with.
        unsafe {
            let first = memory.alloc(a);
            first.write_bytes(7, a.size());
            let second = memory.alloc(a);
            let third = memory.alloc(a);
            assert!(first != second && second != third);
            memory.dealloc(first, a);
            assert_eq!(memory.alloc(b), first, "nearly the same size");
            memory.dealloc(first, b);
            memory.dealloc(second, a);
            // The third one is beyond the limit.
            memory.dealloc(third, a);
            assert!(memory.kept.lock().unwrap().bytes <= 5 << 20);
            let zeroed = memory.alloc_zeroed(a);
            assert!(std::slice::from_raw_parts(zeroed, a.size()).iter().all(|&byte| byte == 0));
            let grown = memory.realloc(zeroed, a, 9_000_000);
            assert_eq!(*grown.add(2_000_000), 0);
            memory.dealloc(grown, Layout::from_size_align(9_000_000, 4).unwrap());
            let (small, one) = (memory.alloc(Layout::new::<u64>()), Layout::new::<u64>());
            memory.dealloc(memory.realloc(small, one, 3 << 20), Layout::from_size_align(3 << 20, 8).unwrap());
        }
    }
}
