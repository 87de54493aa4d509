//! Which stage and frame an activity belongs to, and whether the transfer log announced it.

use super::{
    record::{Activity, CopyWay, MemoryKind, WaitKind, What},
    work_log::{LoggedWork, Works},
};
use crate::engine::{Direction, Move, Span};
use std::collections::{BTreeMap, BTreeSet};

/// An activity with what is known of where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attributed {
    /// The activity.
    pub(super) activity: Activity,
    /// The span it was requested in; `None` if no work was open on the thread that requested it.
    pub(super) span: Option<Span>,
    /// The frame; where no work was going on, or work of no frame, the frame that began last before.
    pub(super) frame: Option<u64>,
    /// The engine's announcement: of a copy, if it is in the announced direction and of the announced bytes; of a wait, if it is
    /// made in an announced move.
    pub(super) announced: Option<Move>,
    /// Where it was made in work that asks a video decoder for a picture: the how manieth such work it is, from 1.
    pub(super) picture: Option<u64>,
    /// The call of driver or runtime that caused it.
    pub(super) call: Option<String>,
}

impl Attributed {
    /// Whether a captured graph did it.
    pub(super) fn in_graph(&self) -> bool {
        self.activity.graph_node != 0
    }
}

/// Says of each activity where it comes from. Ids and calls are used up by that; of calls remain those that `keeps_call` names.
///
/// The id that a call was made under is that of the innermost work. Nodes of a graph share the launch's id, which gives the
/// frame; their span is the one they were captured in, by `node_spans`, else the launch's. A copy is announced if its work is an
/// announced move of the same direction and bytes, each for one copy. A copy to pageable memory makes the host wait: there is a wait
/// beside it where the records have none.
pub(super) fn attribute(
    activities: Vec<Activity>,
    works: &Works,
    node_spans: &BTreeMap<u64, Span>,
) -> Vec<Attributed> {
    let mut index = Index::of(&activities);
    let implied = index.implied_waits(&activities);
    let kept: Vec<Activity> = activities
        .into_iter()
        .filter(|activity| index.keeps(activity))
        .collect();
    let mut attributor = Attributor::new(index, works, node_spans);
    kept.into_iter()
        .chain(implied)
        .map(|activity| attributor.attribute(activity))
        .collect()
}

/// What correlation ids mean: each is shared by a call and what it caused.
#[derive(Default)]
struct Index {
    /// The id of the work that a call was made in.
    ids: BTreeMap<u32, u64>,
    /// The call: its name, begin and end.
    calls: BTreeMap<u32, (String, u64, u64)>,
    /// Those with a record of a wait.
    waited: BTreeSet<u32>,
}

impl Index {
    fn of(activities: &[Activity]) -> Self {
        let mut index = Self::default();
        for activity in activities.iter().filter(|a| a.correlation != 0) {
            match &activity.what {
                What::External { id } => {
                    index.ids.insert(activity.correlation, *id);
                }
                What::Call { name, .. } => {
                    let call = (name.clone(), activity.start, activity.end);
                    index.calls.insert(activity.correlation, call);
                }
                What::Wait { .. } => {
                    index.waited.insert(activity.correlation);
                }
                _ => {}
            }
        }
        index
    }

    /// The waits of copies to pageable memory that have no record.
    fn implied_waits(&self, activities: &[Activity]) -> Vec<Activity> {
        let wait = |copy: &Activity| {
            let (_, start, end) = self
                .calls
                .get(&copy.correlation)
                .filter(|(call, ..)| !waits(call))?;
            let what = What::Wait {
                kind: WaitKind::PageableCopy,
            };
            Some(Activity {
                what,
                start: *start,
                end: *end,
                ..copy.clone()
            })
        };
        activities
            .iter()
            .filter(|copy| waits_for_pageable(copy) && !self.waited.contains(&copy.correlation))
            .filter_map(wait)
            .collect()
    }

    /// Whether the activity counts by itself. Of several calls that wait under one id, the first does.
    fn keeps(&mut self, activity: &Activity) -> bool {
        match &activity.what {
            What::External { .. } => false,
            // A wait's own record says more than the call; runtime calls share the id of the driver's.
            What::Call { name, .. } => {
                keeps_call(name) && (!waits(name) || self.waited.insert(activity.correlation))
            }
            What::Wait { .. } => !self
                .calls
                .get(&activity.correlation)
                .is_some_and(|(call, ..)| asks_only(call)),
            _ => true,
        }
    }
}

/// Attributes activities one by one; each announcement is used for one copy.
struct Attributor<'a> {
    index: Index,
    works: &'a Works,
    node_spans: &'a BTreeMap<u64, Span>,
    /// Begin of each frame, by time.
    frames: Vec<(u64, Option<u64>)>,
    /// Ordinals of the works that request a picture from a decoder, from 1, by id.
    pictures: BTreeMap<u64, u64>,
    /// Ids of the works whose announcement is used.
    used: BTreeSet<u64>,
}

impl<'a> Attributor<'a> {
    fn new(index: Index, works: &'a Works, node_spans: &'a BTreeMap<u64, Span>) -> Self {
        let decodes = (1..).zip(&works.works).filter(|(_, work)| work.decodes);
        Self {
            index,
            works,
            node_spans,
            frames: frame_starts(works),
            pictures: decodes
                .zip(1..)
                .map(|((id, _), picture)| (id, picture))
                .collect(),
            used: BTreeSet::new(),
        }
    }

    fn attribute(&mut self, activity: Activity) -> Attributed {
        let id = self.index.ids.get(&activity.correlation).copied();
        let work = id.and_then(|id| self.works.of(id));
        let announced = self.announced(&activity, id, work);
        let span = self
            .node_spans
            .get(&activity.graph_node)
            .copied()
            .or(work.map(|work| work.span));
        let call = self.index.calls.get(&activity.correlation);
        let frame = match (work, call) {
            // A thread that works ahead may know no frame.
            (Some(work), _) => work.frame.or_else(|| frame_at(&self.frames, work.start)),
            // The device may run it frames later than it was requested.
            (None, Some((_, requested, _))) => frame_at(&self.frames, *requested),
            (None, None) => frame_at(&self.frames, activity.start),
        };
        let call = call.map(|(name, ..)| name.clone());
        let picture = id.and_then(|id| self.pictures.get(&id)).copied();
        Attributed {
            activity,
            span,
            frame,
            announced,
            picture,
            call,
        }
    }

    /// The announced move that the activity is, or waits in.
    fn announced(
        &mut self,
        activity: &Activity,
        id: Option<u64>,
        work: Option<&LoggedWork>,
    ) -> Option<Move> {
        match (&activity.what, work.and_then(|work| work.moved)) {
            (What::Copy { way, bytes, .. }, Some(moved))
                if activity.graph_node == 0 && fits(*way, *bytes, &moved) =>
            {
                id.filter(|id| self.used.insert(*id)).map(|_| moved)
            }
            (What::Wait { .. }, moved) => moved,
            (What::Call { name, .. }, moved) if waits(name) => moved,
            _ => None,
        }
    }
}

/// Whether it is a copy that returns to the host only when it is done. Nodes of graphs are no calls of the host.
fn waits_for_pageable(activity: &Activity) -> bool {
    let to_pageable = matches!(
        activity.what,
        What::Copy {
            way: CopyWay::DeviceToHost,
            to: MemoryKind::Pageable,
            ..
        }
    );
    to_pageable && activity.graph_node == 0
}

fn fits(way: CopyWay, bytes: u64, moved: &Move) -> bool {
    let same_way = match moved.direction {
        Direction::HostToDevice => way == CopyWay::HostToDevice,
        Direction::DeviceToHost => way == CopyWay::DeviceToHost,
    };
    same_way && bytes == moved.bytes
}

/// When the first work of each frame began, by time; at the end, when that of the first frame beyond the log did, or the last work
/// of all ended.
fn frame_starts(works: &Works) -> Vec<(u64, Option<u64>)> {
    let mut starts: BTreeMap<u64, u64> = BTreeMap::new();
    for work in &works.works {
        if let Some(frame) = work.frame {
            let start = starts.entry(frame).or_insert(work.start);
            *start = (*start).min(work.start);
        }
    }
    let end = works.beyond.or_else(|| {
        works
            .works
            .iter()
            .map(|work| work.end.saturating_add(1))
            .max()
    });
    let mut by_time: Vec<(u64, Option<u64>)> = starts
        .into_iter()
        .map(|(frame, start)| (start, Some(frame)))
        .collect();
    by_time.extend(end.map(|end| (end, None)));
    by_time.sort_unstable_by_key(|(start, _)| *start);
    by_time
}

fn frame_at(starts: &[(u64, Option<u64>)], time: u64) -> Option<u64> {
    let after = starts.partition_point(|(start, _)| *start <= time);
    after
        .checked_sub(1)
        .and_then(|at| starts.get(at))
        .and_then(|(_, frame)| *frame)
}

/// Whether a call makes the host wait for the device, whatever its arguments.
pub(super) fn waits(call: &str) -> bool {
    const WAITING: [&str; 4] = [
        "StreamSynchronize",
        "CtxSynchronize",
        "EventSynchronize",
        "DeviceSynchronize",
    ];
    let copies = call.contains("Memcpy")
        && !call.contains("Async")
        && !call.contains("Graph")
        && !call.contains("Node");
    let frees = matches!(call, "cuMemFree" | "cuMemFree_v2" | "cuMemFreeHost")
        || call.starts_with("cudaFree_")
        || call == "cudaFree";
    copies || frees || WAITING.iter().any(|part| call.contains(part))
}

/// Whether a call only asks whether the device is ready.
fn asks_only(call: &str) -> bool {
    call.contains("StreamQuery") || call.contains("EventQuery")
}

/// Whether a call launches a graph.
pub(super) fn launches_graph(call: &str) -> bool {
    call.contains("GraphLaunch")
}

/// Whether a call loads code.
pub(super) fn loads_code(call: &str) -> bool {
    ["ModuleLoad", "LibraryLoad"]
        .iter()
        .any(|part| call.contains(part))
}

/// Whether a call matters by itself.
fn keeps_call(name: &str) -> bool {
    waits(name) || launches_graph(name) || loads_code(name)
}
