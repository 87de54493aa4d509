//! Lines to and from text.

use super::line::{RecordLine, SourceFacts};
use crate::frame::{Detections, Frame, SourceInfo};

/// The line of a frame, with its newline; none if a box or score is not finite, which JSON cannot hold.
pub fn write_record(frame: &Frame, found: &Detections) -> Option<String> {
    text_of(&RecordLine::new(frame, found, None)?)
}

/// The line of a frame, with facts about its source.
pub(crate) fn line_of(
    frame: &Frame,
    found: &Detections,
    facts: Option<SourceFacts>,
) -> Option<String> {
    text_of(&RecordLine::new(frame, found, facts)?)
}

fn text_of(line: &RecordLine<'_>) -> Option<String> {
    let mut text = serde_json::to_string(line).ok()?;
    text.push('\n');
    Some(text)
}

/// The objects that a line was written from, equal in every bit.
///
/// # Errors
/// What is wrong with the line, in words.
pub fn read_record(line: &str) -> Result<Detections, String> {
    serde_json::from_str::<RecordLine<'_>>(line)
        .map_err(|e| e.to_string())?
        .detections()
}

pub(crate) fn facts_of(source: &SourceInfo) -> SourceFacts {
    SourceFacts {
        frame_rate: source.frame_rate.filter(|r| r.is_finite()),
        attributes: source.attributes.clone(),
    }
}
