//! What is found in one image.

use crate::{
    frame::{Frame, Object},
    geometry::Size,
    session::{
        error::{ModelError, SessionError},
        picture,
    },
};

/// What was found in one image, best score first.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Detections {
    /// Width and height of the image.
    pub size: Size,
    /// The objects: boxes in pixels of the image, scores, classes with their names, and masks where there is a segmenter.
    pub objects: Vec<Object>,
}

impl Detections {
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

/// A frame that is done; a surface goes back to its decoder.
pub(crate) fn frame_with_detections(
    mut frame: Frame,
    objects: Result<Vec<crate::frame::Object>, ModelError>,
    keep_pixels: bool,
) -> Result<(Frame, Detections), SessionError> {
    picture::settle(&mut frame, keep_pixels)?;
    let size = frame.size();
    Ok((
        frame,
        Detections {
            size,
            objects: objects?,
        },
    ))
}
