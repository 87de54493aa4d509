//! Which findings activities are.

use super::*;

fn of<'a>(findings: &'a [Finding], reason: &str) -> Vec<&'a Finding> {
    findings
        .iter()
        .filter(|f| f.reason.contains(reason))
        .collect()
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
            .all(|f| f.place.contains("tests/mod.rs:"))
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
}

#[test]
fn planted_faults_are_counted_and_a_round_trip_is_a_chain() {
    let all = attributed(PLANTED);
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

/// A copy of `bytes` within frame 3, between the device and memory of the host of this kind.
fn copy(way: CopyWay, host: MemoryKind, bytes: u64, correlation: u32) -> Activity {
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
}

/// The announcement `id` of the call with this correlation.
fn announcement(id: u64, correlation: u32) -> Activity {
    Activity {
        what: What::External { id },
        start: 0,
        end: 0,
        correlation,
        stream: None,
        graph_node: 0,
    }
}

fn judge(activities: Vec<Activity>) -> Vec<(Class, &'static str)> {
    classify(&attribute(activities, &works(), &BTreeMap::new()), &STEADY)
        .into_iter()
        .map(|f| (f.class, f.reason))
        .collect()
}

#[test]
fn announced_moves_must_fit_be_pinned_and_come_once() {
    let up = |host, bytes| {
        judge(vec![
            announcement(17, 1),
            copy(CopyWay::HostToDevice, host, bytes, 1),
        ])
    };
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
        announcement(17, 1),
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
    let one_announcement = judge(
        [
            vec![announcement(17, 1), announcement(17, 2)],
            twice.to_vec(),
        ]
        .concat(),
    );
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
