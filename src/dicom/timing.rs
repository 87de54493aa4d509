//! When the frames of a cine are shown.

use super::attributes::Attributes;
use dicom_dictionary_std::tags;
use std::time::Duration;

/// The timing of a multi-frame file.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Timing {
    /// Nothing is stated.
    Unknown,
    /// The same time between frames, in milliseconds.
    Constant(f64),
    /// Frame Time Vector summed up: each frame's time from the first, in milliseconds.
    Each(Vec<f64>),
}

impl Timing {
    /// Reads Frame Time Vector, else Frame Time, else Recommended Display Frame Rate, else Cine Rate. Which of the first
    /// two counts is determined by Frame Increment Pointer where both are present; values that are no times are passed over.
    pub fn read(a: Attributes<'_>, frames: u64) -> Self {
        // The vector holds increments; the first is 0 and stands for the first frame.
        let vector = a
            .floats(tags::FRAME_TIME_VECTOR)
            .filter(|v| v.len() as u64 >= frames && v.iter().skip(1).all(|&t| t >= 0.0));
        let constant = a.float(tags::FRAME_TIME).filter(|&t| t > 0.0);
        let rate = |tag| a.float(tag).filter(|&r| r > 0.0).map(|r| 1000.0 / r);
        let points_to_constant = a
            .text(tags::FRAME_INCREMENT_POINTER)
            .is_some_and(|p| p.contains("0018,1063"));
        let vector = vector.filter(|_| !(points_to_constant && constant.is_some()));
        if let Some(vector) = vector {
            let mut at = 0.0;
            let times = vector.iter().enumerate().map(|(i, &step)| {
                at += if i == 0 { 0.0 } else { step };
                at
            });
            return Self::Each(times.collect());
        }
        let step = constant
            .or_else(|| rate(tags::RECOMMENDED_DISPLAY_FRAME_RATE))
            .or_else(|| rate(tags::CINE_RATE));
        step.map_or(Self::Unknown, Self::Constant)
    }

    /// A frame's time from the first frame.
    pub fn timestamp(&self, frame: u64) -> Option<Duration> {
        let ms = match self {
            Self::Unknown => return None,
            Self::Constant(step) => step * frame as f64,
            Self::Each(times) => *times.get(usize::try_from(frame).ok()?)?,
        };
        Duration::try_from_secs_f64(ms / 1000.0).ok()
    }

    /// Frames a second: of a vector its mean.
    pub fn frame_rate(&self) -> Option<f64> {
        let rate = match self {
            Self::Unknown => return None,
            Self::Constant(step) => 1000.0 / step,
            Self::Each(times) => (times.len().checked_sub(1)? as f64) * 1000.0 / times.last()?,
        };
        rate.is_finite().then_some(rate)
    }
}
