//! What travels through the pipeline: images, frames, detected objects, masks and a frame's result.

mod confidence;
mod detections;
mod image;
mod mask;
mod object;
mod pixels;
mod planes;
mod track;

pub use self::image::{Channels, Image, StoredImage};
pub use confidence::{Confidence, ConfidenceError};
pub use detections::Detections;
pub use mask::Mask;
pub use object::Object;
pub use pixels::{NotOnHost, Pixels};
pub use planes::Planes;
pub use track::{ObjectTrack, Visibility, VisibilityChange};

use crate::geometry::{BoxXyxy, Size};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// One decoded picture and where it comes from.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The file or sequence it belongs to.
    pub source: Arc<SourceInfo>,
    /// Number of the frame in its source, from 0, counting every frame of the file (also the ones `--stride` leaves out).
    pub index: u64,
    /// Presentation time from the start of the source; none for still images.
    pub timestamp: Option<Duration>,
    /// The file of this one frame, where a sequence has a file for each.
    pub file: Option<PathBuf>,
    /// Pixels, upright (rotation and EXIF orientation applied), 8 bits a channel.
    pub pixels: Pixels,
    /// Physical and ultrasound facts, where the source has them.
    pub physical: Option<Arc<Physical>>,
    /// The EXIF orientation (2 to 8) of the file, by which `pixels` were turned; none where they are as stored.
    pub exif_orientation: Option<u8>,
    /// The values as stored, if the source was opened with them and they differ from `pixels`.
    pub stored: Option<Arc<StoredImage>>,
}

/// What kind of source a frame comes from; sinks choose their layout by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// One still image.
    Image,
    /// A folder of numbered frames.
    Sequence,
    /// A video file.
    Video,
    /// A DICOM file or series.
    Dicom,
}

/// A source: one image, video, DICOM file, DICOM series or folder of numbered frames.
#[derive(Debug, Clone)]
pub struct SourceInfo {
    /// Position among the run's sources, from 0.
    pub ordinal: usize,
    /// As given or found: the file, or the folder of a sequence.
    pub path: PathBuf,
    /// Name for outputs, unique within a run: the path below the given input, `/`-separated, without extension
    /// (with it where two inputs would clash), valid UTF-8 (other bytes replaced), never absolute nor with `..`.
    pub name: String,
    /// Kind of source.
    pub kind: SourceKind,
    /// Of a sequence that shares its folder with other inputs: that folder below the given input, `/`-separated, empty for the
    /// input itself. Outputs of its frames are in there, beside those of the other inputs, instead of in a folder of its name.
    pub folder: Option<String>,
    /// Number of frames as far as known before decoding.
    pub frame_count: Option<u64>,
    /// Nominal frames a second, where the source states them.
    pub frame_rate: Option<f64>,
    /// DICOM attributes that outputs may carry, by keyword. Never one that identifies a patient unless the caller chose so.
    pub attributes: std::collections::BTreeMap<String, String>,
}

/// Physical facts kept with a frame, and which DICOM instance it is of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Physical {
    /// Row and column spacing in millimetres: between rows (y) first, as DICOM's Pixel Spacing.
    pub pixel_spacing_mm: Option<[f64; 2]>,
    /// Width and height of a pixel as shown, in relation, where a video states that they differ (sample aspect ratio).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel_aspect: Option<[u32; 2]>,
    /// DICOM's Sequence of Ultrasound Regions.
    pub ultrasound_regions: Vec<UltrasoundRegion>,
    /// DICOM's SOP Instance UID of the frame's file; absent unless the caller chose to keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sop_instance_uid: Option<String>,
}

/// An item of DICOM's Sequence of Ultrasound Regions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UltrasoundRegion {
    /// Region Location Min X0, Min Y0, Max X1, Max Y1 in pixels (edges exclusive here).
    pub bounds: BoxXyxy,
    /// Region Spatial Format (0018,6012): 1 is 2D.
    pub spatial_format: u16,
    /// Region Data Type (0018,6014): 1 is tissue.
    pub data_type: u16,
    /// Physical Delta X, Y as given, in the units below.
    pub physical_delta: Option<[f64; 2]>,
    /// Physical Units X, Y Direction: 3 is centimetres.
    pub physical_units: Option<[u16; 2]>,
}

impl Frame {
    /// A frame of `source` without time, file or facts of its own.
    pub fn new(source: Arc<SourceInfo>, index: u64, pixels: impl Into<Pixels>) -> Self {
        Self {
            source,
            index,
            timestamp: None,
            file: None,
            pixels: pixels.into(),
            physical: None,
            exif_orientation: None,
            stored: None,
        }
    }

    /// Width and height of the frame.
    pub fn size(&self) -> Size {
        self.pixels.size()
    }

    /// The picture, where it is in host memory.
    ///
    /// # Errors
    /// [`NotOnHost`] if it is in device memory, of planes of YCbCr, or was released.
    pub fn image(&self) -> Result<&Arc<Image>, NotOnHost> {
        self.pixels.image()
    }
}
