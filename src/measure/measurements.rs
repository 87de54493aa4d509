//! The figures of an object.

use super::{
    moments::Moments,
    perimeter::Crossings,
    scale::{Note, Spacing, spacing_at},
};
use crate::{
    frame::{Mask, Physical},
    geometry::BoxXyxy,
};

/// Sizes of an object: of its mask where it has one, else of its box.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Measurements {
    /// Pixels of the mask, or width × height of the box.
    pub area_px: f64,
    /// Length of the outline in pixels' sides: holes count, and so does the picture's border where the object is cut by it.
    pub perimeter_px: f64,
    /// Centroid x, y in pixels: the upper left corner of the picture is 0, 0, the middle of its first pixel 0.5, 0.5. None
    /// for an empty mask.
    pub centroid_px: Option<[f64; 2]>,
    /// The figures in millimetres, where the picture states a scale at the place of the object.
    pub mm: Option<Millimetres>,
    /// Why there are none, where the picture states physical facts.
    pub note: Option<Note>,
}

/// Sizes of an object in millimetres.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Millimetres {
    /// Width and height of a pixel.
    pub spacing_mm: [f64; 2],
    /// Area in square millimetres.
    pub area_mm2: f64,
    /// Extent along the axis of the greatest second moment, from the outermost midpoints of pixels' sides on one end to those
    /// on the other: that of a convex shape, digitised by the centres of pixels, within a pixel's side.
    pub length_mm: f64,
    /// The same across that axis. The axis of a disc or a square is taken along the rows.
    pub width_mm: f64,
    /// Length of the outline.
    pub perimeter_mm: f64,
    /// Centroid x, y from the upper left corner of the picture.
    pub centroid_mm: [f64; 2],
}

/// Measures an object: `mask` where it has one, else `bbox`, in pixels of a picture of which `physical` is known.
///
/// Millimetres come from the ultrasound region that holds the object (2D, in centimetres; up to one pixel may reach over its
/// border) where the picture has such regions, else from its pixel spacing. The perimeter of a mask is estimated by the
/// Cauchy–Crofton formula with eight directions: within 3 % for a disc of 5 pixels' radius, within 1 % from 13 on, within 3 %
/// for straight sides in any direction, up to a third short for a line of one pixel.
pub fn measure(mask: Option<&Mask>, bbox: BoxXyxy, physical: Option<&Physical>) -> Measurements {
    match mask {
        Some(mask) => of_mask(mask, physical),
        None => of_box(bbox, physical),
    }
}

fn of_mask(mask: &Mask, physical: Option<&Physical>) -> Measurements {
    let (Some(place), Some(moments)) = (mask.bounds(), Moments::of(mask)) else {
        return Measurements {
            area_px: 0.0,
            perimeter_px: 0.0,
            centroid_px: None,
            mm: None,
            note: Some(Note::EmptyMask),
        };
    };
    let crossings = Crossings::of(mask);
    let area_px = mask.area() as f64;
    let in_mm = |spacing: Spacing| {
        let [length_mm, width_mm] = moments.extents(mask, spacing);
        Millimetres {
            length_mm,
            width_mm,
            perimeter_mm: crossings.length(spacing),
            ..placed(spacing, area_px, moments.centroid)
        }
    };
    let (mm, note) = scaled(place, physical, in_mm);
    Measurements {
        area_px,
        perimeter_px: crossings.length([1.0; 2]),
        centroid_px: Some(moments.centroid),
        mm,
        note,
    }
}

fn of_box(bbox: BoxXyxy, physical: Option<&Physical>) -> Measurements {
    let [x0, y0, x1, y1] = [bbox.x0, bbox.y0, bbox.x1, bbox.y1].map(f64::from);
    let (width, height) = ((x1 - x0).max(0.0), (y1 - y0).max(0.0));
    let centroid = [(x0 + x1) / 2.0, (y0 + y1) / 2.0];
    let in_mm = |spacing: Spacing| {
        let (w, h) = (width * spacing[0], height * spacing[1]);
        Millimetres {
            length_mm: w.max(h),
            width_mm: w.min(h),
            perimeter_mm: 2.0 * (w + h),
            ..placed(spacing, width * height, centroid)
        }
    };
    let (mm, note) = scaled(bbox, physical, in_mm);
    Measurements {
        area_px: width * height,
        perimeter_px: 2.0 * (width + height),
        centroid_px: Some(centroid),
        mm,
        note,
    }
}

fn scaled(
    place: BoxXyxy,
    physical: Option<&Physical>,
    in_mm: impl FnOnce(Spacing) -> Millimetres,
) -> (Option<Millimetres>, Option<Note>) {
    match spacing_at(place, physical) {
        Ok(spacing) => (spacing.map(in_mm), None),
        Err(note) => (None, Some(note)),
    }
}

/// Area and centroid in millimetres, without the rest.
fn placed(spacing: Spacing, area_px: f64, centroid: [f64; 2]) -> Millimetres {
    let [dx, dy] = spacing;
    Millimetres {
        spacing_mm: spacing,
        area_mm2: area_px * dx * dy,
        length_mm: 0.0,
        width_mm: 0.0,
        perimeter_mm: 0.0,
        centroid_mm: [centroid[0] * dx, centroid[1] * dy],
    }
}

/// A figure as outputs have it: at most six significant digits. Whole numbers stay as they are.
pub fn rounded(value: f64) -> f64 {
    if value.fract() == 0.0 {
        return value;
    }
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests;
