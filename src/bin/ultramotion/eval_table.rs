//! An evaluation as text.

use ultramotion::{
    eval::{CocoMetrics, Confusion, Evaluation, MatchedObjects},
    text::counted,
};

/// Most classes whose confusions are shown as a table; with more, the most frequent ones are listed.
const MAX_TABLE: usize = 16;

/// Most confusions that are listed.
const MAX_LISTED: usize = 20;

/// The name of what is no class.
const BACKGROUND: &str = "background";

/// The lines of the report.
pub(crate) fn lines(evaluation: &Evaluation) -> Vec<String> {
    let Evaluation {
        images,
        objects,
        crowds,
        predictions,
        ..
    } = evaluation;
    let crowds = if *crowds > 0 {
        format!(" and {}", counted(*crowds, "crowd"))
    } else {
        String::new()
    };
    let (images, objects, predictions) = (
        counted(*images, "image"),
        counted(*objects, "object"),
        counted(*predictions, "prediction"),
    );
    let mut lines = vec![format!("{images}, {objects}{crowds}, {predictions}")];
    let kinds = [
        ("boxes", Some(&evaluation.bbox)),
        ("masks", evaluation.segm.as_ref()),
    ];
    for (what, metrics) in kinds {
        let Some(metrics) = metrics else {
            lines.extend([
                String::new(),
                format!("IoU of {what}: left out, not all objects and predictions have {what}"),
            ]);
            continue;
        };
        lines.extend([String::new(), format!("IoU of {what}")]);
        lines.extend(
            metrics
                .overall
                .0
                .iter()
                .map(|row| format!(" {}", row.text())),
        );
        lines.push(String::new());
        lines.extend(per_class(metrics));
    }
    lines.push(String::new());
    lines.extend(matched(evaluation));
    lines.push(String::new());
    lines.extend(confusion(&evaluation.confusion));
    lines.push(String::new());
    let empty = &evaluation.empty_images;
    lines.push(match empty.share {
        Some(share) => format!(
            "Images without ground truth: {}, of which {} without predictions ({:.1}%)",
            empty.images,
            empty.without_predictions,
            100.0 * share
        ),
        None => "Images without ground truth: none".to_owned(),
    });
    lines
}

fn per_class(metrics: &CocoMetrics) -> Vec<String> {
    let heads = metrics.overall.0.iter().map(|row| row.name.clone());
    let mut rows = vec![
        std::iter::once("class".to_owned())
            .chain(heads)
            .collect::<Vec<_>>(),
    ];
    for (name, stats) in &metrics.per_class {
        rows.push(
            std::iter::once(name.clone())
                .chain(stats.0.iter().map(|row| number(row.value)))
                .collect(),
        );
    }
    columns(&rows)
}

fn matched(evaluation: &Evaluation) -> Vec<String> {
    let heads = [
        "class",
        "TP",
        "FP",
        "FN",
        "precision",
        "recall",
        "F1",
        "box IoU",
        "mask IoU",
        "Dice",
    ];
    let row = |name: &str, m: &MatchedObjects| {
        let counts =
            [m.true_positives, m.false_positives, m.false_negatives].map(|n| n.to_string());
        let shares = [
            m.precision,
            m.recall,
            m.f1,
            m.mean_box_iou,
            m.mean_mask_iou,
            m.mean_dice,
        ]
        .map(number);
        std::iter::once(name.to_owned())
            .chain(counts)
            .chain(shares)
            .collect::<Vec<_>>()
    };
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(
        evaluation
            .matched_per_class
            .iter()
            .map(|class| row(&class.category, &class.matched)),
    );
    rows.push(row("all", &evaluation.matched));
    let title = format!(
        "Matched one to one at score {} and box IoU {}",
        evaluation.confidence, evaluation.iou_threshold
    );
    std::iter::once(title).chain(columns(&rows)).collect()
}

fn confusion(cells: &[Confusion]) -> Vec<String> {
    let name = |class: &Option<String>| class.clone().unwrap_or_else(|| BACKGROUND.to_owned());
    let mut classes: Vec<&Option<String>> = Vec::new();
    for class in cells
        .iter()
        .flat_map(|cell| [&cell.truth, &cell.prediction])
        .filter(|class| class.is_some())
    {
        if !classes.contains(&class) {
            classes.push(class);
        }
        if classes.len() > MAX_TABLE {
            return listed(cells, &name);
        }
    }
    classes.push(&None);
    let mut rows = vec![
        std::iter::once("truth \\ prediction".to_owned())
            .chain(classes.iter().map(|c| name(c)))
            .collect::<Vec<_>>(),
    ];
    for truth in &classes {
        let count = |prediction: &&Option<String>| {
            let found = cells
                .iter()
                .find(|cell| cell.truth == **truth && cell.prediction == **prediction);
            found.map_or_else(
                || {
                    if truth.is_none() && prediction.is_none() {
                        ""
                    } else {
                        "0"
                    }
                    .to_owned()
                },
                |cell| cell.count.to_string(),
            )
        };
        rows.push(
            std::iter::once(name(truth))
                .chain(classes.iter().map(count))
                .collect(),
        );
    }
    std::iter::once("Confusions at the same thresholds".to_owned())
        .chain(columns(&rows))
        .collect()
}

fn listed(cells: &[Confusion], name: &dyn Fn(&Option<String>) -> String) -> Vec<String> {
    let mut wrong: Vec<&Confusion> = cells
        .iter()
        .filter(|cell| cell.truth != cell.prediction)
        .collect();
    wrong.sort_by_key(|cell| std::cmp::Reverse(cell.count));
    let mut rows = vec![["truth", "prediction", "count"].map(str::to_owned).to_vec()];
    rows.extend(
        wrong
            .iter()
            .take(MAX_LISTED)
            .map(|c| vec![name(&c.truth), name(&c.prediction), c.count.to_string()]),
    );
    let title = format!(
        "Most frequent confusions at the same thresholds ({}; --json has all)",
        counted(wrong.len(), "kind")
    );
    std::iter::once(title).chain(columns(&rows)).collect()
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

/// Rows as aligned columns, the first to the left, the others to the right.
pub(crate) fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(i, (cell, &width))| {
            if i == 0 {
                format!("  {cell:<width$}")
            } else {
                format!("  {cell:>width$}")
            }
        });
        cells.collect::<String>().trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
