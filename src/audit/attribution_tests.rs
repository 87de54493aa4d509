//! Which work, stage and frame activities belong to: recordings of a GPU, and frames that overlap.

use super::{
    report::observed,
    tests::{STEADY, works},
    *,
};
use crate::{
    engine::{Direction, Move, Span},
    session::Stage,
};
use record::{Activity, CopyWay, MemoryKind, WaitKind, What};
use std::{collections::BTreeMap, ops::Range, panic::Location};

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
            include_bytes!(concat!("../../tests/fixtures/cupti/h100/", $case, ".cupti")),
            include_str!(concat!("../../tests/fixtures/cupti/h100/", $case, ".json")),
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

#[test]
fn overlapping_frames_are_told_apart_by_correlation_not_by_time() {
    let (mut works, mut activities) = (Vec::new(), Vec::new());
    let mut correlation = 0;
    for frame in 0..4u64 {
        let t = frame * 100;
        let mut work = |stage,
                        frame,
                        moved: Option<(Direction, u64)>,
                        start: u64,
                        made: Vec<(&str, What, u64, u64)>| {
            let moved = moved.map(|(direction, bytes)| Move {
                span: stage,
                frame: Some(frame),
                direction,
                bytes,
                place: Location::caller(),
            });
            works.push(LoggedWork {
                span: stage,
                frame: Some(frame),
                moved,
                decodes: false,
                start: t + start,
                end: t + start + 9,
            });
            for (call, what, delay, graph_node) in made {
                correlation += 1;
                let at = |what, start: u64| Activity {
                    what,
                    start,
                    end: start + 1,
                    correlation,
                    stream: None,
                    graph_node: 0,
                };
                activities.push(at(
                    What::External {
                        id: works.len() as u64,
                    },
                    0,
                ));
                activities.push(at(
                    What::Call {
                        name: call.to_owned(),
                        thread: 1,
                    },
                    t + start + 1,
                ));
                // The device does it when the host is frames further on.
                activities.push(Activity {
                    graph_node,
                    ..at(what, t + start + delay)
                });
            }
        };
        let copy = |way, from, to| What::Copy {
            way,
            from,
            to,
            bytes: 64,
        };
        let (pinned, device) = (MemoryKind::Pinned, MemoryKind::Device);
        let up = copy(CopyWay::HostToDevice, pinned, device);
        work(
            Stage::Decode.span(),
            frame,
            Some((Direction::HostToDevice, 64)),
            10,
            vec![("cuMemcpyHtoDAsync_v2", up, 250, 0)],
        );
        let kernel = What::Kernel {
            name: "k".to_owned(),
        };
        let wait = |kind| What::Wait { kind };
        let launch = vec![
            ("cuStreamWaitEvent", wait(WaitKind::StreamForEvent), 2, 0),
            ("cuGraphLaunch", kernel, 260, 7),
        ];
        work(Stage::Detect.span(), frame, None, 20, launch);
        let down = copy(CopyWay::DeviceToHost, device, pinned);
        work(
            Stage::Pack.span(),
            frame,
            Some((Direction::DeviceToHost, 64)),
            30,
            vec![("cuMemcpyDtoHAsync_v2", down, 280, 0)],
        );
        if let Some(before) = frame.checked_sub(1) {
            let asked = vec![
                ("cuEventQuery", wait(WaitKind::Event), 2, 0),
                ("cuEventSynchronize", wait(WaitKind::Event), 4, 0),
            ];
            work(Stage::Pack.span(), before, None, 50, asked);
        }
    }
    let works = Works {
        works,
        ..Works::default()
    };
    let all = attribute(activities, &works, &[(7, Stage::Detect.span())].into());
    let findings = classify(&all, &(1..3));
    assert!(
        findings.iter().all(|f| f.class == Class::Legitimate),
        "{findings:#?}"
    );
    for frame in 1..3 {
        let of_frame: Vec<Kind> = findings
            .iter()
            .filter(|f| f.frame == frame)
            .map(|f| f.kind)
            .collect();
        let (up, down) = (
            Kind::Copy(CopyWay::HostToDevice),
            Kind::Copy(CopyWay::DeviceToHost),
        );
        assert_eq!(
            of_frame,
            [Kind::HostWait, up, down],
            "frame {frame}: the wait was made before the device did the work"
        );
        let kernels = all
            .iter()
            .filter(|a| {
                a.in_graph() && a.frame == Some(frame) && a.span == Some(Stage::Detect.span())
            })
            .count();
        assert_eq!(kernels, 1);
    }
}

#[test]
fn what_is_done_outside_of_works_belongs_to_the_frame_that_began_last_until_the_log_ends() {
    let copy = |at: u64, correlation| {
        let what = What::Copy {
            way: CopyWay::HostToDevice,
            from: MemoryKind::Pageable,
            to: MemoryKind::Device,
            bytes: 8,
        };
        Activity {
            what,
            start: at,
            end: at + 1,
            correlation,
            stream: None,
            graph_node: 0,
        }
    };
    let frames = |works: &Works| {
        let all = attribute(
            vec![copy(25_000, 1), copy(39_000, 2), copy(45_000, 3)],
            works,
            &BTreeMap::new(),
        );
        all.iter().map(|a| a.frame).collect::<Vec<_>>()
    };
    assert_eq!(
        frames(&works()),
        [Some(2), None, None],
        "after the last work of all"
    );
    assert_eq!(
        frames(&Works {
            beyond: Some(40_000),
            ..works()
        }),
        [Some(2), Some(3), None]
    );
}

#[test]
fn work_of_no_frame_is_judged_once_frames_have_begun() {
    let judge = |start: u64| {
        let mut works = works();
        works.works.push(LoggedWork {
            span: Stage::Load.span(),
            frame: None,
            moved: None,
            decodes: false,
            start,
            end: start + 9,
        });
        let id = works.works.len() as u64;
        let what = What::Copy {
            way: CopyWay::HostToDevice,
            from: MemoryKind::Pinned,
            to: MemoryKind::Device,
            bytes: 8,
        };
        let external = Activity {
            what: What::External { id },
            start: 0,
            end: 0,
            correlation: 1,
            stream: None,
            graph_node: 0,
        };
        let copy = Activity {
            what,
            start: start + 1,
            end: start + 2,
            ..external.clone()
        };
        classify(
            &attribute(vec![external, copy], &works, &BTreeMap::new()),
            &STEADY,
        )
    };
    assert_eq!(judge(50), [], "before the first frame");
    let late = judge(25_000);
    assert_eq!(
        late.iter()
            .map(|f| (f.class, f.frame, f.span))
            .collect::<Vec<_>>(),
        [(Class::Critical, 2, Some(Stage::Load.span()))]
    );
}
