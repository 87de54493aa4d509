//! Masks as polygons: closed lines along the edges of pixels, with few vertices.

use super::simplify::{Point, simplified};
use crate::frame::Mask;

/// A connected part of a mask: pixels that have edges in common. Lines are closed, without the closing point.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    /// The line around it, with the part on its right.
    pub(crate) outer: Vec<Point>,
    /// The lines around its holes, with the part on their right.
    pub(crate) holes: Vec<Vec<Point>>,
    /// Pixels that `outer` encloses, holes included.
    pub(crate) area: u64,
}

/// The parts of a mask, the largest first, their lines simplified within `tolerance` pixels (0: every corner stays). Holes
/// come in the order of their first pixel.
pub(crate) fn parts(mask: &Mask, tolerance: f64) -> Vec<Part> {
    let Some(raster) = Raster::new(mask) else {
        return Vec::new();
    };
    let labels = raster.labels();
    let mut parts: Vec<(u32, Part)> = Vec::new();
    let mut holes: Vec<(u32, Vec<Point>)> = Vec::new();
    for ring in rings(&raster) {
        let label = labels[ring.start];
        let line = simplified(&ring.points, tolerance);
        if ring.area > 0 {
            let (outer, area) = (line, ring.area.unsigned_abs() / 2);
            let part = Part {
                outer,
                holes: Vec::new(),
                area,
            };
            parts.push((label, part));
        } else {
            holes.push((label, line));
        }
    }
    for (label, hole) in holes {
        if let Some((_, part)) = parts.iter_mut().find(|(of, _)| *of == label) {
            part.holes.push(hole);
        }
    }
    parts.sort_by_key(|(_, part)| std::cmp::Reverse(part.area));
    parts.into_iter().map(|(_, part)| part).collect()
}

impl Part {
    /// The part with its lines simplified within `tolerance` pixels.
    pub(crate) fn simplified(&self, tolerance: f64) -> Self {
        Self {
            outer: simplified(&self.outer, tolerance),
            holes: (self.holes.iter())
                .map(|hole| simplified(hole, tolerance))
                .collect(),
            area: self.area,
        }
    }

    /// The part as one closed line: holes are joined to the outer line by lines there and back, which formats without holes
    /// take; filling it by the even-odd rule gives the part.
    pub(crate) fn joined(&self) -> Vec<Point> {
        let mut line = self.outer.clone();
        for hole in &self.holes {
            join(&mut line, hole);
        }
        line
    }
}

/// All of a mask as one closed line, for formats that have one polygon an object: parts and holes are joined by lines there
/// and back. Parts (the largest first) and holes below `smallest` pixels are left out, but for the largest part and for those
/// without which the line would not reach a side of the mask's box. None for an empty mask.
pub(crate) fn one_line(parts: &[Part], smallest: f64) -> Option<Vec<Point>> {
    let (first, others) = parts.split_first()?;
    let reaching = reaching_the_box(parts, smallest);
    let mut line = first.outer.clone();
    let large = |hole: &&Vec<Point>| enclosed(hole) >= smallest;
    for hole in first.holes.iter().filter(large) {
        join(&mut line, hole);
    }
    for (part, _) in others
        .iter()
        .zip(&reaching[1..])
        .filter(|(part, reaches)| part.area as f64 >= smallest || **reaches)
    {
        let mut other = part.outer.clone();
        for hole in part.holes.iter().filter(large) {
            join(&mut other, hole);
        }
        join(&mut line, &other);
    }
    Some(line)
}

/// Which parts below `smallest` pixels are needed for the sides of the box around all parts: of each side that no larger part
/// reaches, the largest part that does.
fn reaching_the_box(parts: &[Part], smallest: f64) -> Vec<bool> {
    // How far a part reaches to the left, to the right, up and down.
    let reach = |part: &Part| {
        part.outer.iter().fold([f64::NEG_INFINITY; 4], |r, p| {
            let sides = [-p[0], p[0], -p[1], p[1]];
            std::array::from_fn(|side| r[side].max(sides[side]))
        })
    };
    let reaches: Vec<[f64; 4]> = parts.iter().map(reach).collect();
    let mut needed = vec![false; parts.len()];
    for side in 0..4 {
        let whole = (reaches.iter()).fold(f64::NEG_INFINITY, |far, r| far.max(r[side]));
        let does = |at: &usize| reaches[*at][side] >= whole;
        let kept = |at: &usize| *at == 0 || parts[*at].area as f64 >= smallest || needed[*at];
        if !(0..parts.len()).any(|at| kept(&at) && does(&at))
            && let Some(at) = (0..parts.len()).find(does)
        {
            needed[at] = true;
        }
    }
    needed
}

/// The area that a closed line encloses, in pixels.
fn enclosed(line: &[Point]) -> f64 {
    let next = line.iter().cycle().skip(1);
    let doubled: f64 = line
        .iter()
        .zip(next)
        .map(|(a, b)| a[0] * b[1] - b[0] * a[1])
        .sum();
    doubled.abs() / 2.0
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
                let at = raster.place(x as i32 - x0, y as i32 - y0);
                raster.inside[at] = true;
            }
        });
        Some(raster)
    }

    fn place(&self, x: i32, y: i32) -> usize {
        y as usize * self.width as usize + x as usize
    }

    fn at(&self, x: i32, y: i32) -> bool {
        (0..self.width).contains(&x)
            && (0..self.height).contains(&y)
            && self.inside[self.place(x, y)]
    }

    /// The number of each pixel's part, from 1; 0 outside.
    fn labels(&self) -> Vec<u32> {
        let mut labels = vec![0; self.inside.len()];
        let (mut last, mut open) = (0, Vec::new());
        for start in 0..labels.len() {
            if !self.inside[start] || labels[start] != 0 {
                continue;
            }
            last += 1;
            labels[start] = last;
            open.push(start);
            while let Some(at) = open.pop() {
                let (x, y) = (
                    (at % self.width as usize) as i32,
                    (at / self.width as usize) as i32,
                );
                for (x, y) in [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)] {
                    if self.at(x, y) && labels[self.place(x, y)] == 0 {
                        labels[self.place(x, y)] = last;
                        open.push(self.place(x, y));
                    }
                }
            }
        }
        labels
    }
}

/// A closed line along pixel edges with the inside on its right; `area` is twice the enclosed area, negative for holes.
struct Ring {
    points: Vec<Point>,
    area: i64,
    /// Place of the pixel below its first edge, which is inside.
    start: usize,
}

/// All boundaries of the mask. Pixels that touch at a corner alone are separate parts.
fn rings(raster: &Raster) -> Vec<Ring> {
    let mut seen = vec![false; raster.inside.len()];
    let mut rings = Vec::new();
    for y in 0..raster.height {
        for x in 0..raster.width {
            // Every boundary has an edge with the outside above a pixel: it is found there first.
            if raster.at(x, y) && !raster.at(x, y - 1) && !seen[raster.place(x, y)] {
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
        start: raster.place(x, y),
    };
    let mut turned = true;
    loop {
        if turned {
            let vertex = [f64::from(x + raster.x0), f64::from(y + raster.y0)];
            ring.points.push(vertex);
        }
        if dx == 1 {
            seen[raster.place(x, y)] = true;
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

/// Puts `ring` into `polygon` where the two are nearest: out to it, around, and back.
fn join(polygon: &mut Vec<Point>, ring: &[Point]) {
    let mut nearest = (f64::INFINITY, 0, 0);
    for (i, p) in polygon.iter().enumerate() {
        for (j, q) in ring.iter().enumerate() {
            let distance = (p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2);
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
    use super::super::simplify::TOLERANCE;
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

    /// Fills by the even-odd rule at pixel centres.
    fn filled(points: &[Point]) -> Mask {
        mask(|x, y| {
            let (cx, cy) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
            let mut inside = false;
            for (i, a) in points.iter().enumerate() {
                let b = points[(i + 1) % points.len()];
                // A line there and one back cross at the same place, to the last bit.
                let (a, b) = if a[1] <= b[1] { (*a, b) } else { (b, *a) };
                if (a[1] > cy) != (b[1] > cy)
                    && cx < a[0] + (cy - a[1]) / (b[1] - a[1]) * (b[0] - a[0])
                {
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

    fn square(x: i32, y: i32, x0: i32, y0: i32, side: i32) -> bool {
        (x0..x0 + side).contains(&x) && (y0..y0 + side).contains(&y)
    }

    #[test]
    fn a_disc_keeps_its_shape_with_few_points() {
        for radius in [2, 4, 9, 30] {
            let disc = mask(|x, y| (x - 60).pow(2) + (y - 45).pow(2) <= radius * radius);
            let points = one_line(&parts(&disc, TOLERANCE), 0.0).unwrap();
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
    fn a_pixel_that_sticks_out_stays_inside() {
        let disc = |x: i32, y: i32| (x - 60).pow(2) + (y - 45).pow(2) <= 430;
        for bump in [[60, 24], [65, 24], [81, 44], [81, 50], [39, 46], [61, 66]] {
            let shape = mask(|x, y| disc(x, y) || [x, y] == bump);
            let found = parts(&shape, TOLERANCE);
            // As coordinates come back that are written in percent or with few digits.
            for by in [-1e-9, 1e-9] {
                let moved: Vec<Point> = found[0].outer.iter().map(|p| p.map(|v| v + by)).collect();
                assert_eq!(filled(&moved).bounds(), shape.bounds(), "{bump:?}");
            }
            assert_eq!((found.len(), found[0].outer.len() < 50), (1, true));
        }
    }

    #[test]
    fn parts_have_their_own_holes_and_join_to_one_line() {
        let shape = mask(|x, y| {
            (square(x, y, 5, 5, 40) && !square(x, y, 15, 15, 12))
                || square(x, y, 20, 20, 2)
                || (square(x, y, 70, 40, 20) && !square(x, y, 75, 45, 2))
        });
        let found = parts(&shape, 0.0);
        let holes: Vec<usize> = found.iter().map(|part| part.holes.len()).collect();
        assert_eq!((holes, found[0].area), (vec![1, 1, 0], 1600));
        let points = one_line(&found, 0.0).unwrap();
        assert_eq!(iou(&shape, &filled(&points)), 1.0);
        let all = found
            .iter()
            .fold(vec![0u8; SIZE.pixels() as usize], |mut all, part| {
                let pixels = filled(&part.joined()).to_row_major();
                all.iter_mut().zip(pixels).for_each(|(a, p)| *a |= p);
                all
            });
        assert_eq!(all, shape.to_row_major());
    }

    #[test]
    fn specks_are_left_out_unless_the_box_needs_them() {
        let squares = |x, y| square(x, y, 0, 0, 50) || square(x, y, 60, 60, 20);
        let line = |mask: &Mask| one_line(&parts(mask, TOLERANCE), 25.0);
        let inside = mask(|x, y| squares(x, y) || (x, y) == (70, 20) || (x, y) == (79, 5));
        assert_eq!(line(&inside), line(&mask(squares)));
        // One speck makes the box wider, one makes it higher; a smaller one beside it does neither.
        let wider = |x, y| squares(x, y) || square(x, y, 99, 7, 2);
        let both = mask(|x, y| wider(x, y) || square(x, y, 3, 88, 2) || (x, y) == (100, 50));
        let points = line(&both).unwrap();
        let far = |axis: usize| points.iter().map(|p| p[axis]).fold(0.0, f64::max);
        assert_eq!((far(0), far(1)), (101.0, 90.0));
        assert!(!points.contains(&[100.0, 50.0]));
        assert_eq!(line(&mask(|x, y| (x, y) == (119, 89))).unwrap().len(), 4);
        assert!(line(&mask(|_, _| false)).is_none());
    }

    #[test]
    fn corners_that_touch_end_the_walk() {
        let board = mask(|x, y| x < 6 && y < 6 && (x + y) % 2 == 0);
        assert_eq!(parts(&board, 0.0).len(), 18);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_shape_comes_back_from_its_exact_lines(
            squares in proptest::collection::vec((0..100i32, 0..70i32, 1..20i32, 1..20i32, any::<bool>()), 1..6)
        ) {
            let shape = mask(|x, y| {
                squares.iter().fold(false, |inside, &(x0, y0, w, h, adds)| {
                    if (x0..x0 + w).contains(&x) && (y0..y0 + h).contains(&y) { adds } else { inside }
                })
            });
            let found = parts(&shape, 0.0);
            match one_line(&found, 0.0) {
                Some(points) => prop_assert_eq!(filled(&points), shape),
                None => prop_assert_eq!(shape.area(), 0),
            }
        }
    }
}
