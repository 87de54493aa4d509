//! Memory for what captured graphs compute on the way to their results.
//!
//! Graphs of one stream run one after the other and share it. It grows by mapping more behind what is mapped, so that addresses in graphs stay
//! what they are, and nothing of it is given back while there are graphs.

#![allow(unsafe_code)]

use super::gate;
use candle_core::cuda_backend::cudarc::driver::{CudaContext, CudaStream, DriverError, sys};
use std::{
    collections::HashMap,
    mem::MaybeUninit,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

/// Context and stream.
type Owner = (usize, usize);

static ALL: LazyLock<Mutex<HashMap<Owner, Weak<Arena>>>> = LazyLock::new(Mutex::default);

/// A range of addresses, mapped from its start as far as it is needed.
pub(super) struct Arena {
    stream: Arc<CudaStream>,
    start: u64,
    reserved: usize,
    mapped: Mutex<Mapped>,
}

#[derive(Default)]
struct Mapped {
    bytes: usize,
    pieces: Vec<(sys::CUmemGenericAllocationHandle, usize)>,
}

impl Arena {
    /// That of the graphs of `stream`, grown to at least `bytes`.
    pub(super) fn of(stream: &Arc<CudaStream>, bytes: u64) -> Result<Arc<Self>, DriverError> {
        let context = stream.context();
        context.bind_to_thread()?;
        let owner = (context.cu_ctx() as usize, stream.cu_stream() as usize);
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let arena = match all.get(&owner).and_then(Weak::upgrade) {
            Some(known) => known,
            None => {
                all.retain(|_, arena| arena.strong_count() > 0);
                let new = Arc::new(Self::reserve(stream)?);
                all.insert(owner, Arc::downgrade(&new));
                new
            }
        };
        drop(all);
        arena.grow(usize::try_from(bytes).unwrap_or(usize::MAX))?;
        Ok(arena)
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// As many addresses as the device has memory.
    fn reserve(stream: &Arc<CudaStream>) -> Result<Self, DriverError> {
        let granule = granularity(stream.context())?;
        let total = stream.context().total_mem()?;
        let reserved = total.next_multiple_of(granule);
        let mut start = 0;
        // SAFETY: the driver writes an address.
        unsafe { sys::cuMemAddressReserve(&raw mut start, reserved, 0, 0, 0).result()? };
        Ok(Self {
            stream: stream.clone(),
            start,
            reserved,
            mapped: Mutex::default(),
        })
    }

    /// Maps memory up to `bytes`.
    fn grow(&self, bytes: usize) -> Result<(), DriverError> {
        let mut mapped = self.mapped.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes <= mapped.bytes {
            return Ok(());
        }
        let context = self.stream.context();
        let wanted = bytes - mapped.bytes;
        let size = wanted
            .checked_next_multiple_of(granularity(context)?)
            .filter(|size| mapped.bytes + size <= self.reserved)
            .ok_or(DriverError(sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY))?;
        let at = self.start + mapped.bytes as u64;
        // Mapping may wait for the device, which would disturb a capture on another thread.
        let piece = gate::beside_captures(|| map(context, at, size)).inspect_err(|error| {
            if error.0 == sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY {
                super::note_refused(size);
            }
        })?;
        mapped.pieces.push((piece, size));
        mapped.bytes += size;
        Ok(())
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let mapped = self
            .mapped
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let pieces = std::mem::take(&mut mapped.pieces);
        let (stream, start, reserved) = (&self.stream, self.start, self.reserved);
        // It waits for the device, which would disturb a capture on another thread.
        gate::beside_captures(|| {
            // Graphs may still run.
            let _ = stream.synchronize();
            if stream.context().bind_to_thread().is_ok() {
                unmap(start, reserved, &pieces);
            }
        });
    }
}

/// Gives back a reserved range and the pieces that are mapped one behind the other from its start on; nothing uses them any more.
fn unmap(start: u64, reserved: usize, pieces: &[(sys::CUmemGenericAllocationHandle, usize)]) {
    let mut at = start;
    for &(piece, size) in pieces {
        // SAFETY: see above.
        unsafe {
            let _ = sys::cuMemUnmap(at, size);
            let _ = sys::cuMemRelease(piece);
        }
        at += size as u64;
    }
    // SAFETY: nothing is mapped there any more.
    let _ = unsafe { sys::cuMemAddressFree(start, reserved) };
}

/// Memory of the context's device, as the driver wants it described.
fn properties(context: &CudaContext) -> sys::CUmemAllocationProp {
    // SAFETY: the type is plain numbers and pointers, of which zeros are valid.
    let mut properties: sys::CUmemAllocationProp = unsafe { MaybeUninit::zeroed().assume_init() };
    properties.type_ = sys::CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED;
    locate(&mut properties.location, context);
    properties
}

/// Writes where the device's memory is: a location is its type, then the number of the device, in every version of the driver's header.
fn locate(location: &mut sys::CUmemLocation, context: &CudaContext) {
    location.type_ = sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE;
    let number = i32::try_from(context.ordinal()).unwrap_or(0);
    // SAFETY: behind the type, which has 32 bits, lie the 32 bits of the number.
    unsafe {
        std::ptr::from_mut(location)
            .cast::<i32>()
            .add(1)
            .write(number);
    }
}

/// What sizes of mapped memory are multiples of.
fn granularity(context: &CudaContext) -> Result<usize, DriverError> {
    let properties = properties(context);
    let mut granularity = 0;
    let option = sys::CUmemAllocationGranularity_flags::CU_MEM_ALLOC_GRANULARITY_RECOMMENDED;
    // SAFETY: the driver writes a number.
    unsafe {
        sys::cuMemGetAllocationGranularity(&raw mut granularity, &raw const properties, option)
            .result()?;
    }
    Ok(granularity.max(1))
}

/// Maps `size` bytes of new memory at `at`, a part of a reserved range where nothing is mapped.
fn map(
    context: &CudaContext,
    at: u64,
    size: usize,
) -> Result<sys::CUmemGenericAllocationHandle, DriverError> {
    context.bind_to_thread()?;
    let properties = properties(context);
    let mut piece = 0;
    // SAFETY: the driver writes a handle.
    unsafe { sys::cuMemCreate(&raw mut piece, size, &raw const properties, 0).result()? };
    // SAFETY: zeros are valid, see `properties`.
    let mut access: sys::CUmemAccessDesc = unsafe { MaybeUninit::zeroed().assume_init() };
    locate(&mut access.location, context);
    access.flags = sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    // SAFETY: the caller's promise; what was made is given back where a step fails.
    unsafe {
        let mapped = sys::cuMemMap(at, size, 0, piece, 0).result();
        let done = mapped.and_then(|()| {
            sys::cuMemSetAccess(at, size, &raw const access, 1)
                .result()
                .inspect_err(|_| {
                    let _ = sys::cuMemUnmap(at, size);
                })
        });
        if let Err(error) = done {
            let _ = sys::cuMemRelease(piece);
            return Err(error);
        }
    }
    Ok(piece)
}
