//! One object found in a frame.

use super::{Mask, track::ObjectTrack};
use crate::geometry::BoxXyxy;
use std::sync::Arc;

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
    /// Its track, where objects are tracked.
    pub track: Option<ObjectTrack>,
}
