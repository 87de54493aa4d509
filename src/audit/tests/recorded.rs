//! Recordings of a GPU, judged.

use super::*;

/// The spans that the recordings name.
const SPANS: [Span; 9] = [
    Stage::Load.span(),
    Stage::Decode.span(),
    Stage::Preprocess.span(),
    Stage::Detect.span(),
    Stage::Select.span(),
    Stage::Encode.span(),
    Stage::Masks.span(),
    Stage::Pack.span(),
    Stage::Write.span(),
];

/// Activities, what the engine told, and stages of the nodes of graphs.
type Recorded = (Vec<Activity>, Works, BTreeMap<u64, Span>);

/// What `tests/gpu_audit.rs --keep` wrote of a case on an H100 (see `tests/fixtures/cupti/trim.py`): records, and what the engine told.
fn recorded(records: &[u8], told: &str) -> Recorded {
    let stage = |name: &serde_json::Value| {
        SPANS
            .into_iter()
            .find(|stage| *name == stage.name())
            .unwrap()
    };
    let told: serde_json::Value = serde_json::from_str(told).unwrap();
    let work = |work: &serde_json::Value| {
        let (stage, frame) = (stage(&work["stage"]), work["frame"].as_u64());
        let moved = work["moved"].as_array().map(|moved| {
            let direction = if moved[0] == "up" {
                Direction::HostToDevice
            } else {
                Direction::DeviceToHost
            };
            Move {
                span: stage,
                frame,
                direction,
                bytes: moved[1].as_u64().unwrap(),
                place: Location::caller(),
            }
        });
        LoggedWork {
            span: stage,
            frame,
            moved,
            decodes: false,
            start: work["start"].as_u64().unwrap(),
            end: work["end"].as_u64().unwrap(),
        }
    };
    let works = told["works"].as_array().unwrap().iter().map(work).collect();
    let nodes = told["node_stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node[0].as_u64().unwrap(), stage(&node[1])))
        .collect();
    let activities = Recording::from_bytes(records)
        .unwrap()
        .activities()
        .unwrap();
    (
        activities,
        Works {
            works,
            beyond: told["beyond"].as_u64(),
            ..Works::default()
        },
        nodes,
    )
}

macro_rules! recorded {
    ($case:literal) => {
        recorded(
            include_bytes!(concat!(
                "../../../tests/fixtures/cupti/h100/",
                $case,
                ".cupti"
            )),
            include_str!(concat!(
                "../../../tests/fixtures/cupti/h100/",
                $case,
                ".json"
            )),
        )
    };
}

/// The frames that are judged of the recorded cases.
const RECORDED: Range<u64> = 3..8;

/// Class, kind, stage, times over all and reason of a row.
type ShortRow = (Class, Kind, String, u64, String);

/// The rows of a case, and what they come to.
fn judged((activities, works, nodes): Recorded) -> (Vec<ShortRow>, Observed, Measured) {
    let (seen, measured) = observed(
        &attribute(activities, &works, &nodes),
        &works,
        &RECORDED,
        &[],
    );
    let rows = seen
        .rows
        .iter()
        .map(|r| (r.class, r.kind, r.stage.clone(), r.count, r.reason.clone()))
        .collect();
    (rows, seen, measured)
}

#[test]
fn frames_recorded_while_they_overlap_have_one_upload_one_result_and_one_wait_each() {
    let (activities, works, nodes) = recorded!("overlapping-frames");
    let kinds = |wanted: WaitKind| {
        activities
            .iter()
            .filter(|a| a.what == What::Wait { kind: wanted })
            .count()
    };
    assert_eq!(
        (kinds(WaitKind::Event), kinds(WaitKind::StreamForEvent)),
        (16, 8),
        "eight waits and eight questions of the host"
    );
    let (rows, seen, measured) = judged((activities, works, nodes));
    let row = |kind, stage: &str, reason: &str| {
        (
            Class::Legitimate,
            kind,
            stage.to_owned(),
            5,
            reason.to_owned(),
        )
    };
    let expected = [
        row(
            Kind::Copy(CopyWay::HostToDevice),
            "decode",
            "the frame's upload",
        ),
        row(
            Kind::Copy(CopyWay::DeviceToHost),
            "pack",
            "the packed result",
        ),
        row(Kind::HostWait, "pack", "waits for the result"),
    ];
    assert_eq!(rows, expected);
    assert_eq!(
        (
            measured.critical,
            measured.syncs,
            measured.resident,
            seen.unaccounted
        ),
        (Some(0), Some(1), Some(1.0), 0)
    );
    assert_eq!(
        (seen.per_frame.graph_launches, seen.per_frame.kernels),
        (1.0, 3.0)
    );
    let detect = seen.stages.iter().find(|s| s.stage == "detect").unwrap();
    assert_eq!(
        detect.kernels, 3.0,
        "kernels of graphs that were captured in frames 0 and 1"
    );
}

#[test]
fn a_video_decoder_may_wait_once_for_each_picture_and_one_ahead() {
    let (mut activities, mut works, nodes) = recorded!("overlapping-frames");
    let steady = works
        .works
        .iter()
        .find(|work| work.frame == Some(RECORDED.start))
        .unwrap()
        .start;
    let mut picture = |correlation: u32, waits: usize, decodes: bool| {
        works.works.push(LoggedWork {
            span: Stage::Decode.span(),
            frame: None,
            moved: None,
            decodes,
            start: steady,
            end: steady + 9,
        });
        let first = activities[0].clone();
        let record = |what| Activity {
            what,
            start: steady + 1,
            end: steady + 2,
            ..first.clone()
        };
        for at in 0..waits as u32 {
            let correlation = correlation + at;
            let id = works.works.len() as u64;
            let (asked, wait) = (
                record(What::External { id }),
                record(What::Wait {
                    kind: WaitKind::Event,
                }),
            );
            activities.extend([asked, wait].map(|activity| Activity {
                correlation,
                graph_node: 0,
                ..activity
            }));
        }
    };
    // The second picture is ready with the first.
    picture(900_000, 2, true);
    picture(910_000, 0, true);
    picture(920_000, 3, true);
    picture(930_000, 1, false);
    let (rows, seen, _) = judged((activities, works, nodes));
    let of = |kind: Kind| {
        rows.iter()
            .filter(|r| r.1 == kind && r.2 == "decode")
            .map(|r| (r.0, r.3))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(Kind::DecoderWait), [(Class::Legitimate, 4)]);
    assert_eq!(
        of(Kind::HostWait),
        [(Class::Critical, 2)],
        "a fifth one for three pictures, and that of no decoder"
    );
    assert_eq!(seen.per_frame.decoder_waits, 0.8);
}

#[test]
fn a_recorded_copy_to_pageable_memory_is_also_a_wait() {
    let (rows, seen, measured) = judged(recorded!("to-vec-in-detect"));
    let critical: Vec<_> = rows
        .iter()
        .filter(|row| row.0 == Class::Critical)
        .map(|row| (row.1, row.2.as_str(), row.3))
        .collect();
    assert_eq!(
        critical,
        [
            (Kind::Copy(CopyWay::DeviceToHost), "detect", 5),
            (Kind::HostWait, "detect", 5)
        ]
    );
    assert_eq!((measured.syncs, seen.unaccounted), (Some(1), 5));
}

#[test]
fn recorded_copies_past_the_ledger_and_within_graphs_are_unaccounted() {
    let up = Kind::Copy(CopyWay::HostToDevice);
    let critical = |rows: &[ShortRow]| {
        rows.iter()
            .filter(|row| row.0 == Class::Critical)
            .map(|row| (row.1, row.2.clone(), row.3, row.4.clone()))
            .collect::<Vec<_>>()
    };
    let (rows, seen, _) = judged(recorded!("bypass-of-the-ledger"));
    assert_eq!(
        critical(&rows),
        [(
            up,
            "unknown".to_owned(),
            5,
            "unaccounted: not announced by the engine".to_owned()
        )]
    );
    assert_eq!(seen.unaccounted, 5);
    let (rows, seen, _) = judged(recorded!("copy-in-a-graph"));
    assert_eq!(
        critical(&rows),
        [(
            up,
            "pack".to_owned(),
            5,
            "unaccounted: a node of a captured graph".to_owned()
        )]
    );
    assert_eq!(seen.unaccounted, 5);
}
