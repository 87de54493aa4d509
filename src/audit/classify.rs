//! How bad an activity is, and the same ones of many frames as one row.

use super::{
    attribute::{self, Attributed},
    record::{CopyWay, MemoryKind, WaitKind, What},
};
use crate::{engine::Span, session::Stage};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, ops::Range};

/// The one span with a transfer to the device: the frame's.
pub(super) const DECODE: Span = Stage::Decode.span();
/// The one span with a transfer to the host and a wait for it: the packed result's.
const PACK: Span = Stage::Pack.span();

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
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
#[non_exhaustive]
pub enum Kind {
    /// A copy.
    Copy(CopyWay),
    /// The host waited.
    HostWait,
    /// A video decoder waited for a requested picture, before there is a frame.
    DecoderWait,
    /// Memory was taken.
    Allocation,
    /// Code was loaded.
    LoadedCode,
}

/// One activity, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// How bad.
    pub(super) class: Class,
    /// What was done.
    pub(super) kind: Kind,
    /// Host memory of a copy.
    pub(super) host_memory: Option<MemoryKind>,
    /// The span; `None` if it is not known.
    pub(super) span: Option<Span>,
    /// The frame.
    pub(super) frame: u64,
    /// Bytes; 0 for waits.
    pub(super) bytes: u64,
    /// When it began, by CUPTI's clock, in nanoseconds.
    pub(super) start: u64,
    /// Where in the code it was announced (`file:line`), else the call of driver or runtime.
    pub(super) place: String,
    /// Whether the engine announced it: a copy, the move that a wait is made in, or the picture that a decoder waits for.
    pub(super) accounted: bool,
    /// Why it is of its class.
    pub(super) reason: &'static str,
}

/// Judges the activities of the frames in `steady`, in order of time.
pub(super) fn classify(attributed: &[Attributed], steady: &Range<u64>) -> Vec<Finding> {
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
    let (kind, host_memory, bytes) = what_was_done(&a.activity.what)?;
    let kind = if kind == Kind::HostWait && decoder_waits {
        Kind::DecoderWait
    } else {
        kind
    };
    let (class, reason) = class_of(a, (kind, host_memory, frame), once);
    let place = match (&a.announced, &a.call) {
        (Some(moved), _) => format!("{}:{}", moved.place.file(), moved.place.line()),
        (None, Some(call)) => call.clone(),
        (None, None) => String::new(),
    };
    Some(Finding {
        class,
        kind,
        host_memory,
        span: a.span,
        frame,
        bytes,
        start: a.activity.start,
        place,
        accounted: a.announced.is_some() || kind == Kind::DecoderWait,
        reason,
    })
}

/// Kind, host memory and bytes of an activity that is judged; `None` for others.
fn what_was_done(what: &What) -> Option<(Kind, Option<MemoryKind>, u64)> {
    Some(match what {
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
    })
}

/// The class of an activity and its reason; `once` holds what each frame did once so far.
fn class_of(
    a: &Attributed,
    (kind, host_memory, frame): (Kind, Option<MemoryKind>, u64),
    once: &mut BTreeSet<(u64, Kind)>,
) -> (Class, &'static str) {
    match kind {
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
    }
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
