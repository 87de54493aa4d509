//! The data set of a segmentation object, but for what is stated for each frame.

use super::{
    build::Build,
    colour::cielab,
    groups::{dimensions, shared},
    options::{SegAlgorithm, SegOptions},
    plan::{Geometry, Plan, Segment},
    subject::subject,
    uid::uid,
};
use crate::{
    datasets::volume::{SourceHeader, SourceMasks},
    sinks::class_colour,
};
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};

/// UIDs of the object itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Uids {
    pub instance: String,
    pub series: String,
    pub dimensions: String,
}

impl Uids {
    /// Those of an object with this content.
    pub(super) fn of(content: &[u8]) -> Self {
        let of = |what: &[u8]| uid(&[what, content]);
        Self {
            instance: of(b"segmentation instance"),
            series: of(b"segmentation series"),
            dimensions: of(b"segmentation dimensions"),
        }
    }
}

/// SOP Class UID: Segmentation Storage, or Label Map Segmentation Storage.
pub(super) fn class_uid(plan: &Plan) -> &'static str {
    match plan.bits {
        1 => uids::SEGMENTATION_STORAGE,
        _ => "1.2.840.10008.5.1.4.1.1.66.7",
    }
}

/// All but the Per-Frame Functional Groups Sequence and the pixel data.
pub(super) fn object(
    masks: &SourceMasks,
    header: &SourceHeader,
    plan: &Plan,
    options: &SegOptions,
    own: &Uids,
) -> Build {
    let object = Build::new()
        .text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192")
        .uid(tags::SOP_CLASS_UID, class_uid(plan))
        .uid(tags::SOP_INSTANCE_UID, &own.instance)
        .uid(tags::STUDY_INSTANCE_UID, &header.study_uid)
        .uid(tags::SERIES_INSTANCE_UID, &own.series)
        .text(tags::MODALITY, VR::CS, "SEG")
        .text(tags::SERIES_DESCRIPTION, VR::LO, "Segmentation")
        .int(tags::INSTANCE_NUMBER, 1)
        .text(tags::MANUFACTURER, VR::LO, env!("CARGO_PKG_NAME"))
        .text(
            tags::MANUFACTURER_MODEL_NAME,
            VR::LO,
            env!("CARGO_PKG_NAME"),
        )
        .text(tags::DEVICE_SERIAL_NUMBER, VR::LO, "0")
        .text(tags::SOFTWARE_VERSIONS, VR::LO, env!("CARGO_PKG_VERSION"));
    let object = subject(object, header, options.keep_patient_data);
    let object = pixels(object, masks, header, plan);
    let object = placed(object, plan)
        .item(
            tags::DIMENSION_ORGANIZATION_SEQUENCE,
            Build::new().uid(tags::DIMENSION_ORGANIZATION_UID, &own.dimensions),
        )
        .items(
            tags::DIMENSION_INDEX_SEQUENCE,
            dimensions(plan, &own.dimensions),
        )
        .item(tags::REFERENCED_SERIES_SEQUENCE, references(header));
    object
        .items(
            tags::SEGMENT_SEQUENCE,
            plan.segments.iter().map(|s| segment(s, header, options)),
        )
        .item(
            tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
            shared(plan, header),
        )
}

fn pixels(object: Build, masks: &SourceMasks, header: &SourceHeader, plan: &Plan) -> Build {
    let word = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    let object = object
        .terms(tags::IMAGE_TYPE, &["DERIVED", "PRIMARY"])
        .words(tags::SAMPLES_PER_PIXEL, &[1])
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2")
        .int(tags::NUMBER_OF_FRAMES, plan.frames.len() as u64)
        .words(tags::ROWS, &[word(masks.size.height)])
        .words(tags::COLUMNS, &[word(masks.size.width)])
        .words(tags::BITS_ALLOCATED, &[plan.bits])
        .words(tags::BITS_STORED, &[plan.bits])
        .words(tags::HIGH_BIT, &[plan.bits - 1])
        .words(tags::PIXEL_REPRESENTATION, &[0]);
    let object = match plan.bits {
        1 => object.text(tags::SEGMENTATION_TYPE, VR::CS, "BINARY"),
        _ => object
            .text(tags::SEGMENTATION_TYPE, VR::CS, "LABELMAP")
            .words(tags::PIXEL_PADDING_VALUE, &[0]),
    };
    let object = object.text(
        tags::SEGMENTS_OVERLAP,
        VR::CS,
        if plan.overlap { "YES" } else { "NO" },
    );
    let Some([ratio, method]) = &header.lossy else {
        return object.text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00");
    };
    let mut object = object.text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01");
    let ratios: Vec<f64> = ratio
        .iter()
        .flat_map(|ratio| ratio.split('\\'))
        .filter_map(|ratio| ratio.trim().parse().ok())
        .filter(|ratio: &f64| ratio.is_finite() && *ratio > 0.0)
        .collect();
    if !ratios.is_empty() {
        object = object.decimals(tags::LOSSY_IMAGE_COMPRESSION_RATIO, &ratios);
    }
    let methods: Vec<&str> = method
        .iter()
        .flat_map(|method| method.split('\\'))
        .collect();
    if !methods.is_empty() {
        object = object.terms(tags::LOSSY_IMAGE_COMPRESSION_METHOD, &methods);
    }
    object
}

/// Frame of Reference, or the empty Patient Orientation of an object without one; and what the object is.
fn placed(object: Build, plan: &Plan) -> Build {
    let object = object.text(tags::CONTENT_LABEL, VR::CS, "SEGMENTATION");
    let described = |text| object.text(tags::CONTENT_DESCRIPTION, VR::LO, text);
    let (object, reference) = match &plan.geometry {
        Geometry::None => {
            return described("Masks of objects, by frame")
                .empty(tags::PATIENT_ORIENTATION, VR::CS);
        }
        Geometry::Source {
            frame_of_reference, ..
        } => (described("Masks of objects, by slice"), frame_of_reference),
        Geometry::Frames {
            frame_of_reference, ..
        } => (
            described("Masks of objects; z is the frame number, not a place"),
            frame_of_reference,
        ),
    };
    object
        .uid(tags::FRAME_OF_REFERENCE_UID, reference)
        .empty(tags::POSITION_REFERENCE_INDICATOR, VR::LO)
}

/// The item of Referenced Series Sequence.
fn references(header: &SourceHeader) -> Build {
    let instances = header.instances.iter().map(|instance| {
        Build::new()
            .uid(tags::REFERENCED_SOP_CLASS_UID, &instance.class)
            .uid(tags::REFERENCED_SOP_INSTANCE_UID, &instance.uid)
    });
    Build::new()
        .uid(tags::SERIES_INSTANCE_UID, &header.series_uid)
        .items(tags::REFERENCED_INSTANCE_SEQUENCE, instances)
}

/// An item of Segment Sequence.
fn segment(segment: &Segment, header: &SourceHeader, options: &SegOptions) -> Build {
    let code = options.codes.of(&segment.label);
    let name = segment.key.name(&segment.label);
    let mut item = Build::new()
        .words(tags::SEGMENT_NUMBER, &[segment.number])
        .text(tags::SEGMENT_LABEL, VR::LO, &name)
        .code(
            tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE,
            &code.category,
        )
        .code(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, &code.kind)
        .words(
            tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE,
            &cielab(class_colour(segment.key.class)),
        );
    if let Some(track) = segment.key.track {
        let key = [u64::from(segment.key.class), track]
            .map(u64::to_le_bytes)
            .concat();
        let tracking = uid(&[b"track", &key, header.identity().as_bytes()]);
        item = item
            .text(tags::TRACKING_ID, VR::UT, &name)
            .uid(tags::TRACKING_UID, &tracking);
    }
    match &options.algorithm {
        None => item.text(tags::SEGMENT_ALGORITHM_TYPE, VR::CS, "MANUAL"),
        Some(algorithm) => identified(item, algorithm),
    }
}

fn identified(item: Build, algorithm: &SegAlgorithm) -> Build {
    let kind = if algorithm.guided {
        "SEMIAUTOMATIC"
    } else {
        "AUTOMATIC"
    };
    let mut family = Build::new()
        .coded(
            tags::ALGORITHM_FAMILY_CODE_SEQUENCE,
            "123109",
            "DCM",
            "Artificial Intelligence",
        )
        .text(tags::ALGORITHM_NAME, VR::LO, &algorithm.name)
        .text(tags::ALGORITHM_VERSION, VR::LO, &algorithm.version);
    if !algorithm.models.is_empty() {
        let models: Vec<String> = algorithm
            .models
            .iter()
            .map(|(name, digest)| format!("{name}={digest}"))
            .collect();
        family = family.text(tags::ALGORITHM_PARAMETERS, VR::LT, &models.join("; "));
    }
    item.text(tags::SEGMENT_ALGORITHM_TYPE, VR::CS, kind)
        .text(tags::SEGMENT_ALGORITHM_NAME, VR::LO, &algorithm.name)
        .item(tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE, family)
}
