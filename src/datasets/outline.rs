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
mod tests;
