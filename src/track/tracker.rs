//! The tracker of one source.

use super::{
    association::{Candidate, pairs},
    camera_motion::CameraMotion,
    duplicates,
    error::TrackError,
    observation::Observation,
    one::{Identity, Track},
    options::TrackOptions,
    rect::Rect,
    time::FrameTime,
    visibility::{ClassSights, Match, Sight},
};
use crate::frame::{Detections, Object, ObjectTrack, Visibility, VisibilityChange};

/// What one comparison of tracks and objects goes by.
struct Stage {
    /// Tracks that are confirmed, or those that are not.
    confirmed: bool,
    /// Objects from the high threshold on, or those below.
    high: bool,
    /// By which part of its sides a box is extended on each side.
    buffer: f64,
    /// Weight of the distance from the prediction, in terms of its uncertainty, against the overlap.
    near: f64,
    /// Least similarity of a pair.
    least: f64,
    /// How much less similar a track is for each second that it was missing.
    missing: f64,
}

/// Least similarity of a prediction and an object: of the high threshold, below it, and in the wide comparison.
const LEAST_HIGH: f64 = 0.6;
const LEAST_LOW: f64 = 0.6;
const LEAST_WIDE: f64 = 0.3;
/// Similarity that a track loses for each second that it was missing, in the first comparisons and in the wide one.
const MISSING: f64 = 0.2;
const MISSING_WIDE: f64 = 0.1;
/// Weight of the distance in the wide comparison.
const NEAR_WIDE: f64 = 0.7;
/// How fast similarity falls with the squared distance from the prediction, in standard deviations.
const NEAR_SCALE: f64 = 0.025;

/// Gives the objects of one source their identities, frame by frame.
///
/// Works in source time: frames may be left out or come at any distance. The same frames give the same ids, and so do
/// the frames that [`Tracker::update`] leaves behind, with tracks and changes cleared: a tracker is brought to the state
/// of another by giving it what the other has put out.
///
/// ```
/// use ultramotion::{
///     frame::{Detections, Object},
///     geometry::{BoxXyxy, Size},
///     track::{CameraMotion, FrameTime, TrackOptions, Tracker},
/// };
///
/// let mut tracker = Tracker::new(TrackOptions::default())?;
/// for index in 0..10 {
///     let x = 10.0 * index as f32;
///     let object = Object {
///         bbox: BoxXyxy::new(x, 20.0, x + 40.0, 60.0),
///         score: 0.9,
///         class: 0,
///         label: "lesion".into(),
///         mask: None,
///         mask_score: None,
///         track: None,
///     };
///     let mut found = Detections::new(Size::new(200, 100), vec![object]);
///     let at = FrameTime { index, timestamp: None, frame_rate: Some(25.0) };
///     tracker.update(at, &CameraMotion::IDENTITY, &mut found);
///     assert_eq!(found.objects[0].track.map(|t| t.id), Some(1));
/// }
/// # Ok::<(), ultramotion::track::TrackError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tracker {
    options: TrackOptions,
    /// The frame before.
    before: Option<FrameTime>,
    tracks: Vec<Track>,
    /// The number of the last track that was confirmed.
    last_id: u64,
    classes: ClassSights,
}

/// A frame being worked on: its objects, and what each belongs to.
struct Scene {
    /// Emptied as tracks take them.
    seen: Vec<Option<Observation>>,
    /// For each object its track's place.
    track_of: Vec<Option<usize>>,
    /// For each track its object, and how well that meets the prediction.
    object_of: Vec<Option<(usize, f64)>>,
    /// The predictions of the tracks.
    predicted: Vec<Rect>,
}

impl Tracker {
    /// A tracker that has seen nothing yet.
    ///
    /// # Errors
    /// [`TrackError`] if the options are not usable.
    pub fn new(options: TrackOptions) -> Result<Self, TrackError> {
        options.check()?;
        // Scores are f32: one of 0.7 has a threshold of 0.7.
        let as_scores = |threshold: f64| f64::from(threshold as f32);
        let options = TrackOptions {
            high_threshold: as_scores(options.high_threshold),
            low_threshold: as_scores(options.low_threshold),
            new_track_threshold: as_scores(options.new_track_threshold),
            ..options
        };
        Ok(Self {
            options,
            before: None,
            tracks: Vec::new(),
            last_id: 0,
            classes: ClassSights::default(),
        })
    }

    /// Number of tracks, with those that are not confirmed and those that are not seen.
    #[cfg(test)]
    pub(super) fn tracks_len(&self) -> usize {
        self.tracks.len()
    }

    /// How it tracks.
    pub fn options(&self) -> &TrackOptions {
        &self.options
    }

    /// The next frame of the source, at `at`: sets the track of each object that belongs to a confirmed one, removes
    /// duplicates and objects below the high threshold that continue no track, and states the changes of visibility.
    /// `motion` is that of the camera since the frame of the last call. Tracks and changes that `found` had before are
    /// replaced. Needs to be called for frames without objects too: they are what makes an object lost.
    pub fn update(&mut self, at: FrameTime, motion: &CameraMotion, found: &mut Detections) {
        let is_first = self.before.is_none();
        let dt = self.before.map_or(0.0, |before| at.seconds_since(&before));
        self.before = Some(at);
        found.changes.clear();
        for track in &mut self.tracks {
            track.predict(dt, motion);
        }
        let mut scene = self.scene(found);
        self.associate(&mut scene, found);
        self.begin_tracks(&mut scene, found, is_first);
        self.confirm_and_judge(&scene, dt, found);
        self.name_objects(&scene, found);
        self.end_tracks(found);
        self.classes.follow(
            self.tracks.iter().filter_map(|track| {
                let (class, label) = track.class();
                Some((class, label, track.identity?.sight))
            }),
            &mut found.changes,
        );
    }

    /// Objects that are worth looking at; removes the others from `found`.
    fn scene(&self, found: &mut Detections) -> Scene {
        let options = &self.options;
        found
            .objects
            .retain(|object| f64::from(object.score) >= options.low_threshold);
        let with_mask = options.mask_weight > 0.0 || options.nms.is_some();
        let mut seen: Vec<Observation> = found
            .objects
            .iter()
            .map(|object| Observation::of(object, with_mask))
            .collect();
        if let Some(iou) = options.nms {
            let kept = duplicates::kept(&seen, iou, options.across_classes);
            retain(&mut seen, &kept);
            retain(&mut found.objects, &kept);
        }
        Scene {
            track_of: vec![None; seen.len()],
            seen: found
                .objects
                .iter()
                .zip(seen)
                .map(|(object, seen)| is_finite(object).then_some(seen))
                .collect(),
            object_of: vec![None; self.tracks.len()],
            predicted: self.tracks.iter().map(Track::predicted).collect(),
        }
    }

    fn associate(&mut self, scene: &mut Scene, found: &Detections) {
        let first = Stage {
            confirmed: true,
            high: true,
            buffer: self.options.buffer,
            near: 0.0,
            least: LEAST_HIGH,
            missing: MISSING,
        };
        let low = Stage {
            high: false,
            least: LEAST_LOW,
            ..first
        };
        let wide = Stage {
            buffer: self.options.wide_buffer,
            near: NEAR_WIDE,
            least: LEAST_WIDE,
            missing: MISSING_WIDE,
            ..first
        };
        let new = Stage {
            confirmed: false,
            ..wide
        };
        self.match_up(scene, found, &first);
        // Low objects without a track are removed. Those that stay decide by themselves, lest of several equally good
        // assignments another is chosen when the output is tracked again.
        let lows = self.pairs(scene, &low, |_| true);
        let chosen: Vec<usize> = lows.iter().map(|(_, object)| *object).collect();
        let lows = self.pairs(scene, &low, |object| chosen.contains(&object));
        self.take(scene, found, lows);
        self.match_up(scene, found, &wide);
        self.match_up(scene, found, &new);
    }

    fn match_up(&mut self, scene: &mut Scene, found: &Detections, stage: &Stage) {
        let pairs = self.pairs(scene, stage, |_| true);
        self.take(scene, found, pairs);
    }

    /// Pairs of track and object of the free ones that a stage looks at.
    fn pairs(
        &self,
        scene: &Scene,
        stage: &Stage,
        wanted: impl Fn(usize) -> bool,
    ) -> Vec<(usize, usize)> {
        let threshold = self.options.high_threshold;
        let objects: Vec<(usize, &Observation)> = scene
            .seen
            .iter()
            .enumerate()
            .filter_map(|(object, seen)| Some((object, seen.as_ref()?)))
            .filter(|(object, seen)| (seen.score >= threshold) == stage.high && wanted(*object))
            .collect();
        let mut candidates = Vec::new();
        for (place, track) in self.tracks.iter().enumerate() {
            if scene.object_of[place].is_some() || track.identity.is_some() != stage.confirmed {
                continue;
            }
            for &(object, seen) in &objects {
                if !self.options.across_classes && track.class().0 != seen.class {
                    continue;
                }
                let similarity = self.similarity(track, &scene.predicted[place], seen, stage);
                if let Some(similarity) = similarity {
                    candidates.push(Candidate {
                        track: place,
                        object,
                        cost: 1.0 - similarity,
                    });
                }
            }
        }
        // Costs are finite, which is all that an assignment demands.
        pairs(&candidates, self.tracks.len(), scene.seen.len()).unwrap_or_default()
    }

    /// How well an object continues a track; none if it cannot reach what the stage demands.
    fn similarity(
        &self,
        track: &Track,
        predicted: &Rect,
        seen: &Observation,
        stage: &Stage,
    ) -> Option<f64> {
        let missed = stage.missing * track.missing;
        let mut similarity = predicted.iou(&seen.rect, stage.buffer);
        if stage.near > 0.0 {
            // A heavy tail: objects turn and stop more suddenly than noise does.
            let near = predicted.likeness(&seen.rect) / (1.0 + NEAR_SCALE * track.distance(seen));
            similarity += stage.near * (near - similarity);
        }
        similarity -= missed;
        if similarity < stage.least {
            return None;
        }
        // Masks decide between candidates. They admit none and refuse none: those of thin objects hardly overlap after
        // the slightest shift.
        let weight = self.options.mask_weight;
        if weight > 0.0
            && let Some(masks) = track.mask_iou(predicted, seen)
        {
            similarity += weight * (masks - similarity);
        }
        Some(similarity)
    }

    fn take(&mut self, scene: &mut Scene, found: &Detections, pairs: Vec<(usize, usize)>) {
        for (place, object) in pairs {
            let Some(seen) = scene.seen[object].take() else {
                continue;
            };
            let track = &mut self.tracks[place];
            let predicted = &scene.predicted[place];
            let agreement = track
                .mask_iou(predicted, &seen)
                .unwrap_or_else(|| predicted.iou(&seen.rect, 0.0));
            track.take(seen, &found.objects[object]);
            scene.object_of[place] = Some((object, agreement));
            scene.track_of[object] = Some(place);
        }
    }

    /// Tracks of objects that none explains.
    fn begin_tracks(&mut self, scene: &mut Scene, found: &Detections, is_first: bool) {
        for (object, seen) in scene.seen.iter_mut().enumerate() {
            let begins = |seen: &mut Observation| {
                seen.score >= self.options.new_track_threshold
                    && found.objects[object].bbox.is_valid()
            };
            if let Some(seen) = seen.take_if(begins) {
                scene.track_of[object] = Some(self.tracks.len());
                scene.object_of.push(Some((object, 1.0)));
                let mut track = Track::new(seen, &found.objects[object]);
                if is_first {
                    // Nothing came before that it could have been seen in.
                    track.hits = self.options.min_hits;
                }
                self.tracks.push(track);
            }
        }
    }

    /// Confirms tracks that were matched often enough, and follows the visibility of the confirmed ones.
    fn confirm_and_judge(&mut self, scene: &Scene, dt: f64, found: &mut Detections) {
        let options = &self.options.visibility;
        for (track, matched) in self.tracks.iter_mut().zip(&scene.object_of) {
            let seen = matched.map(|(object, agreement)| Match {
                confidence: f64::from(found.objects[object].score),
                agreement,
            });
            let (from, sight) = match (&mut track.identity, seen) {
                (Some(identity), seen) => {
                    let from = identity.sight.state;
                    identity.sight = identity.sight.next(seen.as_ref(), dt, options);
                    (Some(from), identity.sight)
                }
                (None, Some(seen)) if track.hits >= self.options.min_hits => {
                    self.last_id += 1;
                    let sight = Sight::new(&seen, options);
                    track.identity = Some(Identity {
                        id: self.last_id,
                        sight,
                    });
                    (None, sight)
                }
                (None, _) => continue,
            };
            if from != Some(sight.state) {
                found.changes.extend(change(track, from));
            }
        }
    }

    fn name_objects(&self, scene: &Scene, found: &mut Detections) {
        let mut objects = scene.track_of.iter();
        found.objects.retain_mut(|object| {
            let place = objects.next().copied().flatten();
            let identity = place.and_then(|place| self.tracks[place].identity);
            object.track = identity.map(|identity| ObjectTrack {
                id: identity.id,
                visibility: identity.sight.state,
                visibility_score: identity.sight.score as f32,
            });
            place.is_some() || f64::from(object.score) >= self.options.high_threshold
        });
    }

    /// Removes tracks that were not confirmed before their first miss, and those that are lost for too long.
    fn end_tracks(&mut self, found: &mut Detections) {
        let buffer = self.options.lost_buffer;
        let changes = &mut found.changes;
        self.tracks.retain_mut(|track| {
            let Some(identity) = &mut track.identity else {
                return track.unseen == 0.0;
            };
            if track.unseen <= buffer {
                return true;
            }
            let from = identity.sight.state;
            if from != Visibility::Lost {
                identity.sight.state = Visibility::Lost;
                changes.extend(change(track, Some(from)));
            }
            false
        });
    }
}

/// The change of a track's visibility to what it is now.
fn change(track: &Track, from: Option<Visibility>) -> Option<VisibilityChange> {
    let identity = track.identity?;
    let (class, label) = track.class();
    Some(VisibilityChange {
        track_id: Some(identity.id),
        class,
        label: label.clone(),
        from,
        to: identity.sight.state,
        score: identity.sight.score as f32,
    })
}

/// Keeps the items whose place in `kept` is true.
fn retain<T>(items: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    items.retain(|_| kept.next().is_none_or(|kept| *kept));
}

/// Whether an object can be compared with others.
fn is_finite(object: &Object) -> bool {
    let b = &object.bbox;
    [b.x0, b.y0, b.x1, b.y1].iter().all(|side| side.is_finite())
}
