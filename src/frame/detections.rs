//! The objects found in a frame.

use super::{object::Object, track::VisibilityChange};
use crate::geometry::Size;

/// The objects of one image or frame, best score first.
#[derive(Debug, Clone, PartialEq)]
pub struct Detections {
    /// Width and height of the image.
    pub size: Size,
    /// The objects: boxes in pixels of the image, scores, classes with their names, and masks where there is a segmenter.
    pub objects: Vec<Object>,
    /// Changes of visibility at this frame, where objects are tracked.
    pub changes: Vec<VisibilityChange>,
}

impl Detections {
    /// The objects of an image of this size, not tracked.
    pub fn new(size: Size, objects: Vec<Object>) -> Self {
        Self {
            size,
            objects,
            changes: Vec::new(),
        }
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The objects, best score first.
    pub fn iter(&self) -> std::slice::Iter<'_, Object> {
        self.objects.iter()
    }
}

impl<'a> IntoIterator for &'a Detections {
    type Item = &'a Object;
    type IntoIter = std::slice::Iter<'a, Object>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
