//! One capture: kinds of records enabled, buffers given and taken, ids pushed, nodes of graphs told apart.

#![allow(unsafe_code)]

use super::library::{
    self, GraphData, Library, MAX_LIMIT_REACHED, ResourceData, Subscriber, text_at,
};
use crate::{
    audit::{
        AuditError,
        captured::Captured,
        record::{CUSTOM0, kind},
        work_log::{self, Ids},
    },
    engine::Span,
};
use std::{
    alloc::{Layout, alloc, dealloc},
    collections::{BTreeMap, BTreeSet},
    ffi::{c_char, c_void},
    sync::{Mutex, PoisonError},
};

/// Records without which nothing can be proven.
const NEEDED: [(u32, &str); 7] = [
    (kind::MEMCPY, "copies"),
    (kind::MEMSET, "memsets"),
    (kind::CONCURRENT_KERNEL, "kernels"),
    (kind::SYNCHRONIZATION, "waits"),
    (kind::DRIVER, "driver calls"),
    (kind::RUNTIME, "runtime calls"),
    (kind::EXTERNAL_CORRELATION, "external correlation"),
];
/// Records whose absence is noted.
const WANTED: [(u32, &str); 2] = [
    (kind::MEMCPY2, "copies between devices"),
    (kind::MEMORY2, "allocations"),
];

const BUFFER_BYTES: usize = 8 << 20;
const BUFFER_ALIGNMENT: usize = 16;

const RESOURCE_DOMAIN: u32 = 3;
const NODE_CREATED: u32 = 13;
const NODE_CLONED: u32 = 20;

/// What the callbacks collect; none outside of a session.
static STATE: Mutex<Option<State>> = Mutex::new(None);

#[derive(Default)]
struct State {
    captured: Captured,
    calls: BTreeSet<(bool, u32)>,
    unreadable: u64,
}

fn with_state(work: impl FnOnce(&mut State)) {
    if let Some(state) = STATE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .as_mut()
    {
        work(state);
    }
}

/// A running capture. Only one at a time.
#[derive(Debug)]
pub(crate) struct Session {
    subscriber: usize,
    enabled: Vec<u32>,
    stopped: bool,
}

impl Session {
    /// Starts to capture.
    pub(crate) fn start() -> Result<Self, AuditError> {
        let cupti = library::library()?;
        *STATE.lock().unwrap_or_else(PoisonError::into_inner) = Some(State::default());
        let mut session = Self {
            subscriber: 0,
            enabled: Vec::new(),
            stopped: false,
        };
        let mut subscriber: Subscriber = std::ptr::null_mut();
        // SAFETY: the callbacks are functions that live as long as the program, and touch only `STATE` and their arguments.
        unsafe {
            cupti.check(
                "cuptiSubscribe",
                (cupti.subscribe)(&raw mut subscriber, on_callback, std::ptr::null_mut()),
            )?;
            session.subscriber = subscriber as usize;
            for number in [NODE_CREATED, NODE_CLONED] {
                cupti.check(
                    "cuptiEnableCallback",
                    (cupti.enable_callback)(1, subscriber, RESOURCE_DOMAIN, number),
                )?;
            }
            cupti.check(
                "cuptiActivityRegisterCallbacks",
                (cupti.register)(request_buffer, buffer_complete),
            )?;
            for (kind, what) in NEEDED {
                cupti.check(what, (cupti.enable)(kind))?;
                session.enabled.push(kind);
            }
            for (kind, what) in WANTED {
                match cupti.check(what, (cupti.enable)(kind)) {
                    Ok(()) => session.enabled.push(kind),
                    Err(error) => with_state(|state| state.captured.gaps.push(error.to_string())),
                }
            }
        }
        Ok(session)
    }

    /// Tells CUPTI the ids of works.
    pub(crate) fn ids() -> Box<dyn Ids> {
        Box::new(CuptiIds)
    }

    /// Ends the capture. The device must have done all that was asked of it.
    pub(crate) fn stop(mut self) -> Result<Captured, AuditError> {
        let cupti = library::library()?;
        self.detach(cupti)?;
        let state = STATE
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or_default();
        let mut captured = state.captured;
        for (runtime, number) in state.calls {
            captured
                .recording
                .note_call(runtime, number, || cupti.call_name(runtime, number));
        }
        if state.unreadable > 0 {
            captured.gaps.push(format!(
                "{} buffers of records could not be read to their end",
                state.unreadable
            ));
        }
        captured.profiler = cupti.describe();
        Ok(captured)
    }

    fn detach(&mut self, cupti: &Library) -> Result<(), AuditError> {
        if std::mem::replace(&mut self.stopped, true) {
            return Ok(());
        }
        let mut dropped = 0usize;
        // SAFETY: the flag asks for all buffers, also those that are not full; the subscriber is this session's.
        unsafe {
            let flushed = (cupti.flush)(1);
            for kind in &self.enabled {
                let _ = (cupti.disable)(*kind);
            }
            if self.subscriber != 0 {
                let _ = (cupti.unsubscribe)(self.subscriber as Subscriber);
            }
            let _ = (cupti.dropped)(std::ptr::null_mut(), 0, &raw mut dropped);
            with_state(|state| state.captured.dropped += dropped as u64);
            cupti.check("cuptiActivityFlushAll", flushed)
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(cupti) = library::loaded() {
            let _ = self.detach(cupti);
        }
    }
}

#[derive(Debug)]
struct CuptiIds;

impl Ids for CuptiIds {
    fn push(&self, id: u64) {
        if let Some(cupti) = library::loaded() {
            // SAFETY: plain numbers.
            unsafe { (cupti.push_id)(CUSTOM0, id) };
        }
    }

    fn pop(&self) {
        if let Some(cupti) = library::loaded() {
            let mut last = 0u64;
            // SAFETY: writes one number.
            unsafe { (cupti.pop_id)(CUSTOM0, &raw mut last) };
        }
    }

    fn now(&self) -> u64 {
        let mut now = 0u64;
        if let Some(cupti) = library::loaded() {
            // SAFETY: writes one number.
            unsafe { (cupti.timestamp)(&raw mut now) };
        }
        now
    }
}

extern "C" fn request_buffer(buffer: *mut *mut u8, size: *mut usize, most_records: *mut usize) {
    let Ok(layout) = Layout::from_size_align(BUFFER_BYTES, BUFFER_ALIGNMENT) else {
        return;
    };
    // SAFETY: CUPTI gives three places to write to; a null buffer tells it that there is none.
    unsafe {
        *buffer = alloc(layout);
        *size = if (*buffer).is_null() { 0 } else { BUFFER_BYTES };
        *most_records = 0;
    }
}

extern "C" fn buffer_complete(
    context: *mut c_void,
    stream: u32,
    buffer: *mut u8,
    _size: usize,
    valid: usize,
) {
    if buffer.is_null() {
        return;
    }
    if let Some(cupti) = library::loaded() {
        let mut dropped = 0usize;
        // SAFETY: CUPTI gives back a buffer of `request_buffer` of which `valid` bytes are records.
        unsafe {
            let _ = (cupti.dropped)(context, stream, &raw mut dropped);
            let bytes = std::slice::from_raw_parts(buffer, valid.min(BUFFER_BYTES));
            let (starts, complete) = starts(cupti, buffer, valid);
            with_state(|state| {
                state.captured.dropped += dropped as u64;
                state.unreadable += u64::from(!complete);
                let ends = starts.iter().skip(1).copied().chain([valid]);
                for record in starts
                    .iter()
                    .zip(ends)
                    .filter_map(|(start, end)| bytes.get(*start..end))
                {
                    take(state, record);
                }
            });
        }
    }
    if let Ok(layout) = Layout::from_size_align(BUFFER_BYTES, BUFFER_ALIGNMENT) {
        // SAFETY: allocated by `request_buffer` with this layout, and not used by CUPTI any more.
        unsafe { dealloc(buffer, layout) };
    }
}

/// Where the records of a buffer begin, and whether the last one was reached.
///
/// # Safety
/// `buffer` has `valid` bytes of records.
unsafe fn starts(cupti: &Library, buffer: *mut u8, valid: usize) -> (Vec<usize>, bool) {
    let (mut starts, mut record) = (Vec::new(), std::ptr::null_mut());
    if valid == 0 {
        return (starts, true);
    }
    loop {
        // SAFETY: as the caller promises; `record` is null or what the last call gave.
        let status = unsafe { (cupti.next_record)(buffer, valid, &raw mut record) };
        let offset = (record as usize)
            .checked_sub(buffer as usize)
            .filter(|offset| *offset < valid);
        match (status, offset) {
            (0, Some(offset)) if starts.last().is_none_or(|last| *last < offset) => {
                starts.push(offset)
            }
            (status, _) => return (starts, status == MAX_LIMIT_REACHED),
        }
    }
}

/// Keeps a record, and the names it points to while they are there.
fn take(state: &mut State, record: &[u8]) {
    let number = |at: usize| {
        record
            .get(at..)
            .and_then(|rest| rest.first_chunk::<4>())
            .map_or(0, |b| u32::from_ne_bytes(*b))
    };
    match number(0) {
        kind::DRIVER | kind::RUNTIME => {
            state.calls.insert((number(0) == kind::RUNTIME, number(4)));
        }
        kind::CONCURRENT_KERNEL => {
            let address = record
                .get(104..)
                .and_then(|rest| rest.first_chunk::<8>())
                .map_or(0, |b| u64::from_ne_bytes(*b));
            // SAFETY: the name of a kernel is a C string that lives as long as the kernel's module.
            state
                .captured
                .recording
                .note_text(address, || unsafe { text_at(address as *const c_char) });
        }
        _ => {}
    }
    state.captured.recording.push(record);
}

/// Notes the span in which a node of a graph is made, and hands it on to the node's copies in executable graphs.
extern "C" fn on_callback(_: *mut c_void, domain: u32, number: u32, data: *const c_void) {
    let Some(cupti) = library::loaded().filter(|_| domain == RESOURCE_DOMAIN && !data.is_null())
    else {
        return;
    };
    // SAFETY: in this domain the data are `CUpti_ResourceData`, and for nodes the descriptor is `CUpti_GraphData`.
    let (id, original) = unsafe {
        let graph = (*data.cast::<ResourceData>())
            .descriptor
            .cast::<GraphData>();
        if graph.is_null() {
            return;
        }
        let id_of = |node: *mut c_void| {
            let mut id = 0u64;
            (!node.is_null() && (cupti.graph_node_id)(node, &raw mut id) == 0).then_some(id)
        };
        (
            id_of((*graph).node),
            if number == NODE_CLONED {
                id_of((*graph).original_node)
            } else {
                None
            },
        )
    };
    let Some(id) = id else { return };
    with_state(|state| {
        let spans: &mut BTreeMap<u64, Span> = &mut state.captured.node_spans;
        let span = original
            .and_then(|original| spans.get(&original).copied())
            .or_else(work_log::captures_node);
        if let Some(span) = span {
            spans.insert(id, span);
        }
    });
}
