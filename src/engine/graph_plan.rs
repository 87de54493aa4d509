//! Memory planning: where the results of a captured graph lie, and what its kernels wait for, once its allocations are no longer nodes.
//!
//! A captured graph has a node for each allocation and each freeing. They let no kernel be launched while the one before it runs, though
//! the kernels could (`begin` of common.cuh). Since all of them are known, their places in one piece of memory can be worked out at once: two
//! allocations may share bytes where one is freed before the other is made, in the order that the edges of the graph give.

/// What a node does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Allocate {
        address: u64,
        bytes: u64,
    },
    Free {
        address: u64,
    },
    /// Work on memory at `addresses`, which may lie within allocations or elsewhere.
    Work {
        kind: Kind,
        addresses: Vec<u64>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `waits`: its code waits for the kernel before it, so that it may be launched while that one runs.
    Kernel { waits: bool },
    /// Of so many bytes, from the first address to the second.
    Copy { bytes: u64 },
    /// Anything else.
    Other,
}

/// Where an address is after planning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Where it was: it is no memory of the graph.
    Same,
    /// So many bytes into the graph's memory.
    Within(u64),
    /// An address that a result is copied to otherwise.
    At(u64),
}

/// A node that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// Its number among the captured nodes.
    pub(super) node: usize,
    /// Of each of its addresses.
    pub(super) places: Vec<Place>,
    /// What it follows: positions among the kept nodes.
    pub(super) after: Vec<usize>,
    /// Whether it may be launched while the node before it, the only one, still runs.
    pub(super) overlaps: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// In an order that the edges allow.
    pub(super) kept: Vec<Kept>,
    /// Size of the graph's memory.
    pub(super) bytes: u64,
}

/// Where allocations begin: what kernels with 16-byte accesses and lines of 128 bytes want, and more.
const ALIGNMENT: u64 = 512;

/// Which nodes come before which, by the edges.
struct Order {
    /// The nodes in an order that the edges allow.
    sequence: Vec<usize>,
    /// For each node the set of those before it, a bit each.
    before: Vec<Vec<u64>>,
    /// For each node the ends of its incoming edges.
    incoming: Vec<Vec<usize>>,
}

impl Order {
    /// `None` if the edges form a circle or name no node.
    fn of(nodes: usize, edges: &[(usize, usize)]) -> Option<Self> {
        let mut incoming = vec![Vec::new(); nodes];
        let mut outgoing = vec![Vec::new(); nodes];
        for &(from, to) in edges {
            outgoing.get_mut(from)?.push(to);
            incoming.get_mut(to)?.push(from);
        }
        let mut waiting: Vec<usize> = incoming.iter().map(Vec::len).collect();
        let mut ready: Vec<usize> = (0..nodes).rev().filter(|&n| waiting[n] == 0).collect();
        let mut sequence = Vec::with_capacity(nodes);
        while let Some(node) = ready.pop() {
            sequence.push(node);
            for &next in outgoing[node].iter().rev() {
                waiting[next] -= 1;
                if waiting[next] == 0 {
                    ready.push(next);
                }
            }
        }
        if sequence.len() < nodes {
            return None;
        }
        let mut before: Vec<Vec<u64>> = vec![vec![0; nodes.div_ceil(64)]; nodes];
        for &node in &sequence {
            let mut own = std::mem::take(&mut before[node]);
            for &earlier in &incoming[node] {
                own.iter_mut()
                    .zip(&before[earlier])
                    .for_each(|(own, theirs)| *own |= theirs);
                own[earlier / 64] |= 1 << (earlier % 64);
            }
            before[node] = own;
        }
        Some(Self {
            sequence,
            before,
            incoming,
        })
    }

    fn precedes(&self, earlier: usize, later: usize) -> bool {
        self.before[later][earlier / 64] >> (earlier % 64) & 1 == 1
    }
}

/// An allocation from the node that makes it to the one that frees it.
#[derive(Debug, Clone, Copy)]
struct Lifetime {
    made: usize,
    freed: usize,
    address: u64,
    bytes: u64,
    place: Option<Place>,
}

impl Lifetime {
    fn holds(&self, address: u64) -> bool {
        (self.address..self.address + self.bytes.max(1)).contains(&address)
    }

    /// Whether it may be in use while `node` runs.
    fn is_alive_at(&self, node: usize, order: &Order) -> bool {
        order.precedes(self.made, node) && !order.precedes(self.freed, node)
    }

    fn may_share_with(&self, other: &Self, order: &Order) -> bool {
        order.precedes(self.freed, other.made) || order.precedes(other.freed, self.made)
    }
}

/// Plans a captured graph. `results` are the addresses of memory that the graph fills with its results and does nothing else with: a
/// result that is copied there, whole, is written there instead.
///
/// `None` where its memory can't be planned: something is allocated and not freed, or an address is of memory that is not allocated then.
pub(super) fn plan(nodes: &[Node], edges: &[(usize, usize)], results: &[u64]) -> Option<Plan> {
    let order = Order::of(nodes.len(), edges)?;
    let mut lifetimes = lifetimes(nodes, &order)?;
    let used = nodes
        .iter()
        .enumerate()
        .map(|(at, node)| match node {
            Node::Work { addresses, .. } => addresses
                .iter()
                .map(|&address| holder(&lifetimes, at, address, &order))
                .collect(),
            _ => Some(Vec::new()),
        })
        .collect::<Option<Vec<Vec<Option<usize>>>>>()?;
    let saved = save_copies(nodes, &used, results, &mut lifetimes);
    let bytes = place(&mut lifetimes, &order);
    let moved = |&(address, holder): &(u64, Option<usize>)| {
        let lifetime = holder.map(|held| &lifetimes[held]);
        match lifetime.map(|l| (l.place, address - l.address)) {
            Some((Some(Place::Within(start)), offset)) => Place::Within(start + offset),
            Some((Some(Place::At(start)), offset)) => Place::At(start + offset),
            _ => Place::Same,
        }
    };
    let is_kept = |at: usize| matches!(nodes[at], Node::Work { .. }) && !saved.contains(&at);
    let kept_sequence: Vec<usize> = order
        .sequence
        .iter()
        .copied()
        .filter(|&n| is_kept(n))
        .collect();
    let mut position = vec![usize::MAX; nodes.len()];
    for (at, &node) in kept_sequence.iter().enumerate() {
        position[node] = at;
    }
    let kept = kept_sequence.iter().map(|&node| {
        let Node::Work { kind, addresses } = &nodes[node] else {
            return None;
        };
        let after = nearest_kept(node, &order, &is_kept);
        let is_kernel = |at: usize| {
            matches!(
                &nodes[at],
                Node::Work {
                    kind: Kind::Kernel { .. },
                    ..
                }
            )
        };
        let overlaps = matches!(kind, Kind::Kernel { waits: true })
            && matches!(after.as_slice(), [only] if is_kernel(*only));
        let pairs = addresses.iter().copied().zip(used[node].iter().copied());
        Some(Kept {
            node,
            places: pairs.map(|pair| moved(&pair)).collect(),
            after: after.into_iter().map(|node| position[node]).collect(),
            overlaps,
        })
    });
    Some(Plan {
        kept: kept.collect::<Option<Vec<_>>>()?,
        bytes,
    })
}

/// Each allocation with the node that frees it. The driver gives an address again once it was freed, so of several allocations at an
/// address the last one before the freeing is meant.
fn lifetimes(nodes: &[Node], order: &Order) -> Option<Vec<Lifetime>> {
    let made: Vec<(usize, u64, u64)> = nodes
        .iter()
        .enumerate()
        .filter_map(|(at, node)| match node {
            Node::Allocate { address, bytes } => Some((at, *address, *bytes)),
            _ => None,
        })
        .collect();
    let mut freed = vec![None; made.len()];
    for (at, node) in nodes.iter().enumerate() {
        let Node::Free { address } = node else {
            continue;
        };
        let before = |&m: &usize| made[m].1 == *address && order.precedes(made[m].0, at);
        let last = (0..made.len()).filter(before).reduce(|one, other| {
            if order.precedes(made[one].0, made[other].0) {
                other
            } else {
                one
            }
        })?;
        if freed[last].replace(at).is_some() {
            return None;
        }
    }
    made.into_iter()
        .zip(freed)
        .map(|((made, address, bytes), freed)| {
            Some(Lifetime {
                made,
                freed: freed?,
                address,
                bytes,
                place: None,
            })
        })
        .collect()
}

/// The allocation that holds `address` when the node `at` runs: `Some(None)` if none ever does, `None` if it is not known which.
fn holder(lifetimes: &[Lifetime], at: usize, address: u64, order: &Order) -> Option<Option<usize>> {
    let mut holding = (0..lifetimes.len()).filter(|&l| lifetimes[l].holds(address));
    let Some(first) = holding.next() else {
        return Some(None);
    };
    let mut alive = std::iter::once(first)
        .chain(holding)
        .filter(|&l| lifetimes[l].is_alive_at(at, order));
    let only = alive.next()?;
    alive.next().is_none().then_some(Some(only))
}

/// Lets what is copied whole to one of `results` be written there; the copies that this saves.
fn save_copies(
    nodes: &[Node],
    used: &[Vec<Option<usize>>],
    results: &[u64],
    lifetimes: &mut [Lifetime],
) -> Vec<usize> {
    let mut saved = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let Node::Work {
            kind: Kind::Copy { bytes },
            addresses,
        } = node
        else {
            continue;
        };
        let ([from, to], [Some(source), None]) = (addresses.as_slice(), used[at].as_slice()) else {
            continue;
        };
        let lifetime = &mut lifetimes[*source];
        let whole = lifetime.address == *from && lifetime.bytes == *bytes;
        if whole && results.contains(to) && lifetime.place.is_none() {
            lifetime.place = Some(Place::At(*to));
            saved.push(at);
        }
    }
    saved
}

/// Gives each allocation without a place one within the graph's memory, the largest first, each as low as it can be; the memory's size.
fn place(lifetimes: &mut [Lifetime], order: &Order) -> u64 {
    let mut by_size: Vec<usize> = (0..lifetimes.len())
        .filter(|&l| lifetimes[l].place.is_none())
        .collect();
    by_size.sort_by_key(|&l| std::cmp::Reverse(lifetimes[l].bytes));
    let (mut placed, mut end) = (Vec::<(usize, u64)>::new(), 0);
    for l in by_size {
        let size = lifetimes[l].bytes.max(1).next_multiple_of(ALIGNMENT);
        let mut taken: Vec<(u64, u64)> = placed
            .iter()
            .filter(|&&(other, _)| !lifetimes[l].may_share_with(&lifetimes[other], order))
            .map(|&(other, start)| (start, start + lifetimes[other].bytes.max(1)))
            .collect();
        taken.sort_unstable();
        let mut start = 0;
        for (from, to) in taken {
            if start + size <= from {
                break;
            }
            start = start.max(to.next_multiple_of(ALIGNMENT));
        }
        lifetimes[l].place = Some(Place::Within(start));
        placed.push((l, start));
        end = end.max(start + size);
    }
    end
}

/// The kept nodes that a node follows with none of them before another.
fn nearest_kept(node: usize, order: &Order, is_kept: &impl Fn(usize) -> bool) -> Vec<usize> {
    let (mut found, mut seen) = (Vec::new(), vec![false; order.incoming.len()]);
    let mut open = order.incoming[node].clone();
    while let Some(earlier) = open.pop() {
        if std::mem::replace(&mut seen[earlier], true) {
            continue;
        }
        if is_kept(earlier) {
            found.push(earlier);
        } else {
            open.extend(&order.incoming[earlier]);
        }
    }
    let mut nearest: Vec<usize> = found
        .iter()
        .copied()
        .filter(|&one| !found.iter().any(|&other| order.precedes(one, other)))
        .collect();
    nearest.sort_unstable();
    nearest
}

#[cfg(test)]
#[path = "graph_plan_tests.rs"]
mod tests;
