//! How an input of OpenIGTLink reads.

use crate::{dicom::Window, igtl::LinkOptions, sources::DEFAULT_MAX_PIXELS};
use std::time::Duration;

/// How an input of OpenIGTLink reads.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct IgtlInputOptions {
    /// Device name of the images that are read; without one, that of the first image that comes.
    pub device: Option<String>,
    /// What scales grey of 16 bits to 8; without one it is the range of its type.
    pub window: Window,
    /// Largest image that is read, in pixels.
    pub max_pixels: u64,
    /// A stream that brings no image for so long counts as disconnected; a client then connects again. `None` waits for ever.
    pub silent: Option<Duration>,
    /// How long the first image is waited for, before the input ends with an error. `None` waits for ever.
    pub first: Option<Duration>,
    /// Whether senders wait where images come faster than they are read; else the oldest is dropped. For recordings.
    pub wait: bool,
    /// The connection.
    pub link: LinkOptions,
}

impl Default for IgtlInputOptions {
    /// Any device, the range of the type, the limit of files, silent after 10 s, no end before the first image, oldest dropped.
    fn default() -> Self {
        Self {
            device: None,
            window: Window::default(),
            max_pixels: DEFAULT_MAX_PIXELS,
            silent: Some(Duration::from_secs(10)),
            first: None,
            wait: false,
            link: LinkOptions::default(),
        }
    }
}
