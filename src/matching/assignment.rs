//! The cheapest one-to-one assignment (Kuhn 1955, Munkres 1957), by shortest augmenting paths in O(n³).

/// Costs are cut here, so that sums and differences of them stay finite.
const HIGHEST: f64 = 1e200;

/// For each of `rows` the one of `columns` assigned to it, so that the sum of `cost(row, column)` is smallest: each row has
/// a column, no two the same. Takes rows² × columns steps and rows × columns numbers.
///
/// # Panics
/// If there are fewer columns than rows.
pub fn assign(rows: usize, columns: usize, cost: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    assert!(rows <= columns, "{rows} rows cannot each have one of {columns} columns");
    let n = columns;
    let costs: Vec<f64> = (0..rows * n).map(|i| cost(i / n, i % n).min(HIGHEST)).collect();
    // Column n stands for "none": each row starts there.
    let (mut row_price, mut column_price) = (vec![0.0; rows], vec![0.0; n + 1]);
    let mut row_of: Vec<Option<usize>> = vec![None; n + 1];
    for start in 0..rows {
        row_of[n] = Some(start);
        let mut column = n;
        let mut slack = vec![f64::INFINITY; n];
        let mut before = vec![n; n];
        let mut visited = vec![false; n + 1];
        while let Some(row) = row_of[column] {
            visited[column] = true;
            let (mut delta, mut next) = (f64::INFINITY, n);
            for j in (0..n).filter(|&j| !visited[j]) {
                let reduced = costs[row * n + j] - row_price[row] - column_price[j];
                if reduced < slack[j] {
                    (slack[j], before[j]) = (reduced, column);
                }
                if slack[j] < delta {
                    (delta, next) = (slack[j], j);
                }
            }
            for j in 0..=n {
                match (visited[j], row_of[j]) {
                    (true, Some(row)) => {
                        row_price[row] += delta;
                        column_price[j] -= delta;
                    }
                    _ if j < n => slack[j] -= delta,
                    _ => {}
                }
            }
            column = next;
        }
        while column != n {
            row_of[column] = row_of[before[column]];
            column = before[column];
        }
    }
    let mut found = vec![0; rows];
    for (column, row) in row_of.iter().take(n).enumerate() {
        if let Some(row) = *row {
            found[row] = column;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_of_all_permutations_is_found() {
        // Pseudo-random costs, all 720 permutations tried.
        for seed in 0..50u64 {
            let cost = |i: usize, j: usize| ((seed * 31 + i as u64 * 17 + j as u64 * 7919 + (i * j) as u64 * 104_729) % 101) as f64;
            let total = |columns: &[usize]| columns.iter().enumerate().map(|(i, &j)| cost(i, j)).sum::<f64>();
            let found = assign(6, 6, cost);
            let mut sorted = found.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
            let mut best = f64::INFINITY;
            permute(&mut [0, 1, 2, 3, 4, 5], 0, &mut |columns| best = best.min(total(columns)));
            assert_eq!(total(&found), best, "seed {seed}");
        }
    }

    fn permute(columns: &mut [usize], from: usize, seen: &mut impl FnMut(&[usize])) {
        if from == columns.len() {
            return seen(columns);
        }
        for i in from..columns.len() {
            columns.swap(from, i);
            permute(columns, from + 1, seen);
            columns.swap(from, i);
        }
    }

    #[test]
    fn greedy_choices_are_revised() {
        // Row 0 is nearest to column 0, but leaving that to row 1 is cheaper over all.
        let costs = [[1.0, 2.0], [1.5, 9.0]];
        assert_eq!(assign(2, 2, |i, j| costs[i][j]), [1, 0]);
        assert!(assign(0, 0, |_, _| 0.0).is_empty());
    }

    #[test]
    fn more_columns_than_rows_leave_some_free() {
        let costs = [[5.0, 1.0, 9.0, 2.0], [5.0, 0.5, 9.0, 8.0]];
        assert_eq!(assign(2, 4, |i, j| costs[i][j]), [3, 1]);
        assert_eq!(assign(1, 3, |_, j| 3.0 - j as f64), [2]);
        assert!(assign(0, 3, |_, _| 0.0).is_empty());
    }

    #[test]
    fn costs_without_bound_still_end() {
        assert_eq!(assign(3, 3, |_, _| f64::INFINITY).len(), 3);
        assert_eq!(assign(2, 2, |i, j| if i == j { f64::INFINITY } else { 1.0 }), [1, 0]);
    }
}
