//! Where a frame's pixels are.

use super::{Image, Planes};
use crate::{engine::Surface, geometry::Size};
use std::sync::Arc;

/// A frame's pixels: upright (rotation and EXIF orientation applied), 8 bits a channel, but for those that a GPU converts and turns.
#[derive(Debug, Clone)]
pub enum Pixels {
    /// In host memory.
    Host(Arc<Image>),
    /// In host memory as planes of YCbCr, which a GPU converts.
    Planes(Arc<Planes>),
    /// In the memory of the device that decoded them.
    Device(Arc<Surface>),
    /// Released after their last use; the size stays known.
    Released(Size),
}

impl Pixels {
    /// Width and height.
    pub fn size(&self) -> Size {
        match self {
            Self::Host(image) => image.size(),
            Self::Planes(planes) => planes.size(),
            Self::Device(surface) => {
                let (width, height) = surface.size();
                Size::new(width, height)
            }
            Self::Released(size) => *size,
        }
    }
}

impl From<Image> for Pixels {
    fn from(image: Image) -> Self {
        Self::Host(Arc::new(image))
    }
}

impl From<Arc<Image>> for Pixels {
    fn from(image: Arc<Image>) -> Self {
        Self::Host(image)
    }
}

/// Pixels that were to be read on the host are not there, or no RGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the frame's pixels {0}")]
pub struct NotOnHost(&'static str);

impl Pixels {
    /// The picture, where it is in host memory.
    ///
    /// # Errors
    /// [`NotOnHost`] if it is in device memory, of planes of YCbCr, or was released.
    pub fn image(&self) -> Result<&Arc<Image>, NotOnHost> {
        match self {
            Self::Host(image) => Ok(image),
            Self::Planes(_) => Err(NotOnHost(
                "are planes of YCbCr; read the source without SourceOptions::planes",
            )),
            Self::Device(_) => Err(NotOnHost(
                "are in the memory of a device; bring them to the host first, or decode on the CPU",
            )),
            Self::Released(_) => Err(NotOnHost("were released after their last use")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Channels;

    #[test]
    fn the_size_is_known_wherever_the_pixels_are_and_only_those_of_the_host_can_be_read() {
        let size = Size::new(5, 3);
        let host = Pixels::from(Image::new(size, Channels::Gray, vec![7; 15]).unwrap());
        for pixels in [&host, &Pixels::Released(size)] {
            assert_eq!(pixels.size(), size);
        }
        assert_eq!(host.image().unwrap().data()[14], 7);
        assert!(Pixels::Released(size).image().is_err());
    }
}
