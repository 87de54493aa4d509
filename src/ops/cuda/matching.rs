//! Launches the kernels of `matching.cu`.

#![allow(unsafe_code)]

use super::kernels::function;
use crate::ops::{DetectionCostWeights, Result, Rules, Targets};
use candle_core::{
    CudaDevice, DType, Device, Storage, Tensor,
    cuda_backend::{
        CudaDType, WrapErr,
        cudarc::driver::{
            CudaFunction, CudaSlice, DevicePtr, DeviceRepr, LaunchConfig, PushKernelArg,
            sys::{CUdevice_attribute, CUfunction_attribute},
        },
    },
};

const FILE: &str = "matching";

/// As in `matching.cu`.
const THREADS: u32 = 512;

/// Shared memory left to the kernels' own variables and the driver.
const RESERVED: usize = 2048;

/// Tensors that the kernels write to; candle's own zeros, of which there may be none at all.
pub(in crate::ops) fn zeros(shape: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
    if shape.contains(&0) {
        Tensor::zeros(1, dtype, device)?
            .narrow(0, 0, 0)?
            .reshape(shape)
    } else {
        Tensor::zeros(shape, dtype, device)
    }
}

/// The kernel for problems of one shape, and its working memory.
#[derive(Debug)]
pub(in crate::ops) struct Solver {
    device: CudaDevice,
    kernel: CudaFunction,
    launch: LaunchConfig,
    rows: i32,
    cols: i32,
    gate: f32,
    price: f64,
    /// What does not fit into shared memory.
    workspace: Option<CudaSlice<u8>>,
    workspace_stride: u64,
}

impl Solver {
    pub(in crate::ops) fn new(
        device: &Device,
        batch: usize,
        rows: usize,
        cols: usize,
        rules: &Rules,
    ) -> Result<Self> {
        let device = device.as_cuda_device()?.clone();
        let attribute = CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
        let shared = device.cuda_stream().context().attribute(attribute).w()?;
        let shared = usize::try_from(shared)
            .unwrap_or(0)
            .saturating_sub(RESERVED);
        let (n, m) = (rows.min(cols), rows.max(cols));
        // As `place` in the kernel lays it out.
        let state = 28 * m + 12 * n;
        let costs = 4 * n * (m | 1);
        let (name, dynamic, stride) = if state + costs <= shared {
            ("assign_in_shared", state + costs, 0)
        } else if state <= shared {
            ("assign_state_in_shared", state, 0)
        } else {
            ("assign_in_global", 0, state.next_multiple_of(8))
        };
        let kernel = function(&device, FILE, name)?;
        // The most that any shape asks for, since other solvers use the same function.
        kernel
            .set_attribute(
                CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                shared as i32,
            )
            .w()?;
        let workspace = if stride == 0 {
            None
        } else {
            Some(device.alloc_zeros::<u8>(stride * batch.max(1))?)
        };
        let rounded = rules.gate as f32;
        Ok(Self {
            kernel,
            launch: LaunchConfig {
                grid_dim: (batch as u32, 1, 1),
                block_dim: (THREADS, 1, 1),
                shared_mem_bytes: dynamic as u32,
            },
            rows: rows as i32,
            cols: cols as i32,
            // The largest f32 that is not above the gate.
            gate: if f64::from(rounded) > rules.gate {
                rounded.next_down()
            } else {
                rounded
            },
            price: rules.price().unwrap_or(f64::INFINITY),
            workspace,
            workspace_stride: stride as u64,
            device,
        })
    }

    /// Shapes and types are checked by the caller.
    pub(in crate::ops) fn solve(
        &self,
        costs: &Tensor,
        counts: [Option<&Tensor>; 2],
        row_to_col: &Tensor,
        status: &Tensor,
    ) -> Result<()> {
        if self.launch.grid_dim.0 == 0 {
            return Ok(());
        }
        let stream = self.device.cuda_stream();
        let costs = address::<f32>(costs, &self.device)?;
        let [row_counts, col_counts] =
            counts.map(|t| t.map_or(Ok(0), |t| address::<u32>(t, &self.device)));
        let (row_counts, col_counts) = (row_counts?, col_counts?);
        let workspace = self
            .workspace
            .as_ref()
            .map_or(0, |w| w.device_ptr(&stream).0);
        let (row_to_col, status) = (
            address::<i32>(row_to_col, &self.device)?,
            address::<i32>(status, &self.device)?,
        );
        let mut launch = stream.launch_builder(&self.kernel);
        launch
            .arg(&costs)
            .arg(&self.rows)
            .arg(&self.cols)
            .arg(&row_counts)
            .arg(&col_counts)
            .arg(&self.gate)
            .arg(&self.price);
        launch
            .arg(&workspace)
            .arg(&self.workspace_stride)
            .arg(&row_to_col)
            .arg(&status);
        // SAFETY: the arguments are those of the kernel, in its order; each pointer is to a contiguous tensor of the shape that
        // rows, cols and the grid's size say, and the tensors outlive this call, after which the stream's order protects them.
        unsafe { launch.launch(self.launch) }.w()?;
        Ok(())
    }
}

/// See [`crate::ops::DetectionCost`], which checks shapes and types.
pub(in crate::ops) fn detection_cost(
    logits: &Tensor,
    boxes: &Tensor,
    targets: &Targets<'_>,
    weights: &DetectionCostWeights,
    costs: &Tensor,
) -> Result<()> {
    const BLOCK: u32 = 256;
    let (batch, queries, count) = costs.dims3()?;
    if costs.elem_count() == 0 {
        return Ok(());
    }
    let device = costs.device().as_cuda_device()?;
    let kernel = function(device, FILE, "detection_cost")?;
    let (queries_arg, classes, count_arg) = (queries as i32, logits.dim(2)? as i32, count as i32);
    let (logits, boxes) = (
        address::<f32>(logits, device)?,
        address::<f32>(boxes, device)?,
    );
    let (labels, target_boxes) = (
        address::<u32>(targets.classes, device)?,
        address::<f32>(targets.boxes, device)?,
    );
    if !boxes.is_multiple_of(16) || !target_boxes.is_multiple_of(16) {
        candle_core::bail!("detection cost: boxes that do not begin at a multiple of 16 bytes");
    }
    let counts = targets
        .counts
        .map_or(Ok(0), |t| address::<u32>(t, device))?;
    let out = address::<f32>(costs, device)?;
    let stream = device.cuda_stream();
    let mut launch = stream.launch_builder(&kernel);
    launch
        .arg(&logits)
        .arg(&boxes)
        .arg(&labels)
        .arg(&target_boxes)
        .arg(&counts)
        .arg(&queries_arg)
        .arg(&classes)
        .arg(&count_arg);
    launch
        .arg(&weights.class)
        .arg(&weights.l1)
        .arg(&weights.giou)
        .arg(&weights.alpha)
        .arg(&weights.gamma)
        .arg(&out);
    let blocks = ((queries * count) as u32).div_ceil(BLOCK);
    let config = LaunchConfig {
        grid_dim: (blocks, batch as u32, 1),
        block_dim: (BLOCK, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: the arguments are those of the kernel, in its order; the pointers are to contiguous tensors whose shapes the
    // caller checked against queries, classes and targets, boxes aligned as float4.
    unsafe { launch.launch(config) }.w()?;
    Ok(())
}

/// Where a tensor's numbers lie. It must be on `device`, whose one stream orders their use, and of type `T`.
fn address<T: CudaDType + DeviceRepr>(tensor: &Tensor, device: &CudaDevice) -> Result<u64> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else {
        candle_core::bail!(
            "a tensor on {:?} for a kernel on a CUDA device",
            tensor.device().location()
        )
    };
    if storage.device.id() != device.id() {
        candle_core::bail!(
            "tensors of different devices or streams: {:?} and {device:?}",
            storage.device
        );
    }
    let stream = device.cuda_stream();
    let (start, _order) = storage.as_cuda_slice::<T>()?.device_ptr(&stream);
    Ok(start + (layout.start_offset() * size_of::<T>()) as u64)
}
