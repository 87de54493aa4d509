//! Frames that lie in the memory of a GPU already.

use crate::{
    engine::{Colour, Engine, Orientation, Yuv, YuvFormat, device_name},
    geometry::Size,
};
use candle_core::{DType, Device, Tensor};

/// A frame in the memory of a GPU, as tensors of candle's, for [`crate::Session::run_on_device`].
///
/// The tensors are contiguous and on the session's GPU; any handle of it will do (`Device::new_cuda(0)`,
/// `Device::new_cuda_with_stream(0)`). A `&Tensor` is taken for [`DeviceFrame::Interleaved`].
#[derive(Debug, Clone, Copy)]
pub enum DeviceFrame<'a> {
    /// `[H, W, 3]` u8, red, green and blue in 0..=255, rows top to bottom; or `[H, W, 1]` u8, brightness.
    Interleaved(&'a Tensor),
    /// A plane of brightness and one of colour, as video decoders make them ("NV12").
    Nv12 {
        /// Brightness, `[H, W]` u8.
        luma: &'a Tensor,
        /// Pairs of Cb and Cr, `[ceil(H / 2), ceil(W / 2), 2]` u8, or the same memory as `[ceil(H / 2), 2 · ceil(W / 2)]`.
        chroma: &'a Tensor,
        /// The matrix, and whether black is 0 or 16.
        colour: Colour,
    },
}

impl<'a> From<&'a Tensor> for DeviceFrame<'a> {
    fn from(pixels: &'a Tensor) -> Self {
        Self::Interleaved(pixels)
    }
}

/// A frame that [`crate::Session::run_on_device`] does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceFrameError {
    /// The session has no GPU.
    #[error(
        "{tensor} on {device}: the session works on {session}, which has no frames on a device; build the session for a CUDA device (in a \
         build with the feature `cuda`), or give `run` pixels in host memory"
    )]
    SessionOnCpu {
        /// What was given.
        tensor: &'static str,
        /// Where it is.
        device: String,
        /// Where the session works.
        session: String,
    },
    /// A tensor is in host memory or on another device.
    #[error(
        "{tensor} on {device}: the session works on {session}; make the tensor there, or move it there with `to_device`"
    )]
    OtherDevice {
        /// What was given.
        tensor: &'static str,
        /// Where it is.
        device: String,
        /// Where the session works.
        session: String,
    },
    /// The planes belong to two handles of the device, so that no one stream orders what made them.
    #[error(
        "chroma of another handle of {device} than luma: make both planes with clones of one candle `Device`"
    )]
    TwoHandles {
        /// The GPU of both.
        device: String,
    },
    /// The samples are no bytes.
    #[error(
        "{tensor} of {dtype:?}: samples are u8, 0 to 255; bring them to that range and convert them with `to_dtype(DType::U8)`"
    )]
    Samples {
        /// What was given.
        tensor: &'static str,
        /// Its type.
        dtype: DType,
    },
    /// The shape is that of no frame.
    #[error("{tensor} {shape:?}: expected {expected}, no side of length 0")]
    Shape {
        /// What was given.
        tensor: &'static str,
        /// Its shape.
        shape: Vec<usize>,
        /// The shape that would do.
        expected: String,
    },
    /// The samples do not follow each other in memory.
    #[error(
        "{tensor} {shape:?} with strides {strides:?}: is not contiguous; call `contiguous()` on it first"
    )]
    NotContiguous {
        /// What was given.
        tensor: &'static str,
        /// Its shape.
        shape: Vec<usize>,
        /// Numbers from one place of each dimension to the next.
        strides: Vec<usize>,
    },
}

const PIXELS: &str = "frame";
const LUMA: &str = "luma";
const CHROMA: &str = "chroma";

/// A frame of the right shape, in the memory of the session's GPU.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CheckedFrame<'a> {
    frame: DeviceFrame<'a>,
    size: Size,
}

impl<'a> CheckedFrame<'a> {
    /// # Errors
    /// [`DeviceFrameError`], for the first thing that is wrong.
    pub(crate) fn new(frame: DeviceFrame<'a>, engine: &Engine) -> Result<Self, DeviceFrameError> {
        let check = |name, tensor| check(name, tensor, engine);
        let size = match frame {
            DeviceFrame::Interleaved(pixels) => {
                check(PIXELS, pixels)?;
                match *pixels.dims() {
                    [h, w, 1 | 3] => size_of(h, w),
                    _ => None,
                }
                .ok_or_else(|| shape(PIXELS, pixels, "[H, W, 3] or [H, W, 1]".to_owned()))?
            }
            DeviceFrame::Nv12 { luma, chroma, .. } => {
                check(LUMA, luma)?;
                check(CHROMA, chroma)?;
                let size = match *luma.dims() {
                    [h, w] => size_of(h, w).map(|size| (h, w, size)),
                    _ => None,
                };
                let (h, w, size) = size.ok_or_else(|| shape(LUMA, luma, "[H, W]".to_owned()))?;
                let (rows, columns) = (h.div_ceil(2), w.div_ceil(2));
                if chroma.dims() != [rows, columns, 2] && chroma.dims() != [rows, 2 * columns] {
                    let expected = format!(
                        "[{rows}, {columns}, 2] or [{rows}, {}] for luma [{h}, {w}]",
                        2 * columns
                    );
                    return Err(shape(CHROMA, chroma, expected));
                }
                if !luma.device().same_device(chroma.device()) {
                    let device = device_name(luma.device());
                    return Err(DeviceFrameError::TwoHandles { device });
                }
                size
            }
        };
        Ok(Self { frame, size })
    }

    /// Width and height in pixels.
    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// The handle that the tensors were made with; its stream orders what made them.
    pub(crate) fn device(&self) -> &'a Device {
        match self.frame {
            DeviceFrame::Interleaved(pixels) => pixels.device(),
            DeviceFrame::Nv12 { luma, .. } => luma.device(),
        }
    }

    /// The pixels, where they are interleaved, or the planes.
    pub(crate) fn samples(&self) -> Samples<'a> {
        match self.frame {
            DeviceFrame::Interleaved(pixels) => Samples::Interleaved(pixels),
            DeviceFrame::Nv12 {
                luma,
                chroma,
                colour,
            } => Samples::Planes(Yuv {
                luma,
                chroma,
                width: self.size.width as usize,
                height: self.size.height as usize,
                format: YuvFormat::NV12,
                colour,
                orientation: Orientation::default(),
            }),
        }
    }
}

/// The samples of a [`CheckedFrame`], as operations take them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Samples<'a> {
    /// `[H, W, 1 or 3]` u8.
    Interleaved(&'a Tensor),
    /// Two planes.
    Planes(Yuv<&'a Tensor>),
}

impl<'a> Samples<'a> {
    /// The tensors.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = &'a Tensor> + use<'a> {
        let (first, second) = match *self {
            Self::Interleaved(pixels) => (pixels, None),
            Self::Planes(planes) => (planes.luma, Some(planes.chroma)),
        };
        std::iter::once(first).chain(second)
    }
}

fn size_of(height: usize, width: usize) -> Option<Size> {
    let (height, width) = (u32::try_from(height).ok()?, u32::try_from(width).ok()?);
    // What masks are packed for: fewer than 2^32 pixels.
    height.checked_mul(width).filter(|&pixels| pixels > 0)?;
    Some(Size::new(width, height))
}

fn shape(tensor: &'static str, given: &Tensor, expected: String) -> DeviceFrameError {
    DeviceFrameError::Shape {
        tensor,
        shape: given.dims().to_vec(),
        expected,
    }
}

/// Whether a tensor is on the session's GPU and holds bytes without gaps.
fn check(name: &'static str, given: &Tensor, engine: &Engine) -> Result<(), DeviceFrameError> {
    let (tensor, device, session) = (name, device_name(given.device()), engine.name());
    if engine.is_cpu() {
        return Err(DeviceFrameError::SessionOnCpu {
            tensor,
            device,
            session,
        });
    }
    if !engine.is_same_gpu(given.device()) {
        return Err(DeviceFrameError::OtherDevice {
            tensor,
            device,
            session,
        });
    }
    if given.dtype() != DType::U8 {
        let dtype = given.dtype();
        return Err(DeviceFrameError::Samples { tensor, dtype });
    }
    if !given.is_contiguous() {
        return Err(DeviceFrameError::NotContiguous {
            tensor,
            shape: given.dims().to_vec(),
            strides: given.stride().to_vec(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_on_the_cpu_names_what_it_was_given_and_what_would_work() {
        let pixels = Tensor::zeros((4, 6, 3), DType::U8, &Device::Cpu).unwrap();
        let error = CheckedFrame::new((&pixels).into(), &Engine::cpu()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("frame on cpu: the session works on cpu"),
            "{error}"
        );
        assert!(
            error.to_string().contains("`run` pixels in host memory"),
            "{error}"
        );
    }

    #[test]
    fn sizes_are_those_of_a_frame() {
        assert_eq!(size_of(3, 5), Some(Size::new(5, 3)));
        assert_eq!(size_of(0, 5), None);
        assert_eq!(size_of(1 << 16, 1 << 16), None);
        assert_eq!(size_of(1 << 33, 1), None);
    }
}
