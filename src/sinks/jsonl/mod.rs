//! `detections.jsonl`: one line a frame.

mod change;
mod line;
mod lines;
mod measured;
mod text;

pub use change::ChangeLine;
pub use line::{ObjectLine, RecordLine, SourceFacts};
pub(crate) use line::{box_area, seconds_json};
pub(crate) use lines::Lines;
pub use measured::Measured;
pub(crate) use text::{facts_of, line_of};
pub use text::{read_record, write_record};
