//! Polygons as YOLO's tools fill them: corners are cut off to whole pixels, and the pixels under the lines are inside.

use crate::{
    datasets::{
        outline::{Part, one_line, parts},
        simplify::{Point, TOLERANCE, simplified},
    },
    frame::Mask,
    geometry::Size,
};

/// Share of an object's mean thickness by which its line may deviate, so that thin objects keep their shape too.
const DEVIATION: f64 = 0.04;
/// Parts and holes below this share of the mask's area are left out, as each costs a line to it and back; but parts that the
/// mask's box needs stay.
const SMALLEST_SHARE: f64 = 0.01;

/// The mask as one line through the centres of its border's pixels, in pixels. None for an empty mask.
pub(super) fn line(mask: &Mask) -> Option<Vec<Point>> {
    let parts: Vec<Part> = parts(mask, 0.0)
        .into_iter()
        .map(|part| Part {
            outer: through_centres(&part.outer),
            holes: part
                .holes
                .iter()
                .map(|hole| through_centres(hole))
                .collect(),
            area: part.area,
        })
        .collect();
    let perimeter: f64 = parts
        .iter()
        .flat_map(|p| std::iter::once(&p.outer).chain(&p.holes))
        .map(|l| length(l))
        .sum();
    let thickness = 2.0 * mask.area() as f64 / perimeter.max(1.0);
    let tolerance = (DEVIATION * thickness).min(TOLERANCE);
    let simple: Vec<Part> = parts
        .into_iter()
        .map(|part| Part {
            outer: simplified(&part.outer, tolerance),
            holes: part
                .holes
                .iter()
                .map(|hole| simplified(hole, tolerance))
                .collect(),
            area: part.area,
        })
        .collect();
    one_line(&simple, SMALLEST_SHARE * mask.area() as f64)
}

fn length(line: &[Point]) -> f64 {
    let next = line.iter().cycle().skip(1);
    line.iter()
        .zip(next)
        .map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]))
        .sum()
}

/// A line along pixel edges with the inside on its right, moved inwards by half a pixel.
fn through_centres(line: &[Point]) -> Vec<Point> {
    let inwards = |a: &Point, b: &Point| {
        let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
        [
            -dy.signum() * f64::from(u8::from(dy != 0.0)),
            dx.signum() * f64::from(u8::from(dx != 0.0)),
        ]
    };
    let n = line.len();
    let mut moved: Vec<Point> = (0..n)
        .map(|at| {
            let (before, here, after) = (&line[(at + n - 1) % n], &line[at], &line[(at + 1) % n]);
            let (a, b) = (inwards(before, here), inwards(here, after));
            [here[0] + (a[0] + b[0]) / 2.0, here[1] + (a[1] + b[1]) / 2.0]
        })
        .collect();
    moved.dedup();
    moved
}

/// The pixels of a closed line: those inside by the even-odd rule, and those under the line.
pub(super) fn filled(line: &[Point], size: Size) -> Mask {
    let (w, h) = (size.width as usize, size.height as usize);
    let last = [f64::from(size.width) - 1.0, f64::from(size.height) - 1.0];
    let corners: Vec<[i64; 2]> = line
        .iter()
        .map(|p| {
            [
                p[0].trunc().clamp(0.0, last[0]) as i64,
                p[1].trunc().clamp(0.0, last[1]) as i64,
            ]
        })
        .collect();
    let mut pixels = vec![0u8; w * h];
    let edges = || corners.iter().zip(corners.iter().cycle().skip(1));
    let mut crossings = Vec::new();
    for y in 0..h {
        crossings.clear();
        let at = y as f64;
        for (a, b) in edges() {
            let (low, high) = if a[1] <= b[1] { (a, b) } else { (b, a) };
            if (low[1]..high[1]).contains(&(y as i64)) {
                let share = (at - low[1] as f64) / (high[1] - low[1]) as f64;
                crossings.push(low[0] as f64 + share * (high[0] - low[0]) as f64);
            }
        }
        crossings.sort_unstable_by(f64::total_cmp);
        for pair in crossings.chunks_exact(2) {
            let (from, to) = (pair[0].ceil().max(0.0) as usize, pair[1].floor());
            if to >= from as f64 {
                pixels[y * w + from..=y * w + (to as usize).min(w - 1)].fill(1);
            }
        }
    }
    for (a, b) in edges() {
        let steps = (b[0] - a[0]).abs().max((b[1] - a[1]).abs()).max(1);
        for step in 0..=steps {
            let along = |a: i64, b: i64| {
                (a as f64 + (b - a) as f64 * step as f64 / steps as f64).round() as usize
            };
            pixels[along(a[1], b[1]) * w + along(a[0], b[0])] = 1;
        }
    }
    Mask::from_row_major(size, &pixels).unwrap_or_else(|| empty(size))
}

fn empty(size: Size) -> Mask {
    let counts = vec![u32::try_from(size.pixels()).unwrap_or(u32::MAX)];
    Mask::from_measured(size, counts, 0, None).unwrap_or_else(|| empty(Size::new(1, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: Size = Size::new(90, 70);

    fn mask(inside: impl Fn(i32, i32) -> bool) -> Mask {
        let pixels: Vec<u8> = (0..SIZE.height as i32)
            .flat_map(|y| (0..SIZE.width as i32).map(move |x| (x, y)))
            .map(|(x, y)| u8::from(inside(x, y)))
            .collect();
        Mask::from_row_major(SIZE, &pixels).unwrap()
    }

    fn iou(a: &Mask, b: &Mask) -> f64 {
        let (a, b) = (a.to_row_major(), b.to_row_major());
        let count =
            |f: fn(u8, u8) -> bool| a.iter().zip(&b).filter(|(a, b)| f(**a, **b)).count() as f64;
        count(|a, b| a & b == 1) / count(|a, b| a | b == 1)
    }

    #[test]
    fn discs_bars_and_needles_keep_their_pixels() {
        let shapes: [(&str, Mask); 5] = [
            (
                "disc of 30",
                mask(|x, y| (x - 45).pow(2) + (y - 35).pow(2) <= 900),
            ),
            (
                "disc of 5",
                mask(|x, y| (x - 45).pow(2) + (y - 35).pow(2) <= 25),
            ),
            (
                "needle",
                mask(|x, y| (2 * y - x - 20).abs() <= 3 && (5..80).contains(&x)),
            ),
            ("line", mask(|x, y| y == 20 && (5..80).contains(&x))),
            ("pixel", mask(|x, y| (x, y) == (89, 69))),
        ];
        for (name, shape) in shapes {
            let found = iou(&shape, &filled(&line(&shape).unwrap(), SIZE));
            assert!(found >= 0.97, "{name}: {found}");
        }
        assert!(line(&mask(|_, _| false)).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn rectangles_come_back_whole(x0 in 0..80i32, y0 in 0..60i32, w in 1..10i32, h in 1..10i32) {
            let shape = mask(|x, y| (x0..x0 + w).contains(&x) && (y0..y0 + h).contains(&y));
            prop_assert_eq!(filled(&line(&shape).unwrap(), SIZE), shape);
        }

        #[test]
        fn boxes_come_back_of_any_parts(
            squares in proptest::collection::vec((0..80i32, 0..60i32, 1..10i32, 1..10i32), 1..6)
        ) {
            let within = |x, y, (x0, y0, w, h): (i32, i32, i32, i32)| (x0..x0 + w).contains(&x) && (y0..y0 + h).contains(&y);
            let shape = mask(|x, y| squares.iter().any(|s| within(x, y, *s)) || within(x, y, (30, 25, 22, 20)));
            prop_assert_eq!(filled(&line(&shape).unwrap(), SIZE).bounds(), shape.bounds());
        }

        #[test]
        fn any_line_is_filled_within_the_picture(points in proptest::collection::vec((-1e9f64..1e9, -1e9f64..1e9), 1..9)) {
            let line: Vec<Point> = points.into_iter().map(|(x, y)| [x, y]).collect();
            prop_assert!(filled(&line, SIZE).area() > 0);
        }
    }
}
