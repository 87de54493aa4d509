//! The outline of a mask as one polygon.

use crate::frame::Mask;

/// A vertex, on the corners of pixels.
type Point = (f32, f32);

/// How far the outline may lie from the pixels' edges, in pixels: it turns staircases into lines.
const TOLERANCE: f32 = 0.75;

/// Parts and holes below this share of the mask's area are left out.
const SMALLEST_SHARE: f64 = 0.01;

/// The mask's outline in pixels, one polygon: parts and holes are joined to the largest part by lines there and back, as
/// the format has no other way; filling it by either rule gives the mask again. None for an empty mask.
pub(super) fn outline(mask: &Mask) -> Option<Vec<Point>> {
    let mut rings = rings(&Raster::new(mask)?);
    rings.sort_by_key(|ring| std::cmp::Reverse(ring.area.abs()));
    // Areas here are doubled.
    let smallest = 2.0 * SMALLEST_SHARE * mask.area() as f64;
    let mut kept = rings
        .into_iter()
        .enumerate()
        .filter(|(i, r)| *i == 0 || r.area.abs() as f64 >= smallest);
    let mut joined = simplified(&kept.next()?.1.points);
    for (_, ring) in kept {
        join(&mut joined, &simplified(&ring.points));
    }
    Some(joined)
}

/// The pixels of a mask's bounding box.
struct Raster {
    x0: i32,
    y0: i32,
    width: i32,
    height: i32,
    inside: Vec<bool>,
}

impl Raster {
    fn new(mask: &Mask) -> Option<Self> {
        let bounds = mask.bounds()?;
        let (x0, y0) = (bounds.x0 as i32, bounds.y0 as i32);
        let (width, height) = (bounds.width() as i32, bounds.height() as i32);
        let mut raster = Self {
            x0,
            y0,
            width,
            height,
            inside: vec![false; width as usize * height as usize],
        };
        mask.for_each_run(|x, top, bottom| {
            for y in top..bottom {
                let at = (y as i32 - y0) as usize * width as usize + (x as i32 - x0) as usize;
                raster.inside[at] = true;
            }
        });
        Some(raster)
    }

    fn at(&self, x: i32, y: i32) -> bool {
        (0..self.width).contains(&x)
            && (0..self.height).contains(&y)
            && self.inside[y as usize * self.width as usize + x as usize]
    }
}

/// A closed line along pixel edges with the inside on its right; `area` is twice the enclosed area, negative for holes.
struct Ring {
    points: Vec<Point>,
    area: i64,
}

/// All boundaries of the mask. Pixels that touch at a corner alone are separate parts.
fn rings(raster: &Raster) -> Vec<Ring> {
    let mut seen = vec![false; raster.inside.len()];
    let mut rings = Vec::new();
    for y in 0..raster.height {
        for x in 0..raster.width {
            // Every boundary has an edge with the outside above a pixel: it is found there first.
            if raster.at(x, y)
                && !raster.at(x, y - 1)
                && !seen[y as usize * raster.width as usize + x as usize]
            {
                rings.push(follow(raster, x, y, &mut seen));
            }
        }
    }
    rings
}

/// Follows the boundary that runs eastwards along the top of pixel (x, y), once around.
fn follow(raster: &Raster, x: i32, y: i32, seen: &mut [bool]) -> Ring {
    let start = (x, y, 1, 0);
    let (mut x, mut y, mut dx, mut dy) = start;
    let mut ring = Ring {
        points: Vec::new(),
        area: 0,
    };
    let mut turned = true;
    loop {
        if turned {
            ring.points
                .push(((x + raster.x0) as f32, (y + raster.y0) as f32));
        }
        if dx == 1 {
            seen[y as usize * raster.width as usize + x as usize] = true;
        }
        let next = (x + dx, y + dy);
        ring.area += i64::from(x) * i64::from(next.1) - i64::from(next.0) * i64::from(y);
        (x, y) = next;
        // The pixels ahead of the vertex, right and left of the direction.
        let ahead = |right: bool| {
            let (sx, sy) = if right { (-dy, dx) } else { (dy, -dx) };
            raster.at(x + (dx + sx - 1) / 2, y + (dy + sy - 1) / 2)
        };
        let direction = match (ahead(true), ahead(false)) {
            (false, _) => (-dy, dx),
            (true, true) => (dy, -dx),
            (true, false) => (dx, dy),
        };
        turned = direction != (dx, dy);
        (dx, dy) = direction;
        if (x, y, dx, dy) == start {
            return ring;
        }
    }
}

/// The ring with as few vertices as keep it within [`TOLERANCE`] (Douglas and Peucker), at least three.
fn simplified(ring: &[Point]) -> Vec<Point> {
    let far = |from: Point| {
        let distance = |p: &Point| (p.0 - from.0).powi(2) + (p.1 - from.1).powi(2);
        (0..ring.len())
            .max_by(|&a, &b| distance(&ring[a]).total_cmp(&distance(&ring[b])))
            .unwrap_or(0)
    };
    // The two ends of its longest extent stay, so a ring never shrinks to a point.
    let a = far(ring[0]);
    let b = far(ring[a]);
    let (first, second) = (a.min(b), a.max(b));
    let mut keep = vec![false; ring.len() + 1];
    let closed: Vec<Point> = ring[first..]
        .iter()
        .chain(&ring[..=first])
        .copied()
        .collect();
    let middle = second - first;
    for (start, end) in [(0, middle), (middle, ring.len())] {
        mark(&closed, start, end, &mut keep);
    }
    let kept: Vec<Point> = closed[..ring.len()]
        .iter()
        .zip(&keep)
        .filter(|(_, k)| **k)
        .map(|(p, _)| *p)
        .collect();
    if kept.len() < 3 { ring.to_vec() } else { kept }
}

/// Marks the vertices to keep between `start` and `end`; a list of spans instead of recursion, whose depth would depend on
/// the mask.
fn mark(points: &[Point], start: usize, end: usize, keep: &mut [bool]) {
    let mut spans = vec![(start, end)];
    while let Some((start, end)) = spans.pop() {
        (keep[start], keep[end]) = (true, true);
        let distance = |i: usize| from_segment(points[i], points[start], points[end]);
        let farthest = (start + 1..end)
            .map(|i| (i, distance(i)))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((i, _)) = farthest.filter(|(_, d)| *d > TOLERANCE) {
            spans.extend([(start, i), (i, end)]);
        }
    }
}

fn from_segment(p: Point, a: Point, b: Point) -> f32 {
    let (abx, aby, apx, apy) = (b.0 - a.0, b.1 - a.1, p.0 - a.0, p.1 - a.1);
    let length = abx * abx + aby * aby;
    let t = if length > 0.0 {
        ((apx * abx + apy * aby) / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (apx - t * abx).hypot(apy - t * aby)
}

/// Puts `ring` into `polygon` where the two are nearest: out to it, around, and back.
fn join(polygon: &mut Vec<Point>, ring: &[Point]) {
    let mut nearest = (f32::INFINITY, 0, 0);
    for (i, p) in polygon.iter().enumerate() {
        for (j, q) in ring.iter().enumerate() {
            let distance = (p.0 - q.0).powi(2) + (p.1 - q.1).powi(2);
            if distance < nearest.0 {
                nearest = (distance, i, j);
            }
        }
    }
    let (_, i, j) = nearest;
    let there_and_back: Vec<Point> = ring[j..]
        .iter()
        .chain(&ring[..=j])
        .chain([&polygon[i]])
        .copied()
        .collect();
    polygon.splice(i + 1..i + 1, there_and_back);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;
    use proptest::prelude::*;

    const SIZE: Size = Size::new(120, 90);

    fn mask(inside: impl Fn(i32, i32) -> bool) -> Mask {
        let pixels: Vec<u8> = (0..SIZE.height as i32)
            .flat_map(|y| (0..SIZE.width as i32).map(move |x| (x, y)))
            .map(|(x, y)| u8::from(inside(x, y)))
            .collect();
        Mask::from_row_major(SIZE, &pixels).unwrap()
    }

    /// Fills by the even-odd rule at pixel centres, as tools that read the labels do.
    fn filled(points: &[Point]) -> Mask {
        mask(|x, y| {
            let (cx, cy) = (x as f32 + 0.5, y as f32 + 0.5);
            let mut inside = false;
            for (i, a) in points.iter().enumerate() {
                let b = points[(i + 1) % points.len()];
                if (a.1 > cy) != (b.1 > cy) && cx < a.0 + (cy - a.1) / (b.1 - a.1) * (b.0 - a.0) {
                    inside = !inside;
                }
            }
            inside
        })
    }

    fn iou(a: &Mask, b: &Mask) -> f64 {
        let (a, b) = (a.to_row_major(), b.to_row_major());
        let count =
            |f: fn(u8, u8) -> bool| a.iter().zip(&b).filter(|(a, b)| f(**a, **b)).count() as f64;
        count(|a, b| a & b == 1) / count(|a, b| a | b == 1)
    }

    #[test]
    fn a_disc_keeps_its_shape_with_few_points() {
        for radius in [2, 4, 9, 30] {
            let disc = mask(|x, y| (x - 60).pow(2) + (y - 45).pow(2) <= radius * radius);
            let points = outline(&disc).unwrap();
            let overlap = iou(&disc, &filled(&points));
            assert!(
                overlap > 0.85 && (radius < 9 || overlap > 0.95),
                "radius {radius}: {overlap}, {} points",
                points.len()
            );
            assert!(points.len() < 60, "{}", points.len());
        }
    }

    #[test]
    fn parts_and_holes_are_joined() {
        let square = |x: i32, y: i32, x0: i32, y0: i32, side: i32| {
            (x0..x0 + side).contains(&x) && (y0..y0 + side).contains(&y)
        };
        let shape = mask(|x, y| {
            (square(x, y, 5, 5, 40) && !square(x, y, 15, 15, 12)) || square(x, y, 70, 40, 20)
        });
        let points = outline(&shape).unwrap();
        assert_eq!(iou(&shape, &filled(&points)), 1.0);
        assert_eq!(points.len(), 4 + 2 * (4 + 2));
    }

    #[test]
    fn specks_are_left_out_but_a_lone_pixel_is_not() {
        let noisy = mask(|x, y| (x < 50 && y < 50) || (x, y) == (100, 80));
        assert_eq!(
            outline(&noisy).unwrap(),
            [(0., 0.), (50., 0.), (50., 50.), (0., 50.)]
        );
        assert_eq!(outline(&mask(|x, y| (x, y) == (119, 89))).unwrap().len(), 4);
        assert!(outline(&mask(|_, _| false)).is_none());
    }

    #[test]
    fn corners_that_touch_end_the_walk() {
        let board = mask(|x, y| x < 6 && y < 6 && (x + y) % 2 == 0);
        assert_eq!(rings(&Raster::new(&board).unwrap()).len(), 18);
    }

    /// The edges between a pixel inside and one outside.
    fn perimeter(mask: &Mask) -> usize {
        let pixels = mask.to_row_major();
        let at = |x: i32, y: i32| {
            let there = (0..SIZE.width as i32).contains(&x) && (0..SIZE.height as i32).contains(&y);
            there && pixels[(y * SIZE.width as i32 + x) as usize] != 0
        };
        let edges = |x, y| {
            [at(x - 1, y), at(x, y - 1)]
                .iter()
                .filter(|&&n| n != at(x, y))
                .count()
        };
        let columns = 0..=SIZE.width as i32;
        columns
            .map(|x| (0..=SIZE.height as i32).map(|y| edges(x, y)).sum::<usize>())
            .sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_shape_is_outlined_within_the_tolerance(
            parts in proptest::collection::vec((0..100i32, 0..70i32, 1..20i32, 1..20i32, any::<bool>()), 1..5)
        ) {
            let shape = mask(|x, y| {
                parts.iter().fold(false, |inside, &(x0, y0, w, h, adds)| {
                    if (x0..x0 + w).contains(&x) && (y0..y0 + h).contains(&y) { adds } else { inside }
                })
            });
            let Some(points) = outline(&shape) else {
                prop_assert_eq!(shape.area(), 0);
                return Ok(());
            };
            let bounds = shape.bounds().unwrap();
            for &(x, y) in &points {
                prop_assert!((bounds.x0..=bounds.x1).contains(&x), "{} of {:?}", x, bounds);
                prop_assert!((bounds.y0..=bounds.y1).contains(&y), "{} of {:?}", y, bounds);
            }
            let (a, b) = (shape.to_row_major(), filled(&points).to_row_major());
            let differ = a.iter().zip(&b).filter(|(a, b)| a != b).count() as f64;
            // Along the edges by the tolerance, and parts and holes that are left out.
            let edges = f64::from(TOLERANCE) * perimeter(&shape) as f64;
            let small = 2.0 * parts.len() as f64 * SMALLEST_SHARE * shape.area() as f64;
            prop_assert!(differ <= edges + small, "{} pixels differ", differ);
        }
    }
}
