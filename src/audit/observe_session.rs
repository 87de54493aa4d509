//! A session of the caller's, run under CUPTI and judged.

use super::{AuditError, Observation, observe};
use crate::session::Session;
use std::{cell::RefCell, ops::Range};

/// Runs `work` on the session that `open` opens under CUPTI, and judges its frames in `steady`. A session numbers its frames from 0, in the
/// order in which its methods take them; the first ones load code and capture graphs, and are better left out. Let `work` take one frame more
/// than is judged, which ends the last one.
///
/// [`super::PerFrame`] has the counts: [`Session::run_on_device`] makes 0 uploads, 0 downloads and 0 waits of the host a frame;
/// [`Session::stream`] 1 each with frames of the host in batches of 1.
///
/// ```no_run
/// # use ultramotion::{Session, audit::{observe_session, AuditError}};
/// # fn frame() -> candle_core::Tensor { unimplemented!() }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let frame = frame();
/// let seen = observe_session::<Box<dyn std::error::Error>>(
///     3..8,
///     || Ok(Session::builder().build()?),
///     |session| {
///         for _ in 0..9 {
///             session.run_on_device(&frame)?;
///         }
///         Ok(())
///     },
/// )?;
/// let each = seen.observed.per_frame;
/// assert!(seen.gaps.is_empty());
/// assert_eq!((each.uploads, each.downloads, each.host_waits), (0.0, 0.0, 0.0));
/// # Ok(())
/// # }
/// ```
///
/// CUPTI must be attached before the program opens the GPU for the first time; only one observation at a time in a program.
///
/// # Errors
/// Those of `open` and `work`, and [`AuditError`] if CUPTI cannot be used.
pub fn observe_session<E: From<AuditError>>(
    steady: Range<u64>,
    open: impl FnOnce() -> Result<Session, E>,
    work: impl FnOnce(&mut Session) -> Result<(), E>,
) -> Result<Observation, E> {
    let session = RefCell::new(None);
    let open = || {
        let opened = open()?;
        let engine = opened.engine().clone();
        session.replace(Some(opened));
        Ok(engine)
    };
    observe(steady, open, |_| match session.take() {
        Some(mut session) => work(&mut session),
        None => Ok(()),
    })
}
