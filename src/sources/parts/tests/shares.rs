//! Shares of videos: each run takes ranges of their frames, and together they give the frames of the whole.

use super::{Outcome, Seen, changed, clip, options, seen, whole};
use crate::sources::{
    FrameSelection, FrameShare, SourceOptions, SourceSpec, open_share, selection::tests::selection,
};
use proptest::prelude::*;
use std::num::NonZeroU64;

/// Clips that can be divided, and some that cannot.
const CLIPS: [&str; 15] = [
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
    "open.mp4",
    "hevc_open.mp4",
    "one_key.mp4",
    "closed.mkv",
];

fn shares(length: u64, first: u64, of: u64) -> impl Iterator<Item = FrameShare> {
    (0..of).map(move |own| FrameShare {
        length: NonZeroU64::new(length).unwrap(),
        first,
        own,
        of: NonZeroU64::new(of).unwrap(),
    })
}

/// What a share gives, what is wrong with the source, and why it is decoded from its start.
fn shared(
    spec: &SourceSpec,
    options: &SourceOptions,
    share: FrameShare,
) -> (Outcome, Vec<String>, Option<String>) {
    let (mut source, reason) = open_share(spec, 0, options, share).unwrap();
    let (mut outcome, mut warnings) = (Vec::new(), Vec::new());
    loop {
        let next = source.next_frame();
        warnings.extend(source.take_warnings().iter().map(ToString::to_string));
        match next {
            Ok(Some(frame)) => outcome.push(Ok(seen(frame))),
            Ok(None) => break,
            Err(error) => outcome.push(Err(error.to_string())),
        }
        assert!(outcome.len() < 1000);
    }
    assert!(source.next_frame().is_ok_and(|frame| frame.is_none()));
    (outcome, warnings, reason)
}

fn frames(outcome: Outcome) -> Vec<Seen> {
    outcome.into_iter().flatten().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn shares_of_a_video_are_the_whole(
        which in 0..CLIPS.len(),
        selection in selection(),
        (length, first, of) in (1..30u64, any::<u64>(), 1..4u64),
    ) {
        let spec = clip(CLIPS[which]);
        let expected = frames(whole(&spec, &SourceOptions { selection: selection.clone(), ..options() }));
        let options = SourceOptions { selection, ..options() };
        let mut found = Vec::new();
        for share in shares(length, first, of) {
            let (outcome, warnings, _) = shared(&spec, &options, share);
            prop_assert_eq!(&warnings, &Vec::<String>::new());
            let outcome = frames(outcome);
            prop_assert!(outcome.iter().all(|frame| share.contains(frame.index)));
            prop_assert!(outcome.is_sorted_by_key(|frame| frame.index));
            found.extend(outcome);
        }
        found.sort_by_key(|frame| frame.index);
        prop_assert!(found == expected, "{}", CLIPS[which]);
    }

    #[test]
    fn of_a_damaged_video_shares_give_what_the_whole_gives_or_say_that_they_may_not(
        name in prop_oneof![Just("closed.mp4"), Just("own_sets.mp4"), Just("edited.mp4"), Just("vfr.mp4")],
        at in 0..1000usize,
        by in proptest::collection::vec(any::<u8>(), 1..40),
        (length, first, of) in (5..30u64, 0..9u64, 2..4u64),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let spec = changed(folder.path(), name, at, &by);
        if crate::sources::open(&spec, 0, &options()).is_err() {
            return Ok(());
        }
        let (mut found, mut is_said) = (Vec::new(), false);
        for share in shares(length, first, of) {
            let (outcome, warnings, _) = shared(&spec, &options(), share);
            is_said |= warnings.iter().any(|warning| warning.contains("is not what its index says"));
            found.extend(frames(outcome));
        }
        found.sort_by_key(|frame| frame.index);
        let whole = frames(whole(&spec, &options()));
        prop_assert!(is_said || found == whole, "{name}: {} of {}", found.len(), whole.len());
    }
}

#[test]
fn a_video_that_cannot_be_divided_says_why_and_one_that_can_has_no_reason() {
    let reason = |name: &str| {
        let share = shares(10, 0, 2).next().unwrap();
        shared(&clip(name), &options(), share).2
    };
    assert!(reason("open.mp4").unwrap().contains("open GOPs"));
    assert!(reason("closed.mkv").unwrap().contains("no index"));
    assert_eq!(reason("closed.mp4"), None);
}

#[test]
fn a_selection_behind_the_end_is_an_error_of_every_share() {
    let options = SourceOptions {
        selection: FrameSelection {
            range: Some(500..600),
            stride: NonZeroU64::MIN,
        },
        ..options()
    };
    for share in shares(10, 0, 2) {
        let (outcome, ..) = shared(&clip("closed.mp4"), &options, share);
        assert!(matches!(&outcome[..], [Err(e)] if e.contains("from 500 on are selected")));
    }
}
