//! Assignment against scipy on 10,000 random and degenerate problems, and the detector's costs against transformers.

use crate::common::assignment_cases::{CASES, Case, case, check, expected, mix};
use candle_core::{Device, Tensor};
use ultramotion::matching::{
    AssignmentError, DetectionCost, DetectionCostWeights, Targets, assign,
};

#[test]
fn totals_are_those_of_scipy() {
    let mut infeasible = 0;
    for (number, expected) in (0..CASES).zip(expected()) {
        let problem @ Case { rows, cols, .. } = &case(number);
        let found = assign(&problem.costs, *rows, *cols, &problem.rules).unwrap();
        check(problem, &found.row_to_col, &expected);
        for (row, col) in found.pairs() {
            assert_eq!(found.col_to_row[col], Some(row), "case {number}");
        }
        assert_eq!(
            found.pairs().count() + found.unassigned_cols().count(),
            *cols
        );
        assert_eq!(
            found.pairs().count() + found.unassigned_rows().count(),
            *rows
        );
        if expected.infeasible {
            infeasible += 1;
            let error = found.complete().unwrap_err();
            assert_eq!(
                error,
                AssignmentError::Infeasible {
                    pairs: expected.pairs,
                    wanted: *rows.min(cols)
                }
            );
        }
    }
    assert!(infeasible > 500, "{infeasible}");
}

#[test]
fn single_and_double_precision_costs_give_the_same() {
    for problem in (0..500).map(case) {
        let wide: Vec<f64> = problem.costs.iter().map(|&c| f64::from(c)).collect();
        let (single, double) = (
            assign(&problem.costs, problem.rows, problem.cols, &problem.rules).unwrap(),
            assign(&wide, problem.rows, problem.cols, &problem.rules).unwrap(),
        );
        assert_eq!(single, double, "case {}", problem.number);
    }
}

/// As tests/fixtures/matching/detection_cost.py makes them.
#[test]
fn detection_costs_are_those_of_the_reference() {
    let (batch, queries, classes, targets) = (2, 30, 6, 8);
    let draw = |seed: u64, i: usize| mix((seed << 32) + i as u64);
    let unit = |seed: u64, i: usize| (draw(seed, i) >> 40) as f64 * 2f64.powi(-24);
    let tensor = |values: Vec<f32>, shape: (usize, usize, usize)| {
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    };
    let side = |seed: u64, i: usize| {
        if i % 4 < 2 {
            unit(seed, i)
        } else {
            0.05 + 0.4 * unit(seed, i)
        }
    };
    let boxes = |seed: u64, count: usize| {
        tensor(
            (0..batch * count * 4)
                .map(|i| side(seed, i) as f32)
                .collect(),
            (batch, count, 4),
        )
    };
    let logits = (0..batch * queries * classes)
        .map(|i| (12.0 * unit(1, i) - 8.0) as f32)
        .collect();
    let labels: Vec<u32> = (0..batch * targets)
        .map(|i| (draw(4, i) % classes as u64) as u32)
        .collect();
    let labels = Tensor::from_vec(labels, (batch, targets), &Device::Cpu).unwrap();
    let mut cost = DetectionCost::new(
        &Device::Cpu,
        batch,
        queries,
        targets,
        DetectionCostWeights::default(),
    )
    .unwrap();
    let objects = Targets {
        classes: &labels,
        boxes: &boxes(3, targets),
        counts: None,
    };
    cost.compute(
        &tensor(logits, (batch, queries, classes)),
        &boxes(2, queries),
        &objects,
    )
    .unwrap();
    let found = cost
        .costs()
        .flatten_all()
        .unwrap()
        .to_vec1::<f32>()
        .unwrap();
    let expected = include_bytes!("../../fixtures/matching/detection_cost.bin")
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()));
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.into_iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() < 1e-5 * (1.0 + expected.abs()),
            "{i}: {found} instead of {expected}"
        );
    }
}
