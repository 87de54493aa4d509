//! Video files through FFmpeg.

mod bytes;
mod clock;
mod decoder;
mod display_matrix;
mod ending;
mod frame_kind;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gpu;
mod input;
mod losses;
mod nvdec;
mod options;
mod pixels;
mod probe;
mod scaler;
mod source;
mod streams;
mod support;
mod transport;

pub use options::VideoOptions;
pub use source::VideoSource;
pub use support::{VideoSupport, video_support};

pub(super) use input::stated_frames;
pub(super) use nvdec::VideoDevice;
pub(super) use probe::{Probe, probe};
