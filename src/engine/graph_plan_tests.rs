use super::*;

fn kernel(addresses: &[u64]) -> Node {
    Node::Work {
        kind: Kind::Kernel { waits: true },
        addresses: addresses.to_vec(),
    }
}

fn copy(from: u64, to: u64, bytes: u64) -> Node {
    Node::Work {
        kind: Kind::Copy { bytes },
        addresses: vec![from, to],
    }
}

fn allocate(address: u64, bytes: u64) -> Node {
    Node::Allocate { address, bytes }
}

fn free(address: u64) -> Node {
    Node::Free { address }
}

/// Each node after the one before.
fn chain(nodes: usize) -> Vec<(usize, usize)> {
    (1..nodes).map(|to| (to - 1, to)).collect()
}

fn kept(node: usize, places: &[Place], after: &[usize], overlaps: bool) -> Kept {
    Kept {
        node,
        places: places.to_vec(),
        after: after.to_vec(),
        overlaps,
    }
}

use Place::{At, Same, Within};

#[test]
fn a_chain_reuses_what_was_freed_and_its_kernels_overlap() {
    let nodes = [
        allocate(0x1000, 600),
        kernel(&[1, 0x1000]),
        allocate(0x2000, 512),
        kernel(&[0x1000, 0x2000]),
        free(0x1000),
        // The driver gives an address again.
        allocate(0x1000, 100),
        kernel(&[0x2000, 0x1010]),
        free(0x2000),
        copy(0x1000, 7, 50),
        free(0x1000),
    ];
    let plan = plan(&nodes, &chain(nodes.len()), &[7]).unwrap();
    assert_eq!(
        plan.kept,
        [
            kept(1, &[Same, Within(0)], &[], false),
            kept(3, &[Within(0), Within(1024)], &[0], true),
            kept(6, &[Within(1024), Within(16)], &[1], true),
            // Half of it: the copy stays.
            kept(8, &[Within(0), Same], &[2], false),
        ]
    );
    assert_eq!(plan.bytes, 1536);
}

#[test]
fn a_result_that_is_copied_whole_is_written_where_it_goes() {
    let nodes = [
        allocate(0x1000, 64),
        kernel(&[0x1000]),
        copy(0x1000, 7, 64),
        copy(0x1000, 9, 64),
        free(0x1000),
    ];
    let plan = plan(&nodes, &chain(nodes.len()), &[7]).unwrap();
    assert_eq!(
        plan.kept,
        [
            kept(1, &[At(7)], &[], false),
            kept(3, &[At(7), Same], &[0], false)
        ]
    );
    assert_eq!(plan.bytes, 0);
}

#[test]
fn branches_share_nothing_and_a_join_waits_for_both() {
    // Two branches of the first kernel; each allocates, works and frees. Joined by the last kernel, which then may reuse.
    let nodes = [
        kernel(&[1]),
        allocate(0x1000, 512),
        kernel(&[0x1000]),
        free(0x1000),
        allocate(0x2000, 512),
        kernel(&[0x2000]),
        free(0x2000),
        allocate(0x3000, 512),
        kernel(&[0x3000]),
        free(0x3000),
    ];
    let edges = [
        (0, 1),
        (1, 2),
        (2, 3),
        (0, 4),
        (4, 5),
        (5, 6),
        (3, 7),
        (6, 7),
        (7, 8),
        (8, 9),
    ];
    let plan = plan(&nodes, &edges, &[]).unwrap();
    assert_eq!(
        plan.kept,
        [
            kept(0, &[Same], &[], false),
            kept(2, &[Within(0)], &[0], true),
            kept(5, &[Within(512)], &[0], true),
            kept(8, &[Within(0)], &[1, 2], false),
        ]
    );
    assert_eq!(plan.bytes, 1024);
}

#[test]
fn what_cannot_be_known_is_not_planned() {
    let refused = |nodes: &[Node], edges: &[(usize, usize)]| {
        assert_eq!(plan(nodes, edges, &[]), None, "{nodes:?}");
    };
    // Not freed.
    refused(&[allocate(0x1000, 8), kernel(&[0x1000])], &chain(2));
    // Freed, and never allocated.
    refused(&[free(0x1000)], &[]);
    // Freed twice.
    refused(
        &[allocate(0x1000, 8), free(0x1000), free(0x1000)],
        &chain(3),
    );
    // Used after it was freed.
    refused(
        &[allocate(0x1000, 8), free(0x1000), kernel(&[0x1004])],
        &chain(3),
    );
    // Used beside the allocation.
    refused(
        &[allocate(0x1000, 8), kernel(&[0x1000]), free(0x1000)],
        &[(0, 2)],
    );
    // A circle, and an edge to nowhere.
    refused(&[kernel(&[]), kernel(&[])], &[(0, 1), (1, 0)]);
    refused(&[kernel(&[])], &[(0, 1)]);
}

#[test]
fn allocations_in_use_at_once_never_overlap() {
    // A made-up chain of many allocations with lifetimes of different lengths.
    let mut state = 7u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
        (state >> 33) % below
    };
    let (mut nodes, mut alive) = (Vec::new(), Vec::new());
    for step in 0..300u64 {
        let (address, bytes) = ((step + 1) << 20, 1 + random(5000));
        nodes.push(allocate(address, bytes));
        alive.push((address, bytes));
        let used: Vec<u64> = alive.iter().map(|&(address, _)| address).collect();
        nodes.push(kernel(&used));
        while alive.len() as u64 > random(9) {
            let (address, _) = alive.swap_remove(random(alive.len() as u64) as usize);
            nodes.push(free(address));
        }
    }
    nodes.extend(alive.iter().map(|&(address, _)| free(address)));
    let plan = plan(&nodes, &chain(nodes.len()), &[]).unwrap();
    let size = |at: u64| match &nodes
        .iter()
        .find(|n| matches!(n, Node::Allocate { address, .. } if *address == at))
    {
        Some(Node::Allocate { bytes, .. }) => *bytes,
        _ => 0,
    };
    let mut most = 0;
    for kept in &plan.kept {
        let Node::Work { addresses, .. } = &nodes[kept.node] else {
            unreachable!()
        };
        let mut parts: Vec<(u64, u64)> = kept
            .places
            .iter()
            .zip(addresses)
            .map(|(place, &address)| match place {
                Within(start) => (*start, start + size(address)),
                other => panic!("{other:?}"),
            })
            .collect();
        parts.sort_unstable();
        assert!(
            parts.windows(2).all(|two| two[0].1 <= two[1].0),
            "{parts:?}"
        );
        most = most.max(parts.iter().map(|(from, to)| to - from).sum());
        assert!(parts.iter().all(|part| part.1 <= plan.bytes));
    }
    // Little more than what is alive at once.
    assert!(plan.bytes < most * 3 / 2, "{} of {most}", plan.bytes);
}
