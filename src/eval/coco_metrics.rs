//! COCO's average precision and recall (Lin et al. 2014), as `COCOeval.summarize` of pycocotools computes them.

use super::{error::EvalError, test_set::TestSet};
use hotcoco::{AccumulatedEval, COCOeval, IouType};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeStruct},
};
use std::{path::Path, sync::Arc};

/// Categories evaluated at a time; the tables of precision and recall take 0.2 MB a category.
const AT_ONCE: usize = 256;

/// A row of COCO's table.
#[derive(Debug, Clone, PartialEq)]
pub struct CocoRow {
    /// As it is called in JSON and in papers: `AP`, `AP50`, `AP75`, `AP_small`, `AR1`, `AR_large` …
    pub name: String,
    /// Range of areas: `all`, `small` (up to 32² pixels), `medium`, `large` (from 96² pixels).
    pub area: &'static str,
    /// Most detections of a class in an image, best first.
    pub max_detections: usize,
    /// The mean, 0 to 1; none where there is no ground truth of that area (COCO writes -1).
    pub value: Option<f64>,
}

impl CocoRow {
    /// The row in COCO's own wording.
    pub fn text(&self) -> String {
        let (title, kind) = if self.name.starts_with("AP") {
            ("Average Precision", "(AP)")
        } else {
            ("Average Recall", "(AR)")
        };
        let iou = match self.name.as_str() {
            "AP50" => "0.50",
            "AP75" => "0.75",
            _ => "0.50:0.95",
        };
        let value = self.value.unwrap_or(-1.0);
        format!(
            "{title:<18} {kind} @[ IoU={iou:<9} | area={:>6} | maxDets={:>3} ] = {value:.3}",
            self.area, self.max_detections
        )
    }
}

/// COCO's table, in its order: AP, AP50, AP75, AP by area, AR by most detections, AR by area.
#[derive(Debug, Clone, PartialEq)]
pub struct CocoStats(pub Vec<CocoRow>);

impl CocoStats {
    /// The figure called `name`; none where there is no such row or no ground truth for it.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|row| row.name == name)?.value
    }
}

impl Serialize for CocoStats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for row in &self.0 {
            map.serialize_entry(&row.name, &row.value)?;
        }
        map.end()
    }
}

/// COCO's figures by one kind of IoU.
#[derive(Debug, Clone, PartialEq)]
pub struct CocoMetrics {
    /// Over the classes that have ground truth.
    pub overall: CocoStats,
    /// Class by class, in the order of category ids.
    pub per_class: Vec<(String, CocoStats)>,
}

impl Serialize for CocoMetrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Class<'a> {
            category: &'a str,
            #[serde(flatten)]
            stats: &'a CocoStats,
        }
        let classes: Vec<Class<'_>> = self
            .per_class
            .iter()
            .map(|(category, stats)| Class { category, stats })
            .collect();
        let mut fields = serializer.serialize_struct("CocoMetrics", 2)?;
        fields.serialize_field("overall", &self.overall)?;
        fields.serialize_field("per_class", &classes)?;
        fields.end()
    }
}

/// Precision by class, over IoU and recall thresholds, and recall, over IoU thresholds; -1 is COCO's "no ground truth".
struct Curves {
    rows: Vec<Row>,
    /// By row, then by class: sum and count of what is not -1.
    sums: Vec<Vec<(f64, usize)>>,
}

/// What a row of the table is a mean of.
struct Row {
    name: String,
    precision: bool,
    /// The one IoU threshold; none for all.
    iou: Option<f64>,
    area: &'static str,
    /// Place among the limits on detections.
    limit: usize,
    max_detections: usize,
}

fn rows(max_detections: &[usize]) -> Vec<Row> {
    let last = max_detections.len().saturating_sub(1);
    let most = max_detections.last().copied().unwrap_or_default();
    let row = |name: &str, precision, iou, area, limit, max_detections| Row {
        name: name.into(),
        precision,
        iou,
        area,
        limit,
        max_detections,
    };
    let mut rows = vec![
        row("AP", true, None, "all", last, most),
        row("AP50", true, Some(0.5), "all", last, most),
        row("AP75", true, Some(0.75), "all", last, most),
    ];
    rows.extend(
        ["small", "medium", "large"]
            .map(|area| row(&format!("AP_{area}"), true, None, area, last, most)),
    );
    rows.extend(
        max_detections
            .iter()
            .enumerate()
            .map(|(i, &n)| row(&format!("AR{n}"), false, None, "all", i, n)),
    );
    rows.extend(
        ["small", "medium", "large"]
            .map(|area| row(&format!("AR_{area}"), false, None, area, last, most)),
    );
    rows
}

impl Curves {
    fn stats(&self, classes: std::ops::Range<usize>) -> CocoStats {
        let value = |sums: &[(f64, usize)]| {
            let (sum, count) = sums[classes.clone()]
                .iter()
                .fold((0.0, 0), |(s, n), (sum, count)| (s + sum, n + count));
            (count > 0).then(|| sum / count as f64)
        };
        let row = |(row, sums): (&Row, &Vec<(f64, usize)>)| CocoRow {
            name: row.name.clone(),
            area: row.area,
            max_detections: row.max_detections,
            value: value(sums),
        };
        CocoStats(self.rows.iter().zip(&self.sums).map(row).collect())
    }
}

/// Evaluates by boxes or masks. `max_detections` is sorted and not empty.
pub(super) fn evaluate(
    set: &TestSet,
    iou: IouType,
    max_detections: &[usize],
    path: &Path,
) -> Result<CocoMetrics, EvalError> {
    let mut curves = Curves {
        rows: rows(max_detections),
        sums: Vec::new(),
    };
    curves.sums = vec![Vec::with_capacity(set.classes.len()); curves.rows.len()];
    let classes: Vec<u64> = (0u64..).take(set.classes.len()).collect();
    for some in classes.chunks(AT_ONCE) {
        let mut eval = COCOeval::new(Arc::clone(&set.truth), Arc::clone(&set.predictions), iou);
        eval.params.cat_ids = some.to_vec();
        eval.params.max_dets = max_detections.to_vec();
        eval.evaluate()
            .map_err(|e| EvalError::new(path, format!("cannot be evaluated: {e}")))?;
        eval.accumulate();
        let tables = eval
            .accumulated()
            .ok_or_else(|| EvalError::new(path, "cannot be evaluated: there are no tables"))?;
        for (row, sums) in curves.rows.iter().zip(&mut curves.sums) {
            let area = eval.params.area_range_idx(row.area).unwrap_or_default();
            let only = row.iou.and_then(|iou| eval.params.iou_thr_idx(iou));
            sums.extend((0..some.len()).map(|class| sum(tables, row, class, area, only)));
        }
    }
    let of_class = |(place, class): (usize, &super::test_set::Class)| {
        (class.name.clone(), curves.stats(place..place + 1))
    };
    Ok(CocoMetrics {
        overall: curves.stats(0..set.classes.len()),
        per_class: set.classes.iter().enumerate().map(of_class).collect(),
    })
}

/// Sum and count of one class's values for a row, without those that are -1.
fn sum(
    tables: &AccumulatedEval,
    row: &Row,
    class: usize,
    area: usize,
    only: Option<usize>,
) -> (f64, usize) {
    let mut found = (0.0, 0);
    for t in (0..tables.shape.t).filter(|t| only.is_none_or(|only| only == *t)) {
        let mut add = |value: f64| {
            if value > -1.0 {
                found = (found.0 + value, found.1 + 1);
            }
        };
        if row.precision {
            (0..tables.shape.r).for_each(|r| {
                add(tables.precision[tables.precision_idx(t, r, class, area, row.limit)])
            });
        } else {
            add(tables.recall[tables.recall_idx(t, class, area, row.limit)]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_cocos_order_and_wording() {
        let names: Vec<String> = rows(&[1, 10, 100])
            .into_iter()
            .map(|row| row.name)
            .collect();
        let expected = [
            "AP",
            "AP50",
            "AP75",
            "AP_small",
            "AP_medium",
            "AP_large",
            "AR1",
            "AR10",
            "AR100",
            "AR_small",
            "AR_medium",
            "AR_large",
        ];
        assert_eq!(names, expected);
        let row = CocoRow {
            name: "AP50".into(),
            area: "all",
            max_detections: 100,
            value: Some(0.12345),
        };
        assert_eq!(
            row.text(),
            "Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=100 ] = 0.123"
        );
        let row = CocoRow {
            name: "AR_small".into(),
            area: "small",
            max_detections: 100,
            value: None,
        };
        assert_eq!(
            row.text(),
            "Average Recall     (AR) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = -1.000"
        );
    }
}
