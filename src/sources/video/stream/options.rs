//! Options of streams.

use crate::{
    geometry::Size,
    sources::{DEFAULT_MAX_PIXELS, Decode, DecodeDevice, video::VideoOptions},
};
use std::time::Duration;

/// How a stream is opened, read and decoded.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// How long it may be silent, when it is opened and after each picture. Default 10 s.
    pub timeout: Duration,
    /// Whether it is reconnected where it breaks. Default true.
    pub reconnect: bool,
    /// Of a device: width and height of its pictures. Default: as the device is set.
    pub size: Option<Size>,
    /// Of a device: pictures a second. Default: as the device is set.
    pub rate: Option<f64>,
    /// Of a device: FFmpeg's name of its pixel format or codec (`mjpeg`, `yuyv422`, `h264`). Default: as the device is set.
    pub format: Option<String>,
    /// Of RTSP: whether data come by UDP, which loses some where the network does, instead of TCP. Default false.
    pub rtsp_over_udp: bool,
    /// Largest picture that is decoded, in pixels.
    pub max_pixels: u64,
    /// Where it is decoded.
    pub decode: Decode,
    /// The device that may decode it.
    pub device: Option<DecodeDevice>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            reconnect: true,
            size: None,
            rate: None,
            format: None,
            rtsp_over_udp: false,
            max_pixels: DEFAULT_MAX_PIXELS,
            decode: Decode::default(),
            device: None,
        }
    }
}

impl StreamOptions {
    /// How its pictures are decoded.
    pub(super) fn video(&self) -> VideoOptions {
        VideoOptions {
            threads: 0,
            planes: false,
            max_pixels: self.max_pixels,
            decode: self.decode,
            device: self.device.clone(),
        }
    }
}
