//! The solver against all assignments of small problems, and its errors.

use super::{AssignmentError, Rules, assign};

const NO: f64 = f64::INFINITY;

/// Best (pairs, total) of all ways to pair, more pairs first; with a price, the least cost with what is left out.
fn best(
    costs: &[f64],
    rows: usize,
    cols: usize,
    row: usize,
    used: u32,
    price: Option<f64>,
) -> (usize, f64) {
    if row == rows {
        return (0, 0.0);
    }
    let (pairs, total) = best(costs, rows, cols, row + 1, used, price);
    let mut found = (pairs, total + price.unwrap_or(0.0));
    for col in (0..cols).filter(|col| used >> col & 1 == 0 && costs[row * cols + col] < NO) {
        let (pairs, total) = best(costs, rows, cols, row + 1, used | 1 << col, price);
        let with = (pairs + 1, total + costs[row * cols + col]);
        let better = if price.is_some() {
            with.1 < found.1
        } else {
            with.0 > found.0 || (with.0 == found.0 && with.1 < found.1)
        };
        if better {
            found = with;
        }
    }
    found
}

#[test]
fn no_assignment_is_better_than_the_one_found() {
    for seed in 0..4000u64 {
        let (rows, cols) = (1 + (seed % 5) as usize, 1 + (seed / 5 % 6) as usize);
        let holes = seed % 7;
        let costs: Vec<f64> = (0..rows * cols)
            .map(|i| {
                let draw = (seed.wrapping_mul(6_364_136_223_846_793_005) ^ i as u64)
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    >> 32;
                if draw % 8 < holes {
                    NO
                } else {
                    (draw / 8 % 23) as f64 / 4.0 - 2.0
                }
            })
            .collect();
        let found = assign(&costs, rows, cols, &Rules::default()).unwrap();
        assert_eq!(
            (found.pairs().count(), found.total),
            best(&costs, rows, cols, 0, 0, None),
            "seed {seed}: {costs:?}"
        );
        // The price is one for each of the smaller side, the search above pays it for each row.
        if rows <= cols {
            let gated: Vec<f64> = costs
                .iter()
                .map(|&c| if c > 1.5 { NO } else { c })
                .collect();
            let found = assign(&costs, rows, cols, &Rules::gate_price(1.5)).unwrap();
            let paid = found.total + 1.5 * found.unassigned_rows().count() as f64;
            assert_eq!(
                paid,
                best(&gated, rows, cols, 0, 0, Some(1.5)).1,
                "seed {seed}: {costs:?}"
            );
        }
    }
}

#[test]
fn a_row_gives_way_to_one_that_is_cheaper_where_only_one_can_be_paired() {
    // Column 0 is all that either row can have; row 1 is the cheaper, though row 0 came first.
    let found = assign(&[5.0, NO, 3.0, NO], 2, 2, &Rules::default()).unwrap();
    assert_eq!(
        (found.row_to_col.as_slice(), found.total),
        (&[None, Some(0)][..], 3.0)
    );
    assert_eq!(
        found.clone().complete().unwrap_err(),
        AssignmentError::Infeasible {
            pairs: 1,
            wanted: 2
        }
    );
    assert_eq!(found.unassigned_cols().collect::<Vec<_>>(), [1]);
}

#[test]
fn the_gate_is_a_bound_or_a_price() {
    // Two pairs at 2 + 7, or one at 1.
    let costs = [2.0, 1.0, 9.0, 7.0];
    let pairs = |rules| assign(&costs, 2, 2, &rules).unwrap().row_to_col;
    assert_eq!(pairs(Rules::default()), [Some(0), Some(1)]);
    assert_eq!(pairs(Rules::gated(7.0)), [Some(0), Some(1)]);
    assert_eq!(pairs(Rules::gated(6.5)), [Some(1), None]);
    let costs = [2.0, 1.0, 9.0, 4.0];
    let pairs = |rules| assign(&costs, 2, 2, &rules).unwrap().row_to_col;
    assert_eq!(pairs(Rules::gate_price(4.0)), [Some(1), None]);
    assert_eq!(pairs(Rules::gate_price(6.0)), [Some(0), Some(1)]);
}

#[test]
fn greedy_choices_are_revised() {
    let found = assign(&[1.0f32, 2.0, 1.5, 9.0], 2, 2, &Rules::default()).unwrap();
    assert_eq!(
        (found.row_to_col, found.total),
        (vec![Some(1), Some(0)], 3.5)
    );
}

#[test]
fn the_largest_costs_there_are_do_not_overflow_the_search() {
    let (max, min) = (f64::MAX, f64::MIN);
    let costs = [max, min, max, max, max, min, max, max, max];
    assert_eq!(
        assign(&costs, 3, 3, &Rules::default()).unwrap().row_to_col,
        [Some(1), Some(2), Some(0)]
    );
    assert_eq!(
        assign(&[max; 6], 2, 3, &Rules::default())
            .unwrap()
            .pairs()
            .count(),
        2
    );
}

#[test]
fn costs_that_are_no_costs_are_named() {
    let error = assign(
        &[0.0f32, 1.0, 2.0, f32::NAN, 0.0, 0.0],
        2,
        3,
        &Rules::default(),
    )
    .unwrap_err();
    assert!(
        matches!(error, AssignmentError::Cost { row: 1, col: 0, .. }),
        "{error}"
    );
    let error = assign(&[0.0, f64::NEG_INFINITY], 1, 2, &Rules::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "row 0, column 1: a cost of -inf; use a finite cost, or plus infinity for a forbidden pair"
    );
    assert!(matches!(
        assign(&[0.0], 1, 1, &Rules::gated(f64::NAN)).unwrap_err(),
        AssignmentError::Gate(_)
    ));
    assert!(matches!(
        assign(&[0.0; 5], 2, 3, &Rules::default()).unwrap_err(),
        AssignmentError::Shape {
            len: 5,
            rows: 2,
            cols: 3
        }
    ));
    assert!(matches!(
        assign::<f32>(&[], usize::MAX, 2, &Rules::default()).unwrap_err(),
        AssignmentError::Shape { .. }
    ));
}

#[test]
fn an_empty_side_leaves_the_other_unassigned() {
    for (rows, cols) in [(0, 0), (0, 3), (3, 0)] {
        let found = assign::<f64>(&[], rows, cols, &Rules::default())
            .unwrap()
            .complete()
            .unwrap();
        assert_eq!(
            (
                found.row_to_col.len(),
                found.col_to_row.len(),
                found.pairs().count()
            ),
            (rows, cols, 0)
        );
    }
}
