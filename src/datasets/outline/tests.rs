//! Outlines are drawn again and compared with their masks.

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
            if (a[1] > cy) != (b[1] > cy) && cx < a[0] + (cy - a[1]) / (b[1] - a[1]) * (b[0] - a[0])
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
