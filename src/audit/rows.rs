//! Findings of many frames, grouped into rows and chains.

use super::{
    classify::{Class, DECODE, Finding, Kind},
    record::{CopyWay, MemoryKind},
};
use crate::engine::Span;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Alike findings of many frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Row {
    /// How bad.
    pub class: Class,
    /// What was done.
    pub kind: Kind,
    /// Stage by name, or `unknown`.
    pub stage: String,
    /// Host memory of a copy.
    pub host_memory: Option<MemoryKind>,
    /// Number of steady-state frames in which it was done.
    pub frames: u64,
    /// Number of the first of them.
    pub first_frame: u64,
    /// How many times over all.
    pub count: u64,
    /// Times a steady-state frame, on average.
    pub per_frame: f64,
    /// Bytes a steady-state frame, on average.
    pub bytes_per_frame: f64,
    /// Whether the engine announced it: a copy, the move that a wait is made in, or the picture that a decoder waits for.
    pub accounted: bool,
    /// Where in the code it was announced (`file:line`), else the call of driver or runtime, else empty.
    pub place: String,
    /// Why it is of its class.
    pub reason: String,
}

/// Findings as rows, worst first; `frames` is the number of steady-state frames.
pub(super) fn rows(findings: &[Finding], frames: u64) -> Vec<Row> {
    type Key<'a> = (
        Class,
        Kind,
        Option<Span>,
        Option<MemoryKind>,
        &'a str,
        bool,
        &'static str,
    );
    let mut groups: BTreeMap<Key<'_>, (BTreeSet<u64>, u64, u64)> = BTreeMap::new();
    for f in findings {
        let group = groups
            .entry((
                f.class,
                f.kind,
                f.span,
                f.host_memory,
                &f.place,
                f.accounted,
                f.reason,
            ))
            .or_default();
        group.0.insert(f.frame);
        group.1 += 1;
        group.2 = group.2.saturating_add(f.bytes);
    }
    let each = |n: u64| n as f64 / frames.max(1) as f64;
    let row = |(
        (class, kind, stage, host_memory, place, accounted, reason),
        (of, count, bytes),
    ): (Key<'_>, (BTreeSet<u64>, u64, u64))| Row {
        class,
        kind,
        stage: stage_name(stage),
        host_memory,
        frames: of.len() as u64,
        first_frame: of.first().copied().unwrap_or_default(),
        count,
        per_frame: each(count),
        bytes_per_frame: each(bytes),
        accounted,
        place: place.to_owned(),
        reason: reason.to_owned(),
    };
    groups.into_iter().map(row).collect()
}

pub(super) fn stage_name(stage: Option<Span>) -> String {
    stage.map_or_else(|| "unknown".to_owned(), |stage| stage.name().to_owned())
}

/// Data that went down to the host and came up again within a frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Chain {
    /// Stage in which it went down.
    pub down: String,
    /// Stage in which something came up next.
    pub up: String,
    /// Number of steady-state frames with such a chain.
    pub frames: u64,
    /// Bytes that went down, a frame with such a chain.
    pub bytes_down: f64,
    /// Bytes that came up.
    pub bytes_up: f64,
}

/// Chains: in one frame, copies down to the host followed by a copy up that is no upload of the frame (stage decode). Whether the bytes are the
/// same cannot be told; that the device waited for a round trip through the host can.
pub(super) fn chains(findings: &[Finding]) -> Vec<Chain> {
    // By stages: frames, bytes down, bytes up.
    type Chains = BTreeMap<(Option<Span>, Option<Span>), (BTreeSet<u64>, u64, u64)>;
    let mut by_frame: BTreeMap<u64, Vec<&Finding>> = BTreeMap::new();
    findings
        .iter()
        .for_each(|f| by_frame.entry(f.frame).or_default().push(f));
    let mut found = Chains::new();
    for (frame, mut of_frame) in by_frame {
        of_frame.sort_by_key(|f| f.start);
        let mut down: Option<(Option<Span>, u64)> = None;
        for f in of_frame {
            match f.kind {
                Kind::Copy(CopyWay::DeviceToHost) => {
                    down = Some((
                        f.span,
                        down.map_or(0, |(_, bytes)| bytes).saturating_add(f.bytes),
                    ));
                }
                Kind::Copy(CopyWay::HostToDevice) if f.span != Some(DECODE) => {
                    if let Some((stage, bytes)) = down.take() {
                        let chain = found.entry((stage, f.span)).or_default();
                        chain.0.insert(frame);
                        chain.1 = chain.1.saturating_add(bytes);
                        chain.2 = chain.2.saturating_add(f.bytes);
                    }
                }
                _ => {}
            }
        }
    }
    let chain = |((down, up), (frames, bytes_down, bytes_up)): (_, (BTreeSet<u64>, u64, u64))| {
        let each = |bytes: u64| bytes as f64 / frames.len().max(1) as f64;
        Chain {
            down: stage_name(down),
            up: stage_name(up),
            frames: frames.len() as u64,
            bytes_down: each(bytes_down),
            bytes_up: each(bytes_up),
        }
    };
    found.into_iter().map(chain).collect()
}
