//! Tests of the tracker as a whole.

use super::{CameraMotion, FrameTime, TrackError, TrackOptions, Tracker};
use crate::{
    frame::{Detections, Mask, Object, Visibility, VisibilityChange},
    geometry::{BoxXyxy, Size},
};
use proptest::prelude::*;
use std::time::Duration;

const SIZE: Size = Size::new(320, 240);

fn object(x: f32, y: f32, score: f32, class: u32) -> Object {
    Object {
        bbox: BoxXyxy::new(x - 15.0, y - 10.0, x + 15.0, y + 10.0),
        score,
        class,
        label: ["bone", "cyst"][class as usize].into(),
        mask: None,
        mask_score: None,
        track: None,
    }
}

fn at(index: u64) -> FrameTime {
    FrameTime {
        index,
        timestamp: None,
        frame_rate: Some(25.0),
    }
}

fn next(tracker: &mut Tracker, index: u64, objects: Vec<Object>) -> Detections {
    let mut found = Detections::new(SIZE, objects);
    tracker.update(at(index), &CameraMotion::IDENTITY, &mut found);
    found
}

fn tracker() -> Tracker {
    Tracker::new(TrackOptions::default()).unwrap()
}

fn ids(found: &Detections) -> Vec<Option<u64>> {
    found.iter().map(|o| o.track.map(|t| t.id)).collect()
}

/// Changes as (track, from, to), by names.
fn changes(found: &Detections) -> Vec<(Option<u64>, &'static str, &'static str)> {
    let name = |v: Visibility| v.name();
    let shown = |c: &VisibilityChange| (c.track_id, c.from.map_or("", name), name(c.to));
    found.changes.iter().map(shown).collect()
}

#[test]
fn objects_that_cross_keep_their_ids() {
    let mut tracker = tracker();
    for index in 0..60 {
        let x = 4.0 * index as f32;
        let objects = vec![
            object(30.0 + x, 100.0, 0.9, 0),
            object(266.0 - x, 112.0, 0.8, 0),
        ];
        let found = next(&mut tracker, index, objects);
        assert_eq!(ids(&found), [Some(1), Some(2)], "frame {index}");
    }
}

#[test]
fn a_score_that_equals_the_threshold_is_kept() {
    for confidence in [0.35, 0.7, 0.9] {
        let mut tracker = Tracker::new(TrackOptions::for_confidence(confidence)).unwrap();
        for index in 0..2 {
            let objects = vec![object(30.0, 100.0, confidence as f32, 0)];
            assert_eq!(next(&mut tracker, index, objects).len(), 1, "{confidence}");
        }
    }
}

#[test]
fn a_box_that_is_not_finite_harms_no_track() {
    let mut tracker = tracker();
    next(&mut tracker, 0, vec![object(30.0, 100.0, 0.9, 0)]);
    let odd = object(f32::NAN, 100.0, 0.9, 0);
    let found = next(&mut tracker, 1, vec![odd, object(31.0, 100.0, 0.9, 0)]);
    assert_eq!(ids(&found), [None, Some(1)]);
}

#[test]
fn a_track_begins_after_two_frames_or_in_the_first_of_all() {
    let mut tracker = tracker();
    let first = || object(30.0, 100.0, 0.9, 0);
    let second = || object(200.0, 100.0, 0.9, 0);
    assert_eq!(ids(&next(&mut tracker, 0, vec![first()])), [Some(1)]);
    let found = next(&mut tracker, 1, vec![first(), second()]);
    assert_eq!(ids(&found), [Some(1), None]);
    let found = next(&mut tracker, 2, vec![first(), second()]);
    assert_eq!(ids(&found), [Some(1), Some(2)]);
}

#[test]
fn low_scores_continue_tracks_and_are_removed_where_there_is_none() {
    let mut tracker = tracker();
    for index in 0..5 {
        next(&mut tracker, index, vec![object(50.0, 50.0, 0.9, 0)]);
    }
    let objects = vec![
        object(250.0, 200.0, 0.45, 0),
        object(51.0, 50.0, 0.35, 0),
        object(50.0, 50.0, 0.05, 0),
    ];
    let found = next(&mut tracker, 5, objects);
    assert_eq!(ids(&found), [Some(1)]);
    assert_eq!(found.objects[0].score, 0.35);
    // High ones stay, with a track or without.
    let found = next(&mut tracker, 6, vec![object(250.0, 200.0, 0.55, 0)]);
    assert_eq!(ids(&found), [None]);
}

#[test]
fn duplicates_are_merged_unless_their_masks_differ() {
    let half = |left: bool| {
        let pixels: Vec<u8> = (0..SIZE.height)
            .flat_map(|y| (0..SIZE.width).map(move |x| (x, y)))
            .map(|(x, y)| {
                u8::from((40..60).contains(&y) && (35..65).contains(&x) && (x < 50) == left)
            })
            .collect();
        Mask::from_row_major(SIZE, &pixels)
    };
    let (mut one, mut other) = (object(50.0, 50.0, 0.9, 0), object(51.0, 50.0, 0.8, 0));
    let kept = |objects: &[&Object]| {
        let objects = objects.iter().map(|o| (*o).clone()).collect();
        next(&mut tracker(), 0, objects).len()
    };
    assert_eq!(kept(&[&one, &other]), 1);
    assert_eq!(kept(&[&one, &object(51.0, 50.0, 0.8, 1)]), 2);
    (one.mask, other.mask) = (half(true), half(false));
    assert_eq!(kept(&[&one, &other]), 2);
    other.mask = half(true);
    assert_eq!(kept(&[&one, &other]), 1);
}

#[test]
fn classes_are_apart_unless_asked_otherwise() {
    let run = |across_classes| {
        let options = TrackOptions {
            across_classes,
            ..TrackOptions::default()
        };
        let mut tracker = Tracker::new(options).unwrap();
        let frames = (0..6).map(|index| {
            let class = u32::from(index == 4);
            next(&mut tracker, index, vec![object(50.0, 50.0, 0.9, class)])
        });
        frames
            .map(|found| (ids(&found)[0], found.changes))
            .collect::<Vec<_>>()
    };
    let apart = run(false);
    assert_eq!(apart[3].0, Some(1));
    assert_eq!(apart[4].0, None);
    assert_eq!(apart[5].0, Some(1));
    let across = run(true);
    assert!(across[1..].iter().all(|(id, _)| *id == Some(1)));
    // The class of the track is the one it had most.
    let classes = across
        .iter()
        .flat_map(|(_, changes)| changes)
        .map(|c| c.class);
    assert_eq!(classes.collect::<Vec<_>>(), [0, 0]);
}

/// A gap of the same length in seconds, at any frame rate and stride, does what it does at any other.
#[test]
fn time_counts_not_frames() {
    let follow = |rate: f64, stride: u64, gap: f64| {
        let mut tracker = tracker();
        let (mut last, mut index) = (None, 0);
        while (index as f64) / rate < 6.0 {
            let seconds = index as f64 / rate;
            let seen = !(2.0..2.0 + gap).contains(&seconds);
            let x = 40.0 + 30.0 * seconds as f32;
            let objects = seen.then(|| object(x, 100.0, 0.9, 0));
            let mut found = Detections::new(SIZE, objects.into_iter().collect());
            let at = FrameTime {
                index,
                timestamp: Some(Duration::from_secs_f64(seconds)),
                frame_rate: None,
            };
            tracker.update(at, &CameraMotion::IDENTITY, &mut found);
            last = ids(&found).first().copied().flatten().or(last);
            index += stride;
        }
        last
    };
    for (rate, stride) in [(25.0, 1), (60.0, 1), (60.0, 6), (10.0, 1)] {
        assert_eq!(follow(rate, stride, 1.5), Some(1), "{rate}/{stride}");
        assert_eq!(follow(rate, stride, 2.5), Some(2), "{rate}/{stride}");
    }
}

#[test]
fn the_camera_carries_predictions_along() {
    let run = |known: bool| {
        let mut tracker = tracker();
        let mut last = Detections::new(SIZE, Vec::new());
        for index in 0..30 {
            // Two neighbours; the camera jumps by the distance between them.
            let jump = if index >= 20 { 34.0 } else { 0.0 };
            let motion = match known && index == 20 {
                true => CameraMotion::new(1.0, 0.0, [34.0, 0.0]),
                false => CameraMotion::IDENTITY,
            };
            let objects = vec![
                object(100.0 + jump, 100.0, 0.9, 0),
                object(134.0 + jump, 100.0, 0.8, 0),
            ];
            last = Detections::new(SIZE, objects);
            tracker.update(at(index), &motion, &mut last);
        }
        ids(&last)
    };
    assert_eq!(run(true), [Some(1), Some(2)]);
    assert_ne!(run(false), [Some(1), Some(2)]);
}

#[test]
fn every_change_of_a_track_and_of_its_class_is_told() {
    let mut tracker = tracker();
    let mut told = Vec::new();
    for index in 0..200 {
        let seen = !(40..70).contains(&index) && index < 110;
        let objects = seen
            .then(|| object(50.0, 50.0, 0.9, 0))
            .into_iter()
            .collect();
        told.extend(changes(&next(&mut tracker, index, objects)));
    }
    let of = |id: Option<u64>| {
        let of = told.iter().filter(|c| c.0 == id).map(|c| (c.1, c.2));
        of.collect::<Vec<_>>()
    };
    let expected = [
        ("", "visible"),
        ("visible", "relocalizing"),
        ("relocalizing", "lost"),
        ("lost", "relocalizing"),
        ("relocalizing", "visible"),
        ("visible", "relocalizing"),
        ("relocalizing", "lost"),
    ];
    assert_eq!(of(Some(1)), expected);
    assert_eq!(of(None), expected);
    assert_eq!(told.len(), 14, "{told:?}");
    assert!(tracker.tracks_len() == 0, "it is removed at last");
}

/// The class is as visible as its best track.
#[test]
fn a_class_is_lost_with_its_last_track() {
    let mut tracker = tracker();
    let mut told = Vec::new();
    for index in 0..100 {
        let mut objects = vec![object(50.0, 50.0, 0.9, 0), object(200.0, 50.0, 0.8, 0)];
        objects.truncate(if index < 20 {
            2
        } else {
            usize::from(index < 60)
        });
        told.extend(changes(&next(&mut tracker, index, objects)));
    }
    let class: Vec<_> = told.iter().filter(|c| c.0.is_none()).map(|c| c.2).collect();
    assert_eq!(class, ["visible", "relocalizing", "lost"]);
    let second: Vec<_> = told
        .iter()
        .filter(|c| c.0 == Some(2))
        .map(|c| c.2)
        .collect();
    assert_eq!(second, ["visible", "relocalizing", "lost"]);
}

#[test]
fn a_track_that_is_removed_before_it_is_lost_is_lost_by_that() {
    let options = TrackOptions {
        lost_buffer: 0.1,
        ..TrackOptions::default()
    };
    let mut tracker = Tracker::new(options).unwrap();
    let mut told = Vec::new();
    for index in 0..30 {
        let objects = (index < 10).then(|| object(50.0, 50.0, 0.9, 0));
        told.extend(changes(&next(
            &mut tracker,
            index,
            objects.into_iter().collect(),
        )));
    }
    assert_eq!(told.last(), Some(&(None, "visible", "lost")));
    assert_eq!(told[told.len() - 2], (Some(1), "visible", "lost"));
    assert_eq!(told.len(), 4);
}

#[test]
fn options_out_of_range_are_named() {
    let with = |change: fn(&mut TrackOptions)| {
        let mut options = TrackOptions::default();
        change(&mut options);
        Tracker::new(options).err().map(|e| e.to_string())
    };
    assert_eq!(with(|_| ()), None);
    assert_eq!(
        with(|o| o.low_threshold = 1.5).unwrap(),
        "low_threshold of 1.5; use a number from 0 to 1"
    );
    assert_eq!(
        with(|o| o.high_threshold = 0.7).unwrap(),
        "high_threshold of 0.7 above new_track_threshold of 0.6; lower the first or raise the second"
    );
    let changes: [fn(&mut TrackOptions); 7] = [
        |o| o.lost_buffer = f64::NAN,
        |o| o.min_hits = 0,
        |o| o.nms = Some(-0.1),
        |o| o.wide_buffer = 0.0,
        |o| o.visibility.half_life = 0.0,
        |o| o.visibility.lost_below = 0.3,
        |o| o.visibility.visible_above = 0.3,
    ];
    for change in changes {
        assert!(with(change).is_some());
    }
    let error: TrackError = Tracker::new(TrackOptions {
        mask_weight: 2.0,
        ..TrackOptions::default()
    })
    .err()
    .unwrap();
    assert!(matches!(
        error,
        TrackError::Range {
            name: "mask_weight",
            ..
        }
    ));
}

#[test]
fn boxes_that_are_none_begin_no_track() {
    let mut tracker = tracker();
    for index in 0..3 {
        let mut broken = object(50.0, 50.0, 0.9, 0);
        broken.bbox.x1 = f32::NAN;
        let found = next(&mut tracker, index, vec![broken]);
        assert_eq!((found.len(), ids(&found)), (1, vec![None]));
    }
}

/// Place on a grid, score, class, whether there is a mask.
type Drawn = (u8, u8, u8, u32, bool);

/// Frames of objects that move about, with scores of all sizes, and masks of some.
fn frames() -> impl Strategy<Value = Vec<(u64, Vec<Object>)>> {
    let one = (0u8..40, 0u8..30, 0u8..=20, 0u32..2, any::<bool>());
    let frame = (1u64..4, proptest::collection::vec(one, 0..7));
    proptest::collection::vec(frame, 1..40).prop_map(|frames| {
        let mut index = 0;
        let frame = |(step, objects): (u64, Vec<Drawn>)| {
            index += step;
            // A coarse grid: many boxes meet, and many costs are equal.
            let objects = objects.into_iter().map(|(x, y, score, class, masked)| {
                let (x, y) = (20.0 + 4.0 * f32::from(x), 20.0 + 4.0 * f32::from(y));
                let mut object = object(x, y, f32::from(score) / 20.0, class);
                object.mask = masked.then(|| box_mask(&object.bbox)).flatten();
                object
            });
            (index, objects.collect())
        };
        frames.into_iter().map(frame).collect()
    })
}

fn box_mask(b: &BoxXyxy) -> Option<Mask> {
    let (height, mut counts) = (SIZE.height, Vec::new());
    let [x0, y0, x1, y1] = [b.x0, b.y0, b.x1, b.y1].map(|v| v as u32);
    counts.push(x0 * height + y0);
    for x in x0..x1 {
        counts.push(y1 - y0);
        counts.push(if x + 1 < x1 { height - (y1 - y0) } else { 0 });
    }
    let last = counts.len() - 1;
    counts[last] = (SIZE.width - x1) * height + height - y1;
    Mask::from_counts(SIZE, counts)
}

proptest! {
    /// A run that was killed is gone on with by giving a new tracker what the old one had put out.
    #[test]
    fn the_output_tracked_again_is_the_same_output(
        frames in frames(),
        across_classes in any::<bool>(),
        nms in prop::option::of(0.3..0.9),
        min_hits in 1u32..4,
    ) {
        let options = TrackOptions { across_classes, nms, min_hits, ..TrackOptions::default() };
        let run = |frames: &[(u64, Vec<Object>)]| {
            let mut tracker = Tracker::new(options.clone()).unwrap();
            let found = frames.iter().map(|(index, objects)| (*index, next(&mut tracker, *index, objects.clone())));
            found.collect::<Vec<_>>()
        };
        let first = run(&frames);
        let cleared: Vec<(u64, Vec<Object>)> = first
            .iter()
            .map(|(index, found)| {
                let clear = |o: &Object| Object { track: None, ..o.clone() };
                (*index, found.iter().map(clear).collect())
            })
            .collect();
        prop_assert_eq!(&run(&cleared), &first);
        let high = |objects: &[Object]| objects.iter().filter(|o| o.score >= 0.5).count();
        for ((_, given), (_, found)) in frames.iter().zip(&first) {
            if nms.is_none() {
                prop_assert_eq!(high(given), high(&found.objects), "high objects stay");
            }
            let mut ids: Vec<u64> = found.iter().filter_map(|o| Some(o.track?.id)).collect();
            let tracked = ids.len();
            ids.sort_unstable();
            ids.dedup();
            prop_assert_eq!(ids.len(), tracked, "an id is given once a frame");
        }
    }
}
