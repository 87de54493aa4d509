//! Sessions on the GPU: each gets its own results, whoever else works there and whichever thread it is on.

use crate::{
    report::{Outcome, Report, random, text},
    runs::{DETECTOR, SEGMENTER},
};
use candle_core::{DType, Tensor};
use ultramotion::{
    engine::{DeviceSpec, Engine, EngineError, GraphCache},
    frame::{Detections, Frame},
    session::{Prompt, Session},
    sources::{self, ExpandOptions, SourceOptions, expand},
};

fn source(frames: &str) -> Result<Box<dyn sources::Source>, String> {
    let inputs = expand(
        &["assets/phantom-demo.mp4".into()],
        ExpandOptions::default(),
        &mut std::io::empty(),
    );
    let spec = inputs
        .sources
        .into_iter()
        .next()
        .ok_or("no clip")?
        .map_err(text)?;
    let options = SourceOptions {
        selection: frames.parse().map_err(text)?,
        ..SourceOptions::default()
    };
    sources::open(&spec, 0, &options).map_err(text)
}

pub(crate) fn frames(range: &str) -> Result<Vec<Frame>, String> {
    let mut source = source(range)?;
    let mut frames = Vec::new();
    while let Some(frame) = source.next_frame().map_err(text)? {
        frames.push(frame);
    }
    Ok(frames)
}

fn session(engine: &Engine) -> Result<Session, String> {
    let device: DeviceSpec = engine.name().parse().map_err(text)?;
    Session::builder()
        .detector(DETECTOR)
        .segmenter(SEGMENTER)
        .device(device)
        .confidence(0.3)
        .build()
        .map_err(text)
}

/// Two threads, each with a session on the same GPU, over frames in different orders.
pub(crate) fn two_threads(engine: &Engine) -> Outcome {
    const ROUNDS: usize = 40;
    let mut report = Report::new(engine);
    let frames = frames("10..22")?;
    let mut alone = session(engine)?;
    let expected: Vec<Detections> = frames
        .iter()
        .map(|frame| alone.run(frame))
        .collect::<Result<_, _>>()
        .map_err(text)?;
    report.check(
        "the frames have objects and differ",
        expected.iter().any(|found| !found.is_empty()) && expected[0] != expected[11],
    );
    let work = |at: usize| -> Result<usize, String> {
        let mut session = session(engine)?;
        let mut wrong = 0;
        for turn in 0..ROUNDS * frames.len() {
            let which = if at == 0 {
                turn % frames.len()
            } else {
                frames.len() - 1 - turn % frames.len()
            };
            wrong += usize::from(session.run(&frames[which]).map_err(text)? != expected[which]);
        }
        Ok(wrong)
    };
    let wrong: Vec<Result<usize, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|at| scope.spawn(move || work(at))).collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err("a thread panicked".to_owned()))
            })
            .collect()
    });
    for (at, wrong) in wrong.into_iter().enumerate() {
        match wrong {
            Ok(wrong) => report.check(
                &format!(
                    "thread {at}: {wrong} of {} results are another's",
                    ROUNDS * frames.len()
                ),
                wrong == 0,
            ),
            Err(message) => report.check(&format!("thread {at}: {message}"), false),
        }
    }
    report.finish()
}

/// Every way into a session finds the same, also when it was made on a thread that has ended.
pub(crate) fn ways_in(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let frames = frames("10..23")?;
    let made = std::thread::scope(|scope| {
        let first = &frames[0];
        let make = move || -> Result<(Session, Detections), String> {
            let mut session = session(engine)?;
            let found = session.run(first).map_err(text)?;
            Ok((session, found))
        };
        scope
            .spawn(make)
            .join()
            .unwrap_or_else(|_| Err("a thread panicked".to_owned()))
    });
    let (mut session, first) = made?;
    let single: Vec<Detections> = frames
        .iter()
        .map(|frame| session.run(frame))
        .collect::<Result<_, _>>()
        .map_err(text)?;
    report.check(
        "the first frame again, on another thread",
        single[0] == first,
    );
    report.check(
        "run_batch",
        session.run_batch(&frames).map_err(text)? == single,
    );
    let streamed: Vec<Detections> = session
        .stream(source("10..23")?)
        .map_err(text)?
        .map(|item| item.map(|(_, found)| found).map_err(text))
        .collect::<Result<_, _>>()?;
    report.check("stream", streamed == single);
    let mut live = Vec::new();
    for frame in &frames {
        session.push(frame).map_err(text)?;
        while let Some((_, found)) = session.try_next().map_err(text)? {
            live.push(found);
        }
    }
    while let Some((_, found)) = session.wait_next().map_err(text)? {
        live.push(found);
    }
    report.check("push and try_next", live == single);
    let with_object = single
        .iter()
        .zip(&frames)
        .find_map(|(found, frame)| Some((found.objects.first()?, frame)));
    let (object, frame) = with_object.ok_or("no object")?;
    let b = object.bbox;
    let outlined = session
        .segment(frame, &[Prompt::bbox(b.x0, b.y0, b.x1, b.y1)])
        .map_err(text)?;
    let area = |mask: Option<&ultramotion::frame::Mask>| mask.map_or(0, |mask| mask.area()) as f64;
    let (a, b) = (
        area(outlined.objects[0].mask.as_ref()),
        area(object.mask.as_ref()),
    );
    report.check(
        &format!("segment by the object's box: {a} and {b} pixels"),
        a > 0.0 && (a - b).abs() <= 0.02 * b,
    );
    report.finish()
}

/// Results of a graph are the caller's: the next replay does not change them.
pub(crate) fn results_are_copies(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let mut graphs = GraphCache::default();
    let work = |inputs: &[Tensor]| -> Result<Vec<Tensor>, EngineError> {
        let tensor = |e: candle_core::Error| EngineError::Tensor {
            what: "a graph",
            source: Box::new(e),
        };
        inputs
            .iter()
            .map(|x| x.affine(2.0, 1.0).map_err(tensor))
            .collect()
    };
    let inputs: Vec<Tensor> = (0..3)
        .map(|seed| report.up(&random(&[64, 64], seed), DType::F32))
        .collect::<Result<_, _>>()?;
    let found: Vec<Tensor> = inputs
        .iter()
        .map(|x| {
            graphs
                .run(engine, 0, &[x], work)
                .map(|mut outputs| outputs.remove(0))
        })
        .collect::<Result<_, _>>()
        .map_err(text)?;
    for (at, (found, x)) in found.iter().zip(&inputs).enumerate() {
        let expected = report.down(&x.affine(2.0, 1.0).map_err(text)?)?;
        report.check(
            &format!("result {at} after all replays"),
            report.down(found)? == expected,
        );
    }
    report.finish()
}
