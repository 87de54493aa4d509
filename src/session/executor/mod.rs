//! What runs the models on frames.

pub(crate) mod interface;
pub(crate) mod on_thread;
pub(crate) mod resident;
pub(crate) mod staged;
