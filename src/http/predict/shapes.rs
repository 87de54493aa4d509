//! Objects as shapes.

use super::types::{Shape, ShapeType};
use crate::{
    datasets::{MaskPart, mask_parts},
    frame::{Mask, Object},
    geometry::BoxXyxy,
};

/// Least tolerance of lines that are simplified, in pixels: it turns the staircases of pixels into lines.
const STAIRS: f64 = 0.75;

/// Share of an object's largest part below which other parts and holes are left out: the specks of masks.
const SPECK: f64 = 0.01;

/// Length of a closed line.
fn length(line: &[[f64; 2]]) -> f64 {
    let next = line.iter().cycle().skip(1);
    let steps = line.iter().zip(next);
    steps.map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).sum()
}

/// A rectangle.
pub(super) fn rectangle(bounds: BoxXyxy, label: &str, score: f32) -> Shape {
    let [x0, y0, x1, y1] = [bounds.x0, bounds.y0, bounds.x1, bounds.y1].map(f64::from);
    Shape {
        label: label.to_owned(),
        shape_type: ShapeType::Rectangle,
        points: vec![[x0, y0], [x1, y0], [x1, y1], [x0, y1]],
        score: Some(score.clamp(0.0, 1.0)),
        group_id: None,
    }
}

/// The outlines of an object: a polygon for each part, with `group` where there are several. An object without pixels has
/// none. Lines are simplified within `fineness` of their length, at least within [`STAIRS`]; at 0 every corner stays.
pub(super) fn polygons(
    object: &Object,
    label: &str,
    score: f32,
    fineness: f64,
    group: u32,
) -> Vec<Shape> {
    let Some(mask) = &object.mask else {
        return vec![rectangle(object.bbox, label, score)];
    };
    let lines = lines(mask, fineness);
    let group = (lines.len() > 1).then_some(group);
    let shape = |mut points: Vec<[f64; 2]>| {
        points.extend(points.first().copied());
        Shape {
            label: label.to_owned(),
            shape_type: ShapeType::Polygon,
            points,
            score: Some(score.clamp(0.0, 1.0)),
            group_id: group,
        }
    };
    lines.into_iter().map(shape).collect()
}

/// A line for each part of a mask, the largest first, holes joined to it.
fn lines(mask: &Mask, fineness: f64) -> Vec<Vec<[f64; 2]>> {
    let parts = mask_parts(mask, 0.0);
    let Some(smallest) = parts.first().map(|part| part.area as f64 * SPECK) else {
        return Vec::new();
    };
    let kept = parts.iter().filter(|part| part.area as f64 >= smallest);
    kept.map(|part| {
        let kept = MaskPart {
            outer: part.outer.clone(),
            holes: (part.holes.iter())
                .filter(|hole| enclosed(hole) >= smallest)
                .cloned()
                .collect(),
            area: part.area,
        };
        let tolerance = match fineness {
            0.0 => 0.0,
            _ => (fineness * length(&part.outer)).max(STAIRS),
        };
        kept.simplified(tolerance).joined()
    })
    .collect()
}

/// The area that a closed line encloses.
fn enclosed(line: &[[f64; 2]]) -> f64 {
    let next = line.iter().cycle().skip(1);
    let steps = line.iter().zip(next);
    let doubled: f64 = steps.map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum();
    doubled.abs() / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    fn object(width: u32, height: u32, inside: impl Fn(u32, u32) -> bool) -> Object {
        let pixels: Vec<u8> = (0..width * height)
            .map(|at| u8::from(inside(at % width, at / width)))
            .collect();
        let mask = Mask::from_row_major(Size::new(width, height), &pixels).unwrap();
        Object {
            bbox: BoxXyxy::new(1.0, 2.0, 3.0, 4.0),
            score: 0.5,
            class: 0,
            label: "cyst".into(),
            mask: Some(mask),
            mask_score: Some(1.2),
            track: None,
        }
    }

    #[test]
    fn parts_are_polygons_of_a_group_and_specks_are_left_out() {
        let square = |x: u32, y: u32, at: u32, side: u32| {
            (at..at + side).contains(&x) && (5..5 + side).contains(&y)
        };
        let found = object(100, 60, |x, y| {
            square(x, y, 5, 30) || square(x, y, 50, 20) || (x == 99 && y == 59)
        });
        let shapes = polygons(&found, "cyst", 1.2, 0.0, 7);
        assert_eq!(shapes.len(), 2);
        for shape in &shapes {
            assert_eq!(shape.group_id, Some(7));
            assert_eq!(shape.score, Some(1.0));
            assert_eq!(shape.points.first(), shape.points.last());
            assert_eq!(shape.points.len(), 5);
        }
        assert_eq!(shapes[0].points[0], [5.0, 5.0]);
        let one = object(100, 60, |x, y| square(x, y, 5, 30));
        assert_eq!(polygons(&one, "cyst", 0.5, 0.0, 7)[0].group_id, None);
    }

    #[test]
    fn a_finer_slider_keeps_more_vertices() {
        let disc = object(200, 200, |x, y| {
            (f64::from(x) - 100.0).hypot(f64::from(y) - 100.0) < 80.0
        });
        let count = |fineness| polygons(&disc, "", 0.5, fineness, 1)[0].points.len();
        let (all, fine, coarse) = (count(0.0), count(0.001), count(0.01));
        assert!(
            all > 2 * fine && fine > coarse && coarse >= 8,
            "{all} {fine} {coarse}"
        );
    }

    #[test]
    fn nothing_of_a_mask_is_no_polygon_and_without_a_mask_it_is_the_box() {
        assert!(polygons(&object(4, 4, |_, _| false), "", 0.5, 0.0, 1).is_empty());
        let mut bare = object(4, 4, |_, _| true);
        bare.mask = None;
        let shapes = polygons(&bare, "", 0.5, 0.0, 1);
        assert_eq!(shapes[0].shape_type, ShapeType::Rectangle);
        assert_eq!(shapes[0].points[2], [3.0, 4.0]);
    }
}
