//! The threshold of scores.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A threshold of scores: an object counts if its score is at least this. From 0 to 1; kept as it was written, so that
/// 0.4 is shown as 0.4.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Confidence(f64);

/// A threshold that is no number from 0 to 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: not a confidence; give a number from 0 to 1")]
pub struct ConfidenceError(String);

impl Confidence {
    /// Every score passes.
    pub const ZERO: Self = Self(0.0);
    /// What is used where the user gives none.
    pub const DEFAULT: Self = Self(0.5);

    /// The threshold `value`.
    ///
    /// # Errors
    /// [`ConfidenceError`] if it is below 0, above 1 or not a number.
    pub fn new(value: f64) -> Result<Self, ConfidenceError> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(ConfidenceError(value.to_string()))
        }
    }

    /// The threshold as a number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The threshold in the precision of scores.
    pub fn as_f32(self) -> f32 {
        self.0 as f32
    }

    /// Whether `score` is at least this, in the precision of scores.
    pub fn passes(self, score: f32) -> bool {
        score >= self.as_f32()
    }
}

impl Default for Confidence {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<f64> for Confidence {
    type Error = ConfidenceError;

    fn try_from(value: f64) -> Result<Self, ConfidenceError> {
        Self::new(value)
    }
}

impl From<Confidence> for f64 {
    fn from(confidence: Confidence) -> Self {
        confidence.0
    }
}

impl FromStr for Confidence {
    type Err = ConfidenceError;

    fn from_str(text: &str) -> Result<Self, ConfidenceError> {
        let value: f64 = text
            .trim()
            .parse()
            .map_err(|_| ConfidenceError(text.to_owned()))?;
        Self::new(value).map_err(|_| ConfidenceError(text.to_owned()))
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_equal_to_the_threshold_passes_whatever_its_digits() {
        for text in ["0", "0.1", "0.4", "0.5", "0.9", "0.95", "1"] {
            let confidence: Confidence = text.parse().unwrap();
            let score: f32 = text.parse().unwrap();
            assert!(confidence.passes(score), "{text}");
            assert!(
                !confidence.passes(
                    f32::from_bits(score.to_bits().wrapping_sub(1)).min(score - f32::EPSILON / 2.0)
                ),
                "{text}"
            );
        }
        assert!(!Confidence::ZERO.passes(f32::NAN));
    }

    #[test]
    fn it_is_written_as_it_was_given() {
        let confidence: Confidence = "0.4".parse().unwrap();
        assert_eq!(confidence.to_string(), "0.4");
        assert_eq!(serde_json::to_string(&confidence).unwrap(), "0.4");
        assert_eq!(
            serde_json::from_str::<Confidence>("0.4").unwrap(),
            confidence
        );
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for bad in ["-0.1", "1.01", "nan", "inf", "", "x", "50%"] {
            assert!(bad.parse::<Confidence>().is_err(), "{bad}");
        }
        assert!(Confidence::new(f64::NAN).is_err());
        assert!(serde_json::from_str::<Confidence>("2").is_err());
    }
}
