//! Where videos are decoded.

use crate::{
    engine::{Engine, Span},
    sources::video::VideoDevice,
};
use std::{
    fmt,
    str::FromStr,
    sync::{Arc, OnceLock},
};

/// Device that decodes videos, as the user chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decode {
    /// On the GPU where the run has one and it decodes the stream, else on the CPU.
    #[default]
    Auto,
    /// On the CPU.
    Cpu,
    /// On the GPU, or not at all.
    Gpu,
}

/// A text that is no [`Decode`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: not a place to decode at; use auto, cpu or gpu")]
pub struct DecodeError(String);

impl FromStr for Decode {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu),
            _ => Err(DecodeError(text.to_owned())),
        }
    }
}

impl fmt::Display for Decode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
        })
    }
}

/// Device that decodes the video of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoding {
    /// Whether a GPU decodes, into its memory.
    pub on_gpu: bool,
    /// Reason for decoding on the CPU, if the run has a GPU and [`Decode`] allows it.
    pub reason: Option<String>,
}

impl Decoding {
    /// `gpu` or `cpu`.
    pub fn name(&self) -> &'static str {
        if self.on_gpu { "gpu" } else { "cpu" }
    }

    pub(super) fn on_gpu() -> Self {
        Self {
            on_gpu: true,
            reason: None,
        }
    }

    pub(super) fn on_cpu(reason: Option<String>) -> Self {
        Self {
            on_gpu: false,
            reason,
        }
    }
}

/// The span of the transfer log that decoding and the upload of decoded frames are counted under.
pub const DECODE_SPAN: Span = Span::new(1, "decode");

/// The models' device, on which videos may be decoded. It is made ready for that at the first video that it can decode; clones share it.
#[derive(Debug, Clone)]
pub struct DecodeDevice(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    engine: Engine,
    /// Decoders that work at once.
    decoders: usize,
    device: OnceLock<Result<VideoDevice, String>>,
}

impl DecodeDevice {
    /// The device of `engine`, which may be the CPU: then no video is decoded on it.
    pub fn new(engine: &Engine) -> Self {
        Self::shared_by(engine, 1)
    }

    /// As [`DecodeDevice::new`], for so many decoders that work at once: together they get as many surfaces for frames that wait
    /// for the models as one alone.
    pub(crate) fn shared_by(engine: &Engine, decoders: usize) -> Self {
        Self(Arc::new(Opened {
            engine: engine.clone(),
            decoders: decoders.max(1),
            device: OnceLock::new(),
        }))
    }

    /// Whether it can decode at all.
    pub(super) fn is_gpu(&self) -> bool {
        !self.0.engine.is_cpu()
    }

    /// The device, ready to decode, or why it is not.
    pub(super) fn open(&self) -> Result<&VideoDevice, String> {
        self.0
            .device
            .get_or_init(|| {
                let Opened {
                    engine, decoders, ..
                } = &*self.0;
                VideoDevice::open(engine, DECODE_SPAN, *decoders).map_err(|e| e.to_string())
            })
            .as_ref()
            .map_err(Clone::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_parse_and_nonsense_is_refused() {
        for place in [Decode::Auto, Decode::Cpu, Decode::Gpu] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for bad in ["", "cuda", "GPU"] {
            assert!(
                bad.parse::<Decode>()
                    .unwrap_err()
                    .to_string()
                    .contains("use auto, cpu or gpu"),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_cpu_decodes_nothing_as_a_gpu() {
        let device = DecodeDevice::new(&Engine::cpu());
        assert!(!device.is_gpu());
        assert!(device.open().unwrap_err().contains("decoding on the GPU"));
    }
}
