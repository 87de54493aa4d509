//! Video decoded on the device against the CPU's decoding: frames, what falls back, memory, rate.

use crate::report::{Outcome, Report, text};
use candle_core::DType;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use ultramotion::{
    engine::{Engine, GraphCache},
    frame::{Confidence, Frame, Pixels, SourceKind},
    ops::{self, Normalisation},
    session::{Stage, StageTimes, load_detector},
    sources::{
        self, Decode, DecodeDevice, FrameSelection, Source, SourceError, SourceOptions, SourceSpec,
    },
    weights::{Hub, HubConfig},
};

fn media(name: &str) -> PathBuf {
    Path::new("tests/fixtures/media").join(name)
}

fn open(
    path: &Path,
    decode: Decode,
    device: Option<&DecodeDevice>,
) -> Result<Box<dyn Source>, SourceError> {
    let spec = SourceSpec {
        path: path.to_owned(),
        kind: SourceKind::Video,
        files: vec![path.to_owned()],
        name: "clip".to_owned(),
        folder: None,
    };
    sources::open(
        &spec,
        0,
        &SourceOptions {
            decode,
            device: device.cloned(),
            ..SourceOptions::default()
        },
    )
}

/// Frames and errors until the end; errors without the path.
fn all(source: &mut dyn Source) -> (Vec<Frame>, Vec<String>) {
    let (mut frames, mut errors) = (Vec::new(), Vec::new());
    loop {
        match source.next_frame() {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, errors),
            Err(error) => errors.push(format!("{:?}: {}", error.frame, error.problem)),
        }
    }
}

/// The RGB pixels of a frame, wherever they are.
fn rgb(engine: &Engine, frame: &Frame) -> Result<Vec<u8>, String> {
    match &frame.pixels {
        Pixels::Device(surface) => engine
            .download_u8(
                Stage::Write,
                &ops::surface_to_rgb(surface, engine.device()).map_err(text)?,
            )
            .map_err(text),
        pixels => Ok(pixels.image().map_err(text)?.data().to_vec()),
    }
}

fn compare(
    report: &mut Report<'_>,
    name: &str,
    (found, problems): &(Vec<Frame>, Vec<String>),
    cpu: &mut dyn Source,
) -> Result<(), String> {
    let (expected, errors) = all(cpu);
    let facts = |f: &Frame| (f.index, f.timestamp, f.size());
    let same = found.iter().map(facts).eq(expected.iter().map(facts));
    report.check(
        &format!(
            "{name}: {} frames, the same numbers, times and sizes as {}",
            found.len(),
            expected.len()
        ),
        same,
    );
    report.check(
        &format!("{name}: the same errors: {problems:?}, {errors:?}"),
        *problems == errors,
    );
    let (mut mean, mut most) = (0.0f64, 0);
    for (a, b) in found.iter().zip(&expected) {
        let (a, b) = (rgb(report.engine, a)?, rgb(report.engine, b)?);
        let differences = || a.iter().zip(&b).map(|(a, b)| a.abs_diff(*b));
        mean = mean.max(differences().map(f64::from).sum::<f64>() / b.len().max(1) as f64);
        most = most.max(differences().max().unwrap_or(0));
    }
    report.check(
        &format!("{name}: pixels off by {mean:.4} on average, {most} at most"),
        mean <= 2.0 && most <= 8,
    );
    Ok(())
}

pub(crate) fn files(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let device = DecodeDevice::new(engine);
    let names = [
        "h264.mp4",
        "moving_h264.mp4",
        "moving_hevc.mkv",
        "vfr.mkv",
        "rotated90.mov",
        "rotated180.mov",
        "rotated270.mov",
    ];
    for path in names
        .iter()
        .chain(&["edit_list.mp4", "one_frame.mp4"])
        .map(|n| media(n))
        .chain([PathBuf::from("assets/phantom-demo.mp4")])
    {
        let name = path.display().to_string();
        let mut source = open(&path, Decode::Gpu, Some(&device)).map_err(text)?;
        let found = all(&mut *source);
        let on_device = found
            .0
            .iter()
            .all(|f| matches!(f.pixels, Pixels::Device(_)));
        report.check(
            &format!("{name}: all frames are on the device"),
            on_device && !found.0.is_empty(),
        );
        compare(
            &mut report,
            &name,
            &found,
            &mut *open(&path, Decode::Cpu, None).map_err(text)?,
        )?;
    }
    // A choice of frames, and files that end early.
    let path = media("moving_h264.mp4");
    let selection = FrameSelection {
        range: Some(5..41),
        stride: 4.try_into().expect("not zero"),
    };
    let spec = SourceSpec {
        path: path.clone(),
        kind: SourceKind::Video,
        files: vec![path.clone()],
        name: "clip".to_owned(),
        folder: None,
    };
    let chosen = |decode, device| SourceOptions {
        selection: selection.clone(),
        decode,
        device,
        ..SourceOptions::default()
    };
    let found = all(
        &mut *sources::open(&spec, 0, &chosen(Decode::Gpu, Some(device.clone()))).map_err(text)?,
    );
    compare(
        &mut report,
        "a choice of frames",
        &found,
        &mut *sources::open(&spec, 0, &chosen(Decode::Cpu, None)).map_err(text)?,
    )?;
    let folder = tempfile::tempdir().map_err(text)?;
    for name in ["h264.mp4", "moving_hevc.mkv"] {
        let whole = std::fs::read(media(name)).map_err(text)?;
        let path = folder.path().join(name);
        std::fs::write(&path, &whole[..whole.len() * 7 / 10]).map_err(text)?;
        let (gpu, cpu) = (
            open(&path, Decode::Gpu, Some(&device)),
            open(&path, Decode::Cpu, None),
        );
        match (gpu, cpu) {
            (Ok(mut gpu), Ok(mut cpu)) => compare(
                &mut report,
                &format!("{name} cut short"),
                &all(&mut *gpu),
                &mut *cpu,
            )?,
            (Err(gpu), Err(cpu)) => report.check(
                &format!("{name} cut short: {gpu}"),
                gpu.problem == cpu.problem,
            ),
            (gpu, cpu) => report.check(
                &format!(
                    "{name} cut short: opened {} and {}",
                    gpu.is_ok(),
                    cpu.is_ok()
                ),
                false,
            ),
        }
    }
    report.finish()
}

pub(crate) fn fallback(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let device = DecodeDevice::new(engine);
    for name in ["hevc10.mkv", "vp9.webm", "two_sizes.h264"] {
        let mut source = open(&media(name), Decode::Auto, Some(&device)).map_err(text)?;
        let found = all(&mut *source);
        let reason = source.decoding().and_then(|d| d.reason.clone());
        report.check(
            &format!("{name}: decoded on the CPU: {reason:?}"),
            reason.is_some(),
        );
        compare(
            &mut report,
            name,
            &found,
            &mut *open(&media(name), Decode::Cpu, None).map_err(text)?,
        )?;
        let refused = match open(&media(name), Decode::Gpu, Some(&device)) {
            Ok(mut source) => all(&mut *source).1.join("; "),
            Err(error) => error.to_string(),
        };
        report.check(
            &format!("{name}: refused: {refused}"),
            refused.contains("cannot be decoded on the GPU"),
        );
    }
    report.finish()
}

/// A detector finds the same in frames that were decoded on either side.
pub(crate) fn objects(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let device = DecodeDevice::new(engine);
    let (path, model) = (
        PathBuf::from("assets/phantom-demo.mp4"),
        "assets/models/dfine-n-phantom",
    );
    let hub = Hub::new(HubConfig::from_env().map_err(text)?);
    let detector = load_detector(engine, Some(model), None, &hub, &mut ()).map_err(text)?;
    let detector = detector
        .with_selection(Confidence::new(0.4).map_err(text)?, 100, &[])
        .map_err(text)?;
    let (mut gpu, mut cpu) = (
        open(&path, Decode::Gpu, Some(&device)).map_err(text)?,
        open(&path, Decode::Cpu, None).map_err(text)?,
    );
    let mut graphs = GraphCache::default();
    let (mut count, mut most, mut same) = (0, 0.0f32, true);
    while let (Some(a), Some(b)) = (
        gpu.next_frame().map_err(text)?,
        cpu.next_frame().map_err(text)?,
    ) {
        let times = StageTimes::default();
        let a = detector.detect(&mut graphs, &a, &times).map_err(text)?;
        let b = detector.detect(&mut graphs, &b, &times).map_err(text)?;
        same &= a.iter().map(|o| o.class).eq(b.iter().map(|o| o.class));
        count += a.len();
        for (a, b) in a.iter().zip(&b) {
            let sides = [
                a.bbox.x0 - b.bbox.x0,
                a.bbox.y0 - b.bbox.y0,
                a.bbox.x1 - b.bbox.x1,
                a.bbox.y1 - b.bbox.y1,
            ];
            most = sides.into_iter().map(f32::abs).fold(most, f32::max);
        }
    }
    report.check(
        &format!("{count} objects, the same classes"),
        same && count > 0,
    );
    report.check(&format!("boxes off by {most} pixels at most"), most <= 0.5);
    report.finish()
}

/// Frames that are decoded to see whether memory grows.
const FRAMES: u32 = 2000;

/// Decodes a clip again and again: `ULTRAMOTION_CLIP`, or a small one.
pub(crate) fn memory(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let device = DecodeDevice::new(engine);
    let path = std::env::var_os("ULTRAMOTION_CLIP")
        .map_or_else(|| media("moving_h264.mp4"), PathBuf::from);
    let used = || {
        engine
            .memory()
            .map_err(text)
            .map(|m| m.map_or(0, |(free, total)| total - free))
    };
    let size = (640, 640);
    for reads in [false, true] {
        let (mut frames, mut first, mut busy) = (0u32, 0, (Duration::ZERO, 0u32));
        while frames < FRAMES {
            let mut source = open(&path, Decode::Gpu, Some(&device)).map_err(text)?;
            // The time to make a decoder ready is another figure.
            let (mut start, begun) = (None, frames);
            while let Some(frame) = source.next_frame().map_err(text)? {
                frames += 1;
                start.get_or_insert_with(Instant::now);
                if let (true, Pixels::Device(surface)) = (reads, &frame.pixels) {
                    ops::resize_normalise_surface(
                        surface,
                        engine.device(),
                        size,
                        size,
                        3,
                        &Normalisation::UNIT,
                        DType::F16,
                    )
                    .map_err(text)?;
                }
                if frames == FRAMES / 2 {
                    first = used()?;
                }
                if frames >= FRAMES {
                    break;
                }
            }
            busy = (
                busy.0 + start.map_or(Duration::ZERO, |start| start.elapsed()),
                busy.1 + (frames - begun).saturating_sub(1),
            );
        }
        engine.synchronise().map_err(text)?;
        let rate = f64::from(busy.1) / busy.0.as_secs_f64();
        let (last, what) = (
            used()?,
            if reads {
                "decoded and resized"
            } else {
                "decoded"
            },
        );
        let growth = last as f64 - first as f64;
        println!(
            "  {}: {frames} frames {what}, {rate:.0} a second, {:.1} MB in use",
            path.display(),
            last as f64 / 1e6
        );
        report.check(
            &format!("memory grew by {:.1} MB over the second half", growth / 1e6),
            growth <= 2.2e6,
        );
    }
    report.finish()
}
