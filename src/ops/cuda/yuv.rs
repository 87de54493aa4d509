//! Decoded video to a model's input in one kernel, and to RGB.

#![allow(unsafe_code)]

use super::{
    launch::{self, Kernel, Parameter, empty, int, named, structure},
    resample::{Reading, Resample},
    resize,
};
use crate::{
    engine::{Chroma, Colour, Orientation, Surface, Yuv, YuvFormat, YuvPlanes},
    ops::types::{resampling::Normalisation, result::Result, yuv::YuvCoefficients},
};
use candle_core::{
    CudaDevice, DType, Device, Error, Tensor, cuda_backend::cudarc::driver::DeviceRepr,
};
use std::mem::offset_of;

/// Threads of a block, as in `pixels.cuh`.
const THREADS: u32 = 256;
/// Pixels that a block brings to RGB, as in `yuv_rgb.cu`.
const TILE: (usize, usize) = (64, 16);

/// `Picture` of `yuv.cuh`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Picture {
    luma: u64,
    chroma: u64,
    luma_pitch: i32,
    chroma_pitch: i32,
    width: i32,
    height: i32,
    depth: i32,
    shift: i32,
    coefficients: YuvCoefficients,
}

structure!(Picture: luma, chroma);

impl Picture {
    fn new(planes: &YuvPlanes, colour: Colour) -> Result<Self> {
        Ok(Self {
            luma: planes.luma,
            chroma: planes.chroma,
            luma_pitch: int(planes.luma_pitch)?,
            chroma_pitch: int(planes.chroma_pitch)?,
            width: int(planes.width)?,
            height: int(planes.height)?,
            depth: planes.format.depth().into(),
            shift: planes.format.shift().into(),
            coefficients: YuvCoefficients::new(colour),
        })
    }
}

/// `Turned` of `yuv_rgb.cu`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Turned {
    picture: Picture,
    out: u64,
    transposed: i32,
    mirrored_across: i32,
    mirrored_down: i32,
}

// SAFETY: plain numbers, laid out as the kernel's own type.
unsafe impl DeviceRepr for Turned {}
// SAFETY: as above; the other fields are numbers.
unsafe impl Parameter for Turned {
    const ADDRESSES: &'static [usize] = &[
        offset_of!(Turned, picture) + offset_of!(Picture, luma),
        offset_of!(Turned, picture) + offset_of!(Picture, chroma),
        offset_of!(Turned, out),
    ];
}

/// Does what reads the surface, on the stream of `device`, after the decoder is done with it.
fn reading<T>(
    surface: &Surface,
    device: &Device,
    work: impl FnOnce(&CudaDevice) -> Result<T>,
) -> Result<T> {
    let Device::Cuda(device) = device else {
        candle_core::bail!("a surface for a device that is no CUDA device")
    };
    surface.begin_read(device).map_err(Error::wrap)?;
    let done = work(device);
    surface.end_read(device).map_err(Error::wrap)?;
    done
}

/// How the kernels read a picture: of 4:2:0 they hold colour at full width, four numbers of 16 bits for two columns.
fn reading_of(chroma: Chroma) -> Reading {
    Reading {
        steps: (2, 2),
        scratch: match chroma {
            Chroma::Quarter => |rows, columns| (rows / 2 + 4) * columns / 2 * 8,
            Chroma::Half | Chroma::Full => |_, _| 0,
        },
    }
}

/// See [`crate::ops::resize_normalise_surface`].
pub(crate) fn resize_normalise_surface(
    surface: &Surface,
    device: &Device,
    size: (usize, usize),
    padded: (usize, usize),
    channels: usize,
    normalisation: &Normalisation,
    dtype: DType,
) -> Result<Tensor> {
    let Device::Cuda(own) = device else {
        candle_core::bail!("a surface for a device that is no CUDA device")
    };
    let (y, _) = empty(own, (1, padded.0, padded.1, channels), dtype)?;
    resize_normalise_surface_to(surface, device, size, normalisation, &y)?;
    Ok(y)
}

/// See [`crate::ops::resize_normalise_surface_to`].
pub(crate) fn resize_normalise_surface_to(
    surface: &Surface,
    device: &Device,
    size: (usize, usize),
    normalisation: &Normalisation,
    y: &Tensor,
) -> Result<()> {
    let prepared = match surface.orientation().is_upright() {
        true => Prepared::new(surface.planes(), surface.colour(), size, normalisation, y)?,
        false => None,
    };
    match prepared {
        // SAFETY: the surface is there while it is read.
        Some(prepared) => reading(surface, device, |device| unsafe { prepared.launch(device) }),
        None => {
            resize::resize_normalise_to(&surface_to_rgb(surface, device)?, size, normalisation, y)
        }
    }
}

/// See [`crate::ops::resize_normalise_yuv_to`].
pub(crate) fn resize_normalise_yuv_to(
    picture: &Yuv<&Tensor>,
    size: (usize, usize),
    normalisation: &Normalisation,
    y: &Tensor,
) -> Result<()> {
    let (width, height, op) = (picture.width, picture.height, "resize_normalise_yuv");
    let (device, format) = (launch::device(picture.luma)?, picture.format);
    let plane = |tensor: &Tensor| {
        let address = launch::contiguous(tensor, DType::U8, op)?;
        if address % format.sample_bytes() as u64 != 0 {
            candle_core::bail!("{op}: samples of 16 bits at an odd address");
        }
        Ok(address)
    };
    let planes = YuvPlanes {
        luma: plane(picture.luma)?,
        luma_pitch: width * format.sample_bytes(),
        chroma: plane(picture.chroma)?,
        chroma_pitch: 2 * format.pairs((width, height)).0 * format.sample_bytes(),
        width,
        height,
        format,
    };
    let (colour, orientation) = (picture.colour, picture.orientation);
    let prepared = match orientation.is_upright() {
        true => Prepared::new(&planes, colour, size, normalisation, y)?,
        false => None,
    };
    match prepared {
        // SAFETY: the planes are contiguous tensors of that size, as the caller has checked.
        Some(prepared) => unsafe { prepared.launch(device) },
        None => {
            // SAFETY: as above.
            let rgb = unsafe { to_rgb(device, &planes, colour, orientation) }?;
            resize::resize_normalise_to(&rgb, size, normalisation, y)
        }
    }
}

/// Whether the shares of samples of colour repeat along the sides of the picture: they do where there are half as many, and enough of them
/// (see `ops::yuv`).
fn is_regular(planes: &YuvPlanes) -> bool {
    let is_regular = |side: usize| side.is_multiple_of(2) && side >= 14;
    match planes.format.chroma() {
        Chroma::Quarter => is_regular(planes.width) && is_regular(planes.height),
        Chroma::Half => is_regular(planes.width),
        Chroma::Full => true,
    }
}

/// The kernel that brings samples of a format to a model's input of `dtype`.
fn resize_of(format: YuvFormat, dtype: DType) -> Result<&'static str> {
    match (format.chroma(), format.sample_bytes()) {
        (Chroma::Quarter, 1) => named!("yuv420_resize", dtype),
        (Chroma::Half, 1) => named!("yuv422_resize", dtype),
        (Chroma::Full, 1) => named!("yuv444_resize", dtype),
        (Chroma::Quarter, _) => named!("yuv420_16_resize", dtype),
        (Chroma::Half, _) => named!("yuv422_16_resize", dtype),
        (Chroma::Full, _) => named!("yuv444_16_resize", dtype),
    }
}

/// The kernel that brings a picture to RGB.
fn rgb_of(planes: &YuvPlanes) -> &'static str {
    let format = planes.format;
    match (format.chroma(), format.sample_bytes(), is_regular(planes)) {
        (Chroma::Quarter, 1, true) => "yuv420_rgb",
        (Chroma::Quarter, 1, false) => "yuv420_any_rgb",
        (Chroma::Quarter, _, true) => "yuv420_16_rgb",
        (Chroma::Quarter, _, false) => "yuv420_16_any_rgb",
        (Chroma::Half, 1, true) => "yuv422_rgb",
        (Chroma::Half, 1, false) => "yuv422_any_rgb",
        (Chroma::Half, _, true) => "yuv422_16_rgb",
        (Chroma::Half, _, false) => "yuv422_16_any_rgb",
        (Chroma::Full, 1, _) => "yuv444_rgb",
        (Chroma::Full, _, _) => "yuv444_16_rgb",
    }
}

/// A launch of the kernel that brings a picture to a model's input.
struct Prepared {
    kernel: Kernel,
    picture: Picture,
    resample: Resample,
}

impl Prepared {
    /// None if the picture is brought to so few pixels that a block would need too much memory, or is of a size with shares of its own.
    fn new(
        planes: &YuvPlanes,
        colour: Colour,
        size: (usize, usize),
        normalisation: &Normalisation,
        y: &Tensor,
    ) -> Result<Option<Self>> {
        if !is_regular(planes) {
            return Ok(None);
        }
        let picture = Picture::new(planes, colour)?;
        let kernel = ("resize_video", resize_of(planes.format, y.dtype())?);
        let from = (planes.height, planes.width);
        let reading = reading_of(planes.format.chroma());
        let prepared = Resample::new(kernel, from, &reading, size, normalisation, y)?;
        Ok(prepared.map(|(resample, kernel)| Self {
            kernel,
            picture,
            resample,
        }))
    }

    /// # Safety
    /// The planes are memory of the device and of the size they state.
    unsafe fn launch(&self, device: &CudaDevice) -> Result<()> {
        // SAFETY: both are the kernel's own types; the output is a tensor of the size that it states, the planes are the caller's.
        unsafe { self.kernel.launch(device, &[&self.picture, &self.resample]) }
    }
}

/// See [`crate::ops::surface_to_rgb`].
pub(crate) fn surface_to_rgb(surface: &Surface, device: &Device) -> Result<Tensor> {
    reading(surface, device, |device| {
        // SAFETY: the surface is there while it is read.
        unsafe {
            to_rgb(
                device,
                surface.planes(),
                surface.colour(),
                surface.orientation(),
            )
        }
    })
}

/// The upright RGB picture of planes.
///
/// # Safety
/// The planes are memory of the device and of the size they state.
unsafe fn to_rgb(
    device: &CudaDevice,
    planes: &YuvPlanes,
    colour: Colour,
    orientation: Orientation,
) -> Result<Tensor> {
    let (width, height) = orientation.size((planes.width, planes.height));
    let (y, out) = empty(device, (height, width, 3), DType::U8)?;
    let arguments = Turned {
        picture: Picture::new(planes, colour)?,
        out,
        transposed: orientation.transposed.into(),
        mirrored_across: orientation.mirrored_across.into(),
        mirrored_down: orientation.mirrored_down.into(),
    };
    let grid = (
        planes.width.div_ceil(TILE.0),
        planes.height.div_ceil(TILE.1),
        1,
    );
    let kernel = Kernel {
        file: "yuv_rgb",
        name: rgb_of(planes),
        grid,
        block: (THREADS, 1),
        shared: 0,
    };
    // SAFETY: `Turned` is the kernel's own type; the output is of that size, the planes are the caller's.
    unsafe { kernel.launch(device, &[&arguments]) }?;
    Ok(y)
}
