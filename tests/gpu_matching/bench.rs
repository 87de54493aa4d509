//! Times of batches on the device, by events around single launches.

use super::{device, scene, tensors, total, units};
use candle_core::{Tensor, cuda_backend::cudarc::driver::sys::CUevent_flags};
use ultramotion::matching::{
    BatchAssigner, DetectionCost, DetectionCostWeights, Rules, Targets, Used,
};

const BATCH: usize = 32;
const QUERIES: usize = 300;
const TARGETS: usize = 100;
const WARM_UP: usize = 50;
const RUNS: usize = 500;

/// Milliseconds of each run, sorted.
fn times(device: &candle_core::Device, mut work: impl FnMut()) -> Vec<f32> {
    let stream = device.as_cuda_device().unwrap().cuda_stream();
    let mark = || {
        stream
            .record_event(Some(CUevent_flags::CU_EVENT_DEFAULT))
            .unwrap()
    };
    (0..WARM_UP).for_each(|_| work());
    let mut times: Vec<f32> = (0..RUNS)
        .map(|_| {
            let start = mark();
            work();
            let end = mark();
            start.elapsed_ms(&end).unwrap()
        })
        .collect();
    times.sort_by(f32::total_cmp);
    times
}

fn report(name: &str, times: &[f32], total: f64) {
    let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!(
        r#"{{"name": "{name}", "median_ms": {median:.4}, "p99_ms": {p99:.4}, "total_cost": {total:.4}}}"#
    );
}

fn sum(costs: &Tensor, row_to_col: &Tensor) -> f64 {
    let costs = costs.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let found = row_to_col.to_vec2::<i32>().unwrap();
    costs
        .chunks(QUERIES * TARGETS)
        .zip(found)
        .map(|(costs, found)| total(costs, TARGETS, &found).1)
        .sum()
}

#[test]
#[ignore = "needs a CUDA device"]
fn bench() {
    let device = device();
    let uniform = Tensor::from_vec(
        units(1, BATCH * QUERIES * TARGETS),
        (BATCH, QUERIES, TARGETS),
        &device,
    )
    .unwrap();
    let mut assigner =
        BatchAssigner::new(&device, BATCH, QUERIES, TARGETS, Rules::default()).unwrap();
    let measured = times(&device, || {
        assigner.solve(&uniform, Used::default()).unwrap()
    });
    report(
        "assignment, uniform costs",
        &measured,
        sum(&uniform, assigner.row_to_col()),
    );

    let scene = scene(BATCH, QUERIES, 80, TARGETS, false);
    let [logits, boxes, classes, target_boxes, counts] = tensors(&scene, &device);
    let targets = Targets {
        classes: &classes,
        boxes: &target_boxes,
        counts: Some(&counts),
    };
    let mut cost = DetectionCost::new(
        &device,
        BATCH,
        QUERIES,
        TARGETS,
        DetectionCostWeights::default(),
    )
    .unwrap();
    let measured = times(&device, || cost.compute(&logits, &boxes, &targets).unwrap());
    report(
        "detection cost",
        &measured,
        cost.costs()
            .sum_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
            .into(),
    );
    let measured = times(&device, || {
        assigner.solve(cost.costs(), Used::default()).unwrap()
    });
    report(
        "assignment, detection costs",
        &measured,
        sum(cost.costs(), assigner.row_to_col()),
    );
    let measured = times(&device, || {
        cost.compute(&logits, &boxes, &targets).unwrap();
        assigner
            .solve(
                cost.costs(),
                Used {
                    cols: Some(&counts),
                    ..Used::default()
                },
            )
            .unwrap();
    });
    report(
        "detection cost and assignment",
        &measured,
        sum(cost.costs(), assigner.row_to_col()),
    );

    // Every row wants what its neighbour wants: the longest searches there are.
    let product: Vec<f32> = (0..BATCH * QUERIES * TARGETS)
        .map(|i| ((i / TARGETS % QUERIES + 1) * (i % TARGETS + 1)) as f32)
        .collect();
    let product = Tensor::from_vec(product, (BATCH, QUERIES, TARGETS), &device).unwrap();
    let measured = times(&device, || {
        assigner.solve(&product, Used::default()).unwrap()
    });
    report(
        "assignment, product costs",
        &measured,
        sum(&product, assigner.row_to_col()),
    );
}
