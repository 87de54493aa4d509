//! The assignment and cost kernels against the CPU and scipy. Needs a CUDA device:
//!
//! ```text
//! cargo test --release --features cuda --test gpu_matching -- --ignored --nocapture --test-threads 1
//! ```
//!
//! `bench` among them prints times as JSON lines; `tools/bench_matching.py` prints those of PyTorch and scipy for the same costs.
#![allow(unsafe_code)]

#[path = "../it/common/assignment_cases.rs"]
mod assignment_cases;
mod bench;

use assignment_cases::{CASES, Case, case, check, expected, mix};
use candle_core::{DType, Device, Tensor, cuda_backend::cudarc::driver::sys};
use ultramotion::matching::{
    BatchAssigner, DetectionCost, DetectionCostWeights, Rules, Targets, Used, assign,
};

/// The first device, with a stream of its own and no event tracking, as the engine uses it.
fn device() -> Device {
    let device = Device::new_cuda_with_stream(0).expect("a CUDA device");
    // SAFETY: one stream orders all.
    unsafe { device.as_cuda_device().unwrap().disable_event_tracking() };
    device
}

/// Uniform in 0..1, 24 bits.
fn units(seed: u64, count: usize) -> Vec<f32> {
    (0..count as u64)
        .map(|i| (mix((seed << 32) + i) >> 40) as f32 * 2f32.powi(-24))
        .collect()
}

fn columns(row_to_col: &[i32]) -> Vec<Option<usize>> {
    row_to_col
        .iter()
        .map(|&col| usize::try_from(col).ok())
        .collect()
}

fn total(costs: &[f32], cols: usize, row_to_col: &[i32]) -> (usize, f64) {
    let pairs = columns(row_to_col)
        .into_iter()
        .enumerate()
        .filter_map(|(row, col)| col.map(|col| f64::from(costs[row * cols + col])));
    pairs.fold((0, 0.0), |(count, sum), cost| (count + 1, sum + cost))
}

#[test]
#[ignore = "needs a CUDA device"]
fn totals_are_those_of_scipy_in_padded_batches() {
    const SIDE: usize = 64;
    let (device, expected) = (device(), expected());
    for rules in [
        Rules::default(),
        Rules::gated(0.25),
        Rules::gate_price(0.25),
    ] {
        let cases: Vec<Case> = (0..CASES)
            .map(case)
            .filter(|case| case.rules == rules)
            .collect();
        for batch in cases.chunks(1000) {
            // What is past the counts must not be read as a cost.
            let mut costs = vec![f32::NAN; batch.len() * SIDE * SIDE];
            for (problem, case) in batch.iter().enumerate() {
                for row in 0..case.rows {
                    let at = (problem * SIDE + row) * SIDE;
                    costs[at..at + case.cols]
                        .copy_from_slice(&case.costs[row * case.cols..][..case.cols]);
                }
            }
            let counts = |of: fn(&Case) -> usize| {
                Tensor::from_vec(
                    batch.iter().map(|c| of(c) as u32).collect(),
                    batch.len(),
                    &device,
                )
                .unwrap()
            };
            let (rows, cols) = (counts(|c| c.rows), counts(|c| c.cols));
            let costs = Tensor::from_vec(costs, (batch.len(), SIDE, SIDE), &device).unwrap();
            let mut assigner = BatchAssigner::new(&device, batch.len(), SIDE, SIDE, rules).unwrap();
            assigner
                .solve(
                    &costs,
                    Used {
                        rows: Some(&rows),
                        cols: Some(&cols),
                    },
                )
                .unwrap();
            assert_eq!(
                assigner.status().to_vec1::<i32>().unwrap(),
                vec![0; batch.len()]
            );
            for (case, found) in batch
                .iter()
                .zip(assigner.row_to_col().to_vec2::<i32>().unwrap())
            {
                assert!(
                    found[case.rows..].iter().all(|&col| col == -1),
                    "case {}",
                    case.number
                );
                check(
                    case,
                    &columns(&found[..case.rows]),
                    &expected[case.number as usize],
                );
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA device"]
fn problems_of_their_own_shape_are_solved_as_well() {
    let (device, expected) = (device(), expected());
    for (case, expected) in (0..1000).map(case).zip(expected) {
        let mut assigner =
            BatchAssigner::new(&device, 1, case.rows, case.cols, case.rules).unwrap();
        // Candle makes no empty tensor on the device: one of a longer one.
        let longer: Vec<f32> = case.costs.iter().copied().chain([f32::NAN]).collect();
        let costs = Tensor::from_vec(longer, case.costs.len() + 1, &device)
            .unwrap()
            .narrow(0, 0, case.costs.len())
            .unwrap();
        assigner
            .solve(
                &costs.reshape((1, case.rows, case.cols)).unwrap(),
                Used::default(),
            )
            .unwrap();
        if case.rows > 0 {
            let found = assigner
                .row_to_col()
                .flatten_all()
                .unwrap()
                .to_vec1::<i32>()
                .unwrap();
            check(&case, &columns(&found), &expected);
        }
    }
}

/// Shapes whose working memory lies in shared memory, partly there, and not there.
#[test]
#[ignore = "needs a CUDA device"]
fn every_place_of_the_working_memory_gives_the_cpus_totals() {
    let device = device();
    for (seed, &(rows, cols)) in [
        (300, 100),
        (100, 300),
        (450, 450),
        (40, 9000),
        (9000, 40),
        (1, 20_000),
        (128, 128),
    ]
    .iter()
    .enumerate()
    {
        for rules in [
            Rules::default(),
            Rules::gated(0.02),
            Rules::gate_price(0.02),
        ] {
            let costs = units(seed as u64, 2 * rows * cols);
            let mut assigner = BatchAssigner::new(&device, 2, rows, cols, rules).unwrap();
            assigner
                .solve(
                    &Tensor::from_slice(&costs, (2, rows, cols), &device).unwrap(),
                    Used::default(),
                )
                .unwrap();
            let found = assigner.row_to_col().to_vec2::<i32>().unwrap();
            for (costs, found) in costs.chunks(rows * cols).zip(found) {
                let best = assign(costs, rows, cols, &rules).unwrap();
                let (pairs, sum) = total(costs, cols, &found);
                let (best_pairs, price) = (
                    best.pairs().count(),
                    if rules == Rules::gate_price(0.02) {
                        0.02
                    } else {
                        0.0
                    },
                );
                let (sum, best) = (
                    sum - price * pairs as f64,
                    best.total - price * best_pairs as f64,
                );
                assert!(
                    (sum - best).abs() < 1e-9,
                    "{rows} x {cols}, {rules:?}: {sum} of {pairs} pairs instead of {best} of {best_pairs}"
                );
                assert!(
                    price > 0.0 || pairs == best_pairs,
                    "{rows} x {cols}, {rules:?}"
                );
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA device"]
fn costs_that_are_no_costs_are_reported_and_spoil_no_other_problem() {
    let device = device();
    let mut costs = units(7, 4 * 20 * 30);
    (costs[600 + 599], costs[1200 + 31]) = (f32::NAN, f32::NEG_INFINITY);
    let mut assigner = BatchAssigner::new(&device, 4, 20, 30, Rules::default()).unwrap();
    for _ in 0..2 {
        assigner
            .solve(
                &Tensor::from_slice(&costs, (4, 20, 30), &device).unwrap(),
                Used::default(),
            )
            .unwrap();
        assert_eq!(assigner.status().to_vec1::<i32>().unwrap(), [0, 1, 1, 0]);
        let found = assigner.row_to_col().to_vec2::<i32>().unwrap();
        assert!(found[1].iter().chain(&found[2]).all(|&col| col == -1));
        assert!(found[0].iter().chain(&found[3]).all(|&col| col >= 0));
    }
}

#[test]
#[ignore = "needs a CUDA device"]
fn empty_sides_and_batches_are_solved() {
    let device = device();
    let nothing = Tensor::zeros(1, DType::F32, &device)
        .unwrap()
        .narrow(0, 0, 0)
        .unwrap();
    for (batch, rows, cols) in [(0, 3, 3), (3, 0, 5), (3, 5, 0), (2, 0, 0)] {
        let mut assigner =
            BatchAssigner::new(&device, batch, rows, cols, Rules::default()).unwrap();
        assigner
            .solve(
                &nothing.reshape((batch, rows, cols)).unwrap(),
                Used::default(),
            )
            .unwrap();
        if batch * rows > 0 {
            assert_eq!(
                assigner.row_to_col().to_vec2::<i32>().unwrap(),
                vec![vec![-1; rows]; batch]
            );
        }
    }
}

/// Predictions and targets of a batch, on the host.
struct Scene {
    shape: (usize, usize, usize, usize),
    logits: Vec<f32>,
    boxes: Vec<f32>,
    classes: Vec<u32>,
    target_boxes: Vec<f32>,
    counts: Vec<u32>,
}

/// As tools/bench_matching.py makes it.
fn scene(batch: usize, queries: usize, classes: usize, targets: usize, ragged: bool) -> Scene {
    let boxes = |seed: u64, count: usize| {
        units(seed, 4 * count)
            .iter()
            .enumerate()
            .map(|(i, u)| if i % 4 < 2 { *u } else { 0.05 + 0.4 * u })
            .collect()
    };
    Scene {
        shape: (batch, queries, classes, targets),
        logits: units(11, batch * queries * classes)
            .iter()
            .map(|u| 8.0 * u - 6.0)
            .collect(),
        boxes: boxes(12, batch * queries),
        classes: (0..(batch * targets) as u64)
            .map(|i| (mix((13 << 32) + i) % classes as u64) as u32)
            .collect(),
        target_boxes: boxes(14, batch * targets),
        counts: (0..batch as u32)
            .map(|i| {
                if ragged {
                    i * 7 % (targets as u32 + 1)
                } else {
                    targets as u32
                }
            })
            .collect(),
    }
}

/// Tensors of a scene on a device: logits, boxes, classes, boxes of targets, counts.
fn tensors(scene: &Scene, device: &Device) -> [Tensor; 5] {
    let (batch, queries, classes, targets) = scene.shape;
    [
        Tensor::from_slice(&scene.logits, (batch, queries, classes), device).unwrap(),
        Tensor::from_slice(&scene.boxes, (batch, queries, 4), device).unwrap(),
        Tensor::from_slice(&scene.classes, (batch, targets), device).unwrap(),
        Tensor::from_slice(&scene.target_boxes, (batch, targets, 4), device).unwrap(),
        Tensor::from_slice(&scene.counts, batch, device).unwrap(),
    ]
}

#[test]
#[ignore = "needs a CUDA device"]
fn detection_costs_and_their_assignment_are_the_cpus() {
    let device = device();
    for weights in [
        DetectionCostWeights::default(),
        DetectionCostWeights {
            gamma: 1.5,
            alpha: 0.4,
            class: 1.0,
            l1: 2.0,
            giou: 3.0,
        },
    ] {
        let scene = scene(9, 77, 13, 31, true);
        let of = |device: &Device| -> (Vec<f32>, Vec<i32>) {
            let [logits, boxes, classes, target_boxes, counts] = tensors(&scene, device);
            let targets = Targets {
                classes: &classes,
                boxes: &target_boxes,
                counts: Some(&counts),
            };
            let mut cost = DetectionCost::new(device, 9, 77, 31, weights).unwrap();
            let mut assigner = BatchAssigner::new(device, 9, 77, 31, Rules::default()).unwrap();
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
            assert_eq!(assigner.status().to_vec1::<i32>().unwrap(), [0; 9]);
            let flat = |t: &Tensor| t.flatten_all().unwrap();
            (
                flat(cost.costs()).to_vec1().unwrap(),
                flat(assigner.row_to_col()).to_vec1().unwrap(),
            )
        };
        let ((cpu, cpu_pairs), (gpu, gpu_pairs)) = (of(&Device::Cpu), of(&device));
        for (i, (a, b)) in cpu.iter().zip(&gpu).enumerate() {
            assert!(
                a == b || (a - b).abs() < 2e-5 * (1.0 + a.abs()),
                "{i}: {a} on the CPU, {b} on the device"
            );
        }
        for image in 0..9 {
            let (costs, part) = (
                &cpu[image * 77 * 31..][..77 * 31],
                image * 77..(image + 1) * 77,
            );
            let (a, b) = (
                total(costs, 31, &cpu_pairs[part.clone()]),
                total(costs, 31, &gpu_pairs[part]),
            );
            assert!(
                a.0 == b.0 && (a.1 - b.1).abs() < 1e-3,
                "image {image}: {a:?} on the CPU, {b:?} on the device"
            );
        }
    }
}

#[test]
#[ignore = "needs a CUDA device"]
fn unknown_classes_and_empty_boxes_cost_what_they_do_on_the_cpu() {
    let device = device();
    let mut scene = scene(1, 2, 3, 2, false);
    scene.classes = vec![1, 3];
    (scene.boxes, scene.target_boxes) = (
        vec![0.5, 0.5, 0.0, 0.0, 0.1, 0.1, 0.2, 0.2],
        vec![0.5, 0.5, 0.0, 0.0, 0.1, 0.1, 0.2, 0.2],
    );
    let of = |device: &Device| {
        let [logits, boxes, classes, target_boxes, _] = tensors(&scene, device);
        let mut cost =
            DetectionCost::new(device, 1, 2, 2, DetectionCostWeights::default()).unwrap();
        cost.compute(
            &logits,
            &boxes,
            &Targets {
                classes: &classes,
                boxes: &target_boxes,
                counts: None,
            },
        )
        .unwrap();
        cost.costs()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
    };
    for (a, b) in of(&Device::Cpu).into_iter().zip(of(&device)) {
        assert!(
            (a - b).abs() < 1e-5 || (a.is_nan() && b.is_nan()),
            "{a} on the CPU, {b} on the device"
        );
    }
}

/// A capture fails where something is allocated, moved or waited for.
#[test]
#[ignore = "needs a CUDA device"]
fn costs_and_assignment_are_captured_and_replayed() {
    let device = device();
    let scene = scene(4, 60, 5, 20, true);
    let [logits, boxes, classes, target_boxes, counts] = tensors(&scene, &device);
    let targets = Targets {
        classes: &classes,
        boxes: &target_boxes,
        counts: Some(&counts),
    };
    let mut cost = DetectionCost::new(&device, 4, 60, 20, DetectionCostWeights::default()).unwrap();
    let mut assigner = BatchAssigner::new(&device, 4, 60, 20, Rules::default()).unwrap();
    let mut both = || {
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
        assigner.row_to_col().clone()
    };
    let (first, second) = (
        both().to_vec2::<i32>().unwrap(),
        logits.affine(-1.0, 0.5).unwrap(),
    );
    let stream = device.as_cuda_device().unwrap().cuda_stream();
    stream
        .begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
        .unwrap();
    let result = both();
    let graph = stream
        .end_capture(sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH)
        .unwrap()
        .unwrap();
    graph.launch().unwrap();
    assert_eq!(result.to_vec2::<i32>().unwrap(), first);
    // Other logits in the same place.
    logits.slice_set(&second, 0, 0).unwrap();
    graph.launch().unwrap();
    let replayed = result.to_vec2::<i32>().unwrap();
    assert_ne!(replayed, first);
    assert_eq!(both().to_vec2::<i32>().unwrap(), replayed);
}
