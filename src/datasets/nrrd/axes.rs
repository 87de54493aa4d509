//! Where voxels are, in millimetres: x to the left, y to the back, z up.

use crate::{
    datasets::volume::{SourceHeader, SourceMasks, stack},
    dicom::Plane,
};

/// The steps along columns, rows and frames, and the centre of the first voxel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axes {
    pub steps: [[f64; 3]; 3],
    pub origin: [f64; 3],
}

/// How the frames of a source lie.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// The volume of all frames, one behind the other.
    pub volume: Axes,
    /// The plane of each frame, where frames follow one another in time; none for slices of a volume, and for one frame.
    pub cine: Option<Axes>,
    /// Why planes that the source states are of no use.
    pub problem: Option<String>,
}

/// The layout of a source, of the headers of a DICOM one. Frames without planes lie 1 mm apart, at the spacing of the items'
/// pixels or, where none is known, of 1 mm.
pub(super) fn layout(masks: &SourceMasks, header: Option<&SourceHeader>) -> Layout {
    let by_number = numbered(masks);
    let many = masks.frames.len() > 1;
    let planes = header.and_then(SourceHeader::planes).unwrap_or_default();
    let Some(first) = planes.first() else {
        return Layout {
            volume: by_number,
            cine: many.then_some(by_number),
            problem: None,
        };
    };
    match stack(&planes) {
        Some(stack) if !many || stack.step.is_some() => Layout {
            volume: of_plane(first, stack.step),
            cine: None,
            problem: None,
        },
        Some(_) if planes.iter().all(|plane| plane.position == first.position) => Layout {
            volume: by_number,
            cine: Some(of_plane(first, None)),
            problem: None,
        },
        _ => Layout {
            volume: by_number,
            cine: Some(by_number),
            problem: Some(
                "its slices are not parallel and evenly spaced: they lie by number, 1 mm apart"
                    .to_owned(),
            ),
        },
    }
}

fn numbered(masks: &SourceMasks) -> Axes {
    let [rows, columns] = masks.spacing_mm.unwrap_or([1.0; 2]);
    Axes {
        steps: [[columns, 0.0, 0.0], [0.0, rows, 0.0], [0.0, 0.0, 1.0]],
        origin: [0.0; 3],
    }
}

fn of_plane(plane: &Plane, step: Option<[f64; 3]>) -> Axes {
    let [rx, ry, rz, cx, cy, cz] = plane.orientation;
    let [rows, columns] = plane.spacing_mm;
    let thickness = plane.slice_spacing_mm.or(plane.thickness_mm).unwrap_or(1.0);
    let across = step.unwrap_or_else(|| plane.normal().map(|n| n * thickness));
    Axes {
        steps: [
            [rx, ry, rz].map(|v| v * columns),
            [cx, cy, cz].map(|v| v * rows),
            across,
        ],
        origin: plane.position,
    }
}
