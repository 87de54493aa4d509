//! Parts of videos (the clips of `tests/fixtures/media/parts`).

use super::{
    assert_same, changed, clip, divided, in_parts, options, reason, until_irregular, video, whole,
};
use crate::sources::{Alias, Aliases, Division, FrameSelection, SourceOptions, divide, open_part};
use proptest::prelude::*;
use std::{fs, num::NonZeroU64, path::Path, sync::Arc};

const DIVISIBLE: [&str; 11] = [
    "closed.mp4",
    "own_sets.mp4",
    "hevc.mp4",
    "hevc_leading.mp4",
    "mjpeg.mov",
    "vfr.mp4",
    "sound.mp4",
    "late_sound.mp4",
    "delayed.mp4",
    "turned.mov",
    "edited.mp4",
];

#[test]
fn parts_of_videos_are_the_whole() {
    for name in DIVISIBLE {
        let spec = clip(name);
        let whole = whole(&spec, &options());
        assert!(
            whole.len() > 40 && whole.iter().all(Result::is_ok),
            "{name}"
        );
        let count = divided(&spec, &options(), 10).parts().len();
        assert!((3..=6).contains(&count), "{name}: {count}");
        for decoders in [1, 2, count] {
            let parts = in_parts(&spec, &options(), 10, decoders, &[2, 0, 3]);
            assert_same(&parts, &whole, name);
        }
    }
}

#[test]
fn what_cannot_be_divided_says_why() {
    for (name, part) in [
        ("open.mp4", "open GOPs"),
        ("hevc_open.mp4", "open GOPs"),
        ("mpeg4.mp4", "coded as MPEG4"),
        ("one_key.mp4", "no key frame after its first 10"),
        ("two_edits.mp4", "not in the order of their times"),
        ("fragmented.mp4", "fragmented"),
        ("closed.ts", "(mpegts) has no index"),
        ("closed.mkv", "has no index of all its frames"),
    ] {
        let reason = reason(&clip(name), 10).unwrap_or_else(|| panic!("{name}"));
        assert!(reason.contains(part), "{name}: {reason}");
    }
    // A short one needs no reason.
    for name in ["closed.mp4", "open.mp4", "one_key.mp4"] {
        assert_eq!(reason(&clip(name), 60), None, "{name}");
    }
    let range = SourceOptions {
        selection: FrameSelection {
            range: Some(5..40),
            stride: NonZeroU64::MIN,
        },
        ..options()
    };
    assert!(matches!(
        divide(&clip("closed.mp4"), &range, 10),
        Division::Whole { reason: Some(reason) } if reason.contains("a range")
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_division_of_a_video_is_the_whole(
        which in 0..DIVISIBLE.len(),
        least in 1..40u64,
        stride in 1..9u64,
        decoders in 1..4usize,
        order in Just((0..60).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let spec = clip(DIVISIBLE[which]);
        let selection = FrameSelection::default().with_stride(NonZeroU64::new(stride).unwrap());
        let options = SourceOptions { selection, ..options() };
        if matches!(divide(&spec, &options, least), Division::Parts(_)) {
            let parts = in_parts(&spec, &options, least, decoders, &order);
            assert_same(&parts, &whole(&spec, &options), DIVISIBLE[which]);
        }
    }

    #[test]
    fn of_a_damaged_video_no_wrong_frame_comes(
        // Not HEVC: FFmpeg reports no slice that ends early, and shows what its picture's memory had before.
        name in prop_oneof![
            Just("closed.mp4"), Just("own_sets.mp4"), Just("edited.mp4"), Just("vfr.mp4"), Just("mjpeg.mov"),
        ],
        at in 0..1000usize,
        by in proptest::collection::vec(any::<u8>(), 1..40),
        reuse in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let spec = changed(folder.path(), name, at, &by);
        let Some((parts, irregular)) = until_irregular(&spec, 10, reuse) else {
            return Ok(());
        };
        let mut whole = whole(&spec, &options());
        prop_assert!(parts.len() <= whole.len());
        if irregular {
            whole.truncate(parts.len());
        }
        assert_same(&parts, &whole, name);
    }
}

#[test]
fn damage_in_a_part_leaves_the_rest_to_the_whole_source() {
    let folder = tempfile::tempdir().unwrap();
    for (name, at) in [("closed.mp4", 500), ("sound.mp4", 500)] {
        let spec = changed(folder.path(), name, at, &[0x5a; 60]);
        for reuse in [false, true] {
            let (parts, irregular) = until_irregular(&spec, 10, reuse).unwrap();
            assert!(irregular && parts.len() >= 12, "{name}: {}", parts.len());
            let whole = whole(&spec, &options());
            assert!(whole.len() > parts.len());
            assert_same(&parts, &whole.into_iter().take(parts.len()).collect(), name);
        }
    }
    // Its header stands at its end.
    let bytes = fs::read(&clip("mjpeg.mov").path).unwrap();
    let path = folder.path().join("cut.mov");
    fs::write(&path, &bytes[..bytes.len() - 10]).unwrap();
    assert_eq!(
        reason(&video(&path), 10).as_deref(),
        Some("the file ends early")
    );
}

#[test]
fn parts_have_the_neutral_names_of_their_source() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Meier.mp4");
    fs::copy(clip("closed.mp4").path, &path).unwrap();
    let spec = video(&path);
    let alias = Alias {
        path: "source-000000".into(),
        files: vec!["source-000000".into()],
    };
    let options = SourceOptions {
        aliases: Some(Arc::new(Aliases::new([(spec.name.clone(), alias)]))),
        ..options()
    };
    let parts = in_parts(&spec, &options, 10, 2, &[]);
    assert!(
        parts
            .iter()
            .flatten()
            .all(|frame| frame.source == Path::new("source-000000"))
    );
    assert_same(&parts, &whole(&spec, &options), "alias");
    let divided = divided(&spec, &options, 10);
    let error = open_part(&spec, 0, &options, &divided, 99).err().unwrap();
    assert_eq!(error.to_string(), "source-000000: has no part 99");
    let mut part = open_part(&spec, 0, &options, &divided, 1).unwrap();
    assert!(part.restart(99).is_err());
    assert!(!part.decoding().unwrap().on_gpu);
}
