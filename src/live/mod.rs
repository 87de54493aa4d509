//! Live: frames as they arrive, results out while they are current.

mod builder;
mod counters;
mod error;
mod event;
mod file;
mod input;
mod intake;
mod kpi;
mod mailbox;
mod meter;
mod openigtlink;
mod outlet;
mod output;
mod plan;
mod queued;
mod record;
mod result;
mod run;
mod source;
mod stream;
mod summary;
#[cfg(test)]
mod tests;

pub use builder::Live;
pub use error::LiveError;
pub use event::LiveEvent;
pub use file::FileInput;
pub use input::{Arrival, LiveInput, Received, ReceivedFrame};
pub use kpi::KpiOutput;
pub use meter::{Latency, SendMeter};
pub use openigtlink::{
    DeviceNames, IgtlAddress, IgtlAddressError, IgtlError, IgtlInput, IgtlInputOptions, IgtlOutput,
    IgtlOutputOptions, MaskValues, PictureSent,
};
pub use output::{LiveOutput, LiveStream};
pub use queued::{Queued, WhenFull};
pub use record::{RecordSummary, Recorder};
pub use result::{LiveFigures, LiveFrame, LiveTimes};
pub use source::LiveSource;
pub use stream::StreamInput;
pub use summary::LiveSummary;
