//! Several sources decoded at once, and a GPU that is named twice: the bytes of one decoder and one session.

use crate::{
    report::{Outcome, Report, text},
    runs::{DETECTOR, SEGMENTER},
};
use std::{fs, num::NonZeroUsize, path::Path};
use ultramotion::{
    Run, Session,
    engine::{DeviceSpec, Engine, Precision},
    sinks::OutputKind,
};

/// Files that are decoded beside each other.
const FILES: usize = 9;

fn session(engine: &Engine, batch: usize) -> Result<Session, String> {
    let builder = Session::builder().engine(engine.clone()).batch(batch);
    let builder = builder.detector(DETECTOR).segmenter(SEGMENTER);
    builder.confidence(0.3).build().map_err(text)
}

/// The record and the COCO file of a run over the files of a folder.
fn written(
    input: &Path,
    (engine, second): (&Engine, Option<&Engine>),
    (decoders, batch): (usize, usize),
) -> Result<[Vec<u8>; 2], String> {
    let folder = tempfile::tempdir().map_err(text)?;
    let mut run = Run::new(session(engine, batch)?);
    if let Some(second) = second {
        run = run.replica(session(second, batch)?);
    }
    let decoders = NonZeroUsize::new(decoders).unwrap_or(NonZeroUsize::MIN);
    run.input(input)
        .decoders(decoders)
        .output(folder.path())
        .overwrite()
        .write([OutputKind::Coco])
        .start()
        .map_err(text)?;
    let read = |name: &str| fs::read(folder.path().join(name)).map_err(text);
    Ok([read("detections.jsonl")?, read("coco.json")?])
}

pub(crate) fn same_bytes(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let engine = engine.clone().with_precision(Precision::F16);
    let engine = &engine.map_err(text)?;
    let folder = tempfile::tempdir().map_err(text)?;
    for n in 0..FILES {
        let copy = folder.path().join(format!("clip-{n}.mp4"));
        fs::copy("assets/phantom-demo.mp4", copy).map_err(text)?;
    }
    let expected = written(folder.path(), (engine, None), (1, 4))?;
    report.check(
        "objects are found",
        expected[0].windows(8).any(|w| w == b"\"score\":"),
    );
    let spec = DeviceSpec::try_from(engine.device()).map_err(text)?;
    let again = Engine::open(spec).and_then(|e| e.with_precision(Precision::F16));
    let again = again.map_err(text)?;
    for (decoders, batch, second) in [
        (6, 4, None),
        (3, 1, None),
        (1, 4, Some(&again)),
        (4, 4, Some(&again)),
    ] {
        let found = written(folder.path(), (engine, second), (decoders, batch))?;
        let sessions = 1 + usize::from(second.is_some());
        report.check(
            &format!("{decoders} decoders, batch {batch}, {sessions} sessions"),
            found == expected,
        );
    }
    report.finish()
}
