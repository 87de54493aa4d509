//! Functional groups: what holds for all frames, and what for each.

use super::{
    build::Build,
    plan::{Geometry, Plan, PlanFrame},
};
use crate::{
    datasets::volume::{FrameMasks, SourceHeader},
    dicom::Plane,
};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

/// Slice Thickness and Spacing Between Slices of a made-up geometry, in millimetres: the step from frame to frame. Also the
/// thickness of slices whose source states none, since readers need one (highdicom).
const STEP_MM: f64 = 1.0;

/// The items of Dimension Index Sequence: what Dimension Index Values number.
pub(super) fn dimensions(plan: &Plan, organization: &str) -> Vec<Build> {
    let index = |pointer: Tag, group: Tag, label: &str| {
        Build::new()
            .uid(tags::DIMENSION_ORGANIZATION_UID, organization)
            .tag(tags::DIMENSION_INDEX_POINTER, pointer)
            .tag(tags::FUNCTIONAL_GROUP_POINTER, group)
            .text(tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, label)
    };
    let segment = index(
        tags::REFERENCED_SEGMENT_NUMBER,
        tags::SEGMENT_IDENTIFICATION_SEQUENCE,
        "Segment",
    );
    let place = index(
        tags::IMAGE_POSITION_PATIENT,
        tags::PLANE_POSITION_SEQUENCE,
        "Position",
    );
    let time = index(
        tags::TEMPORAL_POSITION_INDEX,
        tags::FRAME_CONTENT_SEQUENCE,
        "Temporal position",
    );
    let segments = (plan.bits == 1).then_some(segment);
    let others = match &plan.geometry {
        Geometry::Source { times: None, .. } => vec![place],
        Geometry::Source { .. } => vec![place, time],
        Geometry::None | Geometry::Frames { .. } => vec![time],
    };
    segments.into_iter().chain(others).collect()
}

/// The item of Shared Functional Groups Sequence; empty without a geometry.
pub(super) fn shared(plan: &Plan, header: &SourceHeader) -> Build {
    match &plan.geometry {
        Geometry::None => Build::new(),
        Geometry::Frames { spacing_mm, .. } => {
            const AXES: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
            let measures = Build::new()
                .decimals(tags::PIXEL_SPACING, spacing_mm)
                .decimals(tags::SLICE_THICKNESS, &[STEP_MM])
                .decimals(tags::SPACING_BETWEEN_SLICES, &[STEP_MM]);
            Build::new()
                .item(tags::PIXEL_MEASURES_SEQUENCE, measures)
                .item(tags::PLANE_ORIENTATION_SEQUENCE, orientation(&AXES))
        }
        Geometry::Source { shared: false, .. } => Build::new(),
        Geometry::Source { slice_spacing, .. } => {
            let first = header.frames.first().and_then(|frame| frame.plane.as_ref());
            first.map_or_else(Build::new, |plane| {
                measured(Build::new(), plane, *slice_spacing)
            })
        }
    }
}

/// Pixel Measures and Plane Orientation of a plane.
fn measured(item: Build, plane: &Plane, slice_spacing: Option<f64>) -> Build {
    let thickness = plane.thickness_mm.or(slice_spacing).unwrap_or(STEP_MM);
    let mut measures = Build::new()
        .decimals(tags::PIXEL_SPACING, &plane.spacing_mm)
        .decimals(tags::SLICE_THICKNESS, &[thickness]);
    if let Some(spacing) = slice_spacing {
        measures = measures.decimals(tags::SPACING_BETWEEN_SLICES, &[spacing]);
    }
    item.item(tags::PIXEL_MEASURES_SEQUENCE, measures).item(
        tags::PLANE_ORIENTATION_SEQUENCE,
        orientation(&plane.orientation),
    )
}

fn orientation(axes: &[f64; 6]) -> Build {
    Build::new().decimals(tags::IMAGE_ORIENTATION_PATIENT, axes)
}

/// The item of Per-Frame Functional Groups Sequence of a frame; `masks` are the source's frames.
pub(super) fn frame(
    plan: &Plan,
    header: &SourceHeader,
    masks: &[FrameMasks],
    of: PlanFrame,
) -> Option<Build> {
    let source = header.frames.get(of.frame)?;
    let number = of
        .segment
        .and_then(|segment| plan.segments.get(segment))
        .map(|segment| segment.number);
    let mut item = Build::new();
    let mut content = Build::new();
    let mut values: Vec<u32> = number.into_iter().map(u32::from).collect();
    let place = |at: &Vec<u32>| at.get(of.frame).copied();
    let time;
    match &plan.geometry {
        Geometry::None => time = Some(of.frame as u32 + 1),
        Geometry::Frames { .. } => {
            time = Some(of.frame as u32 + 1);
            let z = masks.get(of.frame)?.frame as f64 * STEP_MM;
            item = item.item(tags::PLANE_POSITION_SEQUENCE, position(&[0.0, 0.0, z]));
        }
        Geometry::Source {
            slice_spacing,
            shared,
            places,
            times,
            ..
        } => {
            let plane = source.plane.as_ref()?;
            item = item.item(tags::PLANE_POSITION_SEQUENCE, position(&plane.position));
            if !shared {
                item = measured(item, plane, *slice_spacing);
            }
            values.extend(place(places));
            time = times.as_ref().and_then(place);
        }
    }
    if let Some(time) = time {
        values.push(time);
        content = content.longs(tags::TEMPORAL_POSITION_INDEX, &[time]);
    }
    content = content.longs(tags::DIMENSION_INDEX_VALUES, &values);
    item = item.item(tags::FRAME_CONTENT_SEQUENCE, content).item(
        tags::DERIVATION_IMAGE_SEQUENCE,
        derivation(header, of.frame)?,
    );
    Some(match number {
        Some(number) => item.item(
            tags::SEGMENT_IDENTIFICATION_SEQUENCE,
            Build::new().words(tags::REFERENCED_SEGMENT_NUMBER, &[number]),
        ),
        None => item,
    })
}

fn position(place: &[f64; 3]) -> Build {
    Build::new().decimals(tags::IMAGE_POSITION_PATIENT, place)
}

/// What a frame was derived from: its instance, and its number there.
fn derivation(header: &SourceHeader, frame: usize) -> Option<Build> {
    let source = header.frames.get(frame)?;
    let instance = header.instances.get(source.instance)?;
    let mut image = Build::new()
        .uid(tags::REFERENCED_SOP_CLASS_UID, &instance.class)
        .uid(tags::REFERENCED_SOP_INSTANCE_UID, &instance.uid);
    if let Some(number) = source.number {
        image = image.int(tags::REFERENCED_FRAME_NUMBER, number);
    }
    let image = image
        .coded(
            tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
            "121322",
            "DCM",
            "Source image for image processing operation",
        )
        .text(tags::SPATIAL_LOCATIONS_PRESERVED, VR::CS, "YES");
    Some(
        Build::new()
            .coded(
                tags::DERIVATION_CODE_SEQUENCE,
                "113076",
                "DCM",
                "Segmentation",
            )
            .item(tags::SOURCE_IMAGE_SEQUENCE, image),
    )
}
