//! Live: frames as they arrive, results out while they are current.

mod event;
mod input;
mod output;
mod result;

pub use event::LiveEvent;
pub use input::{Arrival, LiveInput, Received, ReceivedFrame};
pub use output::LiveOutput;
pub use result::{LiveFigures, LiveFrame, LiveTimes};
