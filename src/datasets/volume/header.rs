//! What the headers of a DICOM source say: what a derived object refers to, and where its frames are.

use super::masks::{FrameMasks, SourceMasks};
use crate::{
    dicom::{Attributes, DicomFile, Plane},
    geometry::Size,
    sinks::SinkError,
};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use std::{collections::HashMap, path::Path};

/// Attributes of patient and study, with those that date and number the image.
const DESCRIBING: [(Tag, VR); 22] = [
    (tags::PATIENT_NAME, VR::PN),
    (tags::PATIENT_ID, VR::LO),
    (tags::ISSUER_OF_PATIENT_ID, VR::LO),
    (tags::PATIENT_BIRTH_DATE, VR::DA),
    (tags::PATIENT_SEX, VR::CS),
    (tags::PATIENT_AGE, VR::AS),
    (tags::PATIENT_SIZE, VR::DS),
    (tags::PATIENT_WEIGHT, VR::DS),
    (tags::STUDY_DATE, VR::DA),
    (tags::STUDY_TIME, VR::TM),
    (tags::STUDY_ID, VR::SH),
    (tags::STUDY_DESCRIPTION, VR::LO),
    (tags::ACCESSION_NUMBER, VR::SH),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
    (tags::SERIES_NUMBER, VR::IS),
    (tags::SERIES_DESCRIPTION, VR::LO),
    (tags::SERIES_DATE, VR::DA),
    (tags::SERIES_TIME, VR::TM),
    (tags::CONTENT_DATE, VR::DA),
    (tags::CONTENT_TIME, VR::TM),
    (tags::ACQUISITION_DATE, VR::DA),
    (tags::ACQUISITION_TIME, VR::TM),
];

/// A SOP instance of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::datasets) struct Instance {
    /// SOP Class UID.
    pub class: String,
    /// SOP Instance UID.
    pub uid: String,
}

/// Where a frame comes from.
#[derive(Debug)]
pub(in crate::datasets) struct FrameHeader {
    /// Place of its instance among [`SourceHeader::instances`].
    pub instance: usize,
    /// Number within its instance, from 1; none where the instance has no frames to number.
    pub number: Option<u64>,
    /// Its plane in the patient.
    pub plane: Option<Plane>,
}

/// What the headers of a source say.
#[derive(Debug)]
pub(in crate::datasets) struct SourceHeader {
    /// Study Instance UID.
    pub study_uid: String,
    /// Series Instance UID.
    pub series_uid: String,
    /// Frame of Reference UID that all instances share.
    pub frame_of_reference: Option<String>,
    /// The instances, in the order of the frames.
    pub instances: Vec<Instance>,
    /// One for each frame of the masks.
    pub frames: Vec<FrameHeader>,
    /// Attributes of patient, study and dates as the first instance has them.
    pub describing: Vec<(Tag, VR, String)>,
    /// Lossy Image Compression Ratio and Method, where the pixels were compressed with losses.
    pub lossy: Option<[Option<String>; 2]>,
}

/// Why a source's headers are of no use.
#[derive(Debug)]
pub(in crate::datasets) enum HeaderFault {
    /// They cannot be read.
    Unreadable(SinkError),
    /// They lack what is needed.
    Unsuitable(String),
}

impl SourceHeader {
    /// Reads the headers of the files of a DICOM source, in the order of its frames.
    ///
    /// # Errors
    /// [`HeaderFault`] for a file that cannot be read, has no UIDs, or whose size is not that of the masks.
    pub(in crate::datasets) fn read(masks: &SourceMasks) -> Result<Self, HeaderFault> {
        let mut reading = Reading::default();
        for frame in &masks.frames {
            let path = frame.file.as_deref().or(masks.path.as_deref());
            let path = path.ok_or_else(|| unsuitable("its record names no file"))?;
            reading.frame(path, frame, masks)?;
        }
        reading.done()
    }

    /// The planes of all frames; none where one has none.
    pub(in crate::datasets) fn planes(&self) -> Option<Vec<&Plane>> {
        self.frames
            .iter()
            .map(|frame| frame.plane.as_ref())
            .collect()
    }

    /// The UID that stands for the source, whichever of its frames there are: that of a lone instance, else that of the series.
    pub(in crate::datasets) fn identity(&self) -> &str {
        match &self.instances[..] {
            [one] => &one.uid,
            _ => &self.series_uid,
        }
    }

    /// The text of an attribute among those that describe patient, study and dates.
    pub(in crate::datasets) fn text(&self, tag: Tag) -> Option<&str> {
        let found = self.describing.iter().find(|(of, _, _)| *of == tag);
        found.map(|(_, _, text)| text.as_str())
    }
}

fn unsuitable(problem: impl Into<String>) -> HeaderFault {
    HeaderFault::Unsuitable(problem.into())
}

/// Headers while they are read: a file stays open for the frames that follow one another in it.
#[derive(Default)]
struct Reading {
    open: Option<(String, DicomFile, usize)>,
    places: HashMap<String, usize>,
    header: Option<SourceHeader>,
}

impl Reading {
    fn frame(
        &mut self,
        path: &str,
        frame: &FrameMasks,
        masks: &SourceMasks,
    ) -> Result<(), HeaderFault> {
        let (file, instance) = match self.open.take() {
            Some((open, file, instance)) if open == path => (file, instance),
            _ => self.open(path, masks.size)?,
        };
        // A file of a series is one frame; the number of a frame counts within a multi-frame file alone. Some of those do not
        // state how many frames they have.
        let within = if frame.file.is_some() { 0 } else { frame.frame };
        let several = frame.file.is_none() && (masks.frames.len() > 1 || within > 0);
        let numbered = several || file.stated_frames() != Some(1);
        let header = FrameHeader {
            instance,
            number: numbered.then_some(within + 1),
            plane: file.plane(within),
        };
        if let Some(all) = &mut self.header {
            all.frames.push(header);
        }
        self.open = Some((path.to_owned(), file, instance));
        Ok(())
    }

    fn open(&mut self, path: &str, size: Size) -> Result<(DicomFile, usize), HeaderFault> {
        let file = DicomFile::open(Path::new(path)).map_err(|error| {
            let problem = format!("cannot be read again for what its masks refer to: {error}");
            HeaderFault::Unreadable(
                SinkError::new(path, problem)
                    .with_remedy("run where the files of the record are at their paths"),
            )
        })?;
        let a = file.attributes();
        let stated = [tags::COLUMNS, tags::ROWS].map(|tag| a.int(tag).unwrap_or_default());
        if stated != [i64::from(size.width), i64::from(size.height)] {
            let [width, height] = stated;
            return Err(unsuitable(format!(
                "{path}: Columns and Rows are {width}x{height}, the masks have {size}"
            )));
        }
        let instance = Instance {
            class: uid(a, tags::SOP_CLASS_UID, "SOP Class UID", path)?,
            uid: uid(a, tags::SOP_INSTANCE_UID, "SOP Instance UID", path)?,
        };
        let header = match &mut self.header {
            Some(header) => header,
            None => self.header.insert(first(&file, path)?),
        };
        let reference = uid(a, tags::FRAME_OF_REFERENCE_UID, "", path).ok();
        if header.frame_of_reference != reference {
            header.frame_of_reference = None;
        }
        header.lossy = header.lossy.take().or_else(|| lossy(&file));
        let next = header.instances.len();
        let place = *self.places.entry(instance.uid.clone()).or_insert(next);
        if place == next {
            header.instances.push(instance);
        }
        Ok((file, place))
    }

    fn done(self) -> Result<SourceHeader, HeaderFault> {
        self.header.ok_or_else(|| unsuitable("has no frame"))
    }
}

fn first(file: &DicomFile, path: &str) -> Result<SourceHeader, HeaderFault> {
    let a = file.attributes();
    let text = |(tag, vr)| Some((tag, vr, a.text(tag)?));
    Ok(SourceHeader {
        study_uid: uid(a, tags::STUDY_INSTANCE_UID, "Study Instance UID", path)?,
        series_uid: uid(a, tags::SERIES_INSTANCE_UID, "Series Instance UID", path)?,
        frame_of_reference: uid(a, tags::FRAME_OF_REFERENCE_UID, "", path).ok(),
        instances: Vec::new(),
        frames: Vec::new(),
        describing: DESCRIBING.into_iter().filter_map(text).collect(),
        lossy: None,
    })
}

fn uid(a: Attributes<'_>, tag: Tag, name: &str, path: &str) -> Result<String, HeaderFault> {
    let text = a
        .text(tag)
        .ok_or_else(|| unsuitable(format!("{path}: has no {name}, to which masks could refer")))?;
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if text.len() <= 64 && text.split('.').all(number) {
        return Ok(text);
    }
    let shown: String = text.chars().take(80).collect();
    Err(unsuitable(format!(
        "{path}: the {name} {shown:?} is no UID"
    )))
}

/// Ratio and method of a compression with losses, which derived objects go on stating.
fn lossy(file: &DicomFile) -> Option<[Option<String>; 2]> {
    /// Transfer syntaxes that always lose something, with their Lossy Image Compression Method.
    const METHODS: [(&str, &str); 9] = [
        ("1.2.840.10008.1.2.4.50", "ISO_10918_1"),
        ("1.2.840.10008.1.2.4.51", "ISO_10918_1"),
        ("1.2.840.10008.1.2.4.81", "ISO_14495_1"),
        ("1.2.840.10008.1.2.4.100", "ISO_13818_2"),
        ("1.2.840.10008.1.2.4.101", "ISO_13818_2"),
        ("1.2.840.10008.1.2.4.102", "ISO_14496_10"),
        ("1.2.840.10008.1.2.4.103", "ISO_14496_10"),
        ("1.2.840.10008.1.2.4.107", "ISO_23008_2"),
        ("1.2.840.10008.1.2.4.108", "ISO_23008_2"),
    ];
    let a = file.attributes();
    let stated = a
        .text(tags::LOSSY_IMAGE_COMPRESSION)
        .is_some_and(|v| v == "01");
    let syntax = METHODS
        .iter()
        .find(|(syntax, _)| *syntax == file.transfer_syntax_uid());
    let method = a
        .text(tags::LOSSY_IMAGE_COMPRESSION_METHOD)
        .or_else(|| syntax.map(|(_, method)| (*method).to_owned()));
    (stated || syntax.is_some()).then(|| [a.text(tags::LOSSY_IMAGE_COMPRESSION_RATIO), method])
}
