//! All that runs on a GPU was compiled ahead: a kernel that the driver would have to compile makes a program's first start on a machine
//! wait for seconds. The driver keeps what it compiled in a folder, which this group must find empty.

use crate::{
    models::{detector, image, pixels, prompt_boxes, segmenter},
    report::{Outcome, Report, random, text},
    runs::{LEGACY, clip, pipeline, results, segment},
};
use candle_core::{DType, Tensor};
use std::{
    path::Path,
    sync::{Arc, Mutex},
};
use ultramotion::{
    engine::{CapturedGraph, Engine, GraphContents, Precision, Watcher, Work},
    models::mobile_sam::Prompts,
    ops::kernel_times,
    session::{Execution, Mode, ModelError},
};

/// The group's name.
pub(crate) const NAME: &str = "compiled-ahead";
/// Names the folder of what the driver compiled.
pub(crate) const CACHE: &str = "CUDA_CACHE_PATH";

/// What a model does with its inputs.
type Forward<'a> = &'a dyn Fn(&[Tensor]) -> Result<Vec<Tensor>, ModelError>;

/// The latest graph.
#[derive(Debug, Default)]
struct Latest(Mutex<GraphContents>);

impl Watcher for Latest {
    fn on_begin(&self, _: &Work) {}
    fn on_end(&self) {}
    fn on_capture(&self, contents: &GraphContents) {
        *self.0.lock().expect("lock") = contents.clone();
    }
}

pub(crate) fn models(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let latest = Arc::new(Latest::default());
    report.check("graphs are watched", engine.watch(latest.clone()));
    let mut count = |what: String, inputs: Vec<Tensor>, work: Forward<'_>| {
        let counted = || -> Result<(usize, GraphContents), ModelError> {
            work(&inputs)?;
            let own = kernel_times(|| work(&inputs).map(drop))?.len();
            CapturedGraph::new(engine, inputs.clone(), work)?;
            Ok((own, latest.0.lock().expect("lock").clone()))
        };
        match counted() {
            Ok((own, graph)) => {
                let all = graph.kernels;
                report.check(
                    &format!("{what}: {own} of {all} kernels are our own"),
                    own == all && own > 0,
                );
                // The rest would be allocations.
                let rest = graph.nodes - all - graph.memsets - graph.copies.len();
                report.check(&format!("{what}: its memory is planned"), rest == 0);
            }
            Err(e) => report.check(&format!("{what}: {e}"), false),
        }
    };
    let up = |x: &Tensor, dtype| Report::new(engine).up(x, dtype);
    const DTYPES: [DType; 3] = [DType::F16, DType::BF16, DType::F32];
    for size in ["n", "s", "m", "l", "x"] {
        let (model, pixels) = (detector(engine, size)?, pixels(2)?);
        for dtype in DTYPES {
            count(
                format!("D-FINE-{size} {dtype:?}"),
                vec![up(&pixels, dtype)?],
                &|inputs| {
                    let output = model.forward(&inputs[0])?;
                    Ok(vec![output.logits, output.pred_boxes])
                },
            );
        }
    }
    let (model, image) = (segmenter(engine)?, image(1)?);
    for dtype in DTYPES {
        let pixels = up(&image, dtype)?;
        let embedding = model.encode(&pixels).map_err(text)?;
        count(
            format!("image encoder {dtype:?}"),
            vec![pixels],
            &|inputs| Ok(vec![model.encode(&inputs[0])?]),
        );
        for (boxes, multimask) in [(1, false), (4, true), (20, false)] {
            let inputs = vec![embedding.clone(), up(&prompt_boxes(boxes)?, DType::F32)?];
            count(
                format!("mask decoder, {boxes} boxes, multimask {multimask}, {dtype:?}"),
                inputs,
                &|inputs| {
                    let output =
                        model.decode(&inputs[0], &Prompts::from_boxes(&inputs[1])?, multimask)?;
                    Ok(vec![output.low_res_masks, output.iou_predictions])
                },
            );
        }
    }
    report.finish()
}

pub(crate) fn runs(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let engine = engine
        .clone()
        .with_precision(Precision::F16)
        .map_err(text)?;
    let resident = |batch| Execution {
        mode: Mode::Resident,
        batch,
        latency: false,
    };
    for (what, task, execution) in [
        ("pipeline", pipeline(&engine, 0.3, true), resident(1)),
        (
            "pipeline in batches",
            pipeline(&engine, 0.01, false),
            resident(4),
        ),
        (
            "pipeline stage by stage",
            pipeline(&engine, 0.3, true),
            LEGACY,
        ),
        ("segment by boxes and points", segment(&engine), resident(1)),
    ] {
        match results(task, execution, &clip("..8")) {
            Ok(found) => report.check(&format!("{what}: {} frames", found.len()), found.len() == 8),
            Err(e) => report.check(&format!("{what}: {e}"), false),
        }
    }
    report.finish()
}

/// Models one by one, then whole runs.
pub(crate) fn all(engine: &Engine) -> Outcome {
    let wrong = models(engine)? + runs(engine)?;
    let mut report = Report::new(engine);
    let Some(cache) = std::env::var_os(CACHE).filter(|cache| Path::new(cache).is_dir()) else {
        return Err(format!(
            "{CACHE} names no folder: run this group by its name alone, without --group"
        ));
    };
    let compiled = || std::fs::read_dir(&cache).map_or(0, Iterator::count);
    report.check(
        &format!("the driver has compiled nothing: {} files", compiled()),
        compiled() == 0,
    );
    // So that the check above can fail.
    let x = report.up(&random(&[4, 5], 1), DType::F32)?;
    x.affine(2.0, 1.0).map_err(text)?;
    report.check("a kernel of the tensor library is compiled", compiled() > 0);
    Ok(wrong + report.finish()?)
}
