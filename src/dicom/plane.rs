//! Where the pixels of a frame are in the patient.

use super::file::DicomFile;
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// Place and spacing of a frame's pixels in the patient coordinate system of its Frame of Reference.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Plane {
    /// Image Orientation (Patient): direction cosines of a row, towards higher columns, then of a column, towards higher rows.
    pub orientation: [f64; 6],
    /// Image Position (Patient): x, y, z of the centre of the first pixel, in millimetres, x to the left, y to the back, z up.
    pub position: [f64; 3],
    /// Pixel Spacing in millimetres: between rows, then between columns.
    pub spacing_mm: [f64; 2],
    /// Slice Thickness in millimetres.
    pub thickness_mm: Option<f64>,
    /// Spacing Between Slices in millimetres.
    pub slice_spacing_mm: Option<f64>,
}

impl Plane {
    /// The unit vector at right angles to rows and columns.
    pub fn normal(&self) -> [f64; 3] {
        let [rx, ry, rz, cx, cy, cz] = self.orientation;
        [ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx]
    }

    /// The place along the normal, in millimetres.
    pub fn depth(&self) -> f64 {
        let (n, p) = (self.normal(), self.position);
        n[0] * p[0] + n[1] * p[1] + n[2] * p[2]
    }
}

impl DicomFile {
    /// The plane of a frame (from 0), of its functional groups or, of a single frame, the data set; none where orientation,
    /// position or Pixel Spacing is not stated, or the orientation is no pair of unit vectors at right angles.
    pub fn plane(&self, frame: u64) -> Option<Plane> {
        let a = self.frame_attributes(frame);
        // Without functional groups, the position of a multi-frame object is that of its first frame.
        if a.per_frame.is_none() && self.stated_frames() != Some(1) {
            return None;
        }
        let numbers = |group, tag: Tag| a.place(group, tag).floats(tag);
        let one = |tag| {
            numbers(tags::PIXEL_MEASURES_SEQUENCE, tag)?
                .first()
                .copied()
                .filter(|v| *v > 0.0)
        };
        let orientation = numbers(
            tags::PLANE_ORIENTATION_SEQUENCE,
            tags::IMAGE_ORIENTATION_PATIENT,
        )?;
        let position = numbers(tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT)?;
        let spacing = numbers(tags::PIXEL_MEASURES_SEQUENCE, tags::PIXEL_SPACING)?;
        let plane = Plane {
            orientation: orientation.try_into().ok()?,
            position: position.try_into().ok()?,
            spacing_mm: <[f64; 2]>::try_from(spacing)
                .ok()
                .filter(|s| s.iter().all(|v| *v > 0.0))?,
            thickness_mm: one(tags::SLICE_THICKNESS),
            slice_spacing_mm: one(tags::SPACING_BETWEEN_SLICES),
        };
        orthonormal(&plane.orientation).then_some(plane)
    }
}

/// Whether rows and columns have unit length and a right angle, as far as writers round.
fn orthonormal(o: &[f64; 6]) -> bool {
    const ROUNDED: f64 = 1e-2;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (row, column) = o.split_at(3);
    (dot(row, row) - 1.0).abs() < ROUNDED
        && (dot(column, column) - 1.0).abs() < ROUNDED
        && dot(row, column).abs() < ROUNDED
}
