//! Where images and points lie, in millimetres.

use crate::igtl::{CoordinateSystem, ImageGeometry};

/// The geometry of an image that states none: its centre is the origin, pixels are `spacing` millimetres (between rows, between
/// columns, as DICOM's Pixel Spacing) or, where it is not known, 1 apart. Columns go to the patient's left and rows to the back, as on
/// an axial slice that is shown in the usual way: in LPS along +x and +y, in RAS along −x and −y.
pub(super) fn built(spacing: Option<[f64; 2]>, coordinates: CoordinateSystem) -> ImageGeometry {
    let [y, x] = spacing.unwrap_or([1.0; 2]).map(|v| v as f32);
    let sign = match coordinates {
        CoordinateSystem::Lps => 1.0,
        CoordinateSystem::Ras => -1.0,
    };
    ImageGeometry {
        column_step: [sign * x, 0.0, 0.0],
        row_step: [0.0, sign * y, 0.0],
        slice_step: [0.0, 0.0, 1.0],
        centre: [0.0; 3],
        coordinates,
    }
}

/// The same place along the axes of another system: RAS and LPS differ in the signs of x and y.
pub(super) fn converted(geometry: &ImageGeometry, to: CoordinateSystem) -> ImageGeometry {
    if geometry.coordinates == to {
        return *geometry;
    }
    let turned = |[x, y, z]: [f32; 3]| [0.0 - x, 0.0 - y, z];
    ImageGeometry {
        column_step: turned(geometry.column_step),
        row_step: turned(geometry.row_step),
        slice_step: turned(geometry.slice_step),
        centre: turned(geometry.centre),
        coordinates: to,
    }
}

/// The position of a point of an image of `size` (columns, rows), `x` to the right and `y` down in pixels with (0, 0) at the upper
/// left corner of the upper left pixel, so that its middle is at (0.5, 0.5).
pub(super) fn position(geometry: &ImageGeometry, size: [u32; 2], x: f32, y: f32) -> [f32; 3] {
    let along = |at: f32, side: u32| f64::from(at) - f64::from(side) / 2.0;
    let (columns, rows) = (along(x, size[0]), along(y, size[1]));
    [0, 1, 2].map(|axis| {
        let (column, row) = (geometry.column_step[axis], geometry.row_step[axis]);
        let moved = f64::from(column) * columns + f64::from(row) * rows;
        (f64::from(geometry.centre[axis]) + moved) as f32
    })
}

/// Spacing between rows and between columns in millimetres; none where a step is 0 or no number.
pub(super) fn spacing(geometry: &ImageGeometry) -> Option<[f64; 2]> {
    let length = |step: [f32; 3]| {
        let sum: f64 = step.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
        sum.sqrt()
    };
    let spacing = [geometry.row_step, geometry.column_step].map(length);
    let usable = |v: &f64| v.is_finite() && *v > 0.0;
    spacing.iter().all(usable).then_some(spacing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_geometry_is_the_same_place_in_both_systems() {
        let lps = built(Some([0.5, 0.25]), CoordinateSystem::Lps);
        assert_eq!(
            (lps.column_step, lps.row_step),
            ([0.25, 0.0, 0.0], [0.0, 0.5, 0.0])
        );
        let ras = built(Some([0.5, 0.25]), CoordinateSystem::Ras);
        assert_eq!(converted(&lps, CoordinateSystem::Ras), ras);
        assert_eq!(converted(&ras, CoordinateSystem::Lps), lps);
        assert_eq!(spacing(&ras), Some([0.5, 0.25]));
        assert_eq!(
            spacing(&built(None, CoordinateSystem::Ras)),
            Some([1.0, 1.0])
        );
        let flat = ImageGeometry {
            row_step: [0.0; 3],
            ..lps
        };
        assert_eq!(spacing(&flat), None);
    }

    #[test]
    fn corners_lie_half_an_image_from_the_centre() {
        let geometry = ImageGeometry {
            centre: [10.0, 20.0, 30.0],
            ..built(Some([0.5, 0.25]), CoordinateSystem::Lps)
        };
        assert_eq!(position(&geometry, [8, 4], 4.0, 2.0), [10.0, 20.0, 30.0]);
        assert_eq!(position(&geometry, [8, 4], 0.0, 0.0), [9.0, 19.0, 30.0]);
        // The middle of the first pixel, as receivers find it: (size − 1) / 2 steps from the centre.
        let first = position(&geometry, [8, 4], 0.5, 0.5);
        assert_eq!(first, [10.0 - 0.25 * 3.5, 20.0 - 0.5 * 1.5, 30.0]);
    }
}
