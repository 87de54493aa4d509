//! Frames that lie on the GPU: what a session finds in them there, and whose the results are.

use crate::{
    report::{Outcome, Report, text},
    runs::{DETECTOR, SEGMENTER},
    sessions::frames,
};
use candle_core::{DType, Device, Tensor};
use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use ultramotion::{
    engine::{Colour, DeviceSpec, Engine, Orientation, Yuv, YuvFormat, YuvMatrix},
    frame::{Detections, Frame},
    ops,
    session::{DeviceDetections, DeviceFrame, Session, SessionBuilder, SessionError},
};

fn spec(engine: &Engine) -> Result<DeviceSpec, String> {
    DeviceSpec::try_from(engine.device()).map_err(text)
}

fn builder(engine: &Engine) -> Result<SessionBuilder, String> {
    let builder = Session::builder().detector(DETECTOR).segmenter(SEGMENTER);
    Ok(builder.device(spec(engine)?).confidence(0.3))
}

fn build(builder: SessionBuilder) -> Result<Session, String> {
    builder.build().map_err(text)
}

/// Handles of the engine's GPU as a caller has them: with the stream of the thread, and with one of its own.
fn handles(engine: &Engine) -> Result<[(&'static str, Device); 2], String> {
    let DeviceSpec::Cuda(ordinal) = spec(engine)? else {
        return Err("not a GPU".to_owned());
    };
    Ok([
        ("new_cuda", Device::new_cuda(ordinal).map_err(text)?),
        (
            "new_cuda_with_stream",
            Device::new_cuda_with_stream(ordinal).map_err(text)?,
        ),
    ])
}

fn up(frame: &Frame, device: &Device) -> Result<Tensor, String> {
    let (image, size) = (frame.image().map_err(text)?, frame.size());
    let shape = [
        size.height as usize,
        size.width as usize,
        image.channels().count(),
    ];
    Tensor::from_slice(image.data(), &shape[..], device).map_err(text)
}

fn numbers<T: candle_core::WithDType>(tensor: &Tensor) -> Result<Vec<T>, String> {
    let flat = tensor.flatten_all().map_err(text)?;
    flat.to_vec1::<T>().map_err(text)
}

/// Whether the tensors hold what `expected` does, and zeros behind it; else what is different.
fn same(found: &DeviceDetections, expected: &Detections) -> Result<(), String> {
    let (rows, count) = (found.max_objects(), expected.len());
    let wrong = |what: &str| Err(what.to_owned());
    if numbers::<u32>(found.count())? != [count as u32]
        || numbers::<u32>(found.not_finite())? != [0]
    {
        return wrong("count");
    }
    let of = |one: fn(&ultramotion::frame::Object) -> Vec<f32>| -> Vec<f32> {
        expected.iter().flat_map(one).collect()
    };
    let boxes = of(|o| vec![o.bbox.x0, o.bbox.y0, o.bbox.x1, o.bbox.y1]);
    let on_device = numbers::<f32>(found.boxes())?;
    if on_device.len() != 4 * rows || on_device[..4 * count] != boxes {
        return wrong("boxes");
    }
    let behind = |values: &[f32]| values.iter().all(|&v| v == 0.0);
    let (scores, expected_scores) = (numbers::<f32>(found.scores())?, of(|o| vec![o.score]));
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6;
    if !behind(&on_device[4 * count..])
        || !behind(&scores[count..])
        || !scores.iter().zip(&expected_scores).all(near)
    {
        return wrong("scores, or rows behind the objects");
    }
    let classes = numbers::<u32>(found.classes())?;
    if !classes[..count]
        .iter()
        .eq(expected.iter().map(|o| &o.class))
    {
        return wrong("classes");
    }
    if let Some(mask_scores) = found.mask_scores() {
        let mask_scores = numbers::<f32>(mask_scores)?;
        let expected_scores = of(|o| vec![o.mask_score.unwrap_or(f32::NAN)]);
        if mask_scores[..count] != expected_scores || !behind(&mask_scores[count..]) {
            return wrong("mask scores");
        }
        same_masks(found, expected)?;
    }
    Ok(())
}

fn same_masks(found: &DeviceDetections, expected: &Detections) -> Result<(), String> {
    let shown = (expected.len() + 1).min(found.max_objects());
    let masks = found.masks_of(..shown).map_err(text)?;
    let (height, width) = expected.size.rows_columns();
    if masks.dims() != [shown, height, width] {
        return Err(format!("masks {:?}", masks.shape()));
    }
    let pixels = numbers::<u8>(&masks)?;
    for (at, mask) in pixels.chunks_exact(height * width).enumerate() {
        let expected = match expected.objects.get(at).and_then(|o| o.mask.as_ref()) {
            Some(mask) => mask.area(),
            None => 0,
        };
        let area: u64 = mask.iter().map(|&pixel| u64::from(pixel)).sum();
        if area != expected {
            return Err(format!("mask {at}: {area} pixels, expected {expected}"));
        }
    }
    for (at, object) in expected.iter().enumerate() {
        let of_object = &pixels[at * height * width..(at + 1) * height * width];
        let mask = object.mask.as_ref().ok_or("no mask")?;
        // Runs go down the columns, the first of zeros.
        let mut place = 0;
        for (run, &length) in mask.counts().iter().enumerate() {
            for i in place..place + length as usize {
                if usize::from(of_object[i % height * width + i / height]) != run % 2 {
                    return Err(format!("mask {at}: pixel {i}"));
                }
            }
            place += length as usize;
        }
    }
    Ok(())
}

fn check(
    report: &mut Report<'_>,
    what: &str,
    found: &DeviceDetections,
    expected: &Detections,
) -> Result<(), String> {
    let down = found.download().map_err(text)?;
    report.check(
        &format!("{what}: {} objects come down", expected.len()),
        down == *expected,
    );
    let same = same(found, expected);
    report.check(&format!("{what}: tensors {same:?}"), same.is_ok());
    Ok(())
}

/// The same as [`Session::run`] finds, for any number of slots, also without masks.
pub(crate) fn same_as_run(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let frames = frames("10..14")?;
    for (what, confidence, max_objects, multimask, masks) in [
        ("as built by default", 0.3, 100, false, true),
        ("many objects", 0.005, 100, false, true),
        ("17 at most", 0.005, 17, true, true),
        ("3 at most", 0.005, 3, false, true),
        ("boxes alone", 0.1, 100, false, false),
    ] {
        let options = builder(engine)?
            .confidence(confidence)
            .max_objects(max_objects)
            .multimask(multimask);
        let options = if masks {
            options
        } else {
            options.without_segmenter()
        };
        let mut session = build(options)?;
        for (handle, device) in handles(engine)? {
            for (at, frame) in frames.iter().enumerate() {
                let expected = session.run(frame).map_err(text)?;
                let pixels = up(frame, &device)?;
                let found = session.run_on_device(&pixels).map_err(text)?;
                let what = format!("{what}, {handle}, frame {at}");
                check(&mut report, &what, &found, &expected)?;
                if !masks {
                    let refused = found.masks();
                    report.check(
                        "  masks without a segmenter",
                        matches!(refused, Err(SessionError::Without("segmenter"))),
                    );
                }
            }
        }
    }
    report.finish()
}

/// The device's order of work alone keeps frames and results apart: nothing waits, frames are made late, overwritten and dropped at once.
pub(crate) fn order(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let frames = frames("10..22")?;
    let mut session = build(builder(engine)?.max_objects(20))?;
    let expected: Vec<Detections> = frames
        .iter()
        .map(|frame| session.run(frame))
        .collect::<Result<_, _>>()
        .map_err(text)?;
    for (handle, device) in handles(engine)? {
        let pixels: Vec<Tensor> = frames
            .iter()
            .map(|frame| up(frame, &device))
            .collect::<Result<_, _>>()?;
        let busy = Tensor::ones((4096, 4096), DType::F32, &device).map_err(text)?;
        drop(session.run_on_device(&pixels[0]).map_err(text)?);
        let mut found = Vec::new();
        let start = Instant::now();
        for pixels in &pixels {
            // Some milliseconds of work, then the frame, in memory that the next one may get.
            for _ in 0..4 {
                drop(busy.matmul(&busy).map_err(text)?);
            }
            let late = pixels.copy().map_err(text)?;
            found.push(session.run_on_device(&late).map_err(text)?);
            late.zero_set().map_err(text)?;
        }
        // Used by the caller's own operations, before anything was waited for.
        let sums: Vec<Tensor> = found
            .iter()
            .map(|found| found.boxes().sum_all().map_err(text))
            .collect::<Result<_, _>>()?;
        let enqueued = start.elapsed();
        device.synchronize().map_err(text)?;
        println!(
            "  {handle}: enqueued in {enqueued:.1?}, done after {:.1?}",
            start.elapsed()
        );
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            check(
                &mut report,
                &format!("{handle}, late frame {at}"),
                found,
                expected,
            )?;
            let sum = numbers::<f32>(found.boxes())?.iter().sum::<f32>();
            let used = sums[at].to_scalar::<f32>().map_err(text)?;
            report.check(
                &format!("  used at once: {used} for {sum}"),
                (used - sum).abs() <= 1e-4 * sum.abs(),
            );
        }
    }
    report.finish()
}

/// Planes of video, and parts of larger tensors.
pub(crate) fn layouts(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let mut session = build(builder(engine)?.confidence(0.005).max_objects(8))?;
    let [_, (_, device)] = handles(engine)?;
    let clip = frames("10..12")?;
    let both = clip
        .iter()
        .map(|frame| up(frame, &device))
        .collect::<Result<Vec<_>, _>>()?;
    let batch = Tensor::stack(&both, 0).map_err(text)?;
    for (at, frame) in clip.iter().enumerate() {
        let expected = session.run(frame).map_err(text)?;
        let part = batch.get(at).map_err(text)?;
        let found = session.run_on_device(&part).map_err(text)?;
        check(
            &mut report,
            &format!("frame {at} of a batch"),
            &found,
            &expected,
        )?;
    }
    for (width, height, matrix, full_range) in [
        (640, 480, YuvMatrix::Bt709, false),
        (421, 333, YuvMatrix::Bt601, true),
        (9001, 41, YuvMatrix::Bt2020, false),
    ] {
        let (columns, rows) = (usize::div_ceil(width, 2), usize::div_ceil(height, 2));
        let smooth = |i: usize, by: usize| ((i % by * 255 / by) ^ (i / by % 64)) as u8;
        let luma: Vec<u8> = (0..width * height).map(|i| smooth(i, width)).collect();
        let chroma: Vec<u8> = (0..2 * columns * rows)
            .map(|i| smooth(i, 2 * columns))
            .collect();
        let colour = Colour { matrix, full_range };
        let picture = Yuv {
            luma: &luma[..],
            chroma: &chroma[..],
            width,
            height,
            format: YuvFormat::NV12,
            colour,
            orientation: Orientation::default(),
        };
        let rgb = ops::yuv_to_rgb(&picture).map_err(text)?;
        let rgb = image::RgbImage::from_raw(width as u32, height as u32, rgb).ok_or("no image")?;
        let expected = session.run(&rgb).map_err(text)?;
        let luma = Tensor::from_slice(&luma, (height, width), &device).map_err(text)?;
        let pairs = Tensor::from_slice(&chroma, (rows, columns, 2), &device).map_err(text)?;
        let flat = pairs.reshape((rows, 2 * columns)).map_err(text)?;
        for chroma in [&pairs, &flat] {
            let frame = DeviceFrame::Nv12 {
                luma: &luma,
                chroma,
                colour,
            };
            let found = session.run_on_device(frame).map_err(text)?;
            let what = format!("NV12 {width}×{height}, chroma {:?}", chroma.dims());
            check(&mut report, &what, &found, &expected)?;
        }
    }
    report.finish()
}

/// What is refused, and in which words.
pub(crate) fn refusals(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let mut session = build(builder(engine)?.max_objects(4))?;
    let [(_, first), (_, second)] = handles(engine)?;
    let zeros =
        |shape: &[usize], dtype, device: &Device| Tensor::zeros(shape, dtype, device).map_err(text);
    let (luma, chroma) = (
        zeros(&[4, 6], DType::U8, &first)?,
        zeros(&[2, 3, 2], DType::U8, &second)?,
    );
    let planes = |chroma| DeviceFrame::Nv12 {
        luma: &luma,
        chroma,
        colour: Colour {
            matrix: YuvMatrix::Bt709,
            full_range: false,
        },
    };
    let on_host = zeros(&[4, 6, 3], DType::U8, &Device::Cpu)?;
    let floats = zeros(&[4, 6, 3], DType::F32, &first)?;
    let channels_first = zeros(&[3, 4, 6], DType::U8, &first)?;
    let permuted = channels_first.permute((1, 2, 0)).map_err(text)?;
    let odd = zeros(&[2, 6], DType::U8, &first)?;
    let short = zeros(&[1, 6], DType::U8, &first)?;
    for (frame, words) in [
        (DeviceFrame::from(&on_host), "frame on cpu: the session"),
        (DeviceFrame::from(&floats), "frame of F32: samples are u8"),
        (
            DeviceFrame::from(&channels_first),
            "frame [3, 4, 6]: expected [H, W, 3]",
        ),
        (DeviceFrame::from(&permuted), "is not contiguous"),
        (
            planes(&short),
            "chroma [1, 6]: expected [2, 3, 2] or [2, 6]",
        ),
        (planes(&chroma), "another handle"),
    ] {
        let refused = session.run_on_device(frame).map(drop);
        let words_found = refused.as_ref().err().map(text).unwrap_or_default();
        report.check(
            &words_found,
            matches!(refused, Err(SessionError::DeviceFrame(_))) && words_found.contains(words),
        );
    }
    report.check(
        "flat chroma of the right size",
        session.run_on_device(planes(&odd)).is_ok(),
    );
    let mut on_cpu = build(builder(engine)?.device(DeviceSpec::Cpu))?;
    let refused = on_cpu.run_on_device(&floats).map(drop).map_err(text);
    report.check(
        &format!("{refused:?}"),
        refused.is_err_and(|words| words.contains("the session works on cpu")),
    );
    report.finish()
}

/// Two threads, each with a session and a device of its own, over frames in different orders.
pub(crate) fn two_threads(engine: &Engine) -> Outcome {
    const ROUNDS: usize = 20;
    let mut report = Report::new(engine);
    let frames = frames("10..22")?;
    let mut alone = build(builder(engine)?)?;
    let expected: Vec<Detections> = frames
        .iter()
        .map(|frame| alone.run(frame))
        .collect::<Result<_, _>>()
        .map_err(text)?;
    // The driver refuses to open a device while another thread captures, as the first call of a session does.
    let opened = Barrier::new(2);
    let work = |at: usize| -> Result<usize, String> {
        let own = handles(engine);
        opened.wait();
        let (_, device) = own?[at].clone();
        let mut session = build(builder(engine)?.max_objects(16))?;
        let pixels = frames
            .iter()
            .map(|frame| up(frame, &device))
            .collect::<Result<Vec<_>, _>>()?;
        let mut wrong = 0;
        for _ in 0..ROUNDS {
            let mut order: Vec<usize> = (0..frames.len()).collect();
            if at == 1 {
                order.reverse();
            }
            let found = order
                .iter()
                .map(|&which| session.run_on_device(&pixels[which]))
                .collect::<Result<Vec<_>, _>>()
                .map_err(text)?;
            for (which, found) in order.into_iter().zip(found) {
                wrong += usize::from(found.download().map_err(text)? != expected[which]);
            }
        }
        Ok(wrong)
    };
    let wrong: Vec<Result<usize, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|at| scope.spawn(move || work(at))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            let panicked = |_| Err("a thread panicked".to_owned());
            thread.join().unwrap_or_else(panicked)
        };
        threads.into_iter().map(join).collect()
    });
    for (at, wrong) in wrong.into_iter().enumerate() {
        report.check(
            &format!("thread {at}: {wrong:?} results are another's"),
            wrong == Ok(0),
        );
    }
    report.finish()
}

/// First calls, which capture, while another thread opens and drops devices: that invalidates captures.
pub(crate) fn disturbed(engine: &Engine) -> Outcome {
    const SESSIONS: usize = 3;
    let mut report = Report::new(engine);
    let frame = frames("10..11")?.remove(0);
    let [_, (_, device)] = handles(engine)?;
    let pixels = up(&frame, &device)?;
    let expected = build(builder(engine)?)?.run(&frame).map_err(text)?;
    let done = AtomicBool::new(false);
    let disturb = || {
        let (mut opened, mut refused) = (0, 0);
        while !done.load(Ordering::Relaxed) {
            match handles(engine) {
                Ok(_) => opened += 1,
                Err(_) => refused += 1,
            }
            // Longer than a capture takes: else none would ever be undisturbed.
            std::thread::sleep(Duration::from_millis(300));
        }
        (opened, refused)
    };
    let sessions = || -> Outcome {
        for at in 0..SESSIONS {
            let mut session = build(builder(engine)?.max_objects(16))?;
            let found = session.run_on_device(&pixels).map_err(text)?;
            check(
                &mut report,
                &format!("session {at}, on the device"),
                &found,
                &expected,
            )?;
            let found = build(builder(engine)?)?.run(&frame).map_err(text)?;
            report.check(&format!("session {at}, from the host"), found == expected);
        }
        report.finish()
    };
    std::thread::scope(|scope| {
        let disturbing = scope.spawn(disturb);
        let outcome = sessions();
        done.store(true, Ordering::Relaxed);
        let (opened, refused) = disturbing.join().unwrap_or_default();
        println!("  devices opened meanwhile: {opened}, refused by the driver: {refused}");
        outcome
    })
}

/// Time of a frame by the maximum number of objects, beside that of [`Session::run`].
pub(crate) fn speed(engine: &Engine) -> Outcome {
    const FRAMES: u32 = 50;
    let report = Report::new(engine);
    let frame = frames("10..11")?.remove(0);
    let [_, (_, device)] = handles(engine)?;
    let pixels = up(&frame, &device)?;
    for max_objects in [1, 4, 16, 32, 100] {
        let mut session = build(builder(engine)?.max_objects(max_objects))?;
        for _ in 0..5 {
            drop(session.run_on_device(&pixels).map_err(text)?);
            session.run(&frame).map_err(text)?;
        }
        device.synchronize().map_err(text)?;
        let start = Instant::now();
        for _ in 0..FRAMES {
            drop(session.run_on_device(&pixels).map_err(text)?);
        }
        let enqueued = start.elapsed() / FRAMES;
        device.synchronize().map_err(text)?;
        let on_device = start.elapsed() / FRAMES;
        let start = Instant::now();
        for _ in 0..FRAMES {
            session.run(&frame).map_err(text)?;
        }
        println!(
            "  {max_objects} at most: {on_device:.2?} a frame on the device (enqueued in {enqueued:.2?}), run {:.2?}",
            start.elapsed() / FRAMES
        );
    }
    report.finish()
}
