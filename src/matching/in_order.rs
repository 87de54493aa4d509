//! An assignment that chooses as scipy does between equally good ones.

/// The complete assignment of least total cost, of finite `costs` (`rows` × `cols`, row by row), as pairs (row, column) by row.
///
/// Every row gets a column, or the other way round where there are fewer columns. Where several assignments cost the same, the
/// result is that of scipy's `linear_sum_assignment`: rows are added in their order, each along a shortest augmenting path
/// (Crouse 2016), without the head start that [`assign`](super::assign) gives to cheapest columns; columns are looked at from the
/// last to the first, and of equally near ones a free one is taken. Figures that are defined by scipy's choice need
/// this; everything else is faster with `assign`.
///
/// Takes O(k² · l) time, k the smaller and l the larger side. Costs that are not finite, or not `rows` × `cols`, give no pairs.
pub(crate) fn assign_in_order(costs: &[f64], rows: usize, cols: usize) -> Vec<(usize, usize)> {
    if rows.checked_mul(cols) != Some(costs.len()) || costs.iter().any(|cost| !cost.is_finite()) {
        return Vec::new();
    }
    if rows <= cols {
        return Paths::new(costs.to_vec(), rows, cols).solve();
    }
    let turned = (0..cols)
        .flat_map(|col| (0..rows).map(move |row| costs[row * cols + col]))
        .collect();
    let mut pairs: Vec<(usize, usize)> = Paths::new(turned, cols, rows)
        .solve()
        .into_iter()
        .map(|(col, row)| (row, col))
        .collect();
    pairs.sort_unstable();
    pairs
}

const NONE: usize = usize::MAX;

/// At most as many rows as columns.
struct Paths {
    costs: Vec<f64>,
    rows: usize,
    cols: usize,
    row_dual: Vec<f64>,
    col_dual: Vec<f64>,
    col_of: Vec<usize>,
    row_of: Vec<usize>,
    /// Of the present search: length of the shortest path to each column, and the row before it.
    distance: Vec<f64>,
    from: Vec<usize>,
    /// Columns outside the tree; those in it, in the order they came.
    open: Vec<usize>,
    tree: Vec<usize>,
}

impl Paths {
    fn new(costs: Vec<f64>, rows: usize, cols: usize) -> Self {
        Self {
            costs,
            rows,
            cols,
            row_dual: vec![0.0; rows],
            col_dual: vec![0.0; cols],
            col_of: vec![NONE; rows],
            row_of: vec![NONE; cols],
            distance: vec![f64::INFINITY; cols],
            from: vec![NONE; cols],
            open: Vec::with_capacity(cols),
            tree: Vec::with_capacity(cols),
        }
    }

    fn solve(mut self) -> Vec<(usize, usize)> {
        for row in 0..self.rows {
            let Some((end, length)) = self.search(row) else {
                // Sums that overflow: no path is shorter than infinite.
                return Vec::new();
            };
            self.row_dual[row] += length;
            for &col in &self.tree {
                let step = length - self.distance[col];
                // The column that ends the path has no row yet, and is no part of the tree.
                self.row_dual[self.row_of[col]] += step;
                self.col_dual[col] -= step;
            }
            let mut col = end;
            loop {
                let before = self.from[col];
                self.row_of[col] = before;
                std::mem::swap(&mut self.col_of[before], &mut col);
                if before == row {
                    break;
                }
            }
        }
        self.col_of.into_iter().enumerate().collect()
    }

    /// The nearest free column from `start`, and its distance.
    fn search(&mut self, start: usize) -> Option<(usize, f64)> {
        self.open.clear();
        self.open.extend((0..self.cols).rev());
        self.tree.clear();
        self.distance.fill(f64::INFINITY);
        let (mut row, mut length) = (start, 0.0f64);
        loop {
            let (mut nearest, mut at) = (f64::INFINITY, NONE);
            for (place, &col) in self.open.iter().enumerate() {
                // In this order of operations, so that roundings are scipy's too.
                let through = length + self.costs[row * self.cols + col]
                    - self.row_dual[row]
                    - self.col_dual[col];
                if through < self.distance[col] {
                    (self.distance[col], self.from[col]) = (through, row);
                }
                let distance = self.distance[col];
                if distance < nearest || (distance == nearest && self.row_of[col] == NONE) {
                    (nearest, at) = (distance, place);
                }
            }
            if nearest == f64::INFINITY {
                return None;
            }
            length = nearest;
            let col = self.open.swap_remove(at);
            if self.row_of[col] == NONE {
                return Some((col, length));
            }
            self.tree.push(col);
            row = self.row_of[col];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::{Rules, assign};

    /// Costs, rows, columns, pairs.
    type Case = (&'static [f64], usize, usize, &'static [(usize, usize)]);

    #[test]
    fn ties_are_broken_as_scipy_breaks_them() {
        // From scipy 1.17.1's linear_sum_assignment.
        let cases: [Case; 6] = [
            (&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0], 2, 3, &[(0, 0), (1, 1)]),
            (&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0], 3, 2, &[(0, 0), (1, 1)]),
            (
                &[0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
                3,
                3,
                &[(0, 0), (1, 2), (2, 1)],
            ),
            (
                &[2.0, 1.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 2.0, 2.0, 1.0],
                4,
                3,
                &[(0, 1), (1, 0), (2, 2)],
            ),
            (
                &[
                    -1.0, -1.0, 0.0, 0.0, -1.0, -1.0, 0.0, 0.0, 0.0, -1.0, -1.0, 0.0,
                ],
                3,
                4,
                &[(0, 0), (1, 1), (2, 2)],
            ),
            (
                &[1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0],
                4,
                2,
                &[(0, 1), (2, 0)],
            ),
        ];
        for (costs, rows, cols, wanted) in cases {
            assert_eq!(assign_in_order(costs, rows, cols), wanted, "{costs:?}");
        }
    }

    #[test]
    fn totals_are_the_least() {
        let mut state = 7u32;
        for case in 0..600usize {
            let (rows, cols) = (1 + case % 7, 1 + case / 7 % 6);
            let costs: Vec<f64> = (0..rows * cols)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    f64::from(state >> 28) - 6.0
                })
                .collect();
            let pairs = assign_in_order(&costs, rows, cols);
            assert_eq!(pairs.len(), rows.min(cols));
            let total: f64 = pairs.iter().map(|(i, j)| costs[i * cols + j]).sum();
            let least = assign(&costs, rows, cols, &Rules::default()).unwrap().total;
            assert_eq!(total, least, "{rows}×{cols}: {costs:?}");
        }
        assert!(assign_in_order(&[1.0, f64::NAN], 1, 2).is_empty());
        assert!(assign_in_order(&[1.0], 1, 2).is_empty());
        assert!(assign_in_order(&[], 0, 3).is_empty());
    }
}
