//! Closed lines with fewer vertices.

/// A vertex in pixels, on pixel edges: the upper left corner of the picture is 0, 0.
pub(crate) type Point = [f64; 2];

/// How far a simplified line may lie from the pixels' edges, in pixels: it turns staircases into lines.
pub(crate) const TOLERANCE: f64 = 0.75;

/// Lines of so many vertices stay as they are: those of a few pixels would lose a good part of them.
const SHORT: usize = 24;

/// The line with as few vertices as keep it within `tolerance` (Douglas and Peucker), at least three. Its box stays.
pub(crate) fn simplified(ring: &[Point], tolerance: f64) -> Vec<Point> {
    if tolerance <= 0.0 || ring.len() <= SHORT {
        return ring.to_vec();
    }
    let far = |from: Point| {
        let distance = |p: &Point| (p[0] - from[0]).powi(2) + (p[1] - from[1]).powi(2);
        (0..ring.len())
            .max_by(|&a, &b| distance(&ring[a]).total_cmp(&distance(&ring[b])))
            .unwrap_or(0)
    };
    // The two ends of its longest extent stay, so a ring never shrinks to a point; so does a vertex on each side of its box,
    // which is thereby that of the mask.
    let a = far(ring[0]);
    let b = far(ring[a]);
    let sides = [(0, -1.0), (0, 1.0), (1, -1.0), (1, 1.0)];
    let sides = (sides.into_iter()).flat_map(|(axis, sign)| outermost(ring, axis, sign));
    let first = a.min(b);
    let mut anchors: Vec<usize> = [a, b]
        .into_iter()
        .chain(sides)
        .map(|at| (at + ring.len() - first) % ring.len())
        .collect();
    anchors.sort_unstable();
    anchors.dedup();
    anchors.push(ring.len());
    let mut keep = vec![false; ring.len() + 1];
    let closed: Vec<Point> = ring[first..]
        .iter()
        .chain(&ring[..=first])
        .copied()
        .collect();
    for span in anchors.windows(2) {
        mark(&closed, span[0], span[1], tolerance, &mut keep);
    }
    let kept: Vec<Point> = closed[..ring.len()]
        .iter()
        .zip(&keep)
        .filter(|(_, k)| **k)
        .map(|(p, _)| *p)
        .collect();
    if kept.len() < 3 { ring.to_vec() } else { kept }
}

/// Vertices without which the line would not reach the side of its box in the direction `sign` along `axis`: one there, or of
/// an edge as short as a pixel that sticks out all four around the pixel, whose centre a slanted line would pass through.
fn outermost(ring: &[Point], axis: usize, sign: f64) -> Vec<usize> {
    let reach = |at: &usize| sign * ring[*at][axis];
    let at = (0..ring.len())
        .max_by(|a, b| reach(a).total_cmp(&reach(b)))
        .unwrap_or(0);
    let next = |at: usize, by: usize| (at + ring.len() + by - 2) % ring.len();
    let (before, after) = (next(at, 1), next(at, 3));
    let short = |other: usize| {
        ring[other][axis] == ring[at][axis]
            && (ring[other][1 - axis] - ring[at][1 - axis]).abs() <= 1.0
    };
    if short(before) {
        vec![next(before, 1), before, at, after]
    } else if short(after) {
        vec![before, at, after, next(after, 3)]
    } else {
        vec![at]
    }
}

/// Marks the vertices to keep between `start` and `end`; a list of spans instead of recursion, whose depth would depend on
/// the mask.
fn mark(points: &[Point], start: usize, end: usize, tolerance: f64, keep: &mut [bool]) {
    let mut spans = vec![(start, end)];
    while let Some((start, end)) = spans.pop() {
        (keep[start], keep[end]) = (true, true);
        let distance = |i: usize| from_segment(points[i], points[start], points[end]);
        let farthest = (start + 1..end)
            .map(|i| (i, distance(i)))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((i, _)) = farthest.filter(|(_, d)| *d > tolerance) {
            spans.extend([(start, i), (i, end)]);
        }
    }
}

fn from_segment(p: Point, a: Point, b: Point) -> f64 {
    let (abx, aby, apx, apy) = (b[0] - a[0], b[1] - a[1], p[0] - a[0], p[1] - a[1]);
    let length = abx * abx + aby * aby;
    let t = if length > 0.0 {
        ((apx * abx + apy * aby) / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (apx - t * abx).hypot(apy - t * aby)
}
