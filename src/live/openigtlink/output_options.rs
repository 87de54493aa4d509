//! What an output of OpenIGTLink sends.

use super::error::IgtlError;
use crate::igtl::{Content, CoordinateSystem, Encoded, LinkOptions, Message};

/// What the values of masks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum MaskValues {
    /// The class and 1: the same in all frames, and for all objects of a class.
    #[default]
    Classes,
    /// The number of the track, from 1. Objects without a track are left out.
    Tracks,
}

/// Which picture is sent beside the mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PictureSent {
    /// None.
    #[default]
    None,
    /// The frame as the models got it.
    Frame,
    /// The frame with masks, boxes and labels drawn over it.
    Overlay,
}

/// Names of devices, each at most 20 bytes and different from the others. A viewer shows each as an object of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceNames {
    /// `IMAGE` of the mask.
    pub mask: String,
    /// `IMAGE` of the frame or overlay.
    pub picture: String,
    /// `POINT` of the corners of boxes.
    pub boxes: String,
    /// `POINT` of the middles of masks, or of boxes.
    pub centroids: String,
    /// `STRING` of the classes.
    pub classes: String,
    /// `STATUS` of objects that change their visibility.
    pub objects: String,
    /// `STATUS` of the stream.
    pub stream: String,
}

impl Default for DeviceNames {
    /// `Mask_Image`, `Frame_Image`, `Boxes_Image`, `Centroids_Image`, `Classes`, `Objects`, `Stream`.
    fn default() -> Self {
        let [mask, picture, boxes, centroids, classes, objects, stream] = [
            "Mask_Image",
            "Frame_Image",
            "Boxes_Image",
            "Centroids_Image",
            "Classes",
            "Objects",
            "Stream",
        ]
        .map(str::to_owned);
        Self {
            mask,
            picture,
            boxes,
            centroids,
            classes,
            objects,
            stream,
        }
    }
}

impl DeviceNames {
    fn all(&self) -> [&str; 7] {
        [
            &self.mask,
            &self.picture,
            &self.boxes,
            &self.centroids,
            &self.classes,
            &self.objects,
            &self.stream,
        ]
    }

    /// # Errors
    /// [`IgtlError::Device`].
    pub(super) fn check(&self) -> Result<(), IgtlError> {
        let names = self.all();
        for (at, name) in names.into_iter().enumerate() {
            let message = Message {
                device: name.to_owned(),
                time: None,
                metadata: Vec::new(),
                content: Content::Points(Vec::new()),
            };
            Encoded::new(message).map_err(|error| IgtlError::device(name, &error))?;
            if name.is_empty() || names[..at].contains(&name) {
                let problem = "each device needs a name of its own".to_owned();
                let name = name.to_owned();
                return Err(IgtlError::Device { name, problem });
            }
        }
        Ok(())
    }
}

/// What an output of OpenIGTLink sends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgtlOutputOptions {
    /// Whether masks are sent; not where there is no segmenter.
    pub mask: bool,
    /// What the values of masks are.
    pub values: MaskValues,
    /// Which picture is sent beside the mask. It needs frames in host memory.
    pub picture: PictureSent,
    /// Whether boxes are sent.
    pub boxes: bool,
    /// Whether centroids are sent.
    pub centroids: bool,
    /// Coordinate system of what is sent; without one, that of the input's geometry, and RAS where the input states none. 3D Slicer
    /// takes all that it receives for RAS.
    pub coordinates: Option<CoordinateSystem>,
    /// Names of devices.
    pub names: DeviceNames,
    /// The connections.
    pub link: LinkOptions,
}

impl Default for IgtlOutputOptions {
    /// Masks of classes, boxes and centroids, no picture, the input's coordinate system.
    fn default() -> Self {
        Self {
            mask: true,
            values: MaskValues::default(),
            picture: PictureSent::default(),
            boxes: true,
            centroids: true,
            coordinates: None,
            names: DeviceNames::default(),
            link: LinkOptions::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ() {
        assert!(DeviceNames::default().check().is_ok());
        let named = |mask: &str| {
            let names = DeviceNames {
                mask: mask.to_owned(),
                ..DeviceNames::default()
            };
            names.check().unwrap_err().to_string()
        };
        assert!(named("twenty-one-characters").contains("at most 20 fit"));
        assert!(named("Stream").contains("a name of its own"));
        assert!(named("").contains("a name of its own"));
    }
}
