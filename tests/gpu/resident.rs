//! The resident pipeline against the one that goes stage by stage, and the choice of objects against the host's.

use crate::{
    report::{Outcome, Report, random, text},
    runs::{LEGACY, clip, compare, pipeline, results, run, run_loaded, segment},
};
use candle_core::{DType, Tensor};
use ultramotion::{
    engine::{DeviceSpec, Engine, Precision},
    geometry::{BoxXyxy, LongestSide, Size},
    models::{
        dfine::postprocess::{self, Selection},
        mobile_sam::IMAGE_SIDE,
    },
    ops::{self, ObjectChoice, ObjectRecords, PromptSlots, SharedSlots},
    session::{Execution, Mode, Stage},
};

pub(crate) fn same_as_legacy(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let engine = engine
        .clone()
        .with_precision(Precision::F16)
        .map_err(text)?;
    let resident = |batch, latency| Execution {
        mode: Mode::Resident,
        batch,
        latency,
    };
    for (confidence, multimask) in [(0.5, false), (0.01, false), (0.3, true)] {
        let expected = results(
            pipeline(&engine, confidence, multimask),
            LEGACY,
            &clip("..30"),
        )?;
        for (batch, latency) in [(1, true), (1, false), (4, false)] {
            let found = results(
                pipeline(&engine, confidence, multimask),
                resident(batch, latency),
                &clip("..30"),
            )?;
            let what = format!(
                "pipeline, score {confidence}, multimask {multimask}, batch {batch}, latency {latency}"
            );
            compare(&mut report, &what, &found, &expected, false);
        }
    }
    // Where a run begins must not change what it finds: resumed runs end in the same bytes.
    let task = || pipeline(&engine, 0.3, false);
    let whole = results(task(), resident(4, false), &clip("..30"))?;
    let later = results(task(), resident(4, false), &clip("7..30"))?;
    compare(
        &mut report,
        "pipeline from another frame on",
        &later,
        &whole[7..],
        true,
    );
    let expected = results(segment(&engine), LEGACY, &clip("..5"))?;
    let found = results(segment(&engine), resident(1, false), &clip("..5"))?;
    compare(
        &mut report,
        "segment by boxes and points",
        &found,
        &expected,
        false,
    );
    report.finish()
}

/// Memory runs out before the models can be captured: an error that says so, or the CPU where that is allowed.
pub(crate) fn fallback(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let expected = results(pipeline(&Engine::cpu(), 0.5, false), LEGACY, &clip("..2"))?;
    for (execution, what) in [
        (
            Execution {
                mode: Mode::Resident,
                ..LEGACY
            },
            "resident",
        ),
        (LEGACY, "legacy"),
    ] {
        let task = || pipeline(engine, 0.5, false);
        let (strict, allowed) = (task().load(execution)?, task().load(execution)?);
        let (free, _) = engine.memory().map_err(text)?.ok_or("no memory")?;
        let ballast = engine
            .zeros(DType::U8, &[free.saturating_sub(48 << 20)])
            .map_err(text)?;
        let refused = run_loaded(strict, Vec::new(), None, &clip("..2"))
            .err()
            .unwrap_or_default();
        println!("  {refused}");
        let parts = ["out of memory", "MiB are in use", "MiB are free"];
        report.check(
            &format!("{what}: an error with need, use and free memory"),
            parts.iter().all(|part| refused.contains(part)),
        );
        let on_cpu = pipeline(&Engine::cpu(), 0.5, false);
        let found = run_loaded(allowed, Vec::new(), Some(on_cpu), &clip("..2"))?;
        let events = &found.events;
        report.check(
            &format!("{what}: events {events:?}"),
            events.len() == 2 && events[1].ends_with(" to cpu"),
        );
        compare(
            &mut report,
            &format!("{what}: the CPU's results"),
            &found.results,
            &expected,
            true,
        );
        drop(ballast);
    }
    let found = run(
        pipeline(engine, 0.5, false),
        Vec::new(),
        LEGACY,
        &clip("..2"),
    )?;
    compare(
        &mut report,
        "the device works on",
        &found.results,
        &expected,
        false,
    );
    report.check("  without events", found.events.is_empty());
    report.finish()
}

/// Batches dealt out among two devices come back in order.
pub(crate) fn two_devices(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let Ok(second) =
        Engine::open(DeviceSpec::Cuda(1)).and_then(|e| e.with_precision(Precision::F16))
    else {
        println!("  left out: there is one device only");
        return report.finish();
    };
    let engine = engine
        .clone()
        .with_precision(Precision::F16)
        .map_err(text)?;
    for batch in [1, 4] {
        let execution = Execution {
            mode: Mode::Resident,
            batch,
            latency: false,
        };
        let expected = results(pipeline(&engine, 0.5, false), execution, &clip("..50"))?;
        let found = run(
            pipeline(&engine, 0.5, false),
            vec![pipeline(&second, 0.5, false)],
            execution,
            &clip("..50"),
        )?;
        compare(
            &mut report,
            &format!("two devices, batch {batch}"),
            &found.results,
            &expected,
            false,
        );
    }
    report.finish()
}

/// All numbers of a tensor on the CPU.
fn flat(x: &Tensor) -> Result<Vec<f32>, String> {
    x.flatten_all()
        .and_then(|x| x.to_vec1::<f32>())
        .map_err(text)
}

pub(crate) fn choose_objects(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    for (case, (queries, classes, threshold, max_objects, filter)) in [
        (300, 80, 0.5, 300, false),
        (300, 80, 0.0, 300, false),
        (300, 2, 0.6, 7, false),
        (300, 366, 0.1, 100, true),
        (20, 1, 0.9, 1, false),
    ]
    .into_iter()
    .enumerate()
    {
        // Coarse numbers, so that many are equal.
        let coarse = |x: Tensor| (x * 4.0)?.round()? * 0.25;
        let logits = coarse(random(&[queries, classes], 40 + case as u64)).map_err(text)?;
        let boxes = random(&[queries, 4], 50 + case as u64)
            .affine(0.3, 0.5)
            .map_err(text)?;
        let allowed: Option<Vec<bool>> = filter.then(|| (0..classes).map(|c| c % 3 == 0).collect());
        let selection = Selection {
            threshold,
            max_objects,
            classes: allowed.clone(),
        };
        let expected = postprocess::select(&flat(&logits)?, &flat(&boxes)?, classes, &selection)
            .map_err(text)?;
        let size = Size::new(421, 333);
        let scaled = LongestSide::new(size, IMAGE_SIDE as u32);
        let numbers = allowed.map(|a| {
            Tensor::new(
                a.iter().map(|&c| u32::from(c)).collect::<Vec<_>>(),
                &candle_core::Device::Cpu,
            )
        });
        let numbers = numbers
            .transpose()
            .map_err(text)?
            .map(|t| engine.upload_tensor(Stage::Load, &t))
            .transpose()
            .map_err(text)?;
        let choice = ObjectChoice {
            min_logit: postprocess::min_logit(threshold),
            max_objects,
            classes: numbers.as_ref(),
            frame: (333, 421),
            scaled: (scaled.scaled.height as usize, scaled.scaled.width as usize),
        };
        let slots = 8;
        let records = engine
            .zeros(DType::U32, &[ops::object_words(max_objects)])
            .map_err(text)?;
        let prompts = engine.zeros(DType::F32, &[slots, 4]).map_err(text)?;
        let up = |x: &Tensor| report.up(x, DType::F32);
        ops::choose_objects(
            &up(&logits)?,
            &up(&boxes)?,
            &choice,
            &records,
            Some(&PromptSlots {
                prompts: &prompts,
                shared: None,
            }),
        )
        .map_err(text)?;
        let words = engine.download_u32(Stage::Pack, &records).map_err(text)?;
        let found = postprocess::chosen(ObjectRecords::new(&words), classes).map_err(text)?;
        report.check(
            &format!(
                "{queries}x{classes} above {threshold}, at most {max_objects}: {} objects",
                expected.len()
            ),
            found == expected,
        );
        let corners = engine.download_f32(Stage::Pack, &prompts).map_err(text)?;
        let prompt = |slot: usize| match expected.get(slot) {
            Some(c) => scaled.box_to_input(c.bbox.to_pixels(size).clamped(size)),
            None => scaled.box_to_input(BoxXyxy::new(0.0, 0.0, 421.0, 333.0)),
        };
        let wanted: Vec<f32> = (0..slots)
            .map(prompt)
            .flat_map(|b| [b.x0, b.y0, b.x1, b.y1])
            .collect();
        report.check("  its prompts", corners == wanted);
    }
    for slots in [4, 16] {
        shared_slots(&mut report, engine, slots)?;
    }
    for (what, logit, coordinate) in [
        ("a logit", true, false),
        ("a box", false, true),
        ("all", true, true),
    ] {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            // In a query that would not be chosen.
            let spoilt = |count: usize, spoil: bool| -> Vec<f32> {
                (0..count)
                    .map(|i| {
                        if spoil && i == count - 3 {
                            value
                        } else {
                            -2.0 + i as f32 / count as f32
                        }
                    })
                    .collect()
            };
            let tensor = |values: Vec<f32>, columns| {
                Tensor::from_vec(values, (20, columns), &candle_core::Device::Cpu).map_err(text)
            };
            let (logits, boxes) = (
                tensor(spoilt(60, logit), 3)?,
                tensor(spoilt(80, coordinate), 4)?,
            );
            let choice = ObjectChoice {
                min_logit: 0.0,
                max_objects: 5,
                classes: None,
                frame: (333, 421),
                scaled: (810, 1024),
            };
            let records = engine
                .zeros(DType::U32, &[ops::object_words(5)])
                .map_err(text)?;
            let up = |x: &Tensor| report.up(x, DType::F32);
            ops::choose_objects(&up(&logits)?, &up(&boxes)?, &choice, &records, None)
                .map_err(text)?;
            let words = engine.download_u32(Stage::Pack, &records).map_err(text)?;
            let refused = postprocess::chosen(ObjectRecords::new(&words), 3)
                .map(drop)
                .map_err(text)
                .err()
                .unwrap_or_default();
            report.check(
                &format!("{value} in {what}: {refused}"),
                refused.contains("finite"),
            );
        }
    }
    report.finish()
}

/// Three frames whose objects share `slots`, more or fewer than there are objects.
fn shared_slots(report: &mut Report, engine: &Engine, slots: usize) -> Result<(), String> {
    let (size, threshold) = (Size::new(421, 333), 0.6);
    let scaled = LongestSide::new(size, IMAGE_SIDE as u32);
    let whole = scaled.box_to_input(BoxXyxy::new(0.0, 0.0, 421.0, 333.0));
    let corners = |b: BoxXyxy| [b.x0, b.y0, b.x1, b.y1];
    let prompts = engine.zeros(DType::F32, &[slots, 4]).map_err(text)?;
    // What a batch before left there.
    let owners = Tensor::full(7u32, 1 + slots, &candle_core::Device::Cpu).map_err(text)?;
    let owners = engine.upload_tensor(Stage::Load, &owners).map_err(text)?;
    let (mut wanted, mut wanted_owners) = (Vec::new(), Vec::new());
    for frame in 0..3 {
        let logits = random(&[40, 2], 90 + frame as u64);
        let boxes = random(&[40, 4], 95 + frame as u64)
            .affine(0.3, 0.5)
            .map_err(text)?;
        let selection = Selection {
            threshold,
            max_objects: 5,
            classes: None,
        };
        let expected =
            postprocess::select(&flat(&logits)?, &flat(&boxes)?, 2, &selection).map_err(text)?;
        for candidate in &expected {
            let bbox = candidate.bbox.to_pixels(size).clamped(size);
            wanted.push(corners(scaled.box_to_input(bbox)));
            wanted_owners.push(frame as u32);
        }
        let choice = ObjectChoice {
            min_logit: postprocess::min_logit(threshold),
            max_objects: 5,
            classes: None,
            frame: (333, 421),
            scaled: (scaled.scaled.height as usize, scaled.scaled.width as usize),
        };
        let records = engine
            .zeros(DType::U32, &[ops::object_words(5)])
            .map_err(text)?;
        let shared = PromptSlots {
            prompts: &prompts,
            shared: Some(SharedSlots {
                owners: &owners,
                frame,
                is_last: frame == 2,
            }),
        };
        let up = |x: &Tensor| report.up(x, DType::F32);
        let (logits, boxes) = (up(&logits)?, up(&boxes)?);
        ops::choose_objects(&logits, &boxes, &choice, &records, Some(&shared)).map_err(text)?;
    }
    let total = wanted.len();
    wanted.resize(slots, corners(whole));
    wanted_owners.resize(slots, 2);
    let found = engine.download_f32(Stage::Pack, &prompts).map_err(text)?;
    let owned = engine.download_u32(Stage::Pack, &owners).map_err(text)?;
    report.check(
        &format!("{total} objects of three frames in {slots} slots"),
        total > 4 && total < 16 && found == wanted.concat(),
    );
    report.check(
        "  their frames",
        owned.first() == Some(&(total as u32)) && owned.get(1..) == Some(&wanted_owners[..]),
    );
    Ok(())
}
