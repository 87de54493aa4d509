//! Exact one-to-one matching: of detections to ground truth, of tracks to detections.
//!
//! [`assign`] solves one problem, [`assign_batch`] many of one shape on all cores; [`Rules`] says which pairs are
//! allowed and what is minimised. [`BatchAssigner`] and [`DetectionCost`] take tensors and leave the result on their
//! device. The solver is an operation ([`crate::ops`]), so that models reach it too; this is the place where evaluation and
//! tracking take it from.

use rayon::prelude::*;

pub use crate::ops::{
    Assignment, AssignmentError, BatchAssigner, DetectionCost, DetectionCostWeights, Objective,
    Rules, Targets, Used, assign,
};

/// Why one problem of a batch cannot be solved.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("problem {problem}: {source}")]
pub struct BatchError {
    /// Its place in the batch.
    pub problem: usize,
    /// What is wrong with it.
    pub source: AssignmentError,
}

/// [`assign`] for each of `batch` problems of `rows` × `cols` costs, one after another in `costs`.
///
/// # Errors
/// [`AssignmentError::Shape`] (with problem 0) if the lengths do not fit, else the first problem's that fails.
pub fn assign_batch<T: Copy + Into<f64> + Sync>(
    costs: &[T],
    batch: usize,
    rows: usize,
    cols: usize,
    rules: &Rules,
) -> Result<Vec<Assignment>, BatchError> {
    let size = rows.checked_mul(cols);
    if size.and_then(|n| n.checked_mul(batch)) != Some(costs.len()) {
        return Err(BatchError {
            problem: 0,
            source: AssignmentError::Shape {
                len: costs.len(),
                rows,
                cols,
            },
        });
    }
    let size = rows * cols;
    let one = |problem: usize| {
        let part = &costs[problem * size..(problem + 1) * size];
        assign(part, rows, cols, rules).map_err(|source| BatchError { problem, source })
    };
    // All of them, so that of several errors always the first is told.
    let all: Vec<_> = (0..batch).into_par_iter().map(one).collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_of_a_batch_is_solved_as_alone() {
        let costs: Vec<f32> = (0..5 * 7 * 4u32)
            .map(|i| ((i.wrapping_mul(2_654_435_761) % 1009) as f32).sqrt())
            .collect();
        let all = assign_batch(&costs, 5, 7, 4, &Rules::gated(25.0)).unwrap();
        for (problem, found) in all.iter().enumerate() {
            assert_eq!(
                *found,
                assign(
                    &costs[problem * 28..(problem + 1) * 28],
                    7,
                    4,
                    &Rules::gated(25.0)
                )
                .unwrap()
            );
        }
        assert_eq!(
            assign_batch(&costs[..0], 3, 0, 4, &Rules::default()).unwrap()[2].col_to_row,
            [None; 4]
        );
    }

    #[test]
    fn the_first_bad_problem_is_named() {
        let mut costs = vec![0f64; 3 * 4];
        (costs[6], costs[9]) = (f64::NAN, f64::NEG_INFINITY);
        let error = assign_batch(&costs, 3, 2, 2, &Rules::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "problem 1: row 1, column 0: a cost of NaN; use a finite cost, or plus infinity for a forbidden pair"
        );
        assert!(matches!(
            assign_batch(&costs, 4, 2, 2, &Rules::default())
                .unwrap_err()
                .source,
            AssignmentError::Shape { .. }
        ));
    }
}
