//! Exact minimum-cost assignment of rows to columns, for instance of detections to ground truth or of tracks to detections: each row to
//! at most one column and the other way round.
//!
//! Shortest augmenting paths as in Jonker and Volgenant (1987) and Crouse (2016), the algorithm of scipy's
//! `linear_sum_assignment`, extended to problems that have no complete assignment.

mod in_order;
mod shortest_path;
#[cfg(test)]
mod tests;

pub(crate) use in_order::assign_in_order;
use shortest_path::Problem;

/// What an assignment minimises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Objective {
    /// As many allowed pairs as there can be, and among all such assignments the least total cost. With every pair
    /// allowed this is scipy's `linear_sum_assignment`.
    #[default]
    MostPairs,
    /// The least sum of the pairs' costs and of the gate for each row (each column, where these are fewer) without a
    /// partner: two dear pairs give way to one cheap one. What trackers call a cost limit. Without a gate the same as `MostPairs`.
    GatePrice,
}

/// Which pairs are allowed, and what is minimised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Pairs that cost more are forbidden; those that cost just this are not. Infinite: no gate.
    pub gate: f64,
    /// What is minimised.
    pub objective: Objective,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            gate: f64::INFINITY,
            objective: Objective::MostPairs,
        }
    }
}

impl Rules {
    /// As many pairs as can be of those that cost at most `gate`, at the least total cost.
    pub fn gated(gate: f64) -> Self {
        Self {
            gate,
            ..Self::default()
        }
    }

    /// Pairs that cost at most `gate`, left out where that is cheaper at the price of `gate`.
    pub fn gate_price(gate: f64) -> Self {
        Self {
            gate,
            objective: Objective::GatePrice,
        }
    }

    /// What an unpaired row costs, where that is finite.
    pub(super) fn price(&self) -> Option<f64> {
        (self.objective == Objective::GatePrice && self.gate < f64::INFINITY).then_some(self.gate)
    }
}

/// Why costs cannot be assigned.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AssignmentError {
    /// The number of costs is not rows × columns.
    #[error(
        "{len} costs for {rows} rows and {cols} columns; give rows x columns of them, row by row"
    )]
    Shape {
        /// How many were given.
        len: usize,
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
    },
    /// A cost is NaN or minus infinity.
    #[error(
        "row {row}, column {col}: a cost of {value}; use a finite cost, or plus infinity for a forbidden pair"
    )]
    Cost {
        /// Its row.
        row: usize,
        /// Its column.
        col: usize,
        /// The cost.
        value: f64,
    },
    /// The gate is NaN or minus infinity.
    #[error("a gate of {0}; use a number, or plus infinity for none")]
    Gate(f64),
    /// Forbidden pairs leave no complete assignment, and one was asked for.
    #[error(
        "only {pairs} of {wanted} pairs can be made at once of those that are allowed; raise the gate or accept an incomplete assignment"
    )]
    Infeasible {
        /// Pairs in the best assignment.
        pairs: usize,
        /// The smaller of rows and columns.
        wanted: usize,
    },
}

/// Who goes with whom.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Assignment {
    /// For each row its column.
    pub row_to_col: Vec<Option<usize>>,
    /// For each column its row.
    pub col_to_row: Vec<Option<usize>>,
    /// Sum of the pairs' costs; the gate's price is not in it.
    pub total: f64,
}

impl Assignment {
    /// The pairs (row, column), by row.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.row_to_col
            .iter()
            .enumerate()
            .filter_map(|(row, col)| col.map(|col| (row, col)))
    }

    /// Rows without a column.
    pub fn unassigned_rows(&self) -> impl Iterator<Item = usize> {
        self.row_to_col
            .iter()
            .enumerate()
            .filter_map(|(row, col)| col.is_none().then_some(row))
    }

    /// Columns without a row.
    pub fn unassigned_cols(&self) -> impl Iterator<Item = usize> {
        self.col_to_row
            .iter()
            .enumerate()
            .filter_map(|(col, row)| row.is_none().then_some(col))
    }

    /// This, if every row or every column has its partner, as scipy demands.
    ///
    /// # Errors
    /// [`AssignmentError::Infeasible`] otherwise.
    pub fn complete(self) -> Result<Self, AssignmentError> {
        let (pairs, wanted) = (
            self.pairs().count(),
            self.row_to_col.len().min(self.col_to_row.len()),
        );
        if pairs == wanted {
            Ok(self)
        } else {
            Err(AssignmentError::Infeasible { pairs, wanted })
        }
    }
}

/// The best assignment of `rows` to `cols` by `costs` (row by row), under `rules`.
///
/// Infinite costs are forbidden pairs. Arithmetic is in f64, the result exact up to its rounding. Of equally good
/// assignments always the same one is chosen. Takes O(k² · l) time, k the smaller and l the larger side, and far
/// less where most rows' cheapest columns differ; memory for rows × columns f64.
///
/// # Errors
/// [`AssignmentError::Shape`], [`AssignmentError::Cost`] for NaN and minus infinity, [`AssignmentError::Gate`].
pub fn assign<T: Copy + Into<f64>>(
    costs: &[T],
    rows: usize,
    cols: usize,
    rules: &Rules,
) -> Result<Assignment, AssignmentError> {
    if rows.checked_mul(cols) != Some(costs.len()) {
        return Err(AssignmentError::Shape {
            len: costs.len(),
            rows,
            cols,
        });
    }
    if rules.gate.is_nan() || rules.gate == f64::NEG_INFINITY {
        return Err(AssignmentError::Gate(rules.gate));
    }
    let mut largest = 0.0f64;
    for (at, &cost) in costs.iter().enumerate() {
        let value: f64 = cost.into();
        if value.is_nan() || value == f64::NEG_INFINITY {
            return Err(AssignmentError::Cost {
                row: at / cols,
                col: at % cols,
                value,
            });
        }
        if value <= rules.gate && value < f64::INFINITY {
            largest = largest.max(value.abs());
        }
    }
    // Sums of several costs stay finite; a power of two changes no digit.
    let scale = if largest.max(rules.price().map_or(0.0, f64::abs)) > 1e270 {
        2f64.powi(-200)
    } else {
        1.0
    };
    let cost = |row: usize, col: usize| -> f64 {
        let value: f64 = costs[row * cols + col].into();
        if value > rules.gate {
            f64::INFINITY
        } else {
            value * scale
        }
    };
    let price = rules.price().map(|p| p * scale);
    let mut found = Assignment {
        row_to_col: vec![None; rows],
        col_to_row: vec![None; cols],
        total: 0.0,
    };
    let transposed = rows > cols;
    let pairs = if transposed {
        Problem::new(cols, rows, |i, j| cost(j, i), price).solve()
    } else {
        Problem::new(rows, cols, cost, price).solve()
    };
    for (i, j) in pairs {
        let (row, col) = if transposed { (j, i) } else { (i, j) };
        (found.row_to_col[row], found.col_to_row[col]) = (Some(col), Some(row));
    }
    found.total = found
        .pairs()
        .map(|(row, col)| -> f64 { costs[row * cols + col].into() })
        .sum();
    Ok(found)
}
