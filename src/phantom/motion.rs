//! How much a sequence moves.

use super::error::PhantomError;

/// How probe and targets move over a sequence, and what else goes wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Motion {
    /// A steady hand: slow drift of probe and targets; targets leave once and may return.
    #[default]
    Calm,
    /// A searching hand: the probe slides, rocks in plane, turns about its beam and fans out of plane. All targets move
    /// together, speckle decorrelates, cross-sections change and may be lost.
    Probe,
    /// A searching hand over 2 to 6 targets, several of one class, that cross and overlap each other, leave the picture
    /// and return, fade out of plane and come back; needles go in and out fast, gain flickers, one frame in six is lost.
    Hard,
}

impl Motion {
    /// Every motion, from calm to hard.
    pub const ALL: [Self; 3] = [Self::Calm, Self::Probe, Self::Hard];

    /// Its name: `calm`, `probe` or `hard`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Probe => "probe",
            Self::Hard => "hard",
        }
    }
}

impl std::str::FromStr for Motion {
    type Err = PhantomError;

    fn from_str(text: &str) -> Result<Self, PhantomError> {
        let found = Self::ALL.into_iter().find(|m| m.name() == text.trim());
        found.ok_or_else(|| PhantomError::Motion(text.to_owned()))
    }
}
