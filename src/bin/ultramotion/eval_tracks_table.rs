//! A comparison of tracks as text.

use crate::eval_table::columns;
use ultramotion::{
    eval::tracks::{TrackEvaluation, TrackFigures},
    text::counted,
};

/// Most rows of the table of sequences.
const MAX_SEQUENCES: usize = 60;

/// A table: its title, the heads of its columns, their cells of a class.
type Table = (
    String,
    &'static [&'static str],
    fn(&TrackFigures) -> Vec<String>,
);

/// The lines of the report.
pub(crate) fn lines(evaluation: &TrackEvaluation) -> Vec<String> {
    let mut lines = vec![format!(
        "{}, {}, IoU of {}, rules of {}",
        counted(evaluation.sequences, "sequence"),
        counted(evaluation.frames, "frame"),
        evaluation.iou,
        evaluation.rules,
    )];
    if evaluation.predictions_without_track > 0 {
        lines.push(format!(
            "{} without a track left out",
            counted(evaluation.predictions_without_track, "prediction")
        ));
    }
    let threshold = evaluation.iou_threshold;
    let tables: [Table; 4] = [
        (
            "HOTA over IoU 0.05 to 0.95; (0) at 0.05".to_owned(),
            &[
                "HOTA",
                "DetA",
                "AssA",
                "DetRe",
                "DetPr",
                "AssRe",
                "AssPr",
                "LocA",
                "OWTA",
                "HOTA(0)",
                "LocA(0)",
                "HOTALocA(0)",
            ],
            hota,
        ),
        (
            format!("CLEAR at IoU {threshold}"),
            &[
                "MOTA",
                "MOTP",
                "MODA",
                "sMOTA",
                "MOTAL",
                "recall",
                "precision",
                "F1",
                "TP",
                "FN",
                "FP",
                "IDSW",
                "MT",
                "PT",
                "ML",
                "Frag",
            ],
            clear,
        ),
        (
            format!("Identity at IoU {threshold}"),
            &["IDF1", "IDP", "IDR", "IDTP", "IDFN", "IDFP"],
            identity,
        ),
        (
            "Compared".to_owned(),
            &["objects", "tracks", "predictions", "predicted tracks"],
            count,
        ),
    ];
    for (title, heads, cells) in tables {
        lines.extend([String::new(), title]);
        lines.extend(table(evaluation, heads, cells));
    }
    lines.extend(sequences(evaluation));
    lines
}

fn row(name: &str, cells: Vec<String>) -> Vec<String> {
    std::iter::once(name.to_owned()).chain(cells).collect()
}

fn table(
    evaluation: &TrackEvaluation,
    heads: &[&str],
    cells: fn(&TrackFigures) -> Vec<String>,
) -> Vec<String> {
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    let mut rows = vec![row("class", heads)];
    for class in &evaluation.per_class {
        rows.push(row(&class.category, cells(&class.figures)));
    }
    if evaluation.per_class.len() != 1 {
        rows.push(row(
            "all, by detections",
            cells(&evaluation.detection_averaged),
        ));
        if let Some(mean) = &evaluation.class_averaged {
            rows.push(row("all, mean of classes", cells(mean)));
        }
    }
    columns(&rows)
}

fn shares(values: &[f64]) -> Vec<String> {
    values.iter().map(|value| format!("{value:.3}")).collect()
}

fn hota(figures: &TrackFigures) -> Vec<String> {
    let (f, hota) = (&figures.hota.mean, &figures.hota);
    shares(&[
        f.hota,
        f.det_a,
        f.ass_a,
        f.det_re,
        f.det_pr,
        f.ass_re,
        f.ass_pr,
        f.loc_a,
        f.owta,
        hota.hota_0,
        hota.loc_a_0,
        hota.hota_loc_a_0,
    ])
}

fn clear(figures: &TrackFigures) -> Vec<String> {
    let c = &figures.clear;
    let mut cells = shares(&[
        c.mota,
        c.motp,
        c.moda,
        c.smota,
        c.motal,
        c.recall,
        c.precision,
        c.f1,
    ]);
    let counts = [
        c.tp,
        c.false_negatives,
        c.false_positives,
        c.switches,
        c.mostly_tracked,
        c.partly_tracked,
        c.mostly_lost,
        c.fragments,
    ];
    cells.extend(counts.map(|n| n.to_string()));
    cells
}

fn identity(figures: &TrackFigures) -> Vec<String> {
    let i = &figures.identity;
    let mut cells = shares(&[i.idf1, i.precision, i.recall]);
    cells.extend([i.tp, i.false_negatives, i.false_positives].map(|n| n.to_string()));
    cells
}

fn count(figures: &TrackFigures) -> Vec<String> {
    let c = &figures.count;
    [c.objects, c.tracks, c.predictions, c.predicted_tracks]
        .map(|n| n.to_string())
        .to_vec()
}

fn sequences(evaluation: &TrackEvaluation) -> Vec<String> {
    if evaluation.sequences < 2 {
        return Vec::new();
    }
    let heads = ["class", "HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDSW"];
    let mut rows = vec![row("sequence", heads.map(str::to_owned).to_vec())];
    for class in &evaluation.per_class {
        for sequence in &class.sequences {
            let f = &sequence.figures;
            if f.count.objects == 0 && f.count.predictions == 0 {
                continue;
            }
            let mean = &f.hota.mean;
            let mut cells = vec![class.category.clone()];
            cells.extend(shares(&[
                mean.hota,
                mean.det_a,
                mean.ass_a,
                f.clear.mota,
                f.identity.idf1,
            ]));
            cells.push(f.clear.switches.to_string());
            rows.push(row(&sequence.sequence, cells));
        }
    }
    let all = rows.len() - 1;
    rows.truncate(MAX_SEQUENCES + 1);
    let title = if all > MAX_SEQUENCES {
        format!("Sequences (the first {MAX_SEQUENCES} of {all} rows; --json has all)")
    } else {
        "Sequences".to_owned()
    };
    [String::new(), title]
        .into_iter()
        .chain(columns(&rows))
        .collect()
}
