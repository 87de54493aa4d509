//! An object to segment: what is known of it before, and its prompt.

use crate::{frame::Object, models::mobile_sam::ObjectPrompt};

/// An object to segment, and its prompt in pixels of the frame.
#[derive(Debug, Clone)]
pub(crate) struct Prompted {
    pub object: Object,
    pub prompt: ObjectPrompt,
}

impl Prompted {
    /// An object that a detector found, or a box from a file.
    pub(crate) fn from_object(object: Object) -> Self {
        Self {
            prompt: ObjectPrompt::from_box(object.bbox),
            object,
        }
    }
}
