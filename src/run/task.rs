//! The models of a run and what they do with each frame.

use crate::{
    coco::Classes,
    run::prompts::UserPrompts,
    session::{Detector, ModelOrigin, Models, Segmenter},
    sinks::OutputSet,
};
use std::sync::Arc;

/// What is done with each frame.
#[derive(Debug, Clone)]
pub(crate) enum Task {
    /// Nothing but writing it.
    Extract {
        /// Whether DICOM values are written as stored.
        stored_values: bool,
    },
    /// Boxes.
    Detect(Arc<Detector>),
    /// Masks of what the user points at.
    Segment(Arc<Segmenter>, Arc<UserPrompts>),
    /// Boxes, and masks prompted by them.
    Pipeline(Arc<Detector>, Arc<Segmenter>),
}

impl Task {
    /// The task of a session's models: without a detector, they segment what `prompts` point at.
    pub(crate) fn of(models: Models, prompts: &Arc<UserPrompts>) -> Self {
        match (models.detector, models.segmenter) {
            (Some(detector), Some(segmenter)) => Self::Pipeline(detector, segmenter),
            (Some(detector), None) => Self::Detect(detector),
            (None, Some(segmenter)) => Self::Segment(segmenter, prompts.clone()),
            (None, None) => Self::Extract {
                stored_values: false,
            },
        }
    }

    /// The subcommand that does it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Extract { .. } => "extract",
            Self::Detect(..) => "detect",
            Self::Segment(..) => "segment",
            Self::Pipeline(..) => "pipeline",
        }
    }

    /// The device its models run on; none without models.
    pub(crate) fn engine(&self) -> Option<&crate::engine::Engine> {
        match self {
            Self::Extract { .. } => None,
            Self::Detect(detector) | Self::Pipeline(detector, _) => Some(detector.engine()),
            Self::Segment(segmenter, _) => Some(segmenter.engine()),
        }
    }

    /// Where its models came from, with their roles.
    pub(crate) fn models(&self) -> Vec<(&'static str, &ModelOrigin)> {
        match self {
            Self::Extract { .. } => Vec::new(),
            Self::Detect(d) => vec![("detector", d.origin())],
            Self::Segment(s, _) => vec![("segmenter", s.origin())],
            Self::Pipeline(d, s) => vec![("detector", d.origin()), ("segmenter", s.origin())],
        }
    }

    /// Names of the classes its objects can have.
    pub(crate) fn classes(&self) -> Classes {
        match self {
            Self::Extract { .. } => Classes::default(),
            Self::Detect(d) | Self::Pipeline(d, _) => Classes::new(d.labels().iter().cloned()),
            Self::Segment(_, prompts) => match &prompts.of_frames {
                Some(file) => file.classes(),
                None => Classes::new(["object"]),
            },
        }
    }

    /// Its models; none of them where frames are only written.
    pub(crate) fn models_to_run(&self) -> Models {
        match self {
            Self::Extract { .. } => Models::default(),
            Self::Detect(d) => Models {
                detector: Some(d.clone()),
                segmenter: None,
            },
            Self::Segment(s, _) => Models {
                detector: None,
                segmenter: Some(s.clone()),
            },
            Self::Pipeline(d, s) => Models {
                detector: Some(d.clone()),
                segmenter: Some(s.clone()),
            },
        }
    }

    /// Whether its objects have masks.
    pub(crate) fn makes_masks(&self) -> bool {
        matches!(self, Self::Segment(..) | Self::Pipeline(..))
    }

    /// The outputs that are written where the user names none.
    pub(crate) fn default_outputs(&self) -> OutputSet {
        match self {
            Self::Extract { .. } => OutputSet::new([crate::sinks::OutputKind::Frames]),
            Self::Detect(_) => OutputSet::default_for(false),
            Self::Segment(..) | Self::Pipeline(..) => OutputSet::default_for(true),
        }
    }
}
