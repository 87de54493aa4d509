//! Lines to and from text.

use super::line::{RecordLine, SourceFacts};
use crate::frame::{Frame, FrameResult, Physical, SourceInfo};

/// The line of a frame, with its newline; none if a box or score is not finite, which JSON cannot hold.
pub fn write_record(
    source: &SourceInfo,
    physical: Option<&Physical>,
    result: &FrameResult,
) -> Option<String> {
    text_of(&RecordLine::new(source, physical, result, None)?)
}

pub(crate) fn line_of(
    frame: &Frame,
    result: &FrameResult,
    facts: Option<SourceFacts>,
) -> Option<String> {
    let line = RecordLine::new(&frame.source, frame.physical.as_deref(), result, facts)?;
    text_of(&RecordLine {
        exif_orientation: frame.exif_orientation,
        ..line
    })
}

fn text_of(line: &RecordLine<'_>) -> Option<String> {
    let mut text = serde_json::to_string(line).ok()?;
    text.push('\n');
    Some(text)
}

/// The result that a line was written from, equal in every bit.
///
/// # Errors
/// What is wrong with the line, in words.
pub fn read_record(line: &str) -> Result<FrameResult, String> {
    serde_json::from_str::<RecordLine<'_>>(line)
        .map_err(|e| e.to_string())?
        .to_result()
}

pub(crate) fn facts_of(source: &SourceInfo) -> SourceFacts {
    SourceFacts {
        frame_rate: source.frame_rate.filter(|r| r.is_finite()),
        attributes: source.attributes.clone(),
    }
}
