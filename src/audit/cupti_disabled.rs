//! Stands in for `cupti` in a build without CUDA: there is nothing to capture.

use super::{AuditError, captured::Captured, work_log::Ids};

/// Cannot be started in this build.
#[derive(Debug)]
pub(crate) enum Session {}

impl Session {
    pub(crate) fn start() -> Result<Self, AuditError> {
        Err(AuditError::NoCupti(
            "this build has no CUDA support".to_owned(),
        ))
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
