//! What was found in a frame.

use super::Mask;
use crate::geometry::{BoxXyxy, Size};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// One thing found in a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Box in pixels of the frame, inside it.
    pub bbox: BoxXyxy,
    /// Confidence in 0..1: the detector's, or the prompt's own (1) where the user gave the prompt.
    pub score: f32,
    /// Class, from 0.
    pub class: u32,
    /// The class's name.
    pub label: Arc<str>,
    /// Outline at the frame's resolution, where a segmenter ran.
    pub mask: Option<Mask>,
    /// The segmenter's own estimate of its mask's IoU.
    pub mask_score: Option<f32>,
}

/// Everything found in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameResult {
    /// Position of the frame's source among the run's sources.
    pub source: usize,
    /// Number of the frame in its source.
    pub index: u64,
    /// Presentation time from the start of the source.
    pub timestamp: Option<Duration>,
    /// The file of this one frame, where a sequence has a file for each.
    pub file: Option<PathBuf>,
    /// Size of the frame.
    pub size: Size,
    /// Objects, best score first.
    pub objects: Vec<Object>,
}
