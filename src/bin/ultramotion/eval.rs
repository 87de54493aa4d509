//! `eval`.

use crate::{
    eval_args::EvalArgs,
    eval_gates::{self, Gate},
    eval_table, eval_tracks,
    exit::Exit,
    inputs::usage,
    terminal::Terminal,
};
use ultramotion::eval::{EvalOptions, Evaluation, evaluate};

/// Prints the figures; exit code 1 if one is below its minimum.
pub(crate) fn run(args: &EvalArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    check(args)?;
    if args.of_tracks.tracks {
        return eval_tracks::run(args, terminal);
    }
    let defaults = EvalOptions::default();
    let options = EvalOptions {
        confidence: args.confidence.map_or(defaults.confidence, |c| c.get()),
        iou_threshold: args.iou_threshold,
        max_detections: args.max_detections.iter().map(|n| n.get()).collect(),
        boxes_only: args.boxes_only,
        common_only: args.common,
        images_of: args.images_of.clone(),
    };
    let evaluation = evaluate(&args.ground_truth, &args.predictions, &options)?;
    let gates = gates(args, &evaluation);
    let lines = || eval_table::lines(&evaluation);
    eval_gates::report(args, &evaluation, lines, &gates, terminal)
}

fn check(args: &EvalArgs) -> anyhow::Result<()> {
    let share = |value: f64| (0.0..=1.0).contains(&value);
    if !share(args.iou_threshold) || args.iou_threshold == 0.0 {
        return Err(usage(
            "--iou-threshold",
            format!("{}: give a number above 0, up to 1", args.iou_threshold),
        ));
    }
    let least = [
        ("--min-ap", args.min_ap),
        ("--min-mask-ap", args.min_mask_ap),
        ("--min-mask-iou", args.min_mask_iou),
        ("--min-empty-share", args.min_empty_share),
    ];
    match least
        .into_iter()
        .find_map(|(option, value)| Some((option, value.filter(|value| !share(*value))?)))
    {
        Some((option, value)) => Err(usage(option, format!("{value}: give a number from 0 to 1"))),
        None => Ok(()),
    }
}

fn gates(args: &EvalArgs, evaluation: &Evaluation) -> Vec<Gate> {
    let mask_ap = evaluation
        .segm
        .as_ref()
        .and_then(|segm| segm.overall.get("AP"));
    [
        Gate::least(
            "--min-ap",
            "AP of boxes",
            args.min_ap,
            evaluation.bbox.overall.get("AP"),
        ),
        Gate::least("--min-mask-ap", "AP of masks", args.min_mask_ap, mask_ap),
        Gate::least(
            "--min-mask-iou",
            "mean mask IoU of matched objects",
            args.min_mask_iou,
            evaluation.matched.mean_mask_iou,
        ),
        Gate::least(
            "--min-empty-share",
            "share of empty images without predictions",
            args.min_empty_share,
            evaluation.empty_images.share,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}
