//! The phantom: the same bytes for the same options, and a truth that agrees with the image.

use dicom_dictionary_std::tags;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, process::Command};
use ultramotion::{
    geometry::Size,
    phantom::{
        CLASS_NAMES, Class, GroundTruth, Phantom, PhantomError, PhantomFrame, PhantomOptions,
        TargetSet, dicom,
    },
};

fn options(seed: u64, frames: u32, width: u32, height: u32) -> PhantomOptions {
    PhantomOptions {
        seed,
        frames,
        size: Size::new(width, height),
        ..PhantomOptions::default()
    }
}

fn phantom(seed: u64, frames: u32, width: u32, height: u32) -> Phantom {
    Phantom::new(options(seed, frames, width, height)).unwrap()
}

fn only(class: Class, seed: u64) -> Phantom {
    let targets = TargetSet::NONE.with(class);
    Phantom::new(PhantomOptions {
        targets,
        ..options(seed, 6, 256, 256)
    })
    .unwrap()
}

/// Of frames, label maps and what the truth says of each object.
pub(crate) fn digest(phantom: &Phantom) -> String {
    let mut hash = Sha256::new();
    for frame in phantom.frames() {
        hash.update(frame.image.data());
        hash.update(frame.label_map.data());
        for object in &frame.objects {
            hash.update([object.class as u8]);
            hash.update(object.track_id.to_le_bytes());
            hash.update(object.visible_fraction.to_le_bytes());
        }
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_everywhere() {
    // A new drawing of the phantom changes these; a new machine must not.
    assert_eq!(
        digest(&phantom(229, 3, 192, 160)),
        "6ae4f7db470526c0ac30e1840137ed3f849767a1f92ab1e2f62d7b7e518f2fd3"
    );
    assert_eq!(
        digest(&phantom(376, 3, 160, 224)),
        "ef9cb30b563cc6adfc7f153b2b0811cf8f1a2e82f92675b0745d20b922cd0f32"
    );
    assert_ne!(
        digest(&phantom(2, 1, 64, 64)),
        digest(&phantom(3, 1, 64, 64))
    );
}

#[test]
fn a_frame_does_not_depend_on_the_order_of_rendering() {
    let phantom = phantom(17, 7, 128, 128);
    let frames: Vec<PhantomFrame> = phantom.frames().collect();
    assert_eq!(frames.len(), 7);
    assert!(frames.iter().zip(0..).all(|(f, i)| f.index == i));
    assert_eq!(phantom.frame(5).unwrap(), frames[5]);
    assert_eq!(phantom.frame(0).unwrap(), frames[0]);
    assert!(phantom.frame(7).is_none());
}

/// Mean grey inside the mask and in the ring of `reach` pixels around it that no object covers.
fn inside_and_around(frame: &PhantomFrame, object: &GroundTruth, reach: i32) -> Option<(f64, f64)> {
    let size = frame.image.size();
    let (w, h) = (size.width as i32, size.height as i32);
    let mask = object.mask.to_row_major();
    let (mut inside, mut ring) = ((0.0, 0), (0.0, 0));
    for y in 0..h {
        for x in 0..w {
            let at = (y * w + x) as usize;
            let grey = f64::from(frame.image.data()[at]);
            if mask[at] != 0 {
                inside = (inside.0 + grey, inside.1 + 1);
            } else if frame.label_map.data()[at] == 0 {
                let near = [(-reach, 0), (reach, 0), (0, -reach), (0, reach)]
                    .iter()
                    .any(|(dx, dy)| {
                        let (u, v) = (x + dx, y + dy);
                        u >= 0 && v >= 0 && u < w && v < h && mask[(v * w + u) as usize] != 0
                    });
                if near {
                    ring = (ring.0 + grey, ring.1 + 1);
                }
            }
        }
    }
    (inside.1 > 0 && ring.1 > 0)
        .then(|| (inside.0 / f64::from(inside.1), ring.0 / f64::from(ring.1)))
}

/// Over many sequences of one class: how many objects showed, and in how many `agrees(inside, around)` held.
fn agreement(class: Class, agrees: impl Fn(f64, f64) -> bool) -> (usize, usize) {
    let (mut shown, mut agreed) = (0, 0);
    for seed in 0..40 {
        let Some(frame) = only(class, seed).frame(3) else {
            continue;
        };
        for object in &frame.objects {
            assert_eq!(object.class, class);
            let Some((inside, around)) = inside_and_around(&frame, object, 5) else {
                continue;
            };
            shown += 1;
            agreed += usize::from(agrees(inside, around));
        }
    }
    assert!(shown >= 25, "only {shown} objects of {class:?}");
    (shown, agreed)
}

#[test]
fn the_truth_agrees_with_the_image() {
    for class in [Class::Bone, Class::Needle] {
        let (shown, agreed) = agreement(class, |inside, around| inside > 1.25 * around + 5.0);
        assert!(
            agreed * 20 >= shown * 19,
            "{class:?}: bright in {agreed} of {shown}"
        );
    }
    // Noise fills some cysts, as it does in patients: nearly all are darker than what is around, most of them much.
    for (factor, percent) in [(0.95, 93), (0.8, 82)] {
        let (shown, agreed) = agreement(Class::Cyst, |inside, around| inside < factor * around);
        assert!(
            agreed * 100 >= shown * percent,
            "cyst: below {factor} of its surroundings in {agreed} of {shown}"
        );
    }
}

#[test]
fn masks_boxes_and_label_maps_say_the_same() {
    for seed in [100, 111, 112, 119] {
        for frame in phantom(seed, 10, 200, 150).frames() {
            let mut covered = vec![0u8; frame.label_map.data().len()];
            for object in &frame.objects {
                assert_eq!(object.mask.bounds(), Some(object.bbox));
                assert_eq!(object.label, CLASS_NAMES[object.class as usize]);
                assert!(
                    object.visible_fraction > 0.0 && object.visible_fraction <= 1.0,
                    "{object:?}"
                );
                for (bits, inside) in covered.iter_mut().zip(object.mask.to_row_major()) {
                    *bits |= inside << object.class as u8;
                }
            }
            for (&label, bits) in frame.label_map.data().iter().zip(covered) {
                assert!(if label == 0 {
                    bits == 0
                } else {
                    bits >> (label - 1) & 1 == 1
                });
            }
        }
    }
}

#[test]
fn targets_leave_and_return_under_their_number() {
    let mut returned = BTreeMap::new();
    for seed in 0..24 {
        let mut seen: BTreeMap<u32, Vec<bool>> = BTreeMap::new();
        let phantom = phantom(seed, 20, 96, 96);
        for frame in phantom.frames() {
            for track in 1..=phantom.target_count() as u32 {
                seen.entry(track)
                    .or_default()
                    .push(frame.objects.iter().any(|o| o.track_id == track));
            }
        }
        for shown in seen.values() {
            let first = shown.iter().position(|&s| s);
            let last = shown.iter().rposition(|&s| s);
            if let (Some(first), Some(last)) = (first, last) {
                *returned
                    .entry(shown[first..last].contains(&false))
                    .or_insert(0) += 1;
            }
        }
    }
    assert!(returned.get(&true).is_some_and(|&n| n >= 3), "{returned:?}");
    assert!(
        returned.get(&false).is_some_and(|&n| n >= 10),
        "{returned:?}"
    );
}

#[test]
fn empty_frames_and_all_classes_appear() {
    let (mut empty, mut classes) = (0, [0; 4]);
    for seed in 0..60 {
        let frame = phantom(seed, 4, 112, 96).frame(1).unwrap();
        empty += usize::from(frame.objects.is_empty());
        frame
            .objects
            .iter()
            .for_each(|o| classes[o.class as usize] += 1);
    }
    assert!((6..=40).contains(&empty), "{empty} of 60 frames are empty");
    assert!(classes.iter().all(|&n| n >= 5), "{classes:?}");
    let none = Phantom::new(PhantomOptions {
        targets: TargetSet::NONE,
        ..options(5, 2, 64, 64)
    })
    .unwrap();
    assert!(
        none.frames()
            .all(|f| f.objects.is_empty() && f.label_map.data().iter().all(|&l| l == 0))
    );
}

#[test]
fn odd_tiny_and_large_screens_work() {
    for (seed, width, height) in [
        (0, 16, 16),
        (1, 17, 301),
        (2, 900, 31),
        (3, 1025, 767),
        (4, 33, 16),
        (5, 16, 512),
    ] {
        for seed in [seed, seed + 100] {
            let frame = phantom(seed, 2, width, height).frame(1).unwrap();
            assert_eq!(frame.image.size(), Size::new(width, height));
            assert_eq!(frame.label_map.size(), frame.image.size());
            assert!(
                frame.image.data().iter().any(|&v| v > 20),
                "seed {seed} {width}×{height} is black"
            );
        }
    }
}

#[test]
fn impossible_options_are_refused() {
    let refused = |o| Phantom::new(o).err();
    assert!(matches!(
        refused(options(0, 1, 15, 64)),
        Some(PhantomError::Size(_))
    ));
    assert!(matches!(
        refused(options(0, 1, 64, 5000)),
        Some(PhantomError::Size(_))
    ));
    assert!(matches!(
        refused(options(0, 0, 64, 64)),
        Some(PhantomError::NoFrames)
    ));
    for frame_rate in [0.0, f64::NAN, f64::INFINITY, -25.0] {
        assert!(matches!(
            refused(PhantomOptions {
                frame_rate,
                ..options(0, 1, 64, 64)
            }),
            Some(PhantomError::FrameRate(_))
        ));
    }
    assert!(
        "liver"
            .parse::<Class>()
            .unwrap_err()
            .to_string()
            .contains("bone, cyst, vessel, needle")
    );
    assert_eq!("cyst".parse::<Class>().unwrap(), Class::Cyst);
}

#[test]
fn dicom_holds_every_frame_and_repeats_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("a.dcm"), dir.path().join("b.dcm"));
    let phantom = phantom(3, 5, 97, 61);
    dicom::write(&phantom, &first).unwrap();
    dicom::write(&phantom, &second).unwrap();
    assert_eq!(
        std::fs::read(&first).unwrap(),
        std::fs::read(&second).unwrap()
    );
    let object = dicom_object::open_file(&first).unwrap();
    assert_eq!(
        object
            .element(tags::NUMBER_OF_FRAMES)
            .unwrap()
            .to_int::<u32>()
            .unwrap(),
        5
    );
    assert_eq!(
        object
            .element(tags::FRAME_TIME)
            .unwrap()
            .to_float64()
            .unwrap(),
        40.0
    );
    let pixels = object
        .element(tags::PIXEL_DATA)
        .unwrap()
        .to_bytes()
        .unwrap();
    let expected: Vec<u8> = phantom.frames().flat_map(|f| f.image.into_data()).collect();
    assert_eq!(pixels[..expected.len()], expected);
    assert_eq!(pixels.len() % 2, 0);
    let regions = object
        .element(tags::SEQUENCE_OF_ULTRASOUND_REGIONS)
        .unwrap();
    let delta = regions.items().unwrap()[0]
        .element(tags::PHYSICAL_DELTA_X)
        .unwrap()
        .to_float64()
        .unwrap();
    assert_eq!(
        delta * 10.0,
        phantom.physical(0).pixel_spacing_mm.unwrap()[1]
    );
}

#[test]
fn dicom_passes_the_validator() {
    let dir = tempfile::tempdir().unwrap();
    for (seed, width, height) in [(3, 97, 61), (4, 128, 128), (21, 64, 80)] {
        let path = dir.path().join(format!("{seed}.dcm"));
        dicom::write(&phantom(seed, 3, width, height), &path).unwrap();
        let Ok(output) = Command::new("dciodvfy").arg(&path).output() else {
            eprintln!("skipped: dciodvfy (Debian's dicom3tools) is not installed");
            return;
        };
        let report = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!report.contains("Error"), "seed {seed}: {report}");
    }
}
