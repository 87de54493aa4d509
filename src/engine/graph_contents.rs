//! What the nodes of a graph do.

#![allow(unsafe_code)]

use super::{Direction, GraphContents};
use candle_core::cuda_backend::cudarc::driver::{DriverError, sys};
use std::{ffi::c_void, mem::MaybeUninit, ptr};

/// The handles of a graph's nodes.
pub(super) fn handles(graph: sys::CUgraph) -> Result<Vec<sys::CUgraphNode>, DriverError> {
    let mut count = 0usize;
    // SAFETY: with no array the call gives the count alone; the array then has room for as many.
    unsafe {
        sys::cuGraphGetNodes(graph, ptr::null_mut(), &raw mut count).result()?;
        let mut nodes = vec![ptr::null_mut(); count];
        sys::cuGraphGetNodes(graph, nodes.as_mut_ptr(), &raw mut count).result()?;
        nodes.truncate(count);
        Ok(nodes)
    }
}

/// What sort of node it is.
pub(super) fn kind_of(node: sys::CUgraphNode) -> Result<sys::CUgraphNodeType, DriverError> {
    let mut kind = sys::CUgraphNodeType::CU_GRAPH_NODE_TYPE_EMPTY;
    // SAFETY: the node is one of a graph's.
    unsafe { sys::cuGraphNodeGetType(node, &raw mut kind).result()? };
    Ok(kind)
}

/// The parameters of a copy.
pub(super) fn copy_params(node: sys::CUgraphNode) -> Result<sys::CUDA_MEMCPY3D, DriverError> {
    let mut params = MaybeUninit::<sys::CUDA_MEMCPY3D>::zeroed();
    // SAFETY: plain numbers and pointers that are not followed here; the driver has filled it in, so the memory types are valid ones.
    unsafe {
        sys::cuGraphMemcpyNodeGetParams(node, params.as_mut_ptr()).result()?;
        Ok(params.assume_init())
    }
}

/// The nodes of a graph by what they do; a node that the driver does not describe counts in `nodes` alone.
pub(super) fn contents(graph: sys::CUgraph) -> GraphContents {
    use sys::CUgraphNodeType as Kind;
    let nodes = handles(graph).unwrap_or_default();
    let mut found = GraphContents {
        nodes: nodes.len(),
        ..GraphContents::default()
    };
    for node in nodes {
        match kind_of(node) {
            Ok(Kind::CU_GRAPH_NODE_TYPE_KERNEL) => found.kernels += 1,
            Ok(Kind::CU_GRAPH_NODE_TYPE_MEMSET) => found.memsets += 1,
            Ok(Kind::CU_GRAPH_NODE_TYPE_HOST) => found.host_functions += 1,
            Ok(Kind::CU_GRAPH_NODE_TYPE_MEMCPY) => found.copies.extend(copy_of(node)),
            _ => {}
        }
    }
    found
}

/// Direction and bytes of a copy in a graph.
fn copy_of(node: sys::CUgraphNode) -> Option<(Option<Direction>, u64)> {
    let params = copy_params(node).ok()?;
    let host = |kind: sys::CUmemorytype, address: u64| match kind {
        sys::CUmemorytype::CU_MEMORYTYPE_HOST => true,
        sys::CUmemorytype::CU_MEMORYTYPE_UNIFIED => !is_device_memory(address),
        _ => false,
    };
    let from_host = host(params.srcMemoryType, params.srcDevice);
    let to_host = host(params.dstMemoryType, params.dstDevice);
    let bytes = params
        .WidthInBytes
        .saturating_mul(params.Height.max(1))
        .saturating_mul(params.Depth.max(1));
    let direction = match (from_host, to_host) {
        (true, _) => Some(Direction::HostToDevice),
        (false, true) => Some(Direction::DeviceToHost),
        (false, false) => None,
    };
    Some((direction, bytes as u64))
}

/// Whether an address of the unified space is the device's; memory the driver does not know is the host's.
fn is_device_memory(address: u64) -> bool {
    let mut kind = 0u32;
    let attribute = sys::CUpointer_attribute::CU_POINTER_ATTRIBUTE_MEMORY_TYPE;
    // SAFETY: the attribute is a 32-bit number; the address is not followed.
    let status =
        unsafe { sys::cuPointerGetAttribute((&raw mut kind).cast::<c_void>(), attribute, address) };
    status == sys::CUresult::CUDA_SUCCESS && kind == sys::CUmemorytype::CU_MEMORYTYPE_DEVICE as u32
}
