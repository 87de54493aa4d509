//! What is done on the host with the objects that the models found: duplicates are merged, and objects get tracks.

use crate::{
    frame::{Confidence, Detections, Frame, SourceInfo, SourceKind},
    track::{
        CameraMotion, FrameTime, Thumbnail, TrackError, TrackOptions, Tracker, merge_duplicates,
    },
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
    /// As the caller gave them.
    pub(crate) options: TrackOptions,
    /// A tracker that has seen nothing yet.
    pub(crate) tracker: Tracker,
    /// The threshold that the caller gave. In pictures that stand alone, objects below it are left out: they were found for
    /// the tracker's sake.
    pub(crate) keep: Confidence,
    /// Whether tracks follow the motion of the camera, estimated from the pixels of the frames.
    pub(crate) camera_motion: bool,
}

impl Tracking {
    /// Tracking by `options` of the objects that were found where those from `keep` on are wanted.
    ///
    /// # Errors
    /// [`TrackError`] if the options are not usable.
    pub(crate) fn new(
        options: TrackOptions,
        keep: Confidence,
        camera_motion: bool,
    ) -> Result<Self, TrackError> {
        Ok(Self {
            tracker: Tracker::new(options.clone())?,
            options,
            keep,
            camera_motion,
        })
    }
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

    /// The threshold down to which objects are found, where the caller wants those from `confidence`: tracks go on with
    /// objects of lower scores.
    pub(crate) fn found_from(&self, confidence: Confidence) -> Confidence {
        let low = self
            .track
            .as_ref()
            .and_then(|tracking| Confidence::new(tracking.options.low_threshold).ok());
        low.filter(|low| low.get() < confidence.get())
            .unwrap_or(confidence)
    }

    /// Whether frames must come with their pixels on the host.
    pub(crate) fn reads_pixels(&self) -> bool {
        let track = self.track.as_ref();
        track.is_some_and(|tracking| tracking.camera_motion)
    }
}

/// What is known of the source that the last frame was of.
#[derive(Debug)]
struct OfSource {
    source: Arc<SourceInfo>,
    tracker: Tracker,
    /// The last frame, where the motion of the camera is wanted.
    before: Option<Thumbnail>,
}

impl OfSource {
    /// The motion of the camera from the last frame to `frame`.
    fn motion(&mut self, frame: &Frame) -> CameraMotion {
        let now = frame.image().ok().map(|image| Thumbnail::of(image));
        let motion = match (&self.before, &now) {
            (Some(before), Some(now)) => CameraMotion::estimate(before, now),
            _ => CameraMotion::IDENTITY,
        };
        self.before = now;
        motion
    }
}

/// Refines the results of one frame after the other.
#[derive(Debug, Default)]
pub(crate) struct Refiner {
    refining: Refining,
    of_source: Option<OfSource>,
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

    /// Whether frames must come with their pixels on the host.
    pub(crate) fn reads_pixels(&self) -> bool {
        self.refining.reads_pixels()
    }

    /// Forgets the source: the next frame is the first of another.
    pub(crate) fn reset(&mut self) {
        self.of_source = None;
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
        let of_source = match &mut self.of_source {
            Some(known) if is_same(&known.source, &frame.source) => known,
            of_source => of_source.insert(OfSource {
                source: frame.source.clone(),
                tracker: tracking.tracker.clone(),
                before: None,
            }),
        };
        let motion = if tracking.camera_motion {
            of_source.motion(frame)
        } else {
            CameraMotion::IDENTITY
        };
        let at = FrameTime {
            index: frame.index,
            timestamp: frame.timestamp,
            frame_rate: frame.source.frame_rate,
        };
        of_source.tracker.update(at, &motion, found);
    }
}

/// Whether frames are of one source, also where each has facts of its own about it.
fn is_same(known: &Arc<SourceInfo>, source: &Arc<SourceInfo>) -> bool {
    let identity = |info: &SourceInfo| (info.ordinal, info.kind, info.path.clone());
    Arc::ptr_eq(known, source) || identity(known) == identity(source)
}
