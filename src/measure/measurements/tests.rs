//! Sizes of masks and boxes that are known otherwise.

use super::*;
use crate::{frame::UltrasoundRegion, geometry::Size};
use proptest::prelude::*;
use std::f64::consts::PI;

const SIZE: Size = Size::new(200, 160);

/// The pixels whose centres are inside a shape at `centre` (pixels), turned by `degrees`; `inside` gets millimetres along
/// and across.
fn shape(
    centre: [f64; 2],
    degrees: f64,
    [dx, dy]: Spacing,
    inside: impl Fn(f64, f64) -> bool,
) -> Mask {
    let (s, c) = degrees.to_radians().sin_cos();
    let pixels: Vec<u8> = (0..SIZE.height)
        .flat_map(|y| (0..SIZE.width).map(move |x| (f64::from(x) + 0.5, f64::from(y) + 0.5)))
        .map(|(x, y)| ((x - centre[0]) * dx, (y - centre[1]) * dy))
        .map(|(x, y)| u8::from(inside(x * c + y * s, y * c - x * s)))
        .collect();
    Mask::from_row_major(SIZE, &pixels).unwrap()
}

/// An ellipse of these semi-axes.
fn ellipse(centre: [f64; 2], [a, b]: [f64; 2], degrees: f64, spacing: Spacing) -> Mask {
    shape(centre, degrees, spacing, |x, y| {
        (x / a).powi(2) + (y / b).powi(2) <= 1.0
    })
}

fn rectangle(centre: [f64; 2], [a, b]: [f64; 2], degrees: f64, spacing: Spacing) -> Mask {
    shape(centre, degrees, spacing, |x, y| {
        x.abs() <= a / 2.0 && y.abs() <= b / 2.0
    })
}

/// What the two are of, with a pixel spacing of `[x, y]` millimetres.
fn sizes(mask: &Mask, [dx, dy]: Spacing) -> (Measurements, Millimetres) {
    let physical = Physical {
        pixel_spacing_mm: Some([dy, dx]),
        ..Physical::default()
    };
    let found = measure(Some(mask), mask.bounds().unwrap(), Some(&physical));
    let mm = found.mm.unwrap();
    (found, mm)
}

fn close(found: f64, expected: f64, within: f64, what: &str) {
    assert!(
        (found - expected).abs() <= within,
        "{what}: {found}, not {expected} within {within}"
    );
}

/// Ramanujan's approximation, exact to 1e-6 for these.
fn around(a: f64, b: f64) -> f64 {
    let h = ((a - b) / (a + b)).powi(2);
    PI * (a + b) * (1.0 + 3.0 * h / (10.0 + (4.0 - 3.0 * h).sqrt()))
}

const SPACINGS: [Spacing; 4] = [[1.0, 1.0], [0.4, 0.4], [0.5, 0.3], [0.3, 0.75]];

#[test]
fn ellipses_at_angles_are_as_long_and_wide_as_they_are() {
    for spacing in SPACINGS {
        let [dx, dy] = spacing;
        let pixel = f64::max(dx, dy);
        for degrees in (-90..=90).step_by(15).map(f64::from) {
            let (a, b) = (24.0, 10.0);
            let centre = [100.3, 79.8];
            let scale = if pixel < 1.0 { 1.0 } else { 2.0 };
            let (a, b) = (a * scale, b * scale);
            let mask = ellipse(centre, [a, b], degrees, spacing);
            let (px, mm) = sizes(&mask, spacing);
            let what = |name: &str| format!("{name} at {degrees}°, {spacing:?} mm");
            close(mm.length_mm, 2.0 * a, pixel, &what("length"));
            close(mm.width_mm, 2.0 * b, pixel, &what("width"));
            close(mm.area_mm2, PI * a * b, 0.01 * PI * a * b, &what("area"));
            let perimeter = around(a, b);
            close(
                mm.perimeter_mm,
                perimeter,
                0.02 * perimeter,
                &what("perimeter"),
            );
            for (axis, place) in centre.into_iter().enumerate() {
                let [middle, at] = [px.centroid_px.unwrap(), mm.centroid_mm].map(|c| c[axis]);
                close(middle, place, 0.15, &what("centroid"));
                close(at, middle * spacing[axis], 1e-9, &what("centroid"));
            }
        }
    }
}

#[test]
fn rectangles_at_angles_are_as_long_and_wide_as_they_are() {
    for spacing in SPACINGS {
        let pixel = f64::max(spacing[0], spacing[1]);
        for degrees in (-90..=90).step_by(15).map(f64::from) {
            let (a, b) = (41.0, 13.0);
            let mask = rectangle([100.3, 79.8], [a, b], degrees, spacing);
            let (_, mm) = sizes(&mask, spacing);
            let what = |name: &str| format!("{name} at {degrees}°, {spacing:?} mm");
            close(mm.length_mm, a, pixel, &what("length"));
            close(mm.width_mm, b, pixel, &what("width"));
            close(
                mm.perimeter_mm,
                2.0 * (a + b),
                0.08 * (a + b),
                &what("perimeter"),
            );
        }
    }
}

#[test]
fn the_perimeter_of_a_disc_does_not_depend_on_its_place() {
    // Of whole numbers the pixels that lie on the circle itself are many.
    let discs = [
        (5.3, 0.03),
        (8.3, 0.015),
        (13.3, 0.01),
        (30.3, 0.01),
        (70.3, 0.01),
    ];
    for (radius, share) in discs {
        for offset in [[0.0, 0.0], [0.2, 0.7], [0.5, 0.0], [0.5, 0.5], [0.9, 0.3]] {
            let centre = [100.0 + offset[0], 80.0 + offset[1]];
            let mask = ellipse(centre, [radius; 2], 0.0, [1.0, 1.0]);
            let (px, _) = sizes(&mask, [1.0, 1.0]);
            let perimeter = 2.0 * PI * radius;
            close(
                px.perimeter_px,
                perimeter,
                share * perimeter,
                &format!("{radius}"),
            );
        }
    }
}

/// Area, centroid and axis by `skimage.measure.regionprops` 0.26.0 with `spacing`; the extents are those of the midpoints
/// of the pixels' sides along its `orientation`, by numpy 2. `regionprops` has centroids of pixels' centres: half a pixel
/// is added. Its moments are those of points, ours those of squares, which turns the axis a little where sides are unequal.
#[test]
fn figures_are_those_of_scikit_image() {
    let cases = [
        (
            ellipse([90.25, 80.5], [24.0, 10.0], 30.0, [0.4, 0.4]),
            [0.4, 0.4],
            [752.8, 36.116_684_378_320_94, 32.200_425_079_702_45],
            [48.226_218_282_638_53, 20.294_705_524_284_46],
        ),
        (
            ellipse([90.25, 80.5], [24.0, 10.0], 30.0, [0.5, 0.3]),
            [0.5, 0.3],
            [753.9, 45.144_548_348_587_34, 24.164_683_645_045_76],
            [48.222_534_404_930_42, 20.133_102_185_242_002],
        ),
        (
            rectangle([100.0, 80.0], [40.0, 12.0], -20.0, [0.25, 0.5]),
            [0.25, 0.5],
            [479.5, 25.0, 40.0],
            [40.198_683_911_781_1, 12.450_775_548_763_268],
        ),
    ];
    for (mask, spacing, [area, x, y], [length, width]) in cases {
        let (_, mm) = sizes(&mask, spacing);
        let found = [mm.area_mm2, mm.centroid_mm[0], mm.centroid_mm[1]];
        for (found, expected) in found.into_iter().zip([area, x, y]) {
            close(found, expected, 1e-6, "area or centroid");
        }
        close(mm.length_mm, length, 1e-3, "length");
        close(mm.width_mm, width, 1e-3, "width");
    }
}

#[test]
fn shapes_without_an_axis_and_single_pixels_lie_along_the_rows() {
    let square = rectangle([50.0, 50.0], [10.0, 10.0], 0.0, [1.0, 1.0]);
    let (_, mm) = sizes(&square, [1.0, 1.0]);
    assert_eq!(
        (mm.length_mm, mm.width_mm, mm.area_mm2),
        (10.0, 10.0, 100.0)
    );
    let pixel = Mask::from_row_major(Size::new(1, 1), &[1]).unwrap();
    let (px, mm) = sizes(&pixel, [0.2, 0.5]);
    assert_eq!((mm.length_mm, mm.width_mm, mm.area_mm2), (0.5, 0.2, 0.1));
    assert_eq!((px.area_px, px.centroid_px), (1.0, Some([0.5, 0.5])));
}

#[test]
fn a_box_is_measured_where_there_is_no_mask() {
    let physical = Physical {
        pixel_spacing_mm: Some([0.5, 0.25]),
        ..Physical::default()
    };
    let found = measure(None, BoxXyxy::new(10.0, 20.0, 30.5, 40.0), Some(&physical));
    let mm = found.mm.unwrap();
    assert_eq!((found.area_px, found.perimeter_px), (410.0, 81.0));
    assert_eq!(found.centroid_px, Some([20.25, 30.0]));
    assert_eq!(
        (mm.length_mm, mm.width_mm, mm.perimeter_mm),
        (10.0, 5.125, 30.25)
    );
    assert_eq!((mm.area_mm2, mm.centroid_mm), (51.25, [5.0625, 15.0]));
}

#[test]
fn what_has_no_scale_says_why() {
    let mask = ellipse([100.0, 80.0], [20.0, 10.0], 0.0, [1.0, 1.0]);
    let bounds = mask.bounds().unwrap();
    let region = UltrasoundRegion {
        bounds: BoxXyxy::new(0.0, 0.0, 100.0, 160.0),
        spatial_format: 1,
        data_type: 1,
        physical_delta: Some([0.01; 2]),
        physical_units: Some([3; 2]),
    };
    let physical = Physical {
        ultrasound_regions: vec![region],
        ..Physical::default()
    };
    let found = measure(Some(&mask), bounds, Some(&physical));
    assert_eq!((found.mm, found.note), (None, Some(Note::AcrossRegions)));
    assert_eq!(found.note.unwrap().to_string(), "across regions");
    let found = measure(Some(&mask), bounds, None);
    assert_eq!((found.mm, found.note), (None, None));
    let empty = Mask::from_counts(SIZE, vec![200 * 160]).unwrap();
    let found = measure(Some(&empty), bounds, Some(&physical));
    assert_eq!((found.area_px, found.centroid_px), (0.0, None));
    assert_eq!(found.note, Some(Note::EmptyMask));
}

#[test]
fn figures_have_six_digits() {
    let found = [1_234.567_89, 0.000_123_456_78, 12_345_678.0, 0.1 + 0.2].map(rounded);
    assert_eq!(found, [1234.57, 0.000_123_457, 12_345_678.0, 0.3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn figures_are_those_of_the_pixels_one_by_one(
        (width, pixels) in (1..90u32).prop_flat_map(|width| {
            (Just(width), proptest::collection::vec(0..2u8, width as usize * 140))
        })
    ) {
        let size = Size::new(width, 140);
        let mask = Mask::from_row_major(size, &pixels).unwrap();
        prop_assume!(mask.area() > 0);
        let at = |x: i32, y: i32| {
            (0..width as i32).contains(&x) && (0..140).contains(&y)
                && pixels[y as usize * width as usize + x as usize] == 1
        };
        // Crossings of every line, a pair of neighbours after the other.
        let mut length = 0.0;
        let neighbours = [(1, -2), (1, -1), (2, -1), (1, 0), (2, 1), (1, 1), (1, 2), (0, 1)];
        let half = |a: f64, b: f64| (a - b) / 2.0;
        for (i, &(dx, dy)) in neighbours.iter().enumerate() {
            let crossings = (-3..width as i32 + 3)
                .flat_map(|x| (-3..143).map(move |y| (x, y)))
                .filter(|&(x, y)| at(x, y) != at(x + dx, y + dy))
                .count() as f64;
            let angle = |i: usize| {
                let (x, y) = neighbours[i % 8];
                f64::from(y).atan2(f64::from(x)) + PI * (i / 8) as f64
            };
            let share = half(angle(i + 9), angle(i + 7));
            length += share * crossings / f64::from(dx * dx + dy * dy).sqrt() / 2.0;
        }
        let (px, _) = sizes(&mask, [1.0, 1.0]);
        prop_assert!((px.perimeter_px - length).abs() < 1e-6 * length, "{} {length}", px.perimeter_px);
    }
}
