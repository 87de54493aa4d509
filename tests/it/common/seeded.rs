//! The seeded numbers that parity tests fill weights and inputs with, as the generators of the fixtures do: element `i` of a
//! tensor is made from `splitmix64(fnv1a64(name) + i)` alone, so that no weights need to be kept.

fn fnv1a64(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

fn splitmix64(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Uniform numbers in [-1, 1), without end.
pub(crate) fn uniform(name: &str) -> impl Iterator<Item = f64> {
    let start = fnv1a64(name);
    (0u64..).map(move |i| (splitmix64(start.wrapping_add(i)) >> 11) as f64 * 2f64.powi(-52) - 1.0)
}

/// `centre ± scale`, rounded to f32 at the end.
pub(crate) fn values(name: &str, count: usize, centre: f64, scale: f64) -> Vec<f32> {
    uniform(name)
        .take(count)
        .map(|u| (centre + scale * u) as f32)
        .collect()
}
