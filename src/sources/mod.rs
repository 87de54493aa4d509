//! Where frames come from: images, folders, videos, DICOM.
//!
//! [`expand`] turns what the user gave into [`SourceSpec`]s, [`open`] opens a [`Source`] of one.

mod contents;
mod decode;
mod dicom;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod image;
mod inputs;
mod issue;
mod memory;
mod open;
mod options;
mod parts;
mod renamed;
mod selected;
mod selection;
mod sequence;
mod source;
mod spec;
mod spooled_source;
mod stated;
mod unread;
mod video;
mod wanted;

pub(crate) use self::image::{display_colour_16, display_grey_16, display_grey_i16};
pub use self::{
    dicom::{
        DicomGroup, DicomGrouping, DicomRefusal, DicomSeries, DicomSource, each_file_alone,
        group_dicom,
    },
    image::{ImageOptions, ImageSource, decode_image},
};
pub use crate::av::FfmpegUnavailable;
pub use decode::{DECODE_SPAN, Decode, DecodeDevice, DecodeError, Decoding};
pub use inputs::{ExpandOptions, Inputs, Spooled, expand};
pub use issue::{Issue, IssueKind, SourceError, SourceWarning};
pub use memory::{ImageError, IntoFrame, PixelLayout, PixelsRef};
pub use open::{open, open_path};
pub(crate) use open::{open_share, select};
pub use options::{DEFAULT_MAX_PIXELS, SourceOptions};
pub(crate) use parts::{Divided, Division, Part, PartSource, PartStep, divide, open_part};
pub use renamed::{Alias, Aliases, Renamed};
pub use selected::Selected;
pub use selection::{FrameSelection, SelectionError};
pub use sequence::SequenceSource;
pub use source::Source;
pub use spec::SourceSpec;
pub use stated::stated_frames;
pub use video::{
    StreamAddress, StreamAddressError, StreamOptions, StreamReader, StreamStep, VideoOptions,
    VideoSource, VideoSupport, video_support, without_secrets,
};
pub(crate) use wanted::FrameShare;
