//! What it costs to pair a detector's queries with an image's targets: the matcher of D-FINE and RT-DETR.

#[cfg(feature = "cuda")]
use super::cuda::matching as on_device;
use super::{Result, cpu};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

/// Weights of the three costs, and the focal loss's parameters; by default those that D-FINE and RT-DETR train with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectionCostWeights {
    /// Of the class cost.
    pub class: f32,
    /// Of the boxes' L1 distance.
    pub l1: f32,
    /// Of the boxes' generalised IoU.
    pub giou: f32,
    /// The focal loss's share of the positive term (α).
    pub alpha: f32,
    /// The focal loss's exponent (γ).
    pub gamma: f32,
}

impl Default for DetectionCostWeights {
    fn default() -> Self {
        Self {
            class: 2.0,
            l1: 5.0,
            giou: 2.0,
            alpha: 0.25,
            gamma: 2.0,
        }
    }
}

/// The objects of a batch of images, on the device of the predictions.
#[derive(Debug, Clone, Copy)]
pub struct Targets<'a> {
    /// `[B, T]` u32: classes.
    pub classes: &'a Tensor,
    /// `[B, T, 4]` f32: boxes as centre and extent (cx, cy, w, h), each in 0..1.
    pub boxes: &'a Tensor,
    /// `[B]` u32: how many of an image's T entries are targets; all if not given.
    pub counts: Option<&'a Tensor>,
}

/// Pairing costs of queries and targets, on the device where these are.
///
/// For a query with logits x and box a, and a target with class k and box b, with p = sigmoid(x_k):
///
/// ```text
/// cost = class · (α (1−p)^γ · −ln(p + 1e−8)  −  (1−α) p^γ · −ln(1−p + 1e−8))
///      + l1 · |a − b|₁  −  giou · GIoU(a, b)
/// ```
///
/// (Peng et al., D-FINE, 2024, as Zhao et al., RT-DETR, 2023; GIoU after Rezatofighi et al., 2019.) Of two boxes without
/// extent at one place the GIoU is 0. A target past the image's count costs infinity, which [`super::assign`] takes as
/// forbidden; one of a class that the logits do not have costs NaN, which it reports.
///
/// On a CUDA device [`DetectionCost::compute`] is one launch that allocates and moves nothing.
#[derive(Debug)]
pub struct DetectionCost {
    weights: DetectionCostWeights,
    costs: Tensor,
}

impl DetectionCost {
    /// For `batch` images with `queries` predictions and at most `targets` objects each, on `device`.
    ///
    /// # Errors
    /// If an image has 2³¹ costs or more, the batch more than 65,535 images, or the device has no memory left.
    pub fn new(
        device: &Device,
        batch: usize,
        queries: usize,
        targets: usize,
        weights: DetectionCostWeights,
    ) -> Result<Self> {
        if queries
            .checked_mul(targets)
            .is_none_or(|n| n > i32::MAX as usize)
            || batch > 65_535
        {
            candle_core::bail!(
                "detection cost of {batch} images, {queries} queries, {targets} targets: too large"
            );
        }
        Ok(Self {
            weights,
            costs: zeros(&[batch, queries, targets], device)?,
        })
    }

    /// Computes the costs of `logits` `[B, Q, K]` and `boxes` `[B, Q, 4]` (as [`Targets::boxes`]), f32, against `targets`.
    /// Everything contiguous.
    ///
    /// # Errors
    /// If a shape, type or device is another than this was made for.
    pub fn compute(
        &mut self,
        logits: &Tensor,
        boxes: &Tensor,
        targets: &Targets<'_>,
    ) -> Result<()> {
        let (batch, queries, count) = self.costs.dims3()?;
        let (b, q, classes) = logits.dims3()?;
        let floats = [logits, boxes, targets.boxes];
        let wholes = [Some(targets.classes), targets.counts];
        let fits = (b, q) == (batch, queries)
            && boxes.dims() == [batch, queries, 4]
            && targets.classes.dims() == [batch, count]
            && targets.boxes.dims() == [batch, count, 4]
            && targets.counts.is_none_or(|t| t.dims() == [batch])
            && floats
                .iter()
                .all(|t| t.dtype() == DType::F32 && t.is_contiguous())
            && wholes
                .iter()
                .flatten()
                .all(|t| t.dtype() == DType::U32 && t.is_contiguous());
        if !fits {
            let shapes = (
                logits.shape(),
                boxes.shape(),
                targets.classes.shape(),
                targets.boxes.shape(),
            );
            candle_core::bail!(
                "detection cost: {shapes:?}, counts {:?} for costs {:?}",
                targets.counts,
                self.costs.shape()
            );
        }
        #[cfg(feature = "cuda")]
        if !cpu::is_cpu(&self.costs) {
            return on_device::detection_cost(logits, boxes, targets, &self.weights, &self.costs);
        }
        if !floats
            .into_iter()
            .chain(wholes.into_iter().flatten())
            .all(cpu::is_cpu)
        {
            candle_core::bail!(
                "detection cost: predictions on {:?}, made for the CPU",
                logits.device().location()
            );
        }
        self.costs = on_cpu(
            logits,
            boxes,
            targets,
            &self.weights,
            (batch, queries, classes, count),
        )?;
        Ok(())
    }

    /// `[B, Q, T]` f32. On a CUDA device always the same tensor, overwritten by the next `compute`.
    pub fn costs(&self) -> &Tensor {
        &self.costs
    }
}

#[cfg(feature = "cuda")]
fn zeros(shape: &[usize], device: &Device) -> Result<Tensor> {
    on_device::zeros(shape, DType::F32, device)
}

#[cfg(not(feature = "cuda"))]
fn zeros(shape: &[usize], device: &Device) -> Result<Tensor> {
    Tensor::zeros(shape, DType::F32, device)
}

fn on_cpu(
    logits: &Tensor,
    boxes: &Tensor,
    targets: &Targets<'_>,
    weights: &DetectionCostWeights,
    (batch, queries, classes, count): (usize, usize, usize, usize),
) -> Result<Tensor> {
    let floats = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
    let (logits, boxes, target_boxes) = (floats(logits)?, floats(boxes)?, floats(targets.boxes)?);
    let labels = targets.classes.flatten_all()?.to_vec1::<u32>()?;
    let counts = targets.counts.map(|t| t.to_vec1::<u32>()).transpose()?;
    let cost = |query: usize, image: usize, target: usize| -> f32 {
        if counts
            .as_ref()
            .is_some_and(|counts| target >= counts[image] as usize)
        {
            return f32::INFINITY;
        }
        let (target, query) = (image * count + target, image * queries + query);
        let Some(logit) =
            logits[query * classes..(query + 1) * classes].get(labels[target] as usize)
        else {
            return f32::NAN;
        };
        let (a, b) = (
            &boxes[4 * query..4 * query + 4],
            &target_boxes[4 * target..4 * target + 4],
        );
        let l1: f32 = a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum();
        weights.class * focal(*logit, weights.alpha, weights.gamma) + weights.l1 * l1
            - weights.giou * generalised_iou(a, b)
    };
    let row = |row: usize| (0..count).map(move |target| (row, target));
    let costs: Vec<f32> = (0..batch * queries)
        .into_par_iter()
        .flat_map_iter(row)
        .map(|(row, target)| cost(row % queries, row / queries, target))
        .collect();
    Tensor::from_vec(costs, (batch, queries, count), &Device::Cpu)
}

/// The focal loss of a positive less that of a negative.
fn focal(logit: f32, alpha: f32, gamma: f32) -> f32 {
    let p = 1.0 / (1.0 + (-logit).exp());
    let rest = 1.0 - p;
    alpha * rest.powf(gamma) * -(p + 1e-8).ln()
        - (1.0 - alpha) * p.powf(gamma) * -(rest + 1e-8).ln()
}

/// Of boxes given as centre and extent.
fn generalised_iou(a: &[f32], b: &[f32]) -> f32 {
    let corners = |c: &[f32]| {
        [
            c[0] - 0.5 * c[2],
            c[1] - 0.5 * c[3],
            c[0] + 0.5 * c[2],
            c[1] + 0.5 * c[3],
        ]
    };
    let (a, b) = (corners(a), corners(b));
    let area = |c: [f32; 4]| (c[2] - c[0]).max(0.0) * (c[3] - c[1]).max(0.0);
    let common = area([
        a[0].max(b[0]),
        a[1].max(b[1]),
        a[2].min(b[2]),
        a[3].min(b[3]),
    ]);
    let hull = area([
        a[0].min(b[0]),
        a[1].min(b[1]),
        a[2].max(b[2]),
        a[3].max(b[3]),
    ]);
    let all = area(a) + area(b) - common;
    let iou = if all > 0.0 { common / all } else { 0.0 };
    if hull > 0.0 {
        iou - (hull - all) / hull
    } else {
        iou
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(
        logits: &[[[f32; 2]; 2]; 1],
        boxes: &[[[f32; 4]; 2]; 1],
        classes: [u32; 3],
        targets: [[f32; 4]; 3],
        count: u32,
    ) -> Vec<Vec<f32>> {
        let cpu = Device::Cpu;
        let tensor = |t: candle_core::Result<Tensor>| t.unwrap();
        let (classes, targets) = (
            tensor(Tensor::new(&[classes], &cpu)),
            tensor(Tensor::new(&[targets], &cpu)),
        );
        let counts = tensor(Tensor::new(&[count], &cpu));
        let targets = Targets {
            classes: &classes,
            boxes: &targets,
            counts: Some(&counts),
        };
        let mut cost = DetectionCost::new(&cpu, 1, 2, 3, DetectionCostWeights::default()).unwrap();
        cost.compute(
            &tensor(Tensor::new(logits, &cpu)),
            &tensor(Tensor::new(boxes, &cpu)),
            &targets,
        )
        .unwrap();
        cost.costs().to_vec3::<f32>().unwrap().remove(0)
    }

    #[test]
    fn costs_are_those_worked_out_by_hand() {
        let logits = [[[0.0, 2.0], [-1.0, 0.5]]];
        let boxes = [[[0.5, 0.5, 0.2, 0.4], [0.25, 0.25, 0.5, 0.5]]];
        let targets = [[0.5, 0.5, 0.2, 0.4], [0.75, 0.25, 0.5, 0.5], [0.0; 4]];
        let found = costs(&logits, &boxes, [0, 1, 7], targets, 2);
        // Same box, p = ½: 2 · (¼·¼·ln 2 − ¾·¼·ln 2) − 2 · 1.
        assert!(
            (found[0][0] - (-0.25 * 2f32.ln() - 2.0)).abs() < 1e-5,
            "{found:?}"
        );
        // Two halves of the image side by side: L1 ½, IoU 0, and their hull has no room beside them: GIoU 0.
        let p = 1.0 / (1.0 + (-0.5f32).exp());
        let class = 0.25 * (1.0 - p).powi(2) * -p.ln() - 0.75 * p.powi(2) * -(1.0 - p).ln();
        assert!(
            (found[1][1] - (2.0 * class + 2.5)).abs() < 1e-5,
            "{found:?}"
        );
        assert!(found.iter().all(|row| row[2] == f32::INFINITY), "{found:?}");
    }

    #[test]
    fn an_unknown_class_costs_nan_and_empty_boxes_do_not() {
        let found = costs(
            &[[[0.0; 2]; 2]],
            &[[[0.5, 0.5, 0.0, 0.0]; 2]],
            [0, 2, 1],
            [[0.5, 0.5, 0.0, 0.0]; 3],
            9,
        );
        assert!(
            found[0][1].is_nan() && found[0][0].is_finite() && found[0][0] == found[1][2],
            "{found:?}"
        );
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let cpu = Device::Cpu;
        let zeros = |shape: &[usize], dtype| Tensor::zeros(shape, dtype, &cpu).unwrap();
        let (classes, boxes) = (zeros(&[1, 3], DType::U32), zeros(&[1, 3, 4], DType::F32));
        let mut cost = DetectionCost::new(&cpu, 1, 2, 3, DetectionCostWeights::default()).unwrap();
        let targets = Targets {
            classes: &classes,
            boxes: &boxes,
            counts: None,
        };
        let logits = zeros(&[1, 2, 5], DType::F32);
        assert!(
            cost.compute(&logits, &zeros(&[1, 3, 4], DType::F32), &targets)
                .is_err()
        );
        assert!(
            cost.compute(&logits, &zeros(&[1, 2, 4], DType::F32), &targets)
                .is_ok()
        );
        assert!(
            cost.compute(
                &logits,
                &zeros(&[1, 2, 4], DType::F32),
                &Targets {
                    classes: &boxes,
                    ..targets
                }
            )
            .is_err()
        );
    }
}
