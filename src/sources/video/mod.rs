//! Video files through FFmpeg.

mod bytes;
mod clock;
mod coding;
mod decoder;
mod display_matrix;
mod division;
mod ending;
mod frame_decoder;
mod frame_kind;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gpu;
mod index;
mod input;
mod key_sample;
mod losses;
mod nvdec;
mod options;
mod part_decoder;
mod part_source;
mod pixels;
mod planes;
mod probe;
mod scaler;
mod share;
mod source;
mod stream;
mod streams;
mod support;
mod transport;
mod units;

pub use options::VideoOptions;
pub use source::VideoSource;
pub use stream::{
    StreamAddress, StreamAddressError, StreamOptions, StreamReader, StreamStep, without_secrets,
};
pub use support::{VideoSupport, video_support};

pub(super) use division::{VideoParts, divide};
pub(super) use input::stated_frames;
pub(super) use nvdec::VideoDevice;
pub(super) use part_source::VideoPartSource;
pub(super) use probe::{Probe, probe};
pub(super) use share::VideoShareSource;
