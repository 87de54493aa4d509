//! A decoded picture of 8 bits a channel in host memory.

use crate::geometry::Size;

/// Channels of an [`Image`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channels {
    /// One: brightness, 0 black.
    Gray,
    /// Three, interleaved: red, green, blue.
    Rgb,
}

impl Channels {
    /// 1 or 3.
    pub const fn count(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::Rgb => 3,
        }
    }
}

/// A picture: rows top to bottom, pixels left to right, channels interleaved, no padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    size: Size,
    channels: Channels,
    data: Vec<u8>,
}

impl Image {
    /// An image over `data`; none if its length is not width × height × channels or a side is 0.
    pub fn new(size: Size, channels: Channels, data: Vec<u8>) -> Option<Self> {
        let expected = size.pixels().checked_mul(channels.count() as u64)?;
        (size.width > 0 && size.height > 0 && data.len() as u64 == expected).then_some(Self {
            size,
            channels,
            data,
        })
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Grey or colour.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// The samples, interleaved.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Consumes the image and returns its samples.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }
}

/// A frame's values as the file stores them, before anything is done for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    /// Width and height.
    pub size: Size,
    /// Grey or colour.
    pub channels: Channels,
    /// Values as 16-bit patterns, rows top to bottom, channels interleaved; signed ones in two's complement.
    pub values: Vec<u16>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({} {:?})", self.size, self.channels)
    }
}
