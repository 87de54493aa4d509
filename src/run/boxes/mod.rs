//! Boxes to prompt a segmenter with, read from a file: `detections.jsonl`, or COCO.

mod categories;
mod dataset;
mod frames;
mod prompts;
mod read;
mod record;

pub use frames::{FrameBoxes, OtherSize, SourceFrames};
pub use prompts::{BoxPrompt, BoxPrompts};

#[cfg(test)]
mod tests;
