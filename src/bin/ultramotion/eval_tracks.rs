//! `eval --tracks`.

use crate::{
    eval_args::EvalArgs,
    eval_gates::{self, Gate},
    eval_tracks_table,
    exit::Exit,
    inputs::usage,
    terminal::Terminal,
};
use std::str::FromStr;
use ultramotion::eval::tracks::{TrackEvaluation, TrackIou, TrackOptions, evaluate_tracks};

/// Prints the figures; exit code 1 if one breaks its bound.
pub(crate) fn run(args: &EvalArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let own = &args.of_tracks;
    let least = [
        ("--min-hota", own.min_hota, 0.0),
        ("--min-deta", own.min_deta, 0.0),
        ("--min-assa", own.min_assa, 0.0),
        ("--min-idf1", own.min_idf1, 0.0),
        ("--min-mota", own.min_mota, f64::MIN),
    ];
    for (option, value, lowest) in least {
        if let Some(value) = value.filter(|value| !(lowest..=1.0).contains(value)) {
            let range = if lowest == 0.0 {
                "from 0 to 1"
            } else {
                "up to 1"
            };
            return Err(usage(option, format!("{value}: give a number {range}")));
        }
    }
    let mut options = TrackOptions::default();
    options.iou = word("--iou", own.iou.as_deref())?;
    if args.boxes_only {
        options.iou = Some(TrackIou::Boxes);
    }
    options.rules = word("--rules", own.rules.as_deref())?;
    options.iou_threshold = args.iou_threshold;
    options.confidence = args.confidence.map(|confidence| confidence.get());
    options.common_only = args.common;
    let evaluation = evaluate_tracks(&args.ground_truth, &args.predictions, &options)?;
    let gates = gates(args, &evaluation);
    let lines = || eval_tracks_table::lines(&evaluation);
    eval_gates::report(args, &evaluation, lines, &gates, terminal)
}

fn word<T: FromStr<Err = String>>(
    option: &'static str,
    text: Option<&str>,
) -> anyhow::Result<Option<T>> {
    text.map(|text| {
        text.parse()
            .map_err(|problem: String| usage(option, problem))
    })
    .transpose()
}

fn gates(args: &EvalArgs, evaluation: &TrackEvaluation) -> Vec<Gate> {
    let (own, all) = (&args.of_tracks, &evaluation.detection_averaged);
    let (mean, clear) = (&all.hota.mean, &all.clear);
    [
        Gate::least("--min-hota", "HOTA", own.min_hota, Some(mean.hota)),
        Gate::least("--min-deta", "DetA", own.min_deta, Some(mean.det_a)),
        Gate::least("--min-assa", "AssA", own.min_assa, Some(mean.ass_a)),
        Gate::least("--min-idf1", "IDF1", own.min_idf1, Some(all.identity.idf1)),
        Gate::least("--min-mota", "MOTA", own.min_mota, Some(clear.mota)),
        Gate::most(
            "--max-switches",
            "identity switches",
            own.max_switches.map(|n| n as f64),
            clear.switches as f64,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}
