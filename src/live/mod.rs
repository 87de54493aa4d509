//! Live: frames as they arrive, results out while they are current.

mod event;
mod input;
mod meter;
mod output;
mod result;

pub use event::LiveEvent;
pub use input::{Arrival, LiveInput, Received, ReceivedFrame};
pub use meter::{Latency, SendMeter};
pub use output::{LiveOutput, LiveStream};
pub use result::{LiveFigures, LiveFrame, LiveTimes};
