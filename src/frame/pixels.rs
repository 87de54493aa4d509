//! Where a frame's pixels are.

use super::Image;
use crate::geometry::Size;
use std::{any::Any, fmt, sync::Arc};

/// A decoded picture in the memory of a device. Its pixels are read by whoever knows the type behind it.
pub trait DevicePicture: Any + Send + Sync + fmt::Debug {
    /// Width and height of the upright picture.
    fn size(&self) -> Size;

    /// The picture itself, to be looked up by its type.
    fn as_any(&self) -> &dyn Any;
}

/// A frame's pixels: upright (rotation and EXIF orientation applied), 8 bits a channel.
#[derive(Debug, Clone)]
pub enum Pixels {
    /// In host memory.
    Host(Arc<Image>),
    /// In the memory of the device that decoded them.
    Device(Arc<dyn DevicePicture>),
    /// Given up after their last use; the size stays known.
    Dropped(Size),
}

impl Pixels {
    /// Width and height.
    pub fn size(&self) -> Size {
        match self {
            Self::Host(image) => image.size(),
            Self::Device(picture) => picture.size(),
            Self::Dropped(size) => *size,
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

/// Pixels that were to be read on the host are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the frame's pixels {0}")]
pub struct NotOnHost(&'static str);

impl Pixels {
    /// The picture, where it is in host memory.
    ///
    /// # Errors
    /// [`NotOnHost`] where it is on a device or was given up.
    pub fn image(&self) -> Result<&Arc<Image>, NotOnHost> {
        match self {
            Self::Host(image) => Ok(image),
            Self::Device(_) => Err(NotOnHost(
                "are in the memory of a device; bring them to the host first, or decode on the CPU",
            )),
            Self::Dropped(_) => Err(NotOnHost("were given up after their last use")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Channels;

    #[derive(Debug)]
    struct Elsewhere;

    impl DevicePicture for Elsewhere {
        fn size(&self) -> Size {
            Size::new(5, 3)
        }
        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    #[test]
    fn the_size_is_known_wherever_the_pixels_are_and_only_those_of_the_host_can_be_read() {
        let size = Size::new(5, 3);
        let host = Pixels::from(Image::new(size, Channels::Gray, vec![7; 15]).unwrap());
        let device = Pixels::Device(Arc::new(Elsewhere));
        for pixels in [&host, &device, &Pixels::Dropped(size)] {
            assert_eq!(pixels.size(), size);
        }
        assert_eq!(host.image().unwrap().data()[14], 7);
        assert!(
            device
                .image()
                .unwrap_err()
                .to_string()
                .contains("in the memory of a device")
        );
        assert!(Pixels::Dropped(size).image().is_err());
        let Pixels::Device(picture) = device else {
            unreachable!()
        };
        assert!(picture.as_any().downcast_ref::<Elsewhere>().is_some());
    }
}
