//! Moving phantoms: targets keep their numbers, are seen less and come back, and time is told as it was.

use crate::phantom::digest;
use std::collections::{BTreeMap, BTreeSet};
use ultramotion::{
    geometry::Size,
    phantom::{
        Class, GroundTruth, LEAST_VISIBILITY, Motion, Phantom, PhantomError, PhantomFrame,
        PhantomOptions, TargetSet,
    },
};

/// Ten frames a second: long enough for several departures, short enough to render.
fn options(motion: Motion, seed: u64, frames: u32) -> PhantomOptions {
    PhantomOptions {
        seed,
        frames,
        size: Size::new(64, 64),
        motion,
        frame_rate: 10.0,
        ..PhantomOptions::default()
    }
}

fn phantom(motion: Motion, seed: u64, frames: u32) -> Phantom {
    Phantom::new(options(motion, seed, frames)).unwrap()
}

/// What is seen of each track in each frame.
fn tracks(phantom: &Phantom) -> BTreeMap<u32, Vec<Option<GroundTruth>>> {
    let frames = phantom.options().frames as usize;
    let mut tracks: BTreeMap<u32, Vec<Option<GroundTruth>>> = BTreeMap::new();
    for frame in phantom.frames() {
        for object in frame.objects {
            let track = tracks
                .entry(object.track_id)
                .or_insert_with(|| vec![None; frames]);
            assert!(track[frame.index as usize].is_none(), "two of one track");
            track[frame.index as usize] = Some(object);
        }
    }
    tracks
}

fn centre(object: &GroundTruth) -> (f32, f32) {
    let b = object.bbox;
    ((b.x0 + b.x1) / 2.0, (b.y0 + b.y1) / 2.0)
}

#[test]
fn every_motion_can_be_repeated_in_any_order() {
    for motion in Motion::ALL {
        let (first, second) = (phantom(motion, 31, 8), phantom(motion, 31, 8));
        let frames: Vec<PhantomFrame> = first.frames().collect();
        assert_eq!(second.frame(6).unwrap(), frames[6], "{motion:?}");
        assert_eq!(second.frame(1).unwrap(), frames[1], "{motion:?}");
        assert_eq!(second.seconds(6), first.seconds(6));
    }
    let image = |motion| phantom(motion, 31, 8).frame(3).unwrap().image;
    assert_ne!(image(Motion::Calm), image(Motion::Probe));
    assert_ne!(image(Motion::Probe), image(Motion::Hard));
}

#[test]
fn the_same_seed_gives_the_same_bytes_everywhere() {
    // A new drawing of the phantom changes these; a new machine must not.
    for (motion, expected) in [
        (
            Motion::Probe,
            "97e6e92eb11dd1f6e899aea1b30aab8dd9c110128780d152322a10f55717bcd8",
        ),
        (
            Motion::Hard,
            "115acf3ba4c65633479862f2c8cfc022d733033d872e7e12e183e72ca3f1ad9d",
        ),
    ] {
        let phantom = Phantom::new(PhantomOptions {
            seed: 229,
            frames: 3,
            size: Size::new(96, 80),
            motion,
            ..PhantomOptions::default()
        });
        assert_eq!(digest(&phantom.unwrap()), expected, "{motion:?}");
    }
}

#[test]
fn a_sweep_moves_what_a_steady_hand_leaves_nearly_where_it_is() {
    let travel = |motion| {
        let (mut way, mut steps) = (0.0, 0);
        for seed in 0..5 {
            for track in tracks(&phantom(motion, seed, 12)).values() {
                for pair in track.windows(2) {
                    if let [Some(a), Some(b)] = pair {
                        way += (centre(a).0 - centre(b).0).abs();
                        steps += 1;
                    }
                }
            }
        }
        assert!(steps > 20, "{steps}");
        way / steps as f32
    };
    let (calm, probe) = (travel(Motion::Calm), travel(Motion::Probe));
    assert!(
        probe > 1.5 * calm,
        "calm {calm} pixels a frame, probe {probe}"
    );
}

#[test]
fn a_target_that_leaves_returns_under_its_number() {
    let (mut returned, mut never_away) = (0, 0);
    for seed in 0..3 {
        for (id, track) in tracks(&phantom(Motion::Hard, seed, 60)) {
            let classes: BTreeSet<_> = track.iter().flatten().map(|o| o.label).collect();
            assert_eq!(classes.len(), 1, "seed {seed}, track {id}: {classes:?}");
            let first = track.iter().position(Option::is_some).unwrap();
            let last = track.iter().rposition(Option::is_some).unwrap();
            let away = track[first..last].split(Option::is_some);
            match away.map(<[_]>::len).max() {
                Some(3..) => returned += 1,
                _ => never_away += 1,
            }
        }
    }
    assert!(returned >= 5, "{returned} returned, {never_away} did not");
}

#[test]
fn visibility_falls_and_comes_back_within_the_picture() {
    let mut found = 0;
    for seed in 0..3 {
        let options = PhantomOptions {
            targets: TargetSet::NONE.with(Class::Cyst).with(Class::Vessel),
            ..options(Motion::Hard, seed, 60)
        };
        for track in tracks(&Phantom::new(options).unwrap()).values() {
            let seen: Vec<f32> = track
                .iter()
                .map(|o| o.as_ref().map_or(0.0, |o| o.visibility))
                .collect();
            // Gone for a while, near the middle of the picture before and after.
            for gone in (1..59).filter(|&i| seen[i] == 0.0 && seen[i - 1] > 0.0) {
                let Some(back) = (gone..60).find(|&i| seen[i] > 0.0) else {
                    continue;
                };
                let inside = [gone - 1, back].iter().all(|&i| {
                    let x = centre(track[i].as_ref().unwrap()).0;
                    (13.0..51.0).contains(&x)
                });
                let falls = seen[gone.saturating_sub(8)..gone].iter().any(|&v| v > 0.85)
                    && seen[gone - 1] < 0.75;
                let rises = seen[back..(back + 8).min(60)].iter().any(|&v| v > 0.85);
                found += usize::from(inside && falls && rises);
            }
        }
    }
    assert!(found >= 3, "{found} fades");
}

#[test]
fn what_is_hardly_visible_is_not_part_of_the_truth() {
    let mut partly = 0;
    for (motion, seed) in (0..3).flat_map(|seed| [(Motion::Probe, seed), (Motion::Hard, seed)]) {
        for frame in phantom(motion, seed, 20).frames() {
            for object in &frame.objects {
                assert!(
                    (LEAST_VISIBILITY..=object.visible_fraction).contains(&object.visibility)
                        && object.visible_fraction <= 1.0,
                    "{motion:?}, seed {seed}: {object:?}"
                );
                partly += usize::from(object.visibility < 0.6);
            }
        }
    }
    assert!(partly >= 10, "{partly}");
}

#[test]
fn hard_sequences_hold_several_targets_of_one_class_that_overlap() {
    let (mut crowded, mut overlaps) = (0, 0);
    for seed in 0..8 {
        let phantom = phantom(Motion::Hard, seed, 12);
        assert!((2..=6).contains(&phantom.target_count()), "seed {seed}");
        let mut classes: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        for frame in phantom.frames() {
            for (i, a) in frame.objects.iter().enumerate() {
                classes.entry(a.label).or_default().insert(a.track_id);
                overlaps += frame.objects[..i]
                    .iter()
                    .filter(|b| b.class == a.class && a.bbox.iou(&b.bbox) > 0.1)
                    .count();
            }
        }
        crowded += usize::from(classes.values().any(|ids| ids.len() > 1));
    }
    assert!(crowded >= 5, "{crowded} of 8 have two of one class");
    assert!(overlaps >= 10, "{overlaps}");
}

#[test]
fn a_class_that_is_not_allowed_does_not_appear() {
    for (targets, count) in [
        (TargetSet::NONE, 0..=0),
        (TargetSet::NONE.with(Class::Needle), 2..=2),
        (TargetSet::NONE.with(Class::Bone), 2..=2),
        (TargetSet::NONE.with(Class::Cyst), 2..=5),
    ] {
        for seed in 0..6 {
            let phantom = Phantom::new(PhantomOptions {
                targets,
                ..options(Motion::Hard, seed, 2)
            })
            .unwrap();
            assert!(count.contains(&phantom.target_count()), "{targets:?}");
            let allowed = |f: &PhantomFrame| f.objects.iter().all(|o| targets.contains(o.class));
            assert!(phantom.frames().all(|f| allowed(&f)), "{targets:?}");
        }
    }
}

#[test]
fn frames_are_lost_in_hard_sequences_alone() {
    for motion in [Motion::Calm, Motion::Probe] {
        let phantom = phantom(motion, 3, 30);
        assert!(phantom.is_steady() && (0..30).all(|i| phantom.seconds(i) == f64::from(i) / 10.0));
    }
    let hard = phantom(Motion::Hard, 3, 51);
    assert!(!hard.is_steady());
    assert_eq!((hard.seconds(0), hard.seconds(50)), (0.0, 6.0));
}

#[test]
fn motions_have_names() {
    for motion in Motion::ALL {
        assert_eq!(motion.name().parse::<Motion>().unwrap(), motion);
    }
    let error = "wild".parse::<Motion>().unwrap_err();
    assert!(matches!(error, PhantomError::Motion(_)));
    assert!(error.to_string().contains("calm, probe, hard"), "{error}");
}
