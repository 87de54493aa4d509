//! Seeded assignment problems, random and degenerate, and what scipy finds for them (`tests/fixtures/matching/generate.py`,
//! which makes the same costs).

use ultramotion::matching::Rules;

pub(crate) const CASES: u64 = 10_000;
const KINDS: u64 = 18;
const RECORD: usize = 11;

pub(crate) struct Case {
    pub(crate) number: u64,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) costs: Vec<f32>,
    pub(crate) rules: Rules,
}

/// What scipy found.
pub(crate) struct Expected {
    /// Total cost of the pairs, and under a price that of the unpaired too.
    pub(crate) objective: f64,
    pub(crate) pairs: usize,
    /// Scipy raises "cost matrix is infeasible".
    pub(crate) infeasible: bool,
}

/// SplitMix64.
pub(crate) fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

pub(crate) fn case(number: u64) -> Case {
    let (kind, state) = (number % KINDS, mix(number));
    let (a, b) = (mix(state ^ 1), mix(state ^ 2));
    let (rows, cols) = match kind {
        9 => (1, 1 + b % 64),
        10 => (1 + a % 64, 1),
        11 => [(0, b % 9), (a % 9, 0), (0, 0)][(number / KINDS % 3) as usize],
        13 => (20 + a % 41, 20 + b % 41),
        _ => (1 + a % 12, 1 + b % 12),
    };
    let mut costs = Vec::new();
    for i in 0..rows {
        costs.extend((0..cols).map(|j| cost(kind, state, (rows, cols), (i, j)) as f32));
    }
    let rules = match kind {
        16 => Rules::gated(0.25),
        17 => Rules::gate_price(0.25),
        _ => Rules::default(),
    };
    Case {
        number,
        rows: rows as usize,
        cols: cols as usize,
        costs,
        rules,
    }
}

fn cost(kind: u64, state: u64, (rows, cols): (u64, u64), (i, j): (u64, u64)) -> f64 {
    let draw = mix(state.wrapping_add(16 + i * cols + j));
    let unit = (draw >> 40) as f64 * 2f64.powi(-24);
    let other = draw & 0xffff;
    match kind {
        1 => (other % 4) as f64,
        2 => (mix(state ^ 3) % 7) as f64 - 3.0,
        3 if other % 10 < 3 => f64::INFINITY,
        4 if other % 10 < 7 => f64::INFINITY,
        4 => unit - 0.5,
        5 if mix(state ^ 4) % rows == i
            || mix(state ^ 5) % cols == j
            || other.is_multiple_of(4) =>
        {
            f64::INFINITY
        }
        5 => (other % 5) as f64,
        6 => (unit - 0.25) * 2f64.powi(100),
        7 => (unit - 0.25) * 2f64.powi(-100),
        8 if other % 2 == 1 => unit * 20.0 - 10.0,
        8 => -((other % 16) as f64),
        12 => unit * 2f64.powi((other % 41) as i32 - 20),
        14 => 1.0 + (other % 8) as f64 * 2f64.powi(-23),
        15 => ((i + 1) * (j + 1)) as f64,
        _ => unit,
    }
}

pub(crate) fn expected() -> Vec<Expected> {
    let bytes = include_bytes!("../../fixtures/matching/expected.bin");
    assert_eq!(bytes.len(), CASES as usize * RECORD);
    let record = |r: &[u8]| Expected {
        objective: f64::from_le_bytes(r[..8].try_into().unwrap()),
        pairs: usize::from(u16::from_le_bytes([r[8], r[9]])),
        infeasible: r[10] == 1,
    };
    bytes.chunks_exact(RECORD).map(record).collect()
}

/// Asserts that the assignment is one, keeps the rules, and is as good as scipy's.
pub(crate) fn check(case: &Case, row_to_col: &[Option<usize>], expected: &Expected) {
    let Case {
        number,
        rows,
        cols,
        costs,
        rules,
    } = case;
    assert_eq!(row_to_col.len(), *rows, "case {number}");
    let (mut used, mut total, mut pairs, mut magnitude) = (vec![false; *cols], 0f64, 0usize, 0f64);
    for (row, col) in row_to_col
        .iter()
        .enumerate()
        .filter_map(|(row, col)| col.map(|col| (row, col)))
    {
        assert!(
            !std::mem::replace(&mut used[col], true),
            "case {number}: column {col} twice"
        );
        let cost = f64::from(costs[row * cols + col]);
        assert!(
            cost <= rules.gate && cost < f64::INFINITY,
            "case {number}: forbidden pair {row}, {col}"
        );
        (total, pairs, magnitude) = (total + cost, pairs + 1, magnitude + cost.abs());
    }
    let priced = *rules == Rules::gate_price(rules.gate) && rules.gate < f64::INFINITY;
    if priced {
        total += rules.gate * (*rows.min(cols) - pairs) as f64;
    } else {
        assert_eq!(pairs, expected.pairs, "case {number}: pairs");
        assert_eq!(
            pairs < *rows.min(cols),
            expected.infeasible,
            "case {number}"
        );
    }
    let off = (total - expected.objective).abs();
    assert!(
        off <= 1e-12 * magnitude.max(expected.objective.abs()),
        "case {number}: {total} instead of {}",
        expected.objective
    );
}
