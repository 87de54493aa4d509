//! `bench`.

use crate::{
    args::BenchArgs,
    common_args::{DetectorArgs, SegmenterArgs},
    exit::Exit,
    inputs::{self, usage},
    progress::digits,
    terminal::Terminal,
    verify,
};
use serde_json::json;
use std::{ffi::OsString, sync::Arc};
use ultramotion::{
    engine::Engine,
    frame::{Confidence, Frame},
    session::{Detector, Segmenter},
    sources::{self, Decode, DecodeDevice, ExpandOptions, SourceOptions},
    text::counted,
    tools::{AgainstCandle, Bench, StageTiming, test_frame},
};

/// Objects of the test picture.
const FORCED: usize = 4;

/// Times models on a frame, and the pipeline on an input.
pub(crate) fn run(args: &BenchArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let engine = inputs::engine(&args.device)?;
    let bench = Bench {
        warm_up: args.warm_up,
        repeats: args.repeats,
        stages: args.stage.clone(),
    };
    if let Some(implementation) = &args.against {
        verify::check_implementation(implementation)?;
        return against_candle(&bench, args, &engine, terminal);
    }
    let (detector, segmenter) = models(args, &engine, terminal)?;
    let inputs: Vec<OsString> = args
        .input
        .iter()
        .chain(&args.positional)
        .map(OsString::from)
        .collect();
    let (frames, detector) = if inputs.is_empty() {
        // What the built-in models know is not in it: the best guesses stand for objects, so that the segmenter has work.
        let forced = detector
            .map(|detector| detector.with_selection(Confidence::ZERO, FORCED, &[]))
            .transpose()?;
        if forced.is_some() && segmenter.is_some() {
            let objects = counted(FORCED, "object");
            terminal
                .say(&format!("without an input a test picture of 1920x1080 is timed, with {objects} forced; give a file for real ones"));
        }
        (vec![test_frame()], forced)
    } else {
        let decode = inputs::decode(&args.decode)?;
        (first_frames(&inputs, 16, decode, &engine)?, detector)
    };
    let detector = detector.map(Arc::new);
    let timings = time(
        &bench,
        detector.as_ref(),
        segmenter.as_ref(),
        &frames,
        args.batch.into(),
    )?;
    if timings.is_empty() {
        return Err(usage(
            "--stage",
            format!(
                "{}: no stage of these models begins so",
                args.stage.join(", ")
            ),
        ));
    }
    print(&timings, &engine, terminal)
}

/// The models to time. Without any name those are the program's own pair, with one name that model alone.
fn models(
    args: &BenchArgs,
    engine: &Engine,
    terminal: &Terminal,
) -> anyhow::Result<(Option<Detector>, Option<Arc<Segmenter>>)> {
    let neither = args.detector.is_none() && args.segmenter.is_none();
    let detector = (neither || args.detector.is_some()).then(|| DetectorArgs {
        detector: args.detector.clone(),
        labels: None,
        input_size: None,
    });
    let detector = detector
        .map(|args| inputs::detector(&args, engine, terminal))
        .transpose()?;
    detector
        .iter()
        .flat_map(|detector| detector.warnings())
        .for_each(|warning| terminal.warn(&warning.to_string()));
    let segmenter = (neither || args.segmenter.is_some()).then(|| SegmenterArgs {
        segmenter: args.segmenter.clone(),
    });
    let segmenter = segmenter
        .map(|args| inputs::segmenter(&args, &engine.with_new_stream()?, terminal))
        .transpose()?
        .map(Arc::new);
    Ok((detector, segmenter))
}

/// Times a MobileSAM in both implementations.
fn against_candle(
    bench: &Bench,
    args: &BenchArgs,
    engine: &Engine,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    if let Some(detector) = &args.detector {
        return Err(usage("--detector", verify::no_detector(detector)));
    }
    let both = verify::load_both(engine, args.segmenter.as_deref(), terminal)?;
    let timings = both.time(bench)?;
    if terminal.json {
        terminal.print_json(&json!({
            "device": engine.name(),
            "description": engine.description(),
            "threads": Engine::threads(),
            "against": "candle",
            "known_faults": AgainstCandle::KNOWN_FAULTS,
            "stages": timings,
        }))?;
        return Ok(Exit::Done);
    }
    print_device(engine, terminal)?;
    let head = ["ultramotion ms", "candle ms", "ratio"];
    let head = head.map(|name| format!("{name:>16}")).concat();
    terminal.print(&format!("{:<42}{head}", "stage, median"))?;
    for timing in &timings {
        terminal.print(&format!(
            "{:<42}{:>16.2}{:>16.2}{:>16.2}",
            timing.ours.stage, timing.ours.median_ms, timing.candle.median_ms, timing.ratio
        ))?;
    }
    verify::print_faults(terminal)?;
    Ok(Exit::Done)
}

fn time(
    bench: &Bench,
    detector: Option<&Arc<Detector>>,
    segmenter: Option<&Arc<Segmenter>>,
    frames: &[Frame],
    batch: usize,
) -> anyhow::Result<Vec<StageTiming>> {
    let mut timings = Vec::new();
    let Some(first) = frames.first() else {
        return Ok(timings);
    };
    if let Some(detector) = detector {
        timings.extend(bench.detector(detector, first)?);
    }
    if let Some(segmenter) = segmenter {
        timings.extend(bench.segmenter(segmenter, first)?);
    }
    if let (Some(detector), Some(segmenter)) = (detector, segmenter) {
        timings.extend(bench.frames(detector, segmenter, frames)?);
        if !detector.engine().is_cpu() {
            timings.extend(bench.resident(detector, segmenter, frames, batch)?);
        }
    }
    Ok(timings)
}

fn first_frames(
    inputs: &[OsString],
    count: usize,
    decode: Decode,
    engine: &Engine,
) -> anyhow::Result<Vec<Frame>> {
    inputs::check_decode(decode, engine)?;
    let options = SourceOptions {
        decode,
        device: Some(DecodeDevice::new(engine)),
        ..SourceOptions::default()
    };
    let expanded = sources::expand(inputs, ExpandOptions::default(), &mut std::io::empty());
    let mut frames = Vec::new();
    for (ordinal, spec) in expanded.sources.into_iter().enumerate() {
        let mut source = sources::open(&spec?, ordinal, &options)?;
        while frames.len() < count {
            let Some(frame) = source.next_frame()? else {
                break;
            };
            frames.push(frame);
        }
    }
    if frames.is_empty() {
        let names: Vec<_> = inputs.iter().map(|input| input.to_string_lossy()).collect();
        return Err(usage(
            "--input",
            format!("{}: has no frames", names.join(", ")),
        ));
    }
    Ok(frames)
}

fn print(timings: &[StageTiming], engine: &Engine, terminal: &Terminal) -> anyhow::Result<Exit> {
    if terminal.json {
        terminal.print_json(
            &json!({ "device": engine.name(), "description": engine.description(), "threads": Engine::threads(), "stages": timings }),
        )?;
        return Ok(Exit::Done);
    }
    print_device(engine, terminal)?;
    let head = ["median ms", "p90", "p99", "min", "per s", "objects"];
    terminal.print(&format!(
        "{:<42}{}",
        "stage",
        head.map(|name| format!("{name:>10}")).concat()
    ))?;
    for t in timings {
        let objects = t
            .objects
            .map(|objects| format!("{objects:>10.1}"))
            .unwrap_or_default();
        terminal.print(&format!(
            "{:<42}{:>10.2}{:>10.2}{:>10.2}{:>10.2}{:>10}{objects}",
            t.stage,
            t.median_ms,
            t.p90_ms,
            t.p99_ms,
            t.min_ms,
            digits(t.per_second)
        ))?;
    }
    Ok(Exit::Done)
}

fn print_device(engine: &Engine, terminal: &Terminal) -> anyhow::Result<()> {
    let threads = counted(Engine::threads(), "thread");
    terminal.print(&format!("device {}, {threads}", engine.description()))
}
