//! Stands in for `cupti` in a build without CUDA: there is nothing to capture.

use super::{AuditError, recording::Recording, work_log::Ids};
use crate::engine::Stage;
use std::collections::BTreeMap;

/// Never made in this build.
#[derive(Debug, Clone, Default)]
pub(crate) struct Captured {
    pub(crate) recording: Recording,
    pub(crate) node_stages: BTreeMap<u64, Stage>,
    pub(crate) dropped: u64,
    pub(crate) gaps: Vec<String>,
    pub(crate) profiler: String,
}

/// Cannot be started in this build.
#[derive(Debug)]
pub(crate) enum Session {}

impl Session {
    pub(crate) fn start() -> Result<Self, AuditError> {
        Err(AuditError::NoCupti("this build has no CUDA support".to_owned()))
    }

    pub(crate) fn ids() -> Box<dyn Ids> {
        Box::new(super::work_log::ClockAlone::new())
    }

    pub(crate) fn stop(self) -> Result<Captured, AuditError> {
        match self {}
    }
}

// Its search for the library needs none to be tested.
#[cfg(test)]
#[path = "cupti/search.rs"]
mod search;
