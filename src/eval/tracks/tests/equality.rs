//! 240 random sets: crowds, empty frames and sequences, distractors, ties, switches of identity, several classes and sequences,
//! boxes and masks.

use super::sets::{Kind, write};
use crate::eval::tracks::{TrackEvaluation, TrackFigures, TrackIou, TrackOptions, evaluate_tracks};
use serde_json::Value;
use std::path::Path;

const ARRAYS: [&str; 12] = [
    "HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA", "OWTA", "HOTA_TP",
    "HOTA_FN", "HOTA_FP",
];
const ZERO: [&str; 3] = ["HOTA(0)", "LocA(0)", "HOTALocA(0)"];
const CLEAR: [&str; 22] = [
    "MOTA",
    "MOTP",
    "MODA",
    "sMOTA",
    "MOTAL",
    "CLR_Re",
    "CLR_Pr",
    "CLR_F1",
    "FP_per_frame",
    "MOTP_sum",
    "MTR",
    "PTR",
    "MLR",
    "CLR_TP",
    "CLR_FN",
    "CLR_FP",
    "IDSW",
    "MT",
    "PT",
    "ML",
    "Frag",
    "CLR_Frames",
];
const IDENTITY: [&str; 6] = ["IDF1", "IDP", "IDR", "IDTP", "IDFN", "IDFP"];
const COUNT: [&str; 4] = ["objects", "tracks", "predictions", "predicted_tracks"];

/// The figures in the order of the fixture, with their names.
fn flat(figures: &TrackFigures, whole: bool) -> Vec<(String, f64)> {
    let found = serde_json::to_value(figures).unwrap();
    let number = |value: &Value| value.as_f64().unwrap();
    let mut values = Vec::new();
    for field in ARRAYS {
        let rows = found["hota"]["alphas"].as_array().unwrap();
        let array: Vec<f64> = rows.iter().map(|row| number(&row[field])).collect();
        assert_eq!(array.len(), 19);
        let mean = array.iter().sum::<f64>() / 19.0;
        if let Some(stated) = found["hota"].get(field) {
            assert!((number(stated) - mean).abs() < 1e-12, "{field}");
        }
        let weighted = array
            .iter()
            .zip(1..)
            .map(|(v, i)| v * f64::from(i))
            .sum::<f64>()
            / 190.0;
        values.push((format!("mean {field}"), mean));
        values.push((format!("weighted {field}"), weighted));
        if whole {
            values.extend(array.iter().map(|v| (field.to_owned(), *v)));
        }
    }
    for (part, fields) in [
        ("hota", &ZERO[..]),
        ("clear", &CLEAR),
        ("identity", &IDENTITY),
        ("count", &COUNT),
    ] {
        for field in fields {
            values.push(((*field).to_owned(), number(&found[part][*field])));
        }
    }
    values
}

fn check(place: &str, figures: &TrackFigures, wanted: &Value, whole: bool) {
    let (found, wanted) = (flat(figures, whole), wanted.as_array().unwrap());
    assert_eq!(found.len(), wanted.len(), "{place}");
    for ((field, found), wanted) in found.iter().zip(wanted) {
        let wanted = wanted.as_f64().unwrap();
        assert!(
            (found - wanted).abs() <= 1e-9,
            "{place}: {field} is {found} instead of {wanted}"
        );
    }
}

fn expected() -> Value {
    let text = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/track_eval/expected.json"
    ));
    serde_json::from_str(text).unwrap()
}

/// Checks all figures of a set; how many classes it has, and switches.
fn check_set(place: &str, found: &TrackEvaluation, wanted: &Value, whole: bool) -> [u64; 2] {
    let classes = wanted["classes"].as_object().unwrap();
    assert_eq!(found.per_class.len(), classes.len(), "{place}");
    let mut switches = 0;
    for (class, wanted) in found.per_class.iter().zip(classes.values()) {
        let place = format!("{place}, {}", class.category);
        check(&place, &class.figures, wanted, whole);
        switches += class.figures.clear.switches;
    }
    if classes.len() > 1 {
        let mean = found.class_averaged.as_ref().unwrap();
        check(&format!("{place}, mean"), mean, &wanted["mean"], whole);
        let all = &found.detection_averaged;
        check(&format!("{place}, all"), all, &wanted["all"], whole);
    }
    [classes.len() as u64, switches]
}

#[test]
fn figures_equal_those_of_trackeval() {
    let expected = expected();
    let sets = expected["sets"].as_array().unwrap();
    let (mut tables, mut switches, mut several) = (0, 0, 0);
    for (index, wanted) in sets.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let place = format!("set {index} ({:?})", Kind::of(index));
        let [truth, predictions] = write(index, folder.path());
        let found = evaluate_tracks(&truth, &predictions, &TrackOptions::default())
            .unwrap_or_else(|e| panic!("{place}: {e}"));
        let [classes, of_set] = check_set(&place, &found, wanted, index % 20 == 0);
        (tables, switches) = (tables + classes, switches + of_set);
        several += usize::from(found.sequences > 1);
    }
    // The sets are not all empty or trivial.
    assert!(
        sets.len() >= 200 && tables > 300 && switches > 400 && several > 100,
        "{tables} {switches} {several}"
    );
}

#[test]
fn figures_of_a_phantom_equal_those_of_trackeval() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/track_eval");
    let expected = expected();
    for (wanted, iou) in expected["phantom"]
        .as_array()
        .unwrap()
        .iter()
        .zip([TrackIou::Boxes, TrackIou::Masks])
    {
        let options = TrackOptions {
            iou: Some(iou),
            ..TrackOptions::default()
        };
        let [truth, predictions] =
            ["gt", "predictions"].map(|part| folder.join(format!("phantom_{part}.json")));
        let found = evaluate_tracks(&truth, &predictions, &options).unwrap();
        check_set(&format!("phantom, {iou}"), &found, wanted, true);
        let all = &found.detection_averaged;
        assert!(found.sequences == 6 && all.clear.switches > 0 && all.hota.mean.hota > 0.1);
    }
}
