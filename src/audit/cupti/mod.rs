//! The activity and callback interfaces of CUPTI, NVIDIA's library that says what the driver did, loaded at run time.

mod library;
mod search;
mod session;

pub(crate) use session::Session;
