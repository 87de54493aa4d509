//! Matching two runs' queries as sets: near-equal scores may come in another order.

use ultramotion::matching::{Rules, assign};

/// For each expected query the actual one that is paired with it, so that the squared distances of all pairs have the
/// smallest sum: a permutation of 0..Q.
///
/// `expected` and `actual` have the same number of rows of `width` numbers (a query's logits and box, say). A query
/// that is at its own place within a thousandth stays there.
/// None if the lengths do not fit or a number that is compared is not finite.
pub(crate) fn match_queries(expected: &[f32], actual: &[f32], width: usize) -> Option<Vec<usize>> {
    if width == 0 || expected.len() != actual.len() || !expected.len().is_multiple_of(width) {
        return None;
    }
    let count = expected.len() / width;
    let distance = |e: usize, a: usize| -> f64 {
        let (e, a) = (
            &expected[e * width..(e + 1) * width],
            &actual[a * width..(a + 1) * width],
        );
        e.iter().zip(a).map(|(e, a)| f64::from(e - a).powi(2)).sum()
    };
    let magnitude = |e: usize| {
        expected[e * width..(e + 1) * width]
            .iter()
            .map(|v| f64::from(*v).powi(2))
            .sum::<f64>()
    };
    // Those at their own place first, so that the search for the others is among the few that moved.
    let in_place = |e: usize| distance(e, e) <= 1e-6 * magnitude(e);
    let moved: Vec<usize> = (0..count).filter(|&e| !in_place(e)).collect();
    let costs: Vec<f64> = moved
        .iter()
        .flat_map(|&e| moved.iter().map(move |&a| (e, a)))
        .map(|(e, a)| distance(e, a))
        .collect();
    let pairs = assign(&costs, moved.len(), moved.len(), &Rules::default())
        .and_then(|found| found.complete())
        .ok()?;
    let mut matched: Vec<usize> = (0..count).collect();
    for (e, a) in pairs.pairs() {
        matched[moved[e]] = moved[a];
    }
    Some(matched)
}
