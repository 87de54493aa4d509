use super::*;
use crate::{
    engine::OutOfMemory,
    frame::{Detections, Frame, Pixels, SourceInfo, SourceKind, Visibility, VisibilityChange},
    geometry::Size,
    run::event::FrameTimes,
    session::Stage,
    sources::{Decoding, SourceWarning},
};
use serde_json::Map;
use std::{collections::BTreeSet, sync::Arc};

fn source() -> SourceInfo {
    let (path, name) = ("a b.mp4".into(), "a b".to_owned());
    SourceInfo {
        ordinal: 0,
        path,
        name,
        kind: SourceKind::Video,
        folder: None,
        frame_count: None,
        frame_rate: None,
        attributes: Default::default(),
    }
}

fn write(file: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file);
    std::fs::write(&path, "earlier\n").unwrap();
    let kpi = KpiFile::append(&path, Some(Engine::cpu())).unwrap();
    let size = Size::new(4, 4);
    let found = Detections::new(size, Vec::new());
    let frame = Frame::new(Arc::new(source()), 12, Pixels::Released(size));
    let times = FrameTimes {
        number: 3,
        decode: Duration::from_micros(1500),
        latency: Duration::from_millis(7),
        stages: vec![("detect-preprocess", Duration::from_micros(250))],
    };
    kpi.event(Event::FrameDone {
        frame: &frame,
        found: &found,
        times: Some(&times),
    });
    kpi.event(Event::FrameDone {
        frame: &frame,
        found: &found,
        times: None,
    });
    kpi.event(Event::Problem {
        input: "x.png",
        problem: "not \"an\" image\nat all",
        kind: Default::default(),
    });
    kpi.check().unwrap();
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn lines_have_units_quotes_where_needed_and_follow_what_was_there() {
    let text = write("run.kpi");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(lines[0], "earlier");
    let after_time = lines[1].split_once(" event=").unwrap().1;
    assert!(lines[1].starts_with("kpi ts="), "{text}");
    assert_eq!(
        after_time,
        "frame source=\"a b\" frame=12 number=3 decode_ms=1.5 detect_preprocess_ms=0.25 latency_ms=7.0 objects=0"
    );
    assert!(
        lines[2].ends_with(r#"event=input-error input=x.png problem="not \"an\" image\nat all""#),
        "{text}"
    );
}

#[test]
fn a_jsonl_file_gets_an_object_a_line() {
    let text = write("run.jsonl");
    let frame: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(
        (&frame["event"], &frame["source"], &frame["number"]),
        (&json!("frame"), &json!("a b"), &json!(3))
    );
    assert!(frame["ts"].as_f64().unwrap() > 1e9);
    assert_eq!(
        frame.get("device_memory_mb"),
        None,
        "there is none on the CPU"
    );
    let error: Value = serde_json::from_str(text.lines().nth(2).unwrap()).unwrap();
    assert_eq!(error["problem"], json!("not \"an\" image\nat all"));
}

/// What stands in backticks in the first column of the documentation's table, and in the row of events.
fn documented() -> (BTreeSet<String>, BTreeSet<String>) {
    let text = include_str!("../../../docs/audit.md");
    let table = text.split("## KPI lines").nth(1).unwrap();
    let quoted = |cell: &str| {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let cells: Vec<Vec<&str>> = rows.map(|row| row.split('|').collect()).collect();
    let events = cells
        .iter()
        .find(|cells| cells[1].trim() == "`event`")
        .unwrap();
    (
        cells.iter().flat_map(|cells| quoted(cells[1])).collect(),
        quoted(events[2]),
    )
}

#[test]
fn the_documentation_has_every_key_and_event_and_no_other() {
    let (keys, events) = documented();
    let in_resident_mode = [Stage::Submit, Stage::Preprocess, Stage::Forward];
    let stages = Stage::PER_FRAME
        .iter()
        .chain(&in_resident_mode)
        .map(|stage| stage_key(stage.name()));
    assert_eq!(
        keys,
        KEYS.iter()
            .map(|key| (*key).to_owned())
            .chain(stages)
            .collect()
    );
    assert_eq!(
        events,
        EVENTS
            .iter()
            .chain(&LIVE_EVENTS)
            .map(|event| (*event).to_owned())
            .collect()
    );
}

/// Writes one line of each event, and reads the lines.
fn a_line_of_each_event() -> Vec<Map<String, Value>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let kpi = KpiFile::append(&path, None).unwrap();
    let (info, size) = (source(), Size::new(4, 4));
    let mut found = Detections::new(size, Vec::new());
    found.changes.push(VisibilityChange {
        track_id: Some(4),
        class: 1,
        label: "cyst".into(),
        from: Some(Visibility::Visible),
        to: Visibility::Relocalizing,
        score: 0.25,
    });
    let frame = Frame::new(Arc::new(source()), 0, Pixels::Released(size));
    let times = FrameTimes {
        stages: vec![("segment-decode", Duration::ZERO)],
        ..FrameTimes::default()
    };
    let (source, times) = (&info, Some(&times));
    let decoding = &Decoding {
        on_gpu: false,
        reason: Some("why".to_owned()),
    };
    let oom = OutOfMemory {
        device: "cuda:0".to_owned(),
        needed: Some(1),
        used: 2,
        free: 3,
    };
    let (sources, frames) = (1, 2);
    let (frame, found) = (&frame, &found);
    let (from, to, reason) = ("cuda:0", "cpu", "full");
    let (input, problem) = ("x", "bad");
    kpi.event(Event::Resumed { sources, frames });
    kpi.event(Event::SourceBegan(source));
    kpi.event(Event::Decoding { source, decoding });
    kpi.event(Event::FrameDone {
        frame,
        found,
        times,
    });
    kpi.event(Event::OutOfMemory(&oom));
    kpi.event(Event::Fallback { from, to, reason });
    kpi.event(Event::SourceEnded(source));
    kpi.event(Event::Warning(&SourceWarning::new("x", "odd")));
    kpi.event(Event::Problem {
        input,
        problem,
        kind: Default::default(),
    });
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_event_has_the_keys_of_the_list() {
    let lines = a_line_of_each_event();
    let events: BTreeSet<&str> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(events, EVENTS.into_iter().collect());
    for key in lines.iter().flat_map(Map::keys) {
        assert!(
            KEYS.contains(&key.as_str()) || *key == stage_key("segment-decode"),
            "{key}"
        );
    }
}

#[test]
fn a_change_of_visibility_has_a_line() {
    let lines = a_line_of_each_event();
    let change = lines.iter().find(|line| line["event"] == "visibility");
    let mut change = change.unwrap().clone();
    change.remove("ts");
    let expected = json!({
        "event": "visibility", "source": "a b", "frame": 0, "track_id": 4, "class": "cyst",
        "from": "visible", "to": "relocalizing", "score": 0.25,
    });
    assert_eq!(Value::Object(change), expected);
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = KpiFile::append(folder.path(), None)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cannot be written") && error.contains("choose another file"),
        "{error}"
    );
}
