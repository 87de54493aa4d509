//! The page that shows a live loop.
//!
//! | file | what |
//! |---|---|
//! | `output.rs` | the output of the loop: keeps books, hands the newest frame to the encoder |
//! | `tally.rs` | what the page shows beside the frame: latency over minutes, tracks, events |
//! | `outline.rs`, `picture.rs` | outlines of masks; the frame as JPEG |
//! | `message.rs` | what is sent to viewers |
//! | `shared.rs`, `viewer.rs` | what the threads share; a viewer's stream |
//! | `routes.rs`, `page.html` | the calls; the page |
//!
//! A frame is encoded once for all viewers, and only while there are viewers. A viewer that reads slowly gets the newest frame
//! when it has taken the last one; it holds back nobody.

mod message;
mod outline;
mod output;
mod picture;
mod routes;
mod shared;
mod tally;
mod viewer;

pub use output::{MonitorOptions, MonitorOutput};

#[cfg(test)]
pub(super) use tally::BIN;
