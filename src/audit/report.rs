//! Everything an audit found, as it is printed with `--json`.

use super::{
    attribute::{self, Attributed},
    classify::{self, Class, Finding, Kind},
    record::{CopyWay, What},
    rows::{self, Chain, Row},
    series::{Latency, Sample},
    verdict::{Bounds, Kpi, Measured, Verdict},
    work_log::Works,
};
use crate::{
    engine::{Direction, Span},
    session::{Mode, Stage},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// An audit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AuditReport {
    /// Version of ultramotion.
    pub version: String,
    /// When it ended, RFC 3339, UTC.
    pub date: String,
    /// The device: `cpu` or `cuda:N`.
    pub device: String,
    /// Frames before steady state.
    pub warm_up: u64,
    /// The mode that is judged.
    pub audited: ModeReport,
    /// The mode it is compared with.
    pub compared: Option<ModeReport>,
    /// The bounds.
    pub bounds: Bounds,
    /// Figures of the audited mode with their bounds.
    pub kpis: Vec<Kpi>,
    /// What follows.
    pub verdict: Verdict,
    /// What could not be observed, and why.
    pub not_observed: Vec<String>,
}

/// What one mode did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ModeReport {
    /// The mode.
    pub mode: Mode,
    /// The driver's records; none where they could not be had.
    pub observed: Option<Observed>,
    /// The engine's own announcements in steady state.
    pub announced: Vec<Announced>,
    /// Graphs that were captured, as the driver describes their nodes.
    pub graphs: Vec<Graph>,
    /// Time from decoded frame to result, without a profiler.
    pub latency: Latency,
    /// Seconds of steady state that `latency` and `samples` are from.
    pub seconds: f64,
    /// Memory and latency over that time.
    pub samples: Vec<Sample>,
    /// What is held against the bounds.
    pub measured: Measured,
    /// Inputs and frames that failed.
    pub problems: u64,
}

/// What the driver's records say of the steady-state frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Observed {
    /// CUPTI's version and file.
    pub profiler: String,
    /// Steady-state frames.
    pub frames: u64,
    /// Records of the whole pass, warm-up and loading included.
    pub records: u64,
    /// Records that CUPTI lost; with any, nothing is proven.
    pub dropped: u64,
    /// Findings, worst first.
    pub rows: Vec<Row>,
    /// Data that went down and came up again.
    pub chains: Vec<Chain>,
    /// Copies between host and device that the engine did not announce, and waits of the host outside of all stages.
    pub unaccounted: u64,
    /// Averages a steady-state frame.
    pub per_frame: PerFrame,
    /// The stages that did something.
    pub stages: Vec<StageReport>,
}

/// Averages a steady-state frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PerFrame {
    /// Copies from host to device.
    pub uploads: f64,
    /// Their bytes.
    pub upload_bytes: f64,
    /// Copies from device to host.
    pub downloads: f64,
    /// Their bytes.
    pub download_bytes: f64,
    /// Copies on the device.
    pub device_copies: f64,
    /// Waits of the host.
    pub host_waits: f64,
    /// Waits of a video decoder for its pictures, which are none of the above.
    pub decoder_waits: f64,
    /// Fills of memory.
    pub memsets: f64,
    /// Kernels, those of graphs included.
    pub kernels: f64,
    /// Launches of graphs.
    pub graph_launches: f64,
    /// Allocations.
    pub allocations: f64,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StageReport {
    /// Its name; `unknown` for records that belong to no stage.
    pub stage: String,
    /// Kernels a steady-state frame.
    pub kernels: f64,
    /// Time of its kernels, copies and fills on the device, a steady-state frame, in milliseconds.
    pub device_ms: f64,
    /// Critical findings over all steady-state frames.
    pub critical: u64,
}

/// Alike announcements of many frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Announced {
    /// Stage.
    pub stage: String,
    /// `host-to-device` or `device-to-host`.
    pub direction: CopyWay,
    /// Where in the code, `file:line`.
    pub place: String,
    /// Times a steady-state frame, on average.
    pub per_frame: f64,
    /// Bytes a steady-state frame, on average.
    pub bytes_per_frame: f64,
}

/// A captured graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Graph {
    /// Stage that its nodes were captured in, by commas, or `unknown`.
    pub stage: String,
    /// Nodes.
    pub nodes: u64,
    /// Kernels.
    pub kernels: u64,
    /// Fills of memory.
    pub memsets: u64,
    /// Functions on the host: the device waits for it.
    pub host_functions: u64,
    /// Copies between host and device.
    pub host_copies: u64,
    /// Copies on the device.
    pub device_copies: u64,
}

/// The announcements of the frames in `steady`.
pub(super) fn announced(works: &Works, steady: &Range<u64>, frames: u64) -> Vec<Announced> {
    let mut groups: BTreeMap<(Span, Direction, String), (u64, u64)> = BTreeMap::new();
    for moved in works.works.iter().filter_map(|work| work.moved) {
        if moved.frame.is_some_and(|frame| steady.contains(&frame)) {
            let place = format!("{}:{}", moved.place.file(), moved.place.line());
            let group = groups
                .entry((moved.span, moved.direction, place))
                .or_default();
            *group = (group.0 + 1, group.1.saturating_add(moved.bytes));
        }
    }
    let each = |n: u64| n as f64 / frames.max(1) as f64;
    let direction = |direction| match direction {
        Direction::HostToDevice => CopyWay::HostToDevice,
        Direction::DeviceToHost => CopyWay::DeviceToHost,
    };
    let row = |((stage, way, place), (count, bytes)): ((Span, Direction, String), (u64, u64))| {
        Announced {
            stage: stage.name().to_owned(),
            direction: direction(way),
            place,
            per_frame: each(count),
            bytes_per_frame: each(bytes),
        }
    };
    groups.into_iter().map(row).collect()
}

/// The captured graphs.
pub(super) fn graphs(works: &Works) -> Vec<Graph> {
    let graph = |graph: &super::work_log::CapturedGraph| {
        let contents = &graph.contents;
        let host_copies = contents
            .copies
            .iter()
            .filter(|(direction, _)| direction.is_some())
            .count();
        Graph {
            stage: match graph.spans.is_empty() {
                true => rows::stage_name(None),
                false => graph
                    .spans
                    .iter()
                    .map(|span| span.name())
                    .collect::<Vec<_>>()
                    .join(", "),
            },
            nodes: contents.nodes as u64,
            kernels: contents.kernels as u64,
            memsets: contents.memsets as u64,
            host_functions: contents.host_functions as u64,
            host_copies: host_copies as u64,
            device_copies: (contents.copies.len() - host_copies) as u64,
        }
    };
    works.graphs.iter().map(graph).collect()
}

/// What the records of the frames in `steady` come to, with `graphs` as read from the driver.
pub(super) fn observed(
    attributed: &[Attributed],
    works: &Works,
    steady: &Range<u64>,
    graphs: &[Graph],
) -> (Observed, Measured) {
    let findings = classify::classify(attributed, steady);
    let in_steady = |frame: Option<u64>| frame.is_some_and(|frame| steady.contains(&frame));
    let frames = works
        .works
        .iter()
        .filter_map(|work| work.frame)
        .filter(|frame| steady.contains(frame))
        .collect::<BTreeSet<_>>()
        .len() as u64;
    let of_steady: Vec<&Attributed> = attributed.iter().filter(|a| in_steady(a.frame)).collect();
    let stages = stages(&of_steady, works, &findings, steady, frames);
    let critical = findings
        .iter()
        .filter(|f| f.class == Class::Critical)
        .count() as u64;
    // A function on the host within a graph leaves no record of its own.
    let host_functions: u64 = graphs.iter().map(|graph| graph.host_functions).sum();
    let mut waits: BTreeMap<u64, u64> = BTreeMap::new();
    findings
        .iter()
        .filter(|f| f.kind == Kind::HostWait)
        .for_each(|f| *waits.entry(f.frame).or_default() += 1);
    // Files are written on the host: they are no stage of the device.
    let known: Vec<&StageReport> = stages
        .iter()
        .filter(|s| s.stage != "unknown" && s.stage != Stage::Write.span().name())
        .collect();
    let measured = Measured {
        critical: Some(critical + host_functions),
        syncs: Some(waits.values().max().copied().unwrap_or(0)),
        resident: (!known.is_empty())
            .then(|| known.iter().filter(|s| s.critical == 0).count() as f64 / known.len() as f64),
        ..Measured::default()
    };
    let observed = Observed {
        profiler: String::new(),
        frames,
        records: 0,
        dropped: 0,
        rows: rows::rows(&findings, frames),
        chains: rows::chains(&findings),
        unaccounted: findings.iter().filter(|f| is_unaccounted(f)).count() as u64,
        per_frame: per_frame(&of_steady, &findings, frames),
        stages,
    };
    (observed, measured)
}

fn is_unaccounted(f: &Finding) -> bool {
    match f.kind {
        Kind::Copy(CopyWay::HostToDevice | CopyWay::DeviceToHost) => !f.accounted,
        Kind::HostWait => f.span.is_none(),
        _ => false,
    }
}

fn per_frame(of_steady: &[&Attributed], findings: &[Finding], frames: u64) -> PerFrame {
    let each = |n: f64| n / frames.max(1) as f64;
    let count = |kind: Kind| each(findings.iter().filter(|f| f.kind == kind).count() as f64);
    let bytes = |kind: Kind| {
        each(
            findings
                .iter()
                .filter(|f| f.kind == kind)
                .map(|f| f.bytes as f64)
                .fold(0.0, |a, b| a + b),
        )
    };
    let all = |is: &dyn Fn(&What) -> bool| {
        each(of_steady.iter().filter(|a| is(&a.activity.what)).count() as f64)
    };
    let (up, down) = (
        Kind::Copy(CopyWay::HostToDevice),
        Kind::Copy(CopyWay::DeviceToHost),
    );
    PerFrame {
        uploads: count(up),
        upload_bytes: bytes(up),
        downloads: count(down),
        download_bytes: bytes(down),
        device_copies: count(Kind::Copy(CopyWay::DeviceToDevice)),
        host_waits: count(Kind::HostWait),
        decoder_waits: count(Kind::DecoderWait),
        memsets: all(&|what| matches!(what, What::Memset { .. })),
        kernels: all(&|what| matches!(what, What::Kernel { .. })),
        graph_launches: all(
            &|what| matches!(what, What::Call { name, .. } if attribute::launches_graph(name)),
        ),
        allocations: count(Kind::Allocation),
    }
}

fn stages(
    of_steady: &[&Attributed],
    works: &Works,
    findings: &[Finding],
    steady: &Range<u64>,
    frames: u64,
) -> Vec<StageReport> {
    let mut all: BTreeMap<Option<Span>, (u64, u64, u64)> = BTreeMap::new();
    for work in works
        .works
        .iter()
        .filter(|work| work.frame.is_some_and(|frame| steady.contains(&frame)))
    {
        all.entry(Some(work.span)).or_default();
    }
    for a in of_steady {
        let busy = match a.activity.what {
            What::Kernel { .. } | What::Copy { .. } | What::Memset { .. } => {
                a.activity.end.saturating_sub(a.activity.start)
            }
            _ => continue,
        };
        let stage = all.entry(a.span).or_default();
        stage.0 += u64::from(matches!(a.activity.what, What::Kernel { .. }));
        stage.1 = stage.1.saturating_add(busy);
    }
    for finding in findings.iter().filter(|f| f.class == Class::Critical) {
        all.entry(finding.span).or_default().2 += 1;
    }
    let each = |n: f64| n / frames.max(1) as f64;
    let stage =
        |(stage, (kernels, nanos, critical)): (Option<Span>, (u64, u64, u64))| StageReport {
            stage: rows::stage_name(stage),
            kernels: each(kernels as f64),
            device_ms: each(nanos as f64 / 1e6),
            critical,
        };
    all.into_iter().map(stage).collect()
}
