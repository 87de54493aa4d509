//! Owners of the memory that surfaces lie in.

use super::StreamEvent;
use std::fmt;

/// The memory of a [`super::Surface`], with whoever it belongs to.
pub(crate) trait SurfaceMemory: fmt::Debug + Send + Sync {
    /// Takes the memory back when its surface is dropped, on the thread that drops it. The device may read the memory until all of `uses`
    /// have completed; there are none if nothing ever read it. Must not block.
    #[cfg_attr(not(feature = "cuda"), allow(dead_code))]
    fn take_back(self: Box<Self>, uses: Vec<StreamEvent>);
}
