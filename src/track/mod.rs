//! Identity of objects over the frames of a source: which object of this frame is which of the frames before, and whether
//! it is seen, searched for or lost. Works on the host, on the objects of a frame; needs no pixels.
//!
//! Two stages by score as in ByteTrack (Zhang et al. 2022), a Kalman filter on centre and size whose steps are source
//! time, buffered boxes as in C-BIoU (Yang et al. 2023), mask IoU as a further cue, and the exact assignment of
//! [`crate::matching`].

mod association;
mod camera_motion;
mod duplicates;
mod error;
mod estimate;
mod filter;
mod observation;
mod one;
mod options;
mod outline;
mod rect;
#[cfg(test)]
mod tests;
mod thumbnail;
mod time;
mod tracker;
mod visibility;

pub use camera_motion::CameraMotion;
pub use duplicates::merge_duplicates;
pub use error::TrackError;
pub use options::{TrackOptions, VisibilityOptions};
pub use thumbnail::Thumbnail;
pub use time::{FrameTime, NOMINAL_FRAME_RATE};
pub use tracker::Tracker;
