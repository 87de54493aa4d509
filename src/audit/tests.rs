//! Recorded activities, read, attributed, judged and reported.

use super::{
    report::{announced, graphs, observed},
    work_log::{ClockAlone, WorkLog},
    *,
};
use crate::{
    engine::{Direction, Engine, GraphContents, Move, Span},
    session::Stage,
};
use record::{Activity, CopyWay, MemoryKind, Names, WaitKind, What, kind};
use std::{collections::BTreeMap, ops::Range, panic::Location, sync::Arc};

const CLEAN: &[u8] = include_bytes!("../../tests/fixtures/cupti/clean.cupti");
const PLANTED: &[u8] = include_bytes!("../../tests/fixtures/cupti/planted.cupti");
/// Frame 1 is warm-up.
pub(super) const STEADY: Range<u64> = 2..4;

/// The works that the fixtures' ids mean: five a frame, frames 0 to 3.
pub(super) fn works() -> Works {
    let mut works = Vec::new();
    for frame in 0..4u64 {
        let t = frame * 10_000;
        let mut work = |stage, moved: Option<(Direction, u64)>, start, end| {
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
                end: t + end,
            });
        };
        work(Stage::Preprocess.span(), None, 90, 190);
        work(
            Stage::Decode.span(),
            Some((Direction::HostToDevice, 100)),
            100,
            120,
        );
        work(Stage::Detect.span(), None, 195, 2490);
        work(Stage::Encode.span(), None, 2500, 2700);
        work(
            Stage::Pack.span(),
            Some((Direction::DeviceToHost, 40)),
            3000,
            3100,
        );
    }
    Works {
        works,
        ..Works::default()
    }
}

fn node_stages() -> BTreeMap<u64, Span> {
    [
        (0x100, Stage::Detect.span()),
        (0x200, Stage::Encode.span()),
        (0x300, Stage::Encode.span()),
    ]
    .into()
}

fn attributed(bytes: &[u8]) -> Vec<Attributed> {
    let recording = Recording::from_bytes(bytes).unwrap();
    attribute(recording.activities().unwrap(), &works(), &node_stages())
}

fn of<'a>(findings: &'a [Finding], reason: &str) -> Vec<&'a Finding> {
    findings
        .iter()
        .filter(|f| f.reason.contains(reason))
        .collect()
}

#[test]
fn records_of_both_cuda_versions_are_read_alike() {
    let clean = Recording::from_bytes(CLEAN).unwrap().activities().unwrap();
    let kernels: Vec<&Activity> = clean
        .iter()
        .filter(|a| matches!(a.what, What::Kernel { .. }))
        .collect();
    assert_eq!(kernels.len(), 6);
    assert!(kernels.iter().all(|k| k.what
        == What::Kernel {
            name: "depthwise_3x3".into()
        }
        && k.stream == Some(7)));
    assert_eq!(
        (kernels[1].start, kernels[1].end, kernels[1].graph_node),
        (11_300, 12_300, 0x200)
    );
    let upload = What::Copy {
        way: CopyWay::HostToDevice,
        from: MemoryKind::Pinned,
        to: MemoryKind::Device,
        bytes: 100,
    };
    for bytes in [CLEAN, PLANTED] {
        let activities = Recording::from_bytes(bytes).unwrap().activities().unwrap();
        assert_eq!(activities.iter().filter(|a| a.what == upload).count(), 3);
        assert!(
            activities
                .iter()
                .any(|a| a.what == What::Memset { bytes: 32 })
        );
        let launches = |a: &&Activity| matches!(&a.what, What::Call { name, thread: 4242 } if name == "cuGraphLaunch");
        assert_eq!(activities.iter().filter(launches).count(), 3);
        assert!(
            activities
                .iter()
                .all(|a| a.what != What::External { id: 77 }),
            "the id of another tool"
        );
    }
    let planted = Recording::from_bytes(PLANTED)
        .unwrap()
        .activities()
        .unwrap();
    let taken = What::Memory {
        allocation: true,
        memory: MemoryKind::Device,
        bytes: 4096,
    };
    assert_eq!(planted.iter().filter(|a| a.what == taken).count(), 1);
}

#[test]
fn records_that_are_cut_are_errors_and_unknown_kinds_are_left_out() {
    let names = Recording::default();
    for (kind, size) in [
        (kind::MEMCPY, 71),
        (kind::CONCURRENT_KERNEL, 151),
        (kind::SYNCHRONIZATION, 35),
        (kind::MEMORY2, 63),
    ] {
        let mut record = vec![0u8; size];
        record[..4].copy_from_slice(&kind.to_ne_bytes());
        assert_eq!(Activity::parse(&record, &names).unwrap_err().found, size);
        record.push(0);
        assert!(
            Activity::parse(&record, &names).is_ok(),
            "kind {kind} of {} bytes",
            size + 1
        );
    }
    assert_eq!(Activity::parse(&[9, 0, 0, 0], &names), Ok(None));
    assert!(Activity::parse(&[1, 0], &names).is_err());
    assert!(Activity::parse(&[], &names).is_err());
}

#[test]
fn calls_without_a_name_keep_their_number_and_odd_numbers_are_unknown() {
    let names = Recording::default();
    assert_eq!(names.call(false, 5), None);
    let record = |kind: u32, fields: &[(usize, u32)]| {
        let mut record = vec![0u8; 96];
        record[..4].copy_from_slice(&kind.to_ne_bytes());
        fields
            .iter()
            .for_each(|(at, value)| record[*at..at + 4].copy_from_slice(&value.to_ne_bytes()));
        Activity::parse(&record, &names).unwrap().unwrap().what
    };
    assert_eq!(
        record(kind::RUNTIME, &[(4, 9), (28, 3)]),
        What::Call {
            name: "cbid 9".into(),
            thread: 3
        }
    );
    assert_eq!(
        record(kind::SYNCHRONIZATION, &[(4, 99)]),
        What::Wait {
            kind: WaitKind::Unknown
        }
    );
    let unknown = What::Copy {
        way: CopyWay::Unknown,
        from: MemoryKind::Unknown,
        to: MemoryKind::Unknown,
        bytes: 0,
    };
    assert_eq!(record(kind::MEMCPY, &[(4, 0x00ff_ffff)]), unknown);
}

#[test]
fn a_recording_survives_its_file_and_damage_is_found() {
    let recording = Recording::from_bytes(PLANTED).unwrap();
    assert!(!recording.is_empty());
    assert_eq!(
        Recording::from_bytes(&recording.to_bytes()).unwrap(),
        recording
    );
    assert_eq!(
        Recording::from_bytes(b"RIFF").unwrap_err(),
        RecordingError::Magic
    );
    for cut in [CLEAN.len() - 1, 9, 12] {
        assert!(
            matches!(
                Recording::from_bytes(&CLEAN[..cut]),
                Err(RecordingError::Damaged(_))
            ),
            "{cut}"
        );
    }
    let mut odd = CLEAN[..8].to_vec();
    odd.extend(b"X\0\0\0\0");
    assert_eq!(
        Recording::from_bytes(&odd).unwrap_err(),
        RecordingError::Damaged(8)
    );
}

#[test]
fn work_in_a_graph_belongs_to_the_stage_that_captured_it_and_the_frame_that_launched_it() {
    let all = attributed(CLEAN);
    let kernels: Vec<_> = all
        .iter()
        .filter(|a| a.in_graph())
        .map(|a| (a.span.unwrap(), a.frame.unwrap()))
        .collect();
    let expected: Vec<_> = (1..4)
        .flat_map(|frame| [(Stage::Detect.span(), frame), (Stage::Encode.span(), frame)])
        .collect();
    assert_eq!(kernels, expected);
    let without_nodes = attribute(
        Recording::from_bytes(CLEAN).unwrap().activities().unwrap(),
        &works(),
        &BTreeMap::new(),
    );
    assert!(
        without_nodes
            .iter()
            .filter(|a| a.in_graph())
            .all(|a| a.span == Some(Stage::Detect.span())),
        "else the launching stage"
    );
}

#[test]
fn a_resident_pipeline_has_only_legitimate_findings() {
    let all = attributed(CLEAN);
    let findings = classify(&all, &STEADY);
    assert!(
        findings.iter().all(|f| f.class == Class::Legitimate),
        "{findings:#?}"
    );
    // An upload, a result and a wait for it, in each of two frames.
    assert_eq!(findings.len(), 6);
    assert!(
        findings
            .iter()
            .filter(|f| f.kind != Kind::HostWait)
            .all(|f| f.place.contains("tests.rs:"))
    );
    let (seen, measured) = observed(&all, &works(), &STEADY, &[]);
    assert_eq!(
        (measured.critical, measured.syncs, measured.resident),
        (Some(0), Some(1), Some(1.0))
    );
    assert_eq!((seen.frames, seen.unaccounted), (2, 0));
    let each = seen.per_frame;
    assert_eq!(
        (
            each.uploads,
            each.upload_bytes,
            each.downloads,
            each.download_bytes
        ),
        (1.0, 100.0, 1.0, 40.0)
    );
    assert_eq!(
        (
            each.kernels,
            each.graph_launches,
            each.host_waits,
            each.memsets
        ),
        (2.0, 1.0, 1.0, 1.0)
    );
    assert!(seen.chains.is_empty());
    let detect = seen.stages.iter().find(|s| s.stage == "detect").unwrap();
    assert!((detect.device_ms - 0.001).abs() < 1e-9, "{detect:?}");
}

#[test]
fn every_planted_fault_is_found_in_its_stage_and_frame() {
    let all = attributed(PLANTED);
    let findings = classify(&all, &STEADY);
    assert!(
        findings
            .iter()
            .filter(|f| f.class != Class::Legitimate)
            .all(|f| f.frame == 3)
    );
    let critical: Vec<_> = findings
        .iter()
        .filter(|f| f.class == Class::Critical)
        .map(|f| (f.kind, f.span, f.bytes))
        .collect();
    let (up, down) = (
        Kind::Copy(CopyWay::HostToDevice),
        Kind::Copy(CopyWay::DeviceToHost),
    );
    let expected = [
        (down, Some(Stage::Detect.span()), 24),
        (Kind::HostWait, Some(Stage::Detect.span()), 0),
        (Kind::HostWait, Some(Stage::Detect.span()), 0),
        (up, Some(Stage::Encode.span()), 24),
        (up, Some(Stage::Encode.span()), 8),
        (up, None, 16),
    ];
    assert_eq!(critical, expected);
    assert_eq!(of(&findings, "node of a captured graph").len(), 1);
    let moderate: Vec<_> = findings
        .iter()
        .filter(|f| f.class == Class::Moderate)
        .map(|f| (f.kind, f.bytes))
        .collect();
    assert_eq!(
        moderate,
        [
            (Kind::Copy(CopyWay::DeviceToDevice), 64),
            (Kind::Allocation, 4096),
            (Kind::LoadedCode, 0)
        ]
    );
    let (seen, measured) = observed(&all, &works(), &STEADY, &[]);
    assert_eq!(
        (measured.critical, measured.syncs, seen.unaccounted),
        (Some(6), Some(3), 4)
    );
    // Decode, preprocess and pack of five stages.
    assert_eq!(measured.resident, Some(0.6));
    let chain = seen.chains.first().unwrap();
    assert_eq!(
        (
            chain.down.as_str(),
            chain.up.as_str(),
            chain.frames,
            chain.bytes_down,
            chain.bytes_up
        ),
        ("detect", "segment", 1, 24.0, 24.0)
    );
    assert_eq!(seen.chains.len(), 1);
    assert_eq!(
        seen.rows.first().map(|row| row.class),
        Some(Class::Critical),
        "worst first"
    );
}

#[test]
fn announced_moves_must_fit_be_pinned_and_come_once() {
    let copy = |way, host, bytes, correlation| {
        let (from, to) = if way == CopyWay::HostToDevice {
            (host, MemoryKind::Device)
        } else {
            (MemoryKind::Device, host)
        };
        Activity {
            what: What::Copy {
                way,
                from,
                to,
                bytes,
            },
            start: 30_105,
            end: 30_106,
            correlation,
            stream: None,
            graph_node: 0,
        }
    };
    let id = |id, correlation| Activity {
        what: What::External { id },
        start: 0,
        end: 0,
        correlation,
        stream: None,
        graph_node: 0,
    };
    let judge = |activities: Vec<Activity>| {
        classify(&attribute(activities, &works(), &BTreeMap::new()), &STEADY)
            .into_iter()
            .map(|f| (f.class, f.reason))
            .collect::<Vec<_>>()
    };
    let up = |host, bytes| judge(vec![id(17, 1), copy(CopyWay::HostToDevice, host, bytes, 1)]);
    assert_eq!(
        up(MemoryKind::Pinned, 100),
        [(Class::Legitimate, "the frame's upload")]
    );
    assert_eq!(
        up(MemoryKind::Pageable, 100),
        [(Class::Critical, "pageable host memory")]
    );
    assert_eq!(
        up(MemoryKind::Unknown, 100),
        [(Class::Critical, "host memory that is not pinned")]
    );
    assert_eq!(
        up(MemoryKind::Pinned, 99),
        [(Class::Critical, "unaccounted: not announced by the engine")]
    );
    let against = judge(vec![
        id(17, 1),
        copy(CopyWay::DeviceToHost, MemoryKind::Pinned, 100, 1),
    ]);
    assert_eq!(
        against,
        [(Class::Critical, "unaccounted: not announced by the engine")]
    );
    let twice = [
        copy(CopyWay::HostToDevice, MemoryKind::Pinned, 100, 1),
        copy(CopyWay::HostToDevice, MemoryKind::Pinned, 100, 2),
    ];
    let one_announcement = judge([vec![id(17, 1), id(17, 2)], twice.to_vec()].concat());
    assert_eq!(
        one_announcement[1],
        (Class::Critical, "unaccounted: not announced by the engine")
    );
}

#[test]
fn a_host_function_in_a_graph_is_critical() {
    let contents = GraphContents {
        nodes: 3,
        kernels: 1,
        host_functions: 1,
        copies: vec![(None, 8)],
        ..GraphContents::default()
    };
    let captured = Works {
        graphs: vec![CapturedGraph {
            spans: [Stage::Masks.span(), Stage::Encode.span()].into(),
            contents,
        }],
        ..works()
    };
    let of_driver = graphs(&captured);
    assert_eq!(
        (
            of_driver[0].stage.as_str(),
            of_driver[0].host_copies,
            of_driver[0].device_copies
        ),
        ("segment, mask", 0, 1)
    );
    let (_, measured) = observed(&attributed(CLEAN), &captured, &STEADY, &of_driver);
    assert_eq!(measured.critical, Some(1));
}

#[test]
fn the_log_keeps_what_the_engine_announces_also_on_the_cpu() {
    let (engine, log) = (
        Engine::cpu(),
        Arc::new(WorkLog::new(Box::new(ClockAlone::new()), 3)),
    );
    assert!(engine.watch(log.clone()));
    let line = line!() + 2;
    for frame in 0..5 {
        let upload = || engine.upload_u8(Stage::Decode, &[1, 2, 3], &[3]);
        let tensor = Engine::in_frame(frame, || engine.within(Stage::Preprocess, upload)).unwrap();
        assert_eq!(tensor.elem_count(), 3);
    }
    let works = log.take();
    assert_eq!(works.works.len(), 6);
    assert!(works.works.iter().all(|work| work.end >= work.start));
    let rows = announced(&works, &(1..3), 2);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(
        (
            rows[0].stage.as_str(),
            rows[0].per_frame,
            rows[0].bytes_per_frame
        ),
        ("decode", 1.0, 3.0)
    );
    assert_eq!(rows[0].place, format!("{}:{line}", file!()));
}

/// A report of everything at once.
fn report(verdict: Verdict) -> AuditReport {
    let all = attributed(PLANTED);
    let (mut observed, measured) = observed(&all, &works(), &STEADY, &[]);
    observed.profiler = "CUPTI <130001> \"a&b\"".to_owned();
    let sample = |at: u32| Sample {
        seconds: f64::from(at),
        frame: at.into(),
        host_mb: Some(100.0 + f64::from(at)),
        device_mb: None,
        latency_ms: 2.5,
    };
    let mode = ModeReport {
        mode: Mode::Legacy,
        observed: Some(observed),
        announced: announced(&works(), &STEADY, 2),
        graphs: Vec::new(),
        latency: Latency {
            frames: 2,
            median_ms: 2.5,
            p90_ms: 3.0,
            p99_ms: 3.5,
            max_ms: 4.0,
        },
        seconds: 1.0,
        samples: (0..5).map(sample).collect(),
        measured,
        problems: 0,
    };
    let bounds = Bounds::default();
    AuditReport {
        version: "0".into(),
        date: "2020-01-01T00:00:00Z".into(),
        device: "cuda:0".into(),
        warm_up: 1,
        compared: Some(ModeReport {
            observed: None,
            ..mode.clone()
        }),
        kpis: kpis(&measured, &bounds, true),
        bounds,
        verdict,
        audited: mode,
        not_observed: vec!["<script>alert(1)</script>".into()],
    }
}

#[test]
fn the_published_reports_are_read_and_say_what_the_documents_say() {
    let read = |text: &str| -> AuditReport { serde_json::from_str(text).unwrap() };
    let report = read(include_str!("../../docs/audit/h100.json"));
    let latency = read(include_str!("../../docs/audit/h100-latency.json"));
    let cpu_decoding = read(include_str!("../../docs/audit/h100-cpu-decoding.json"));
    for report in [&report, &latency, &cpu_decoding] {
        assert_eq!(
            (report.verdict, report.not_observed.as_slice()),
            (Verdict::Pass, &[][..])
        );
        for mode in std::iter::once(&report.audited).chain(&report.compared) {
            let seen = mode.observed.as_ref().unwrap();
            assert_eq!(
                (seen.frames, seen.dropped, seen.unaccounted),
                (200, 0, 0),
                "{:?}",
                mode.mode
            );
        }
        let each = report.audited.observed.as_ref().unwrap().per_frame;
        assert_eq!(
            (
                each.downloads,
                each.host_waits,
                report.audited.measured.critical
            ),
            (1.0, 1.0, Some(0))
        );
    }
    let uploads =
        |report: &AuditReport| report.audited.observed.as_ref().unwrap().per_frame.uploads;
    assert_eq!(
        [&report, &latency, &cpu_decoding].map(uploads),
        [0.0, 0.0, 1.0]
    );
    assert_eq!(
        (report.compared.as_ref().unwrap().mode, report.audited.mode),
        (Mode::Legacy, Mode::Resident)
    );
    let documents = [
        include_str!("../../docs/audit.md"),
        include_str!("../../README.md"),
    ];
    for (report, figure, shown) in [
        (&report, "critical a frame", ["8.0", "0.0"]),
        (&report, "uploads a frame", ["1.0", "0.0"]),
        (&report, "downloads a frame", ["4.0", "1.0"]),
        (&report, "host waits a frame", ["4.0", "1.0"]),
        (&report, "latency, median, ms", ["3.17", "3.89"]),
        (&latency, "latency, median, ms", ["3.16", "2.55"]),
    ] {
        let text = to_text(report);
        let line = text.lines().find(|line| line.starts_with(figure)).unwrap();
        assert_eq!(
            line.split_whitespace().rev().take(2).collect::<Vec<_>>(),
            [shown[1], shown[0]],
            "{line}"
        );
        let told = if shown[1].len() > 3 {
            shown[1]
        } else {
            shown[0]
        };
        assert!(
            documents
                .iter()
                .all(|document| document.contains(&format!("| {told}"))),
            "{figure} in the documents"
        );
    }
}

#[test]
fn the_report_is_the_same_after_json() {
    let report = report(Verdict::Fail);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<AuditReport>(&text).unwrap(), report);
    for part in [
        r#""verdict":"fail""#,
        r#""kind":{"copy":"host-to-device"}"#,
        r#""holds":"not-observed""#,
        r#""class":"critical""#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn the_text_names_each_fault_each_bound_and_the_verdict() {
    let text = to_text(&report(Verdict::Fail));
    for part in [
        "unaccounted: a node of a captured graph",
        "chain: 24 B down in detect, 24 B up again in segment",
        "--max-critical",
        "at least 0.90",
        "verdict: fail",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

/// Whether every tag of a page is closed in order and nothing is fetched from elsewhere.
fn check_page(page: &str) -> Result<usize, String> {
    let (mut open, mut tags, mut rest) =
        (Vec::new(), 0, page.trim_start_matches("<!doctype html>"));
    while let Some(at) = rest.find('<') {
        if rest[..at].contains('>') {
            return Err(format!("a stray > in {:?}", &rest[..at]));
        }
        let end = rest[at..].find('>').ok_or("a tag without end")? + at;
        let tag = &rest[at + 1..end];
        tags += 1;
        if let Some(name) = tag.strip_prefix('/') {
            let expected = open.pop();
            if expected != Some(name) {
                return Err(format!("</{name}> closes {expected:?}"));
            }
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap_or_default());
        }
        if tag.contains("src=") || tag.contains("href=") {
            return Err(format!("<{tag}> needs something else"));
        }
        rest = &rest[end + 1..];
    }
    if open.is_empty() {
        Ok(tags)
    } else {
        Err(format!("never closed: {open:?}"))
    }
}

#[test]
fn the_page_is_well_formed_safe_and_needs_nothing_else() {
    let page = to_html(&report(Verdict::NotProven));
    let tags = check_page(&page).unwrap();
    assert!(tags > 100, "{tags} tags");
    assert!(
        page.contains("&lt;script&gt;") && !page.contains("<script"),
        "text is escaped"
    );
    assert!(page.contains("CUPTI &lt;130001&gt; &quot;a&amp;b&quot;"));
    // Host memory and latency of both modes; device memory was not sampled.
    assert_eq!(page.matches("<svg").count(), 4);
    assert!(
        check_page("<!doctype html><p><b></p></b>").is_err(),
        "the check itself"
    );
}
