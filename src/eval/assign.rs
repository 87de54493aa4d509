//! One-to-one pairs of predictions and objects.

use crate::matching;
use std::collections::BTreeMap;

/// A prediction and an object that overlap enough to be a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) prediction: usize,
    pub(super) object: usize,
    /// Above 0, at most 1.
    pub(super) cost: f64,
}

/// Of `candidates` the one-to-one choice with the most pairs, and of those the one of least total cost (Kuhn 1955). Each
/// group of predictions and objects that candidates connect is solved by itself.
pub(super) fn one_to_one(candidates: &[Candidate]) -> Vec<Candidate> {
    let mut groups: BTreeMap<usize, Vec<Candidate>> = BTreeMap::new();
    let mut parents = Parents::default();
    let nodes: Vec<(usize, usize)> = candidates
        .iter()
        .map(|c| {
            (
                parents.node(2 * c.prediction),
                parents.node(2 * c.object + 1),
            )
        })
        .collect();
    nodes.iter().for_each(|&(a, b)| parents.join(a, b));
    for (candidate, &(node, _)) in candidates.iter().zip(&nodes) {
        groups
            .entry(parents.root(node))
            .or_default()
            .push(*candidate);
    }
    let mut pairs: Vec<Candidate> = groups
        .into_values()
        .flat_map(|group| best_of_group(&group))
        .collect();
    pairs.sort_by_key(|pair| (pair.prediction, pair.object));
    pairs
}

fn best_of_group(group: &[Candidate]) -> Vec<Candidate> {
    if let [only] = group {
        return vec![*only];
    }
    let places = |of: &dyn Fn(&Candidate) -> usize| {
        let mut ids: Vec<usize> = group.iter().map(of).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    let (predictions, objects) = (places(&|c| c.prediction), places(&|c| c.object));
    let columns = objects.len();
    let mut table: Vec<Option<Candidate>> = vec![None; predictions.len() * columns];
    for candidate in group {
        if let (Ok(row), Ok(column)) = (
            predictions.binary_search(&candidate.prediction),
            objects.binary_search(&candidate.object),
        ) {
            table[row * columns + column] = Some(*candidate);
        }
    }
    let costs: Vec<f64> = table
        .iter()
        .map(|c| c.map_or(f64::INFINITY, |c| c.cost))
        .collect();
    // Costs are of overlaps: finite, or no pair. Anything else is paired with nothing.
    let found = matching::assign(
        &costs,
        predictions.len(),
        columns,
        &matching::Rules::default(),
    );
    found.map_or_else(
        |_| Vec::new(),
        |found| {
            found
                .pairs()
                .filter_map(|(row, column)| table[row * columns + column])
                .collect()
        },
    )
}

/// Sets of things that are connected.
#[derive(Default)]
struct Parents {
    nodes: BTreeMap<usize, usize>,
    parents: Vec<usize>,
}

impl Parents {
    fn node(&mut self, thing: usize) -> usize {
        let new = self.parents.len();
        let node = *self.nodes.entry(thing).or_insert(new);
        if node == new {
            self.parents.push(new);
        }
        node
    }

    fn root(&mut self, mut node: usize) -> usize {
        while self.parents[node] != node {
            self.parents[node] = self.parents[self.parents[node]];
            node = self.parents[node];
        }
        node
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        // The lower number stays, so that the order of groups is that of their first candidates.
        self.parents[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(candidates: &[(usize, usize, f64)]) -> Vec<(usize, usize)> {
        let all: Vec<Candidate> = candidates
            .iter()
            .map(|&(prediction, object, cost)| Candidate {
                prediction,
                object,
                cost,
            })
            .collect();
        one_to_one(&all)
            .iter()
            .map(|c| (c.prediction, c.object))
            .collect()
    }

    #[test]
    fn as_many_pairs_as_can_be_then_the_cheapest() {
        assert!(chosen(&[]).is_empty());
        assert_eq!(chosen(&[(7, 3, 0.4)]), [(7, 3)]);
        // The best pair alone would leave the others without.
        assert_eq!(
            chosen(&[(0, 0, 0.01), (0, 1, 0.5), (1, 0, 0.5)]),
            [(0, 1), (1, 0)]
        );
        assert_eq!(
            chosen(&[(0, 0, 0.1), (0, 1, 0.2), (1, 0, 0.2), (1, 1, 0.1)]),
            [(0, 0), (1, 1)]
        );
        // More predictions than objects, more objects than predictions, and a group of its own.
        assert_eq!(
            chosen(&[
                (0, 0, 0.3),
                (1, 0, 0.2),
                (2, 0, 0.1),
                (5, 4, 0.2),
                (5, 6, 0.1),
                (9, 9, 1.0)
            ]),
            [(2, 0), (5, 6), (9, 9)]
        );
    }

    #[test]
    fn groups_are_solved_as_the_whole_would_be() {
        // All subsets of a small table, against trying all choices.
        let costs = [[0.3, 0.1, 0.7], [0.2, 0.9, 0.4], [0.6, 0.5, 0.8]];
        for present in 0u32..512 {
            let candidates: Vec<(usize, usize, f64)> = (0..9)
                .filter(|i| present >> i & 1 == 1)
                .map(|i| (i / 3, i % 3, costs[i / 3][i % 3]))
                .collect();
            let mut best = (0usize, 0.0f64);
            try_all(&candidates, &mut Vec::new(), &mut best);
            let pairs = chosen(&candidates);
            let total: f64 = pairs.iter().map(|&(p, o)| costs[p][o]).sum();
            assert_eq!(pairs.len(), best.0, "{candidates:?}");
            assert!((total - best.1).abs() < 1e-12, "{candidates:?}: {pairs:?}");
        }
    }

    fn try_all(
        left: &[(usize, usize, f64)],
        taken: &mut Vec<(usize, usize, f64)>,
        best: &mut (usize, f64),
    ) {
        let total: f64 = taken.iter().map(|c| c.2).sum();
        if taken.len() > best.0 || taken.len() == best.0 && total < best.1 {
            *best = (taken.len(), total);
        }
        for (i, candidate) in left.iter().enumerate() {
            if taken
                .iter()
                .all(|c| c.0 != candidate.0 && c.1 != candidate.1)
            {
                taken.push(*candidate);
                try_all(&left[i + 1..], taken, best);
                taken.pop();
            }
        }
    }
}
