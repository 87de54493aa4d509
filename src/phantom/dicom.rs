//! Multi-frame ultrasound DICOM from a phantom: Ultrasound Multi-frame Image Storage, 8-bit grey, not compressed.

use super::{Motion, Phantom, rng::mix};
use crate::frame::{Image, UltrasoundRegion};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR, dicom_value, value::DataSetSequence};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

/// Why a phantom could not be written as DICOM.
#[derive(Debug, thiserror::Error)]
pub enum DicomWriteError {
    /// More pixels than one DICOM element holds.
    #[error(
        "phantom DICOM {path}: {frames} frames of {bytes_per_frame} bytes exceed the 4 GiB of one pixel data element; ask for fewer or smaller frames"
    )]
    TooLarge {
        /// The file asked for.
        path: PathBuf,
        /// Frames of the sequence.
        frames: u32,
        /// Bytes of one.
        bytes_per_frame: u64,
    },
    /// More frame times than one DICOM element holds.
    #[error(
        "phantom DICOM {path}: the times of {frames} frames exceed the 64 KiB of one Frame Time Vector; ask for fewer frames, or for a motion without lost frames"
    )]
    Times {
        /// The file asked for.
        path: PathBuf,
        /// Frames of the sequence.
        frames: u32,
    },
    /// The header could not be formed.
    #[error("phantom DICOM {path}: file meta information: {source}")]
    Meta {
        /// The file asked for.
        path: PathBuf,
        /// The cause.
        source: Box<dicom_object::WithMetaError>,
    },
    /// The file could not be made.
    #[error("phantom DICOM {path}: cannot create the file: {source}")]
    Create {
        /// The file asked for.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Other frames than those of the sequence were given.
    #[error(
        "phantom DICOM {path}: {given} bytes of pixels were given, the sequence has {expected}; give each frame once"
    )]
    Frames {
        /// The file asked for.
        path: PathBuf,
        /// Bytes given.
        given: u64,
        /// Bytes of all frames.
        expected: u64,
    },
    /// The file could not be written.
    #[error("phantom DICOM {path}: {source}")]
    Write {
        /// The file asked for.
        path: PathBuf,
        /// The cause.
        source: Box<dicom_object::WriteError>,
    },
}

/// Bytes that an element of value representation DS holds in Explicit VR.
const MOST_TIMES: usize = 65_534;

/// Renders every frame of `phantom` and writes them as one file at `path`: bytes depend on the options alone.
///
/// UIDs are hashes under `2.25`, dates are fixed, and the patient is named as synthetic. Pixel spacing is in the Sequence of
/// Ultrasound Regions; a sequence that changes depth on the way states its region without physical units there.
///
/// # Errors
/// If the pixels or the frames' times exceed one DICOM element, or the file cannot be written.
pub fn write(phantom: &Phantom, path: &Path) -> Result<(), DicomWriteError> {
    let mut cine = Cine::new(phantom, path)?;
    phantom.frames().for_each(|frame| cine.push(&frame.image));
    let file = File::create(path).map_err(|source| DicomWriteError::Create {
        path: path.to_owned(),
        source,
    })?;
    cine.finish(file)
}

/// A DICOM file whose frames are handed over one by one, for callers that need each frame for other things too. The pixels
/// are kept in memory until the end.
pub struct Cine<'a> {
    phantom: &'a Phantom,
    path: PathBuf,
    pixels: Vec<u8>,
    expected: u64,
}

impl<'a> Cine<'a> {
    /// A file of all frames of `phantom`; `path` is what errors name.
    ///
    /// # Errors
    /// If the pixels or the frames' times exceed one DICOM element.
    pub fn new(phantom: &'a Phantom, path: &Path) -> Result<Self, DicomWriteError> {
        let options = phantom.options();
        let bytes_per_frame = options.size.pixels();
        let total = bytes_per_frame
            .checked_mul(u64::from(options.frames))
            .filter(|&n| n < u64::from(u32::MAX) - 1);
        let Some(expected) = total else {
            return Err(DicomWriteError::TooLarge {
                path: path.to_owned(),
                frames: options.frames,
                bytes_per_frame,
            });
        };
        if !phantom.is_steady() && frame_times(phantom).len() > MOST_TIMES {
            return Err(DicomWriteError::Times {
                path: path.to_owned(),
                frames: options.frames,
            });
        }
        Ok(Self {
            phantom,
            path: path.to_owned(),
            pixels: Vec::with_capacity(expected as usize + 1),
            expected,
        })
    }

    /// Adds the next frame.
    pub fn push(&mut self, image: &Image) {
        self.pixels.extend_from_slice(image.data());
    }

    /// Writes the file to `to`.
    ///
    /// # Errors
    /// If other frames than those of the sequence were pushed, or `to` cannot be written.
    pub fn finish(mut self, to: impl Write) -> Result<(), DicomWriteError> {
        let (path, given) = (self.path, self.pixels.len() as u64);
        if given != self.expected {
            return Err(DicomWriteError::Frames {
                path,
                given,
                expected: self.expected,
            });
        }
        if given % 2 == 1 {
            self.pixels.push(0);
        }
        let mut object = InMemDicomObject::new_empty();
        put_identity(&mut object, self.phantom);
        put_image(&mut object, self.phantom);
        object.put(DataElement::new(
            tags::PIXEL_DATA,
            VR::OB,
            PrimitiveValue::from(self.pixels),
        ));
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE)
            .media_storage_sop_instance_uid(uid(self.phantom, 3))
            .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        match object.with_meta(meta) {
            Ok(file) => file.write_all(to).map_err(|e| DicomWriteError::Write {
                path,
                source: Box::new(e),
            }),
            Err(e) => Err(DicomWriteError::Meta {
                path,
                source: Box::new(e),
            }),
        }
    }
}

/// A UID from a hash of the options: 2.25 and 126 bits in decimal, without leading zeros.
fn uid(phantom: &Phantom, kind: u64) -> String {
    let o = phantom.options();
    let classes = o.targets.classes().map(|c| 1u64 << c as u8).sum::<u64>();
    let size = u64::from(o.size.width) << 32 | u64::from(o.size.height);
    let hash = |salt: u64| {
        let parts = [
            salt,
            kind,
            o.seed,
            u64::from(o.frames),
            size,
            classes,
            o.frame_rate.to_bits(),
        ];
        // Calm sequences keep the UIDs that they had before there were others.
        let motion = (o.motion != Motion::Calm).then_some(o.motion as u64);
        parts
            .into_iter()
            .chain(motion)
            .fold(0x756c_7472_616d_6f74, |h, part| mix(h ^ part))
    };
    let number = (u128::from(hash(1)) << 64 | u128::from(hash(2))) >> 2;
    format!("2.25.{}", number.max(1))
}

fn text(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}

fn whole(object: &mut InMemDicomObject, tag: Tag, value: u16) {
    object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
}

/// Patient, study, series, equipment and SOP modules: fixed but for the UIDs and the seed.
fn put_identity(object: &mut InMemDicomObject, phantom: &Phantom) {
    let seed = phantom.options().seed;
    let id = format!("PHANTOM-{seed}");
    let description = format!("ultramotion phantom, seed {seed}");
    let values = [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100"),
        (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY"),
        (
            tags::SOP_CLASS_UID,
            VR::UI,
            uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE,
        ),
        (tags::SOP_INSTANCE_UID, VR::UI, &uid(phantom, 3)),
        (tags::STUDY_DATE, VR::DA, "20000101"),
        (tags::SERIES_DATE, VR::DA, "20000101"),
        (tags::CONTENT_DATE, VR::DA, "20000101"),
        (tags::STUDY_TIME, VR::TM, "120000"),
        (tags::SERIES_TIME, VR::TM, "120000"),
        (tags::CONTENT_TIME, VR::TM, "120000"),
        (tags::ACCESSION_NUMBER, VR::SH, ""),
        (tags::MODALITY, VR::CS, "US"),
        (tags::MANUFACTURER, VR::LO, "ultramotion"),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN, ""),
        (
            tags::STUDY_DESCRIPTION,
            VR::LO,
            "Synthetic ultrasound, no patient",
        ),
        (tags::SERIES_DESCRIPTION, VR::LO, &description),
        (tags::MANUFACTURER_MODEL_NAME, VR::LO, "phantom"),
        (tags::PATIENT_NAME, VR::PN, "SYNTHETIC^PHANTOM"),
        (tags::PATIENT_ID, VR::LO, &id),
        (tags::PATIENT_BIRTH_DATE, VR::DA, ""),
        (tags::PATIENT_SEX, VR::CS, ""),
        (
            tags::PATIENT_COMMENTS,
            VR::LT,
            "Computed images. No person was examined.",
        ),
        (tags::DEVICE_SERIAL_NUMBER, VR::LO, "0"),
        (tags::SOFTWARE_VERSIONS, VR::LO, env!("CARGO_PKG_VERSION")),
        (tags::STUDY_INSTANCE_UID, VR::UI, &uid(phantom, 1)),
        (tags::SERIES_INSTANCE_UID, VR::UI, &uid(phantom, 2)),
        (tags::STUDY_ID, VR::SH, "1"),
        (tags::SERIES_NUMBER, VR::IS, "1"),
        (tags::INSTANCE_NUMBER, VR::IS, "1"),
        // Required by the standard's condition for paired body parts; there is no body, so a side is stated.
        (tags::LATERALITY, VR::CS, "L"),
        (tags::PATIENT_ORIENTATION, VR::CS, ""),
    ];
    for (tag, vr, value) in values {
        text(object, tag, vr, value);
    }
}

/// Image pixel, cine, multi-frame and region modules.
fn put_image(object: &mut InMemDicomObject, phantom: &Phantom) {
    let options = phantom.options();
    let timing = if phantom.is_steady() {
        let frame_time = format!("{:.6}", 1000.0 / options.frame_rate);
        text(object, tags::FRAME_TIME, VR::DS, &frame_time);
        tags::FRAME_TIME
    } else {
        text(
            object,
            tags::FRAME_TIME_VECTOR,
            VR::DS,
            &frame_times(phantom),
        );
        tags::FRAME_TIME_VECTOR
    };
    text(
        object,
        tags::NUMBER_OF_FRAMES,
        VR::IS,
        &options.frames.to_string(),
    );
    object.put(DataElement::new(
        tags::FRAME_INCREMENT_POINTER,
        VR::AT,
        PrimitiveValue::Tags([timing].as_slice().into()),
    ));
    text(
        object,
        tags::PHOTOMETRIC_INTERPRETATION,
        VR::CS,
        "MONOCHROME2",
    );
    text(object, tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00");
    text(object, tags::BURNED_IN_ANNOTATION, VR::CS, "NO");
    whole(object, tags::SAMPLES_PER_PIXEL, 1);
    // Sides are at most 4096, see PhantomOptions.
    whole(object, tags::ROWS, options.size.height as u16);
    whole(object, tags::COLUMNS, options.size.width as u16);
    whole(object, tags::BITS_ALLOCATED, 8);
    whole(object, tags::BITS_STORED, 8);
    whole(object, tags::HIGH_BIT, 7);
    whole(object, tags::PIXEL_REPRESENTATION, 0);
    let first = phantom.physical(0);
    let steady = first == phantom.physical(options.frames.saturating_sub(1));
    let regions: Vec<InMemDicomObject> = first
        .ultrasound_regions
        .iter()
        .map(|r| region(r, steady))
        .collect();
    if !regions.is_empty() {
        object.put(DataElement::new(
            tags::SEQUENCE_OF_ULTRASOUND_REGIONS,
            VR::SQ,
            DataSetSequence::from(regions),
        ));
    }
}

/// Frame Time Vector: milliseconds from each frame to the next, the first 0.
fn frame_times(phantom: &Phantom) -> String {
    let frames = 0..phantom.options().frames;
    let steps = frames.map(|index| {
        let before = phantom.seconds(index.saturating_sub(1));
        let step = format!("{:.6}", 1000.0 * (phantom.seconds(index) - before));
        let step = step.trim_end_matches('0').trim_end_matches('.');
        if step.is_empty() {
            "0".to_owned()
        } else {
            step.to_owned()
        }
    });
    steps.collect::<Vec<_>>().join("\\")
}

/// An item of the Sequence of Ultrasound Regions; without units where the scale is not `steady`.
fn region(region: &UltrasoundRegion, steady: bool) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    let b = region.bounds;
    let long = |tag, value: f32| DataElement::new(tag, VR::UL, PrimitiveValue::from(value as u32));
    item.put(long(tags::REGION_LOCATION_MIN_X0, b.x0));
    item.put(long(tags::REGION_LOCATION_MIN_Y0, b.y0));
    // Here the standard counts the last pixel in.
    item.put(long(tags::REGION_LOCATION_MAX_X1, b.x1 - 1.0));
    item.put(long(tags::REGION_LOCATION_MAX_Y1, b.y1 - 1.0));
    item.put(DataElement::new(
        tags::REGION_FLAGS,
        VR::UL,
        PrimitiveValue::from(0u32),
    ));
    whole(
        &mut item,
        tags::REGION_SPATIAL_FORMAT,
        region.spatial_format,
    );
    whole(&mut item, tags::REGION_DATA_TYPE, region.data_type);
    let units = region.physical_units.filter(|_| steady).unwrap_or([0, 0]);
    let delta = region
        .physical_delta
        .filter(|_| steady)
        .unwrap_or([1.0, 1.0]);
    whole(&mut item, tags::PHYSICAL_UNITS_X_DIRECTION, units[0]);
    whole(&mut item, tags::PHYSICAL_UNITS_Y_DIRECTION, units[1]);
    item.put(DataElement::new(
        tags::PHYSICAL_DELTA_X,
        VR::FD,
        dicom_value!(F64, [delta[0]]),
    ));
    item.put(DataElement::new(
        tags::PHYSICAL_DELTA_Y,
        VR::FD,
        dicom_value!(F64, [delta[1]]),
    ));
    item
}
