//! Tracks on a GPU: the same ids and states in every batch, mode, place of decoding and precision, and on the CPU.

use crate::{
    report::{Outcome, Report},
    runs::{FrameResult, Input, LEGACY, Task, clip, detect, pipeline, results},
};
use std::collections::BTreeMap;
use ultramotion::{
    engine::Engine,
    frame::Visibility,
    session::{Execution, Mode},
    sources::Decode,
    track::TrackOptions,
};

/// Objects appear, leave and come back in these.
const FRAMES: &str = "..48";
const CONFIDENCE: f64 = 0.4;

/// Id, class and state of each object, frame by frame.
type Tracks = Vec<Vec<Option<(u64, u32, Visibility)>>>;

fn tracks(found: &[FrameResult]) -> Tracks {
    let of = |frame: &FrameResult| {
        let objects = frame.objects.iter();
        objects
            .map(|o| Some((o.track?.id, o.class, o.track?.visibility)))
            .collect()
    };
    found.iter().map(of).collect()
}

/// Frames of the longest track.
fn longest(tracks: &Tracks) -> usize {
    let mut frames: BTreeMap<u64, usize> = BTreeMap::new();
    for (id, ..) in tracks.iter().flatten().flatten() {
        *frames.entry(*id).or_default() += 1;
    }
    frames.into_values().max().unwrap_or_default()
}

type MakeTask = fn(&Engine) -> Task;

pub(crate) fn same_everywhere(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let tasks: [(&str, MakeTask); 2] = [
        ("detect", |engine| detect(engine, CONFIDENCE)),
        ("pipeline", |engine| pipeline(engine, CONFIDENCE, false)),
    ];
    for (name, make) in tasks {
        let run = |engine: &Engine, mode, batch, decode| {
            let task = make(engine).track(TrackOptions::for_confidence(CONFIDENCE));
            let execution = Execution {
                mode,
                batch,
                latency: false,
            };
            let input = Input {
                decode,
                ..clip(FRAMES)
            };
            results(task, execution, &input).map(|found| tracks(&found))
        };
        let expected = run(&Engine::cpu(), LEGACY.mode, 1, Decode::Cpu)?;
        report.check(
            &format!("{name}: an object is followed on the CPU"),
            longest(&expected) >= 8,
        );
        for (mode, batch, decode) in [
            (Mode::Resident, 1, Decode::Gpu),
            (Mode::Resident, 4, Decode::Gpu),
            (Mode::Resident, 7, Decode::Gpu),
            (Mode::Resident, 4, Decode::Cpu),
            (Mode::Staged, 1, Decode::Gpu),
            (Mode::Staged, 1, Decode::Cpu),
        ] {
            let found = run(engine, mode, batch, decode)?;
            let different = found.iter().zip(&expected).filter(|(f, e)| f != e).count();
            let what = format!("{name}, {mode:?}, batch {batch}, decoded by {decode:?}");
            println!("  {what}: {different} of {} frames differ", found.len());
            report.check(&what, found.len() == expected.len() && different == 0);
        }
    }
    report.finish()
}
