//! How bad an activity is, and the same ones of many frames as one row.

use super::{
    attribute::{self, Attributed},
    record::{CopyWay, MemoryKind, WaitKind, What},
};
use crate::{engine::Span, session::Stage};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// The one span with a transfer to the device: the frame's.
const DECODE: Span = Stage::Decode.span();
/// The one span with a transfer to the host and a wait for it: the packed result's.
const PACK: Span = Stage::Pack.span();

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Data between host and device, or a wait of the host, between source and result; pageable memory; anything unaccounted.
    Critical,
    /// A copy on the device, an allocation or loading of code in steady state.
    Moderate,
    /// The frame's upload, the packed result, the wait for it, and the video decoder's wait for a picture.
    Legitimate,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A copy.
    Copy(CopyWay),
    /// The host waited.
    HostWait,
    /// A video decoder waited for a picture that it was asked for, before there is a frame.
    DecoderWait,
    /// Memory was taken.
    Allocation,
    /// Code was loaded.
    LoadedCode,
}

/// One activity, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub class: Class,
    /// What was done.
    pub kind: Kind,
    /// Host memory of a copy.
    pub host_memory: Option<MemoryKind>,
    /// The span; `None` if it is not known.
    pub span: Option<Span>,
    /// The frame.
    pub frame: u64,
    /// Bytes; 0 for waits.
    pub bytes: u64,
    /// When it began, by CUPTI's clock, in nanoseconds.
    pub start: u64,
    /// Where in the code it was announced (`file:line`), else the call that asked for it.
    pub place: String,
    /// Whether the ledger announced it: a copy, the move that a wait is made in, or the picture that a decoder waits for.
    pub accounted: bool,
    /// Why it is of its class.
    pub reason: &'static str,
}

/// Judges the activities of the frames in `steady`, in order of time.
pub fn classify(attributed: &[Attributed], steady: &Range<u64>) -> Vec<Finding> {
    let of_steady =
        |(_, a): &(usize, &Attributed)| a.frame.is_some_and(|frame| steady.contains(&frame));
    let mut in_time: Vec<(usize, &Attributed)> =
        attributed.iter().enumerate().filter(of_steady).collect();
    in_time.sort_by_key(|(_, a)| a.activity.start);
    // What a frame may do once.
    let (mut once, waits) = (BTreeSet::new(), decoder_waits(attributed));
    in_time
        .into_iter()
        .filter_map(|(at, a)| judge(a, &mut once, waits.contains(&at)))
        .collect()
}

fn judge(a: &Attributed, once: &mut BTreeSet<(u64, Kind)>, decoder_waits: bool) -> Option<Finding> {
    let frame = a.frame?;
    let (kind, host_memory, bytes) = match &a.activity.what {
        What::Copy {
            way,
            from,
            to,
            bytes,
        } => {
            let host = match way {
                CopyWay::HostToDevice => Some(*from),
                CopyWay::DeviceToHost => Some(*to),
                _ => None,
            };
            (Kind::Copy(*way), host, *bytes)
        }
        What::Wait {
            kind: WaitKind::StreamForEvent,
        } => return None,
        What::Wait { .. } => (Kind::HostWait, None, 0),
        What::Memory {
            allocation: true,
            bytes,
            ..
        } => (Kind::Allocation, None, *bytes),
        What::Call { name, .. } if attribute::waits(name) => (Kind::HostWait, None, 0),
        What::Call { name, .. } if attribute::loads_code(name) => (Kind::LoadedCode, None, 0),
        _ => return None,
    };
    let kind = if kind == Kind::HostWait && decoder_waits {
        Kind::DecoderWait
    } else {
        kind
    };
    let (class, reason) = match kind {
        Kind::Copy(way @ (CopyWay::HostToDevice | CopyWay::DeviceToHost)) => {
            crossing(a, way, host_memory, frame, once)
        }
        Kind::Copy(CopyWay::DeviceToDevice) => (Class::Moderate, "staging on the device"),
        Kind::Copy(CopyWay::PeerToPeer) => (Class::Moderate, "between devices"),
        Kind::Copy(CopyWay::HostToHost) => (Class::Moderate, "within the host, by the driver"),
        Kind::Copy(CopyWay::Unknown) => (
            Class::Critical,
            "a copy of which the driver does not say from where to where",
        ),
        Kind::HostWait => match a.span {
            Some(PACK) if once.insert((frame, kind)) => (Class::Legitimate, "waits for the result"),
            Some(PACK) => (
                Class::Critical,
                "more than one wait for the result of a frame",
            ),
            Some(_) => (Class::Critical, "the host waits between source and result"),
            None => (
                Class::Critical,
                "unaccounted: the host waits outside of all stages",
            ),
        },
        Kind::DecoderWait => (
            Class::Legitimate,
            "the video decoder waits for a picture, before there is a frame",
        ),
        Kind::Allocation => (Class::Moderate, "allocation in steady state"),
        Kind::LoadedCode => (Class::Moderate, "code loaded in steady state"),
    };
    let place = match (&a.announced, &a.call) {
        (Some(moved), _) => format!("{}:{}", moved.place.file(), moved.place.line()),
        (None, Some(call)) => call.clone(),
        (None, None) => String::new(),
    };
    let (start, accounted) = (
        a.activity.start,
        a.announced.is_some() || kind == Kind::DecoderWait,
    );
    Some(Finding {
        class,
        kind,
        host_memory,
        span: a.span,
        frame,
        bytes,
        start,
        place,
        accounted,
        reason,
    })
}

/// Pictures that a decoder may have ready before they are asked for.
const PICTURES_AHEAD: u64 = 1;

/// Places of the waits that a video decoder may make: one for each picture that it was asked for so far, and for those ahead.
fn decoder_waits(attributed: &[Attributed]) -> BTreeSet<usize> {
    let waits = |a: &Attributed| match &a.activity.what {
        What::Wait { kind } => *kind != WaitKind::StreamForEvent,
        What::Call { name, .. } => attribute::waits(name),
        _ => false,
    };
    let of_pictures = |(at, a): (usize, &Attributed)| {
        Some((a.activity.start, at, a.picture.filter(|_| waits(a))?))
    };
    let mut in_time: Vec<(u64, usize, u64)> = attributed
        .iter()
        .enumerate()
        .filter_map(of_pictures)
        .collect();
    in_time.sort_unstable();
    let mut allowed = BTreeSet::new();
    for (_, at, picture) in in_time {
        if (allowed.len() as u64) < picture + PICTURES_AHEAD {
            allowed.insert(at);
        }
    }
    allowed
}

/// A copy between host and device.
fn crossing(
    a: &Attributed,
    way: CopyWay,
    host: Option<MemoryKind>,
    frame: u64,
    once: &mut BTreeSet<(u64, Kind)>,
) -> (Class, &'static str) {
    let Some(moved) = &a.announced else {
        let reason = if a.in_graph() {
            "unaccounted: a node of a captured graph"
        } else {
            "unaccounted: not announced by the engine"
        };
        return (Class::Critical, reason);
    };
    match host {
        Some(MemoryKind::Pinned) => {}
        Some(MemoryKind::Pageable) => return (Class::Critical, "pageable host memory"),
        _ => return (Class::Critical, "host memory that is not pinned"),
    }
    let allowed = match way {
        CopyWay::HostToDevice => DECODE,
        _ => PACK,
    };
    match (moved.span == allowed, way) {
        (true, _) if once.insert((frame, Kind::Copy(way))) => {
            let reason = if way == CopyWay::HostToDevice {
                "the frame's upload"
            } else {
                "the packed result"
            };
            (Class::Legitimate, reason)
        }
        (true, CopyWay::HostToDevice) => (Class::Critical, "more than one upload of a frame"),
        (true, _) => (
            Class::Critical,
            "more than one copy of the result of a frame",
        ),
        (false, _) => (Class::Critical, "between source and result"),
    }
}

/// Alike findings of many frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// Whether the ledger announced it: a copy, the move that a wait is made in, or the picture that a decoder waits for.
    pub accounted: bool,
    /// Where in the code it was announced (`file:line`), else the call that asked for it, else empty.
    pub place: String,
    /// Why it is of its class.
    pub reason: String,
}

/// Findings as rows, worst first; `frames` is the number of steady-state frames.
pub fn rows(findings: &[Finding], frames: u64) -> Vec<Row> {
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
pub fn chains(findings: &[Finding]) -> Vec<Chain> {
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
