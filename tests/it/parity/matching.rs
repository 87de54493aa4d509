//! Assignment against scipy on 10,000 random and degenerate problems.

use crate::common::assignment_cases::{CASES, Case, case, check, expected};
use ultramotion::matching::{AssignmentError, assign};

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
