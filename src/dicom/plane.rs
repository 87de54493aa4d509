//! Where the pixels of a frame are in the patient.

use super::file::DicomFile;
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// Place and spacing of a frame's pixels in the patient coordinate system of its Frame of Reference.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plane {
    /// Image Orientation (Patient): direction cosines of a row, towards higher columns, then of a column, towards higher rows.
    pub(crate) orientation: [f64; 6],
    /// Image Position (Patient): x, y, z of the centre of the first pixel, in millimetres, x to the left, y to the back, z up.
    pub(crate) position: [f64; 3],
    /// Pixel Spacing in millimetres: between rows, then between columns.
    pub(crate) spacing_mm: [f64; 2],
    /// Slice Thickness in millimetres.
    pub(crate) thickness_mm: Option<f64>,
    /// Spacing Between Slices in millimetres.
    pub(crate) slice_spacing_mm: Option<f64>,
}

impl Plane {
    /// The unit vector at right angles to rows and columns.
    pub(crate) fn normal(&self) -> [f64; 3] {
        let [rx, ry, rz, cx, cy, cz] = self.orientation;
        [ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx]
    }
}

impl DicomFile {
    /// The plane of a frame (from 0), of its functional groups or, of a single frame, the data set; none where orientation,
    /// position or Pixel Spacing is not stated, or the orientation is no pair of unit vectors at right angles.
    pub(crate) fn plane(&self, frame: u64) -> Option<Plane> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::{DataElement, PrimitiveValue, VR, value::DataSetSequence};
    use dicom_dictionary_std::uids;
    use dicom_object::{FileMetaTableBuilder, InMemDicomObject, mem::InMemElement};

    fn text(tag: Tag, vr: VR, value: &str) -> InMemElement {
        DataElement::new(tag, vr, PrimitiveValue::from(value))
    }

    fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> InMemElement {
        DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
    }

    fn item(elements: Vec<InMemElement>) -> InMemDicomObject {
        InMemDicomObject::from_element_iter(elements)
    }

    fn opened(elements: Vec<InMemElement>) -> DicomFile {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.dcm");
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
            .media_storage_sop_class_uid(uids::ENHANCED_CT_IMAGE_STORAGE)
            .media_storage_sop_instance_uid("1.2.3");
        let object = item(elements).with_meta(meta).unwrap();
        object.write_to_file(&path).unwrap();
        DicomFile::open(&path).unwrap()
    }

    fn position(z: i32) -> InMemElement {
        text(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("1\\2\\{z}"))
    }

    fn orientation(value: &str) -> InMemElement {
        text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, value)
    }

    #[test]
    fn planes_of_frames_are_in_their_functional_groups() {
        let spacing = text(tags::PIXEL_SPACING, VR::DS, "0.5\\0.25");
        let shared = item(vec![
            sequence(tags::PIXEL_MEASURES_SEQUENCE, vec![item(vec![spacing])]),
            sequence(
                tags::PLANE_ORIENTATION_SEQUENCE,
                vec![item(vec![orientation("0\\1\\0\\0\\0\\-1")])],
            ),
        ]);
        let frame = |z| {
            let place = item(vec![position(z)]);
            item(vec![sequence(tags::PLANE_POSITION_SEQUENCE, vec![place])])
        };
        let file = opened(vec![
            text(tags::NUMBER_OF_FRAMES, VR::IS, "2"),
            sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]),
            sequence(
                tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
                vec![frame(3), frame(4)],
            ),
        ]);
        let plane = file.plane(1).unwrap();
        assert_eq!(plane.position, [1.0, 2.0, 4.0]);
        assert_eq!(plane.spacing_mm, [0.5, 0.25]);
        assert_eq!(plane.normal(), [-1.0, 0.0, 0.0]);
        assert_eq!(file.plane(2), None);
    }

    #[test]
    fn what_is_stated_once_is_not_the_plane_of_many_frames() {
        let of = |frames, axes| {
            opened(vec![
                text(tags::NUMBER_OF_FRAMES, VR::IS, frames),
                text(tags::PIXEL_SPACING, VR::DS, "1\\1"),
                position(0),
                orientation(axes),
            ])
        };
        assert!(of("1", "1\\0\\0\\0\\1\\0").plane(0).is_some());
        assert_eq!(of("2", "1\\0\\0\\0\\1\\0").plane(0), None);
        assert_eq!(of("1", "1\\0\\0\\1\\0\\0").plane(0), None);
    }
}
