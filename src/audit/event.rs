//! The events of an audit.

use crate::progress::Observer;

/// An event of an audit.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum AuditEvent<'a> {
    /// A pass over the sources begins.
    PassBegan {
        /// What the pass is, such as `resident`.
        name: &'a str,
        /// Number of frames that it will compute, warm-up included, where it is known.
        frames: Option<u64>,
    },
    /// A frame of the pass is done; warm-up frames count too.
    FrameDone,
}

/// Receives the events of an audit, in order, on the writing thread of the pass.
pub type AuditObserver = dyn for<'a> Observer<AuditEvent<'a>>;
