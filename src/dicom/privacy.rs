//! Which attributes outputs may carry.
//!
//! Without the user's word only attributes of the lists below are given out: what the image is and how it was made.
//! None of them is in the basic confidentiality profile (PS3.15 table E.1-1): no names, numbers, dates, places, free
//! text or instance UIDs. Instance UIDs, by which results can be joined to the objects of an archive, can be asked for
//! alone. Pixels may show a name all the same; Burned In Annotation is kept for that reason.

use super::{attributes::Attributes, file::DicomFile, options::DicomOptions};
use dicom_core::{DataDictionary, Tag, dictionary::DataDictionaryEntry};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use std::collections::BTreeMap;

/// Attributes that do not identify a patient.
const ALLOWED: &[Tag] = &[
    tags::SOP_CLASS_UID,
    tags::MODALITY,
    tags::MANUFACTURER,
    tags::MANUFACTURER_MODEL_NAME,
    tags::IMAGE_TYPE,
    tags::CONVERSION_TYPE,
    tags::PATIENT_IDENTITY_REMOVED,
    tags::BURNED_IN_ANNOTATION,
    tags::RECOGNIZABLE_VISUAL_FEATURES,
    tags::BODY_PART_EXAMINED,
    tags::TRANSDUCER_TYPE,
    tags::TRANSDUCER_FREQUENCY,
    tags::DEPTH_OF_SCAN_FIELD,
    tags::MECHANICAL_INDEX,
    tags::BONE_THERMAL_INDEX,
    tags::CRANIAL_THERMAL_INDEX,
    tags::SOFT_TISSUE_THERMAL_INDEX,
    tags::CINE_RATE,
    tags::FRAME_TIME,
    tags::RECOMMENDED_DISPLAY_FRAME_RATE,
    tags::NUMBER_OF_FRAMES,
    tags::ROWS,
    tags::COLUMNS,
    tags::SAMPLES_PER_PIXEL,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::PIXEL_REPRESENTATION,
    tags::PIXEL_SPACING,
    tags::IMAGER_PIXEL_SPACING,
    tags::SLICE_THICKNESS,
    tags::SPACING_BETWEEN_SLICES,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::IMAGE_POSITION_PATIENT,
    tags::WINDOW_CENTER,
    tags::WINDOW_WIDTH,
    tags::VOILUT_FUNCTION,
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_SLOPE,
    tags::LOSSY_IMAGE_COMPRESSION,
    tags::LOSSY_IMAGE_COMPRESSION_RATIO,
    tags::LOSSY_IMAGE_COMPRESSION_METHOD,
];

/// Instance UIDs; included only under [`DicomOptions::keep_uids`] or [`DicomOptions::keep_patient_data`].
const UIDS: &[Tag] = &[
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::SOP_INSTANCE_UID,
    tags::FRAME_OF_REFERENCE_UID,
];

/// Identifying attributes; included only under [`DicomOptions::keep_patient_data`].
const IDENTIFYING: &[Tag] = &[
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::PATIENT_AGE,
    tags::PATIENT_SIZE,
    tags::PATIENT_WEIGHT,
    tags::ACCESSION_NUMBER,
    tags::STUDY_ID,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::STUDY_DESCRIPTION,
    tags::SERIES_DATE,
    tags::SERIES_TIME,
    tags::SERIES_NUMBER,
    tags::SERIES_DESCRIPTION,
    tags::ACQUISITION_DATE,
    tags::ACQUISITION_TIME,
    tags::ACQUISITION_DATE_TIME,
    tags::CONTENT_DATE,
    tags::CONTENT_TIME,
    tags::INSTANCE_NUMBER,
    tags::PROTOCOL_NAME,
    tags::INSTITUTION_NAME,
    tags::STATION_NAME,
    tags::DEVICE_SERIAL_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::PERFORMING_PHYSICIAN_NAME,
    tags::OPERATORS_NAME,
];

impl DicomFile {
    /// The attributes outputs may carry, by keyword, several values joined by `\`; those that identify only as `options`
    /// say. `TransferSyntaxUID` is among them.
    pub fn output_attributes(&self, options: &DicomOptions) -> BTreeMap<String, String> {
        let a = self.attributes();
        let uids = if options.gives_uids() { UIDS } else { &[] };
        let more = if options.keep_patient_data {
            IDENTIFYING
        } else {
            &[]
        };
        let mut out: BTreeMap<_, _> = ALLOWED
            .iter()
            .chain(uids)
            .chain(more)
            .filter_map(|&tag| entry(a, tag))
            .collect();
        out.insert(
            "TransferSyntaxUID".to_owned(),
            self.transfer_syntax_uid().to_owned(),
        );
        out
    }

    /// The UID of this instance, if `options` let outputs carry it.
    pub fn output_instance_uid(&self, options: &DicomOptions) -> Option<String> {
        options
            .gives_uids()
            .then(|| self.attributes().text(tags::SOP_INSTANCE_UID))?
    }
}

fn entry(a: Attributes<'_>, tag: Tag) -> Option<(String, String)> {
    let keyword = StandardDataDictionary.by_tag(tag)?.alias().to_owned();
    Some((keyword, a.text(tag)?))
}
