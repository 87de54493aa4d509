//! Patient, study and dates of an object: the source's own, or what says nothing about the patient.

use super::{build::Build, value::clean};
use crate::datasets::volume::SourceHeader;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use sha2::{Digest, Sha256};

/// Attributes that must be there, with or without a value.
const REQUIRED: [(Tag, VR); 9] = [
    (tags::PATIENT_NAME, VR::PN),
    (tags::PATIENT_ID, VR::LO),
    (tags::PATIENT_BIRTH_DATE, VR::DA),
    (tags::PATIENT_SEX, VR::CS),
    (tags::STUDY_DATE, VR::DA),
    (tags::STUDY_TIME, VR::TM),
    (tags::STUDY_ID, VR::SH),
    (tags::ACCESSION_NUMBER, VR::SH),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
];
/// Attributes that are written where the source states them.
const OPTIONAL: [(Tag, VR); 5] = [
    (tags::ISSUER_OF_PATIENT_ID, VR::LO),
    (tags::PATIENT_AGE, VR::AS),
    (tags::PATIENT_SIZE, VR::DS),
    (tags::PATIENT_WEIGHT, VR::DS),
    (tags::STUDY_DESCRIPTION, VR::LO),
];
/// Where Content Date, which must have a value, comes from: the first that the source states.
const DATES: [Tag; 4] = [
    tags::CONTENT_DATE,
    tags::ACQUISITION_DATE,
    tags::SERIES_DATE,
    tags::STUDY_DATE,
];
/// As [`DATES`], of Content Time.
const TIMES: [Tag; 4] = [
    tags::CONTENT_TIME,
    tags::ACQUISITION_TIME,
    tags::SERIES_TIME,
    tags::STUDY_TIME,
];
/// Stand for dates and times that are not known, or not to be given out.
const NO_DATE: &str = "19000101";
const NO_TIME: &str = "000000";
/// Series Number, to which the source's is added where it may be given out.
const SERIES_NUMBER: u64 = 1000;

/// Adds them; `keep` says whether they are the source's.
pub(super) fn subject(object: Build, header: &SourceHeader, keep: bool) -> Build {
    let object = object.text(tags::CONTENT_CREATOR_NAME, VR::PN, "");
    match keep {
        true => own(object, header),
        false => neutral(object, header),
    }
}

fn own(mut object: Build, header: &SourceHeader) -> Build {
    let stated = |tag, vr| clean(vr, header.text(tag).unwrap_or(""));
    for (tag, vr) in REQUIRED {
        let text = stated(tag, vr);
        let sound = tag != tags::PATIENT_SEX || ["M", "F", "O"].contains(&text.as_str());
        object = object.text(tag, vr, if sound { &text } else { "" });
    }
    for (tag, vr) in OPTIONAL {
        let text = stated(tag, vr);
        // A size or weight of 0 is not known.
        if !text.is_empty() && text != "0" {
            object = object.text(tag, vr, &text);
        }
    }
    let first = |vr, from: [Tag; 4], none: &str| {
        from.iter()
            .map(|tag| stated(*tag, vr))
            .find(|text| !text.is_empty())
            .unwrap_or_else(|| none.to_owned())
    };
    let number = header
        .text(tags::SERIES_NUMBER)
        .and_then(|number| number.parse::<u64>().ok())
        .filter(|number| *number < 1_000_000);
    object
        .int(tags::SERIES_NUMBER, SERIES_NUMBER + number.unwrap_or(0))
        .text(tags::CONTENT_DATE, VR::DA, &first(VR::DA, DATES, NO_DATE))
        .text(tags::CONTENT_TIME, VR::TM, &first(VR::TM, TIMES, NO_TIME))
}

fn neutral(mut object: Build, header: &SourceHeader) -> Build {
    for (tag, vr) in REQUIRED {
        object = object.empty(tag, vr);
    }
    // A DICOMDIR needs these, so they have values.
    object
        .text(tags::PATIENT_ID, VR::LO, &pseudonym(&header.study_uid))
        .text(tags::STUDY_DATE, VR::DA, NO_DATE)
        .text(tags::STUDY_TIME, VR::TM, NO_TIME)
        .text(tags::STUDY_ID, VR::SH, "1")
        .int(tags::SERIES_NUMBER, SERIES_NUMBER)
        .text(tags::CONTENT_DATE, VR::DA, NO_DATE)
        .text(tags::CONTENT_TIME, VR::TM, NO_TIME)
}

/// An identifier that tells studies apart and says nothing about the patient.
fn pseudonym(study_uid: &str) -> String {
    let digest = Sha256::digest(study_uid.as_bytes());
    let hex: String = digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02X}"))
        .collect();
    format!("ANON-{hex}")
}
