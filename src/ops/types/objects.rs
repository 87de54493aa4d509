//! Records of the objects that are chosen on a GPU.

use candle_core::Tensor;

/// Numbers before the objects of [`crate::ops::choose_objects`].
pub(in crate::ops) const HEAD: usize = 4;
/// Numbers an object.
pub(in crate::ops) const RECORD: usize = 6;

/// Which pairs of query and class become objects, and of what frame.
#[derive(Debug, Clone, Copy)]
pub struct ObjectChoice<'a> {
    /// Smallest logit of an object.
    pub min_logit: f32,
    /// Largest number of objects.
    pub max_objects: usize,
    /// For each class 1 where it may be chosen and 0 where not, `[K]` u32; all may if none.
    pub classes: Option<&'a Tensor>,
    /// The frame in pixels (height, width).
    pub frame: (usize, usize),
    /// The frame within the segmenter's input (height, width).
    pub scaled: (usize, usize),
}

/// Slots for prompts of a segmenter, filled on the device.
#[derive(Debug, Clone, Copy)]
pub struct PromptSlots<'a> {
    /// The corners of each slot's box `[slots, 4]` f32, in pixels of the segmenter's input.
    pub prompts: &'a Tensor,
    /// Where several frames share the slots.
    pub shared: Option<SharedSlots<'a>>,
}

/// Slots that the frames of a batch share: each frame's objects take the next ones, in the order of the frames. Objects beyond the last slot
/// get none.
#[derive(Debug, Clone, Copy)]
pub struct SharedSlots<'a> {
    /// `[1 + slots]` u32: number of objects so far, then the frame of each slot.
    pub owners: &'a Tensor,
    /// Number of the frame in its batch, from 0; frames come in order.
    pub frame: usize,
    /// Whether it is the last: the slots that are left become its own, prompted by the whole frame.
    pub is_last: bool,
}

/// Numbers of the records of at most `max_objects` objects.
pub const fn object_words(max_objects: usize) -> usize {
    HEAD + RECORD * max_objects
}
