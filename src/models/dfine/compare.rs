//! Matching two runs' queries as sets: near-equal scores may come in another order.

/// For each expected query the actual one that lies nearest and is not taken yet: a permutation of 0..Q.
///
/// `expected` and `actual` have the same number of rows of `width` numbers (a query's logits and box, say). A query
/// that is at its own place within a thousandth stays there.
/// None if the lengths do not fit.
pub fn match_queries(expected: &[f32], actual: &[f32], width: usize) -> Option<Vec<usize>> {
    if width == 0 || expected.len() != actual.len() || !expected.len().is_multiple_of(width) {
        return None;
    }
    let count = expected.len() / width;
    let distance = |e: usize, a: usize| -> f64 {
        let (e, a) = (&expected[e * width..(e + 1) * width], &actual[a * width..(a + 1) * width]);
        e.iter().zip(a).map(|(e, a)| f64::from(e - a).powi(2)).sum()
    };
    let magnitude = |e: usize| expected[e * width..(e + 1) * width].iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    let (mut matched, mut free) = (vec![usize::MAX; count], vec![true; count]);
    // Those at their own place first, so that the search for the others is among the few that moved.
    for e in 0..count {
        if distance(e, e) <= 1e-6 * magnitude(e) {
            (matched[e], free[e]) = (e, false);
        }
    }
    for e in (0..count).filter(|&e| matched[e] == usize::MAX).collect::<Vec<_>>() {
        let nearest = (0..count).filter(|&a| free[a]).min_by(|&a, &b| distance(e, a).total_cmp(&distance(e, b)))?;
        (matched[e], free[nearest]) = (nearest, false);
    }
    Some(matched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapped_rows_are_found() {
        let expected = [1.0, 0.0, 2.0, 0.0, 3.0, 0.0, 4.0, 0.0];
        let actual = [1.0, 0.0, 3.0, 0.0001, 2.0, 0.0, 4.5, 0.0];
        assert_eq!(match_queries(&expected, &actual, 2).unwrap(), [0, 2, 1, 3]);
        assert!(match_queries(&expected, &actual[..6], 2).is_none());
    }
}
