//! Which object continues which track.

use crate::matching::{AssignmentError, Rules, assign};

/// A track (row) and an object (column) that may belong together, and the cost of that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) track: usize,
    pub(super) object: usize,
    pub(super) cost: f64,
}

/// The pairs (track, object) of the assignment with the most pairs, and of those the one of least cost, by track.
///
/// Tracks and objects that no chain of candidates connects do not influence each other, so that each connected part is
/// assigned by itself: most are one track and one object.
pub(super) fn pairs(
    candidates: &[Candidate],
    tracks: usize,
    objects: usize,
) -> Result<Vec<(usize, usize)>, AssignmentError> {
    let mut parts = Parts::new(tracks + objects);
    for c in candidates {
        parts.join(c.track, tracks + c.object);
    }
    let mut by_part: Vec<(usize, Candidate)> =
        candidates.iter().map(|c| (parts.of(c.track), *c)).collect();
    by_part.sort_by_key(|(part, c)| (*part, c.track, c.object));
    let mut found = Vec::new();
    for part in by_part.chunk_by(|a, b| a.0 == b.0) {
        match part {
            [(_, only)] => found.push((only.track, only.object)),
            _ => assign_part(part, &mut found)?,
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn assign_part(
    part: &[(usize, Candidate)],
    found: &mut Vec<(usize, usize)>,
) -> Result<(), AssignmentError> {
    let numbers = |of: fn(&Candidate) -> usize| {
        let mut numbers: Vec<usize> = part.iter().map(|(_, c)| of(c)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    };
    let (rows, cols) = (numbers(|c| c.track), numbers(|c| c.object));
    let mut costs = vec![f64::INFINITY; rows.len() * cols.len()];
    for (_, c) in part {
        let places = rows
            .binary_search(&c.track)
            .ok()
            .zip(cols.binary_search(&c.object).ok());
        if let Some((row, col)) = places {
            costs[row * cols.len() + col] = c.cost;
        }
    }
    let assigned = assign(&costs, rows.len(), cols.len(), &Rules::default())?;
    found.extend(assigned.pairs().map(|(row, col)| (rows[row], cols[col])));
    Ok(())
}

/// Disjoint sets (union by lower number, path halving).
struct Parts(Vec<usize>);

impl Parts {
    fn new(len: usize) -> Self {
        Self((0..len).collect())
    }

    fn of(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.of(a), self.of(b));
        self.0[a.max(b)] = a.min(b);
    }
}
