//! What is done on the host with the objects that the models found: duplicates are merged, and objects get tracks.

use crate::{
    frame::{Confidence, Detections, Frame, SourceInfo, SourceKind},
    track::{CameraMotion, FrameTime, Tracker, merge_duplicates},
};
use std::sync::Arc;

/// How results are refined.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refining {
    /// IoU above which the object with the lower score is a duplicate, where nothing is tracked.
    pub(crate) nms: Option<f64>,
    /// How objects are tracked.
    pub(crate) track: Option<Tracking>,
}

/// How objects are tracked.
#[derive(Debug, Clone)]
pub(crate) struct Tracking {
    /// A tracker that has seen nothing yet.
    pub(crate) tracker: Tracker,
    /// In pictures that stand alone, objects below it are left out: they were found for the tracker's sake.
    pub(crate) keep: Confidence,
}

impl Refining {
    /// Refines what was found in a picture that stands alone.
    pub(crate) fn still(&self, found: &mut Detections) {
        if let Some(iou) = self.nms {
            merge_duplicates(&mut found.objects, iou);
        }
        if let Some(tracking) = &self.track {
            let keep = tracking.keep;
            found.objects.retain(|object| keep.passes(object.score));
        }
    }

    /// The threshold down to which the detector finds objects, where the caller wants those from `confidence`.
    pub(crate) fn found_from(&self, confidence: Confidence) -> Confidence {
        let low = self
            .track
            .as_ref()
            .and_then(|tracking| Confidence::new(tracking.tracker.options().low_threshold).ok());
        low.filter(|low| low.get() < confidence.get())
            .unwrap_or(confidence)
    }
}

/// Refines the results of one frame after the other.
#[derive(Debug, Default)]
pub(crate) struct Refiner {
    refining: Refining,
    /// The source that the last frame was of, and its tracker.
    of_source: Option<(Arc<SourceInfo>, Tracker)>,
    /// Whether images in memory are the frames of one source.
    is_live: bool,
}

impl Refiner {
    pub(crate) fn new(refining: Refining) -> Self {
        Self {
            refining,
            of_source: None,
            is_live: false,
        }
    }

    /// For a live loop, whose images follow each other.
    pub(crate) fn live(refining: Refining) -> Self {
        Self {
            is_live: true,
            ..Self::new(refining)
        }
    }

    /// Refines what was found in the next frame. What was refined before comes out as it went in, so that a resumed run goes
    /// on with the tracks of its record.
    pub(crate) fn frame(&mut self, frame: &Frame, found: &mut Detections) {
        let Some(tracking) = &self.refining.track else {
            return self.refining.still(found);
        };
        if frame.source.kind == SourceKind::Image && !self.is_live {
            return self.refining.still(found);
        }
        let tracker = match &mut self.of_source {
            Some((source, tracker)) if Arc::ptr_eq(source, &frame.source) => tracker,
            of_source => {
                let begun = (frame.source.clone(), tracking.tracker.clone());
                &mut of_source.insert(begun).1
            }
        };
        let at = FrameTime {
            index: frame.index,
            timestamp: frame.timestamp,
            frame_rate: frame.source.frame_rate,
        };
        tracker.update(at, &CameraMotion::IDENTITY, found);
    }
}
