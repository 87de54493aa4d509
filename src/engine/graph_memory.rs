//! Memory of captured graphs.
//!
//! An allocation on a stream that is captured becomes a node of the graph, and a node that is no kernel keeps the kernels around it apart: the
//! later cannot be launched while the earlier still runs. So results are allocated beside the capture, on a stream of their own from a pool of
//! their own, which is kept while there are graphs; what was freed during a capture is used again by what is captured after it, in the order of
//! the captured work. Graphs of one stream, which run one after the other, share it.
//!
//! The driver makes no graph with a copy or a filling of such memory, which may be free by then: work with these is captured again as it is.

#![allow(unsafe_code)]

use candle_core::cuda_backend::cudarc::driver::{CudaStream, DriverError, result, sys};
use std::{
    cell::RefCell,
    collections::HashMap,
    ffi::c_void,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

/// Context, stream that is captured, and stream whose work is: that one, or one that was joined to it.
type Place = (usize, usize, usize);

/// What there is, by place.
static ALL: LazyLock<Mutex<HashMap<Place, Weak<GraphMemory>>>> = LazyLock::new(Mutex::default);

thread_local! {
    /// What the capture of this thread allocates from.
    static CAPTURING: RefCell<Option<Capturing>> = const { RefCell::new(None) };
}

struct Capturing {
    captured: Arc<CudaStream>,
    used: Vec<(usize, Arc<GraphMemory>)>,
}

/// A pool, and the stream on which it allocates and frees.
pub(super) struct GraphMemory {
    /// The stream whose graphs use it.
    captured: Arc<CudaStream>,
    allocating: Arc<CudaStream>,
    pool: sys::CUmemoryPool,
}

// SAFETY: a handle that any thread may use.
unsafe impl Send for GraphMemory {}
// SAFETY: as above.
unsafe impl Sync for GraphMemory {}

impl GraphMemory {
    fn new(captured: &Arc<CudaStream>) -> Result<Self, DriverError> {
        let context = captured.context();
        context.bind_to_thread()?;
        let mut props = std::mem::MaybeUninit::<sys::CUmemPoolProps>::zeroed();
        // SAFETY: the type is plain numbers and pointers, of which zeros are valid; a location is its type, then the number of the device.
        let pool = unsafe {
            let props = props.as_mut_ptr();
            (*props).allocType = sys::CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED;
            (*props).location.type_ = sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE;
            let number = i32::try_from(context.ordinal()).unwrap_or(0);
            (&raw mut (*props).location)
                .cast::<i32>()
                .add(1)
                .write(number);
            result::mem_pool::create(props)?
        };
        let memory = Self {
            captured: captured.clone(),
            allocating: context.new_stream()?,
            pool,
        };
        let mut threshold = u64::MAX;
        let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        // SAFETY: the attribute is a 64-bit number.
        unsafe {
            result::mem_pool::set_attribute(
                pool,
                attribute,
                (&raw mut threshold).cast::<c_void>(),
            )?;
        }
        Ok(memory)
    }

    /// That of work on `stream` within the capture of `captured`, made where there is none yet.
    fn of(captured: &Arc<CudaStream>, stream: &CudaStream) -> Result<Arc<Self>, DriverError> {
        let context = captured.context().cu_ctx() as usize;
        let place = (
            context,
            captured.cu_stream() as usize,
            stream.cu_stream() as usize,
        );
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&place).and_then(Weak::upgrade) {
            return Ok(known);
        }
        all.retain(|_, memory| memory.strong_count() > 0);
        let new = Arc::new(Self::new(captured)?);
        all.insert(place, Arc::downgrade(&new));
        Ok(new)
    }

    fn allocate(&self, bytes: usize) -> Result<u64, DriverError> {
        let mut address = 0;
        // SAFETY: the driver writes an address; the pool and the stream are this value's own.
        unsafe {
            let stream = self.allocating.cu_stream();
            sys::cuMemAllocFromPoolAsync(&raw mut address, bytes.max(1), self.pool, stream)
                .result()?;
        }
        Ok(address)
    }
}

impl Drop for GraphMemory {
    fn drop(&mut self) {
        // Graphs may still run. Their tensors may outlive the pool, which the driver then keeps until they are freed.
        let _ = self.captured.synchronize();
        let _ = self.allocating.synchronize();
        if self.captured.context().bind_to_thread().is_ok() {
            // SAFETY: it was made in `new` and is destroyed once.
            let _ = unsafe { result::mem_pool::destroy(self.pool) };
        }
    }
}

/// Memory of `bytes` for work that is being captured on `stream`: its address, and the stream to free it on. None if this thread captures nothing
/// on that stream.
pub(crate) fn allocate_for_graph(
    stream: &Arc<CudaStream>,
    bytes: usize,
) -> Result<Option<(u64, Arc<CudaStream>)>, DriverError> {
    CAPTURING.with_borrow_mut(|capturing| {
        let Some(capturing) = capturing else {
            return Ok(None);
        };
        let place = stream.cu_stream() as usize;
        let known = capturing.used.iter().find(|(known, _)| *known == place);
        let memory = match known {
            Some((_, memory)) => memory.clone(),
            None => {
                // Another stream of this thread may have work that is not captured.
                let status = stream.capture_status()?;
                if status == sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE {
                    return Ok(None);
                }
                let memory = GraphMemory::of(&capturing.captured, stream)?;
                capturing.used.push((place, memory.clone()));
                memory
            }
        };
        let address = memory.allocate(bytes)?;
        Ok(Some((address, memory.allocating.clone())))
    })
}

/// Runs `work`, which captures work of `stream`; returns with its result the memory that the graph uses, none if `beside` is false: allocations
/// are then nodes of the graph.
pub(super) fn allocating<T>(
    stream: &Arc<CudaStream>,
    beside: bool,
    work: impl FnOnce() -> T,
) -> Result<(T, Vec<Arc<GraphMemory>>), DriverError> {
    if !beside {
        return Ok((work(), Vec::new()));
    }
    let own = (
        stream.cu_stream() as usize,
        GraphMemory::of(stream, stream)?,
    );
    let new = Capturing {
        captured: stream.clone(),
        used: vec![own],
    };
    let outer = CAPTURING.replace(Some(new));
    let done = work();
    let used = CAPTURING
        .replace(outer)
        .map_or_else(Vec::new, |capturing| capturing.used);
    let memory: Vec<_> = used.into_iter().map(|(_, memory)| memory).collect();
    // What was allocated is there for the graph's first run.
    memory
        .iter()
        .try_for_each(|memory| memory.allocating.synchronize())?;
    Ok((done, memory))
}
