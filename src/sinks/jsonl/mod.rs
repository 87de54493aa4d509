//! `detections.jsonl`: one line a frame.

mod line;
mod lines;
mod text;

pub use line::{ObjectLine, RecordLine, RleLine, SourceFacts};
pub(crate) use line::{box_area, plain_number};
pub(crate) use lines::Lines;
pub(crate) use text::{facts_of, line_of};
pub use text::{read_record, write_record};
