//! The nodes of a graph: what they do, and a graph of the same work with its memory as planned.

#![allow(unsafe_code)]

use super::{
    captured_kernels::{ArgumentForm, KernelForms},
    graph_contents::{copy_params, handles, kind_of},
    graph_plan::{self, Kept, Kind, Node, Place, Plan},
};
use candle_core::cuda_backend::cudarc::driver::{CudaContext, DriverError, result, sys};
use std::{collections::HashMap, ffi::c_void, mem::MaybeUninit, ptr};

/// A captured node with what a copy of it needs.
pub(super) enum CapturedNode {
    /// Its parameters, and what the kernel takes.
    Kernel(sys::CUgraphNode, Vec<ArgumentForm>),
    Copy(sys::CUDA_MEMCPY3D),
    Fill(sys::CUDA_MEMSET_NODE_PARAMS),
    /// An allocation or freeing.
    Memory,
}

/// The edges of a graph as positions in `nodes`; `None` if one carries more than the order.
fn edges(
    graph: sys::CUgraph,
    nodes: &[sys::CUgraphNode],
) -> Result<Option<Vec<(usize, usize)>>, DriverError> {
    let positions: HashMap<usize, usize> = nodes
        .iter()
        .enumerate()
        .map(|(at, node)| (*node as usize, at))
        .collect();
    let none: sys::CUgraphNode = ptr::null_mut();
    let nowhere = ptr::null_mut();
    let mut count = 0usize;
    // SAFETY: as for `handles`; plain numbers, of which zeros are valid.
    let (from, to, data) = unsafe {
        sys::cuGraphGetEdges_v2(graph, nowhere, nowhere, ptr::null_mut(), &raw mut count)
            .result()?;
        let (mut from, mut to) = (vec![none; count], vec![none; count]);
        let mut data: Vec<sys::CUgraphEdgeData> = vec![MaybeUninit::zeroed().assume_init(); count];
        let (from_at, to_at, data_at) = (from.as_mut_ptr(), to.as_mut_ptr(), data.as_mut_ptr());
        sys::cuGraphGetEdges_v2(graph, from_at, to_at, data_at, &raw mut count).result()?;
        (from, to, data)
    };
    let position = |node: &sys::CUgraphNode| positions.get(&(*node as usize)).copied();
    Ok(from
        .iter()
        .zip(&to)
        .zip(&data)
        .map(|((from, to), data)| {
            let is_plain = data.type_ == 0 && data.from_port == 0 && data.to_port == 0;
            Some((position(from)?, position(to)?)).filter(|_| is_plain)
        })
        .collect())
}

/// A plan for a captured graph, with its nodes; `None` where that can't be had, see [`graph_plan::plan`]: it also needs to know what each
/// kernel takes.
pub(super) fn plan(
    graph: sys::CUgraph,
    kernels: &KernelForms,
    results: &[u64],
) -> Result<Option<(Vec<CapturedNode>, Plan)>, DriverError> {
    let handles = handles(graph)?;
    let Some(edges) = edges(graph, &handles)? else {
        return Ok(None);
    };
    let (mut captured, mut nodes) = (Vec::new(), Vec::new());
    for &handle in &handles {
        let Some((one, node)) = read(handle, kernels)? else {
            return Ok(None);
        };
        captured.push(one);
        nodes.push(node);
    }
    Ok(graph_plan::plan(&nodes, &edges, results).map(|plan| (captured, plan)))
}

/// What a node does; `None` for kinds that are not planned.
fn read(
    handle: sys::CUgraphNode,
    kernels: &KernelForms,
) -> Result<Option<(CapturedNode, Node)>, DriverError> {
    use sys::CUgraphNodeType as Type;
    let read = match kind_of(handle)? {
        Type::CU_GRAPH_NODE_TYPE_KERNEL => {
            let params = kernel_params(handle)?;
            let Some(form) = kernels.get(&(params.func as usize)) else {
                return Ok(None);
            };
            if params.kernelParams.is_null() {
                return Ok(None);
            }
            // SAFETY: the kernel was launched with arguments of this form.
            let addresses = unsafe { arguments(&params, &form.arguments) }
                .iter()
                .zip(&form.arguments)
                .flat_map(|(bytes, form)| form.addresses.iter().map(|&at| word(bytes, at)))
                .collect();
            let kind = Kind::Kernel { waits: form.waits };
            let kernel = CapturedNode::Kernel(handle, form.arguments.clone());
            (kernel, Node::Work { kind, addresses })
        }
        Type::CU_GRAPH_NODE_TYPE_MEMCPY => {
            let params = copy_params(handle)?;
            let device = sys::CUmemorytype::CU_MEMORYTYPE_DEVICE;
            let unified = sys::CUmemorytype::CU_MEMORYTYPE_UNIFIED;
            let is_plain = [params.srcMemoryType, params.dstMemoryType]
                .iter()
                .all(|kind| *kind == device || *kind == unified)
                && params.Height <= 1
                && params.Depth <= 1
                && params.srcXInBytes == 0
                && params.dstXInBytes == 0;
            if !is_plain {
                return Ok(None);
            }
            let kind = Kind::Copy {
                bytes: params.WidthInBytes as u64,
            };
            let addresses = vec![params.srcDevice, params.dstDevice];
            (CapturedNode::Copy(params), Node::Work { kind, addresses })
        }
        Type::CU_GRAPH_NODE_TYPE_MEMSET => {
            let mut params = MaybeUninit::<sys::CUDA_MEMSET_NODE_PARAMS>::zeroed();
            // SAFETY: plain numbers, which the driver fills in.
            let params = unsafe {
                sys::cuGraphMemsetNodeGetParams(handle, params.as_mut_ptr()).result()?;
                params.assume_init()
            };
            let (kind, addresses) = (Kind::Other, vec![params.dst]);
            (CapturedNode::Fill(params), Node::Work { kind, addresses })
        }
        Type::CU_GRAPH_NODE_TYPE_MEM_ALLOC => {
            let mut params = MaybeUninit::<sys::CUDA_MEM_ALLOC_NODE_PARAMS>::zeroed();
            // SAFETY: the driver fills it in; only plain numbers of it are read.
            let (address, bytes) = unsafe {
                sys::cuGraphMemAllocNodeGetParams(handle, params.as_mut_ptr()).result()?;
                let params = params.assume_init();
                (params.dptr, params.bytesize as u64)
            };
            (CapturedNode::Memory, Node::Allocate { address, bytes })
        }
        Type::CU_GRAPH_NODE_TYPE_MEM_FREE => {
            let mut address = 0;
            // SAFETY: the driver writes an address.
            unsafe { sys::cuGraphMemFreeNodeGetParams(handle, &raw mut address).result()? };
            (CapturedNode::Memory, Node::Free { address })
        }
        _ => return Ok(None),
    };
    Ok(Some(read))
}

fn kernel_params(node: sys::CUgraphNode) -> Result<sys::CUDA_KERNEL_NODE_PARAMS, DriverError> {
    let mut params = MaybeUninit::<sys::CUDA_KERNEL_NODE_PARAMS>::zeroed();
    // SAFETY: the driver fills it in: the pointers are its own and valid while the node is not changed.
    unsafe {
        sys::cuGraphKernelNodeGetParams_v2(node, params.as_mut_ptr()).result()?;
        Ok(params.assume_init())
    }
}

/// Copies of a kernel's arguments.
///
/// # Safety
/// The parameters hold arguments of these sizes.
unsafe fn arguments(
    params: &sys::CUDA_KERNEL_NODE_PARAMS,
    forms: &[ArgumentForm],
) -> Vec<Vec<u64>> {
    let copy = |(at, form): (usize, &ArgumentForm)| {
        // Words, so that what the driver reads is aligned.
        let mut words = vec![0u64; form.size.div_ceil(8)];
        // SAFETY: the caller's promise.
        unsafe {
            let from = (*params.kernelParams.add(at)).cast::<u8>();
            ptr::copy_nonoverlapping(from, words.as_mut_ptr().cast::<u8>(), form.size);
        }
        words
    };
    forms.iter().enumerate().map(copy).collect()
}

/// The address at byte `at` of an argument.
fn word(argument: &[u64], at: usize) -> u64 {
    argument.get(at / 8).copied().unwrap_or(0)
}

/// A graph of the nodes that `plan` keeps, with the graph's memory from `start` on.
pub(super) fn rebuild(
    nodes: &[CapturedNode],
    plan: &Plan,
    start: u64,
    context: &CudaContext,
) -> Result<sys::CUgraph, DriverError> {
    context.bind_to_thread()?;
    let mut graph = ptr::null_mut();
    // SAFETY: the driver writes a handle.
    unsafe { sys::cuGraphCreate(&raw mut graph, 0).result()? };
    let add_all = || {
        let mut added = Vec::with_capacity(plan.kept.len());
        for kept in &plan.kept {
            added.push(add(graph, &nodes[kept.node], kept, start, context)?);
            connect(graph, kept, &added)?;
        }
        Ok(())
    };
    add_all().inspect_err(|_| {
        // SAFETY: it was made above and is given to nobody.
        let _ = unsafe { result::graph::destroy(graph) };
    })?;
    Ok(graph)
}

/// Adds a node with its addresses as planned.
fn add(
    graph: sys::CUgraph,
    node: &CapturedNode,
    kept: &Kept,
    start: u64,
    context: &CudaContext,
) -> Result<sys::CUgraphNode, DriverError> {
    let moved = |place: &Place, address: u64| match place {
        Place::Same => address,
        Place::Within(offset) => start + offset,
        Place::At(address) => *address,
    };
    let (mut added, context) = (ptr::null_mut(), context.cu_ctx());
    let to = &raw mut added;
    match node {
        CapturedNode::Kernel(captured, forms) => {
            let mut params = kernel_params(*captured)?;
            // SAFETY: see `read`.
            let mut arguments = unsafe { arguments(&params, forms) };
            let mut places = kept.places.iter();
            for (argument, form) in arguments.iter_mut().zip(forms) {
                for (at, place) in form.addresses.iter().zip(&mut places) {
                    if let Some(word) = argument.get_mut(at / 8) {
                        *word = moved(place, *word);
                    }
                }
            }
            let mut pointers: Vec<*mut c_void> = arguments
                .iter_mut()
                .map(|argument| argument.as_mut_ptr().cast())
                .collect();
            params.kernelParams = pointers.as_mut_ptr();
            params.extra = ptr::null_mut();
            // SAFETY: the parameters are those of the captured node with addresses of as much memory; the driver copies the arguments.
            unsafe {
                sys::cuGraphAddKernelNode_v2(to, graph, ptr::null(), 0, &raw const params)
                    .result()?;
                sys::cuGraphKernelNodeCopyAttributes(added, *captured).result()?;
            }
        }
        CapturedNode::Copy(params) => {
            let mut params = *params;
            if let [from, to] = kept.places.as_slice() {
                params.srcDevice = moved(from, params.srcDevice);
                params.dstDevice = moved(to, params.dstDevice);
            }
            // SAFETY: as above.
            unsafe {
                sys::cuGraphAddMemcpyNode(to, graph, ptr::null(), 0, &raw const params, context)
                    .result()?;
            }
        }
        CapturedNode::Fill(params) => {
            let mut params = *params;
            if let [place] = kept.places.as_slice() {
                params.dst = moved(place, params.dst);
            }
            // SAFETY: as above.
            unsafe {
                sys::cuGraphAddMemsetNode(to, graph, ptr::null(), 0, &raw const params, context)
                    .result()?;
            }
        }
        CapturedNode::Memory => {}
    }
    Ok(added)
}

/// Lets the last of `added` follow those it is planned after.
fn connect(
    graph: sys::CUgraph,
    kept: &Kept,
    added: &[sys::CUgraphNode],
) -> Result<(), DriverError> {
    let (Some(&own), false) = (added.last(), kept.after.is_empty()) else {
        return Ok(());
    };
    let from: Vec<_> = kept.after.iter().map(|&at| added[at]).collect();
    let to = vec![own; from.len()];
    // SAFETY: plain numbers, of which zeros are valid and mean the order alone.
    let mut data: sys::CUgraphEdgeData = unsafe { MaybeUninit::zeroed().assume_init() };
    if kept.overlaps {
        data.type_ = sys::CUgraphDependencyType_enum::CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC as u8;
        // The kernel before has let its blocks' successors be launched, or ended: CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC.
        data.from_port = 1;
    }
    let data = vec![data; from.len()];
    // SAFETY: the nodes are of this graph.
    unsafe {
        sys::cuGraphAddDependencies_v2(graph, from.as_ptr(), to.as_ptr(), data.as_ptr(), from.len())
            .result()
    }
}
