//! The solver: rows are added one by one, each along a shortest augmenting path (Dijkstra over reduced costs).
//!
//! A row that cannot be paired ends its path at a place of its own that costs a price: the caller's, or one above any
//! sum of costs. Arithmetic with such a large number would lose the digits of the costs, so it is kept apart: rows and
//! columns whose dual variable contains it once are `high`, and only the rest of the variable is a number. Neighbours
//! of a high row are high columns, and a high column's row is high, which is why once is enough.

const NONE: usize = usize::MAX;

/// At most as many rows as columns.
pub(super) struct Problem {
    rows: usize,
    cols: usize,
    /// Row by row; infinite where the pair is forbidden.
    costs: Vec<f64>,
    price: Option<f64>,
    row_dual: Vec<f64>,
    col_dual: Vec<f64>,
    row_high: Vec<bool>,
    col_high: Vec<bool>,
    col_of: Vec<usize>,
    row_of: Vec<usize>,
}

/// The search from one row: distances are lengths of alternating paths in reduced costs.
struct Search {
    /// Shortest distance of each column so far, and the row it is reached from.
    distance: Vec<f64>,
    from: Vec<usize>,
    /// Columns not yet in the tree, and those in it in the order they came.
    open: Vec<usize>,
    tree: Vec<usize>,
    /// The cheapest way to leave a row of the tree unpaired.
    leave: (f64, usize),
}

/// Where a path ends.
enum End {
    /// A free column.
    Column(usize),
    /// A row of the tree gives up its column.
    Row(usize),
    /// Nothing more is reached.
    Stuck,
}

impl Problem {
    pub(super) fn new(
        rows: usize,
        cols: usize,
        cost: impl Fn(usize, usize) -> f64,
        price: Option<f64>,
    ) -> Self {
        let costs = (0..rows)
            .flat_map(|i| (0..cols).map(move |j| (i, j)))
            .map(|(i, j)| cost(i, j))
            .collect();
        Self {
            rows,
            cols,
            costs,
            price,
            row_dual: vec![0.0; rows],
            col_dual: vec![0.0; cols],
            row_high: vec![false; rows],
            col_high: vec![false; cols],
            col_of: vec![NONE; rows],
            row_of: vec![NONE; cols],
        }
    }

    /// Pairs of row and column, by row.
    pub(super) fn solve(mut self) -> Vec<(usize, usize)> {
        let waiting: Vec<usize> = (0..self.rows)
            .filter(|&row| !self.take_cheapest(row))
            .collect();
        let mut search = Search {
            distance: vec![f64::INFINITY; self.cols],
            from: vec![NONE; self.cols],
            open: Vec::with_capacity(self.cols),
            tree: Vec::with_capacity(self.rows),
            leave: (f64::INFINITY, NONE),
        };
        for row in waiting {
            self.add(row, &mut search);
        }
        self.col_of
            .into_iter()
            .enumerate()
            .filter(|&(_, col)| col != NONE)
            .collect()
    }

    /// Gives the row its cheapest column if that is free. False if it is not, or if the row has no column at all.
    fn take_cheapest(&mut self, row: usize) -> bool {
        let costs = &self.costs[row * self.cols..(row + 1) * self.cols];
        let (mut least, mut col) = (f64::INFINITY, NONE);
        for (j, &cost) in costs.iter().enumerate() {
            if cost < least
                || (cost == least
                    && cost < f64::INFINITY
                    && self.row_of[col] != NONE
                    && self.row_of[j] == NONE)
            {
                (least, col) = (cost, j);
            }
        }
        if col == NONE {
            return false;
        }
        self.row_dual[row] = least;
        if self.row_of[col] != NONE {
            return false;
        }
        (self.col_of[row], self.row_of[col]) = (col, row);
        true
    }

    fn add(&mut self, start: usize, search: &mut Search) {
        search.distance.fill(f64::INFINITY);
        search.tree.clear();
        search.leave = (f64::INFINITY, NONE);
        search.open.clear();
        search
            .open
            .extend((0..self.cols).filter(|&j| !self.col_high[j]));
        if let Some(price) = self.price {
            search.leave = (price - self.row_dual[start], start);
        }
        self.relax(start, 0.0, search);
        let end = self.explore(search, self.price);
        let low_tree = search.tree.len();
        let end = match end {
            End::Stuck => self.explore_high(start, search),
            end => end,
        };
        let length = match end {
            End::Column(col) => search.distance[col],
            End::Row(_) | End::Stuck => search.leave.0,
        };
        let raised = matches!(end, End::Row(_)) && self.price.is_none();
        self.row_dual[start] += length;
        self.row_high[start] |= raised;
        for (place, &col) in search.tree.iter().enumerate() {
            let (row, step) = (self.row_of[col], length - search.distance[col]);
            self.row_dual[row] += step;
            self.col_dual[col] -= step;
            if raised && place < low_tree {
                (self.row_high[row], self.col_high[col]) = (true, true);
            }
        }
        self.augment(start, &end, &search.from);
    }

    /// Grows the tree by the nearest open column until that is free, or until leaving a row unpaired is cheaper.
    fn explore(&self, search: &mut Search, price: Option<f64>) -> End {
        loop {
            let (mut nearest, mut at) = (f64::INFINITY, NONE);
            for (place, &col) in search.open.iter().enumerate() {
                let distance = search.distance[col];
                // Of equally near columns a free one ends the search.
                if distance < nearest
                    || (distance == nearest
                        && at != NONE
                        && self.row_of[col] == NONE
                        && self.row_of[search.open[at]] != NONE)
                {
                    (nearest, at) = (distance, place);
                }
            }
            if search.leave.1 != NONE && search.leave.0 < nearest {
                return End::Row(search.leave.1);
            }
            if at == NONE {
                return End::Stuck;
            }
            let col = search.open.swap_remove(at);
            let row = self.row_of[col];
            if row == NONE {
                return End::Column(col);
            }
            search.tree.push(col);
            if let Some(price) = price {
                search.offer(nearest + price - self.row_dual[row], row);
            }
            self.relax(row, nearest, search);
        }
    }

    /// After the search among low columns found no free one: what costs the large price once, be it leaving a row of
    /// the tree, or entering the high columns and leaving one of their rows.
    fn explore_high(&self, start: usize, search: &mut Search) -> End {
        search.open.clear();
        search
            .open
            .extend((0..self.cols).filter(|&j| self.col_high[j]));
        search.offer(-self.row_dual[start], start);
        self.relax(start, 0.0, search);
        for place in 0..search.tree.len() {
            let col = search.tree[place];
            let (row, distance) = (self.row_of[col], search.distance[col]);
            search.offer(distance - self.row_dual[row], row);
            self.relax(row, distance, search);
        }
        self.explore(search, Some(0.0))
    }

    /// Shortens the distances of open columns by going through `row`.
    fn relax(&self, row: usize, distance: f64, search: &mut Search) {
        let costs = &self.costs[row * self.cols..(row + 1) * self.cols];
        let base = distance - self.row_dual[row];
        for &col in &search.open {
            let through = base + costs[col] - self.col_dual[col];
            if through < search.distance[col] {
                (search.distance[col], search.from[col]) = (through, row);
            }
        }
    }

    /// Turns the path round: each row on it takes the column it reached.
    fn augment(&mut self, start: usize, end: &End, from: &[usize]) {
        let mut col = match *end {
            End::Column(col) => col,
            End::Row(row) if row != start => std::mem::replace(&mut self.col_of[row], NONE),
            End::Row(_) | End::Stuck => return,
        };
        loop {
            let row = from[col];
            self.row_of[col] = row;
            let before = std::mem::replace(&mut self.col_of[row], col);
            if row == start {
                return;
            }
            col = before;
        }
    }
}

impl Search {
    fn offer(&mut self, cost: f64, row: usize) {
        if cost < self.leave.0 {
            self.leave = (cost, row);
        }
    }
}
