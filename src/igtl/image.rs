//! `IMAGE`: a header of 72 bytes, then pixels.
//!
//! | bytes | field |
//! |---|---|
//! | 2 | version of this header, 1 |
//! | 1 | components |
//! | 1 | type of values: 3 u8, 4 i16, 5 u16 … |
//! | 1 | order of bytes of the pixels: 1 big, 2 little endian |
//! | 1 | coordinate system: 1 RAS, 2 LPS |
//! | 3 × 2 | columns, rows, slices of the volume |
//! | 12 × 4 | step of a column, a row, a slice; position of the centre of the volume |
//! | 3 × 2 | first column, row and slice that this message has |
//! | 3 × 2 | columns, rows and slices that this message has |

use super::{
    error::{DecodeError, EncodeError, ImageProblem},
    message::{CoordinateSystem, Image, ImageGeometry, Samples},
    wire::{Fields, put_f32s, put_u16s},
};

/// Bytes of the header.
pub(super) const IMAGE_HEADER: usize = 72;

/// An image of the header's bytes and the pixels' bytes. Of a message that has a part of a volume, the image is that part, where
/// it lies in space.
///
/// # Errors
/// [`DecodeError`] with what does not fit or is not read.
pub(super) fn decode(header: &[u8], pixels: Vec<u8>) -> Result<Image, DecodeError> {
    let wrong = |problem| Err(DecodeError::Image(problem));
    if header.len() != IMAGE_HEADER {
        return Err(DecodeError::Size {
            kind: "IMAGE",
            found: (header.len() + pixels.len()) as u64,
            expected: "72 and more",
        });
    }
    let mut fields = Fields::new(header);
    let version = fields.u16();
    if version != 1 {
        return wrong(ImageProblem::Version(version));
    }
    let (components, scalar, endian, system) = (fields.u8(), fields.u8(), fields.u8(), fields.u8());
    if components != 1 && components != 3 {
        return wrong(ImageProblem::Components(components));
    }
    let bytes = match scalar {
        3 => 1,
        4 | 5 => 2,
        other => return wrong(ImageProblem::Scalar(other)),
    };
    if !(1..=2).contains(&endian) {
        return wrong(ImageProblem::Endian(endian));
    }
    let coordinates = match system {
        1 => CoordinateSystem::Ras,
        2 => CoordinateSystem::Lps,
        other => return wrong(ImageProblem::Coordinates(other)),
    };
    let volume = fields.u16x3();
    let [column_step, row_step, slice_step, centre] = [
        fields.f32x3(),
        fields.f32x3(),
        fields.f32x3(),
        fields.f32x3(),
    ];
    let (offset, size) = (fields.u16x3(), fields.u16x3());
    let within = |axis: usize| {
        size[axis] > 0 && u32::from(offset[axis]) + u32::from(size[axis]) <= volume[axis].into()
    };
    if !(0..3).all(within) {
        let part = size;
        return wrong(ImageProblem::Extent {
            size: volume,
            offset,
            part,
        });
    }
    let expected = values(size, components) * bytes;
    if pixels.len() as u64 != expected {
        let found = pixels.len() as u64;
        return wrong(ImageProblem::Pixels { found, expected });
    }
    let whole = ImageGeometry {
        column_step,
        row_step,
        slice_step,
        centre,
        coordinates,
    };
    Ok(Image {
        size,
        components,
        samples: samples(scalar, endian, pixels),
        geometry: part_of(&whole, volume, offset, size),
    })
}

/// Values of an image: below 2⁵⁰.
fn values(size: [u16; 3], components: u8) -> u64 {
    size.iter().map(|&side| u64::from(side)).product::<u64>() * u64::from(components)
}

fn samples(scalar: u8, endian: u8, bytes: Vec<u8>) -> Samples {
    let pairs = bytes.as_chunks().0.iter();
    match (scalar, endian) {
        (4, 1) => Samples::I16(pairs.map(|&b| i16::from_be_bytes(b)).collect()),
        (4, _) => Samples::I16(pairs.map(|&b| i16::from_le_bytes(b)).collect()),
        (5, 1) => Samples::U16(pairs.map(|&b| u16::from_be_bytes(b)).collect()),
        (5, _) => Samples::U16(pairs.map(|&b| u16::from_le_bytes(b)).collect()),
        _ => Samples::U8(bytes),
    }
}

/// Where a part of a volume lies: its centre is as far from the volume's as the middle of its voxels.
fn part_of(
    whole: &ImageGeometry,
    volume: [u16; 3],
    offset: [u16; 3],
    size: [u16; 3],
) -> ImageGeometry {
    if size == volume {
        return *whole;
    }
    let middle = |first: u16, count: u16| f64::from(first) + (f64::from(count) - 1.0) / 2.0;
    let moved = [0, 1, 2].map(|axis| middle(offset[axis], size[axis]) - middle(0, volume[axis]));
    let steps = [whole.column_step, whole.row_step, whole.slice_step];
    let centre = [0, 1, 2].map(|axis| {
        let along = steps.iter().zip(moved);
        let shift: f64 = along.map(|(step, by)| f64::from(step[axis]) * by).sum();
        (f64::from(whole.centre[axis]) + shift) as f32
    });
    ImageGeometry { centre, ..*whole }
}

/// # Errors
/// [`EncodeError::Components`], [`EncodeError::Samples`].
pub(super) fn check(image: &Image) -> Result<(), EncodeError> {
    let &Image {
        size, components, ..
    } = image;
    if components != 1 && components != 3 {
        return Err(EncodeError::Components(components));
    }
    let (found, expected) = (image.samples.len(), values(size, components));
    if found as u64 != expected || found == 0 {
        return Err(EncodeError::Samples {
            size,
            components,
            found,
            expected,
        });
    }
    Ok(())
}

/// The header of a checked image whose pixels follow in little endian.
pub(super) fn put_header(out: &mut Vec<u8>, image: &Image) {
    let scalar = match image.samples {
        Samples::U8(_) => 3,
        Samples::I16(_) => 4,
        Samples::U16(_) => 5,
    };
    let geometry = &image.geometry;
    let system = match geometry.coordinates {
        CoordinateSystem::Ras => 1,
        CoordinateSystem::Lps => 2,
    };
    out.extend_from_slice(&[0, 1, image.components, scalar, 2, system]);
    put_u16s(out, &image.size);
    for vector in [
        &geometry.column_step,
        &geometry.row_step,
        &geometry.slice_step,
        &geometry.centre,
    ] {
        put_f32s(out, vector);
    }
    put_u16s(out, &[0; 3]);
    put_u16s(out, &image.size);
}

/// Pixels of 16 bits in little endian; none for those of 8, which are sent as they are.
pub(super) fn wide_pixels(samples: &Samples) -> Option<Vec<u8>> {
    match samples {
        Samples::U8(_) => None,
        Samples::U16(values) => Some(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Samples::I16(values) => Some(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
    }
}
