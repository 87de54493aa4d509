//! Which of equal numbers PyTorch's `topk` takes on the CPU.
//!
//! Its documentation leaves that open; its code hands the row to C++'s `std::nth_element`, or to `std::partial_sort` where 64·k ≤ n.
//! What those do with equal numbers follows from the steps of GNU's libstdc++, which every Linux build of PyTorch uses: a quickselect
//! about the median of three, insertion sort for the last three numbers; for the sort a heap of the first k. These steps are followed
//! here, on positions. A checkpoint whose encoder scores all tie, as a freshly initialised one's do, can only so be compared with PyTorch.

/// Below this many numbers insertion sort takes over.
const SMALL: usize = 3;
/// `topk` sorts partially where k · this is at most n.
const PARTIAL: usize = 64;

/// The first `k` positions of `row` as PyTorch chooses them, in no particular order. `k` is at most the row's length.
pub(super) fn chosen(row: &[f32], k: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..row.len() as u32).collect();
    let before = |a: u32, b: u32| {
        let (a, b) = (row[a as usize], row[b as usize]);
        (a.is_nan() && !b.is_nan()) || a > b
    };
    if k * PARTIAL <= row.len() {
        heap_select(&mut order, k, &before);
    } else if k > 0 {
        nth_element(&mut order, k - 1, &before);
    }
    order.truncate(k);
    order
}

fn nth_element(all: &mut [u32], nth: usize, before: &impl Fn(u32, u32) -> bool) {
    let (mut first, mut last) = (0, all.len());
    let mut depth = 2 * all.len().checked_ilog2().unwrap_or(0);
    while last - first > SMALL {
        if depth == 0 {
            heap_select(&mut all[first..last], nth + 1 - first, before);
            all.swap(first, nth);
            return;
        }
        depth -= 1;
        median_to_front(all, first, last, before);
        let cut = partition(all, first + 1, last, first, before);
        if cut <= nth { first = cut } else { last = cut }
    }
    insertion_sort(&mut all[first..last], before);
}

/// Puts the median of the second, the middle and the last number first.
fn median_to_front(all: &mut [u32], first: usize, last: usize, before: &impl Fn(u32, u32) -> bool) {
    let (a, b, c) = (first + 1, first + (last - first) / 2, last - 1);
    let less = |i: usize, j: usize| before(all[i], all[j]);
    let median = match (less(a, b), less(b, c), less(a, c)) {
        (true, true, _) => b,
        (true, false, true) => c,
        (true, false, false) => a,
        (false, _, true) => a,
        (false, true, false) => c,
        (false, false, false) => b,
    };
    all.swap(first, median);
}

/// Numbers before the pivot's to the left, the others to the right; where the right begins. The pivot, being a median, ends both walks.
fn partition(
    all: &mut [u32],
    first: usize,
    last: usize,
    pivot: usize,
    before: &impl Fn(u32, u32) -> bool,
) -> usize {
    let (mut low, mut high) = (first, last);
    loop {
        while before(all[low], all[pivot]) {
            low += 1;
        }
        high -= 1;
        while before(all[pivot], all[high]) {
            high -= 1;
        }
        if low >= high {
            return low;
        }
        all.swap(low, high);
        low += 1;
    }
}

fn insertion_sort(all: &mut [u32], before: &impl Fn(u32, u32) -> bool) {
    for i in 1..all.len() {
        let place = (0..i)
            .rev()
            .take_while(|&j| before(all[i], all[j]))
            .last()
            .unwrap_or(i);
        all[place..=i].rotate_right(1);
    }
}

/// Brings the first `k` of the sorted order to the front, as a heap whose root is the last of them.
fn heap_select(all: &mut [u32], k: usize, before: &impl Fn(u32, u32) -> bool) {
    for root in (0..k / 2).rev() {
        let value = all[root];
        adjust(&mut all[..k], root, value, before);
    }
    for i in k..all.len() {
        if k > 0 && before(all[i], all[0]) {
            let value = all[i];
            all[i] = all[0];
            adjust(&mut all[..k], 0, value, before);
        }
    }
}

/// Sinks the hole at `hole` to a leaf and lets `value` rise from there.
fn adjust(heap: &mut [u32], mut hole: usize, value: u32, before: &impl Fn(u32, u32) -> bool) {
    let (top, len) = (hole, heap.len());
    while 2 * hole + 2 < len {
        let (left, right) = (2 * hole + 1, 2 * hole + 2);
        let child = if before(heap[right], heap[left]) {
            left
        } else {
            right
        };
        heap[hole] = heap[child];
        hole = child;
    }
    if len % 2 == 0 && 2 * hole + 2 == len {
        heap[hole] = heap[2 * hole + 1];
        hole = 2 * hole + 1;
    }
    while hole > top && before(heap[(hole - 1) / 2], value) {
        heap[hole] = heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    heap[hole] = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a over the sorted positions.
    fn hash(mut positions: Vec<u32>) -> u64 {
        positions.sort_unstable();
        let bytes = positions.iter().flat_map(|p| p.to_le_bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// Expected values: `tests/fixtures/torch_ties.py`.
    #[test]
    fn ties_are_broken_as_torch_breaks_them() {
        for &(n, k, levels, expected) in EXPECTED {
            let row: Vec<f32> = (0..n as u64)
                .map(|i| (i.wrapping_mul(2_654_435_761) % 4_294_967_296 / 65_536 % levels) as f32)
                .collect();
            assert_eq!(
                hash(chosen(&row, k)),
                expected,
                "{k} of {n} with {levels} levels"
            );
        }
    }

    #[test]
    fn without_ties_it_is_the_largest() {
        let row: Vec<f32> = (0..1000u32)
            .map(|i| (i.wrapping_mul(7919) % 1000) as f32)
            .collect();
        for k in [0, 1, 3, 15, 300, 999, 1000] {
            let mut positions = chosen(&row, k);
            positions.sort_unstable();
            let expected: Vec<u32> = (0..1000)
                .filter(|&i| row[i as usize] >= (1000 - k) as f32)
                .collect();
            assert_eq!(positions, expected);
        }
    }

    const EXPECTED: &[(usize, usize, u64, u64)] = &[
        (2000, 300, 1, 0xb053889274258f2f),
        (8400, 300, 1, 0x8b3c7b1beb912254),
        (8400, 300, 2, 0x8a2d332e2ddc0fbc),
        (8400, 300, 5, 0x179bc3ea26b7f750),
        (8400, 300, 40, 0x13c8af636ce05d7e),
        (5000, 300, 97, 0x79704bf845f8db68),
        (400, 300, 3, 0x4bfa74fb3b18c8ca),
        (301, 300, 1, 0x1a0f485c805fffd6),
        (20000, 300, 4, 0xe95ad690a5c54e06),
        (20000, 300, 1, 0xed6a8b24f7b464f1),
        (3, 1, 1, 0x4d25767f9dce13f5),
        (4, 2, 1, 0x06cd822b3b579854),
    ];
}
