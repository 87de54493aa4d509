//! Work of the caller's own, run under CUPTI and judged.

use super::{
    AuditError,
    attribute::attribute,
    captured::Captured,
    cupti::Session,
    recording::Recording,
    report::{self, Announced, Graph, Observed},
    verdict::Measured,
    work_log::{WorkLog, Works},
};
use crate::{
    engine::{Engine, Span},
    text::counted,
};
use std::{collections::BTreeMap, sync::Arc};

/// What was observed of some work.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Observation {
    /// The driver's records, judged.
    pub observed: Observed,
    /// Critical findings, waits, and the share of stages on the device.
    pub measured: Measured,
    /// Captured graphs.
    pub graphs: Vec<Graph>,
    /// The engine's announcements.
    pub announced: Vec<Announced>,
    /// What could not be observed; nothing is proven unless this is empty.
    pub gaps: Vec<String>,
    /// The records that all of this follows from.
    pub capture: Capture,
}

/// The raw records of some work.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Capture {
    /// The driver's records.
    pub recording: Recording,
    /// The span in which each node of a graph was captured, by the id that records have.
    pub node_spans: BTreeMap<u64, Span>,
    /// The work that the engine announced.
    pub works: Works,
}

/// Runs `work` under CUPTI on the engine that `open` opens, and judges its frames (see [`Engine::in_frame`]) in `steady`. For loops
/// of the caller's own; [`super::run`] does it for runs. Only one at a time in a program.
///
/// # Errors
/// Those of `open` and `work`, and [`AuditError`] if CUPTI cannot be used.
pub fn observe<E: From<AuditError>>(
    steady: std::ops::Range<u64>,
    open: impl FnOnce() -> Result<Engine, E>,
    work: impl FnOnce(&Engine) -> Result<(), E>,
) -> Result<Observation, E> {
    let session = Session::start()?;
    let log = Arc::new(WorkLog::new(Session::ids(), steady.end));
    let engine = open()?;
    engine.watch(log.clone());
    work(&engine)?;
    drop(engine);
    let works = log.take();
    let graphs = report::graphs(&works);
    let captured = session.stop()?;
    let (recording, node_spans) = (captured.recording.clone(), captured.node_spans.clone());
    let (observed, measured, gaps) = judge(captured, &works, &steady, &graphs)?;
    let announced = report::announced(&works, &steady, observed.frames);
    let capture = Capture {
        recording,
        node_spans,
        works,
    };
    Ok(Observation {
        observed,
        measured,
        graphs,
        announced,
        gaps,
        capture,
    })
}

/// The judged records, the figures that follow from them, and what could not be observed.
///
/// # Errors
/// [`AuditError::Record`] for a record that cannot be read.
pub(super) fn judge(
    captured: Captured,
    works: &Works,
    steady: &std::ops::Range<u64>,
    graphs: &[Graph],
) -> Result<(Observed, Measured, Vec<String>), AuditError> {
    let attributed = attribute(
        captured.recording.activities()?,
        works,
        &captured.node_spans,
    );
    let (mut observed, measured) = report::observed(&attributed, works, steady, graphs);
    observed.profiler = captured.profiler;
    observed.records = captured.recording.len() as u64;
    observed.dropped = captured.dropped;
    let mut gaps = captured.gaps;
    if captured.dropped > 0 {
        gaps.push(format!(
            "{}: CUPTI had no room; audit fewer frames",
            counted(captured.dropped, "record")
        ));
    }
    if observed.per_frame.kernels == 0.0 {
        gaps.push(
            "kernels: CUPTI recorded none in steady state, so its other records cannot be trusted"
                .to_owned(),
        );
    }
    Ok((observed, measured, gaps))
}
