//! What the fuzzer runs of this layer: parsers of bytes that anyone may have made, with what must hold whatever they are.

use super::{
    attributes::Attributes,
    bytes::Bytes,
    codec,
    file::DicomFile,
    fragments::Fragments,
    image::DicomImage,
    layout::{Layout, Photometric, SampleKind},
    lut::{Lut, Palette},
    parse::Parser,
    samples::Samples,
    syntax::PixelEncoding,
    walk::{self, Encoding},
};
use crate::geometry::Size;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::{fs, path::Path};

/// Elements of a data set: first byte the encoding, then the data set. Each span lies behind the one before and within the
/// data.
pub(crate) fn elements(data: &[u8], _: &Path) {
    let Some((&kind, data)) = data.split_first() else {
        return;
    };
    let encoding = Encoding {
        explicit: kind & 1 != 0,
        big_endian: kind & 2 != 0,
    };
    let mut bytes = Bytes::memory(data.to_vec());
    let (mut parser, length, mut at) = (Parser::new(encoding), bytes.len(), 0);
    while let Ok(Some(span)) = walk::element(&mut bytes, at, length, encoding) {
        assert!(span.start == at && span.value >= at + 8, "{span:?}");
        assert!(span.value <= span.end && span.end <= length, "{span:?}");
        if let Ok(Some(element)) = parser.element(&mut bytes, &span) {
            assert_eq!(element.header().tag, span.tag);
        }
        at = span.end;
    }
}

/// A file whose encapsulated pixel data are `pixels`, for `frames` frames of RLE or JPEG.
fn encapsulated(rle: bool, frames: u8, pixels: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 128];
    let mut element = |tag: Tag, vr: &[u8; 2], value: &[u8]| {
        file.extend(tag.0.to_le_bytes());
        file.extend(tag.1.to_le_bytes());
        file.extend(vr);
        file.extend((value.len() as u16).to_le_bytes());
        file.extend(value);
    };
    let syntax: &[u8] = if rle {
        b"1.2.840.10008.1.2.5\0"
    } else {
        b"1.2.840.10008.1.2.4.50"
    };
    element(tags::TRANSFER_SYNTAX_UID, b"UI", syntax);
    element(
        tags::NUMBER_OF_FRAMES,
        b"IS",
        format!("{frames:<4}").as_bytes(),
    );
    file.splice(128..128, *b"DICM");
    file.extend(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff");
    file.extend(pixels);
    file
}

/// Items of encapsulated pixel data: first byte the encoding, second the frames, then the items. No byte of the file comes
/// in two frames, and none from nowhere.
pub(crate) fn fragments(data: &[u8], folder: &Path) {
    let [kind, frames, items @ ..] = data else {
        return;
    };
    let (rle, path) = (kind & 1 != 0, folder.join("fragments.dcm"));
    let written = encapsulated(rle, *frames, items);
    fs::write(&path, &written).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let Ok(mut file) = DicomFile::open(&path) else {
        return;
    };
    let Ok(span) = file.pixel_span() else { return };
    let encoding = if rle {
        PixelEncoding::Rle
    } else {
        PixelEncoding::Jpeg
    };
    let Ok((fragments, _)) = Fragments::of(&mut file, &span, u64::from(*frames), encoding) else {
        return;
    };
    let mut total = 0;
    for frame in 0..fragments.frames() {
        if let Ok(bytes) = fragments.frame(&mut file.bytes, frame) {
            assert!(!bytes.is_empty(), "frame {frame} of nothing");
            total += bytes.len();
        }
    }
    assert!(total <= items.len(), "{total} bytes out of {}", items.len());
    assert!(
        fragments
            .frame(&mut file.bytes, fragments.frames())
            .is_err()
    );
}

fn grey(width: u8, height: u8, samples: u16, bits: u16) -> Layout {
    Layout {
        size: Size::new(u32::from(width).max(1), u32::from(height).max(1)),
        samples,
        bits_allocated: bits,
        bits_stored: bits,
        high_bit: bits - 1,
        signed: false,
        photometric: if samples == 1 {
            Photometric::Monochrome2
        } else {
            Photometric::Rgb
        },
        planar: false,
        frames: 1,
        kind: SampleKind::Integer,
    }
}

/// One plane in PackBits: runs of at least three equal bytes as such, others as they are.
fn pack_bits(plane: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    for run in plane.chunk_by(|a, b| a == b) {
        for part in run.chunks(128) {
            match (part, part.len()) {
                ([first, ..], n @ 3..) => packed.extend([(257 - n) as u8, *first]),
                (_, n) => {
                    packed.push((n - 1) as u8);
                    packed.extend(part);
                }
            }
        }
    }
    packed
}

/// An RLE frame: width, height, kind of samples, then the frame; the rest is also taken as a plane, packed and unpacked.
pub(crate) fn rle(data: &[u8], _: &Path) {
    let [width, height, kind, frame @ ..] = data else {
        return;
    };
    let layout = match kind % 5 {
        0 => grey(*width, *height, 1, 1),
        1 => grey(*width, *height, 3, 8),
        2 => grey(*width, *height, 1, 16),
        3 => grey(*width, *height, 1, 32),
        _ => grey(*width, *height, 1, 8),
    };
    if let Ok(decoded) = codec::decode(frame, PixelEncoding::Rle, &layout) {
        assert_eq!(decoded.samples.len() as u64, layout.samples_per_frame());
    }
    let plane = frame.get(..frame.len().min(255)).unwrap_or_default();
    if plane.is_empty() {
        return;
    }
    let mut encoded = [1u32, 64].map(u32::to_le_bytes).concat();
    encoded.resize(64, 0);
    encoded.extend(pack_bits(plane));
    match codec::decode(
        &encoded,
        PixelEncoding::Rle,
        &grey(plane.len() as u8, 1, 1, 8),
    ) {
        Ok(decoded) => assert_eq!(decoded.samples, Samples::U8(plane.to_vec())),
        Err(error) => panic!("{plane:?}: {error}"),
    }
}

fn words(bytes: &[u8]) -> PrimitiveValue {
    let words = bytes.as_chunks::<2>().0.iter();
    PrimitiveValue::U16(words.map(|&b| u16::from_le_bytes(b)).collect())
}

/// Lookup tables and palettes: first byte whether values are signed and a palette is segmented, then a descriptor of
/// three words, then the data.
pub(crate) fn tables(data: &[u8], _: &Path) {
    let Some((&kind, rest)) = data.split_first() else {
        return;
    };
    let Some((descriptor, values)) = rest.split_at_checked(6) else {
        return;
    };
    let (signed, segmented) = (kind & 1 != 0, kind & 2 != 0);
    let mut object = InMemDicomObject::new_empty();
    let mut put = |tag, bytes| object.put(DataElement::new(tag, VR::US, words(bytes)));
    put(tags::LUT_DESCRIPTOR, descriptor);
    put(tags::LUT_DATA, values);
    for (d, plain, parts) in [
        (
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
        (
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
        (
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
    ] {
        put(d, descriptor);
        put(if segmented { parts } else { plain }, values);
    }
    let inputs = [
        f64::NEG_INFINITY,
        -40_000.0,
        -1.0,
        0.5,
        255.0,
        70_000.0,
        f64::NAN,
    ];
    if let Ok(lut) = Lut::from_item(Attributes(&object), signed) {
        for input in inputs {
            assert!(u32::from(lut.map(input)) < 1 << lut.bits, "{input}");
        }
    }
    if let Ok((palette, _)) = Palette::read(Attributes(&object), signed) {
        // What lies below the table takes its first entry.
        let [lowest, low, ..] = inputs.map(|input| palette.map(input));
        assert_eq!(lowest, low);
    }
}

/// A whole file: attributes, frames of native, RLE and deflated pixel data (other codecs are not ours).
pub(crate) fn file(data: &[u8], folder: &Path) {
    let path = folder.join("file.dcm");
    fs::write(&path, data).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let Ok(file) = DicomFile::open(&path) else {
        return;
    };
    let ours = matches!(
        file.syntax.pixels,
        Some(PixelEncoding::Native | PixelEncoding::Rle | PixelEncoding::Deflated)
    );
    let Ok(mut image) = DicomImage::from_file(file, super::Window::default()) else {
        return;
    };
    if !ours || image.layout().size.pixels() > 1 << 16 {
        return;
    }
    let size = image.layout().size;
    for frame in 0..image.frames().min(4) {
        if let Ok(shown) = image.shown(frame) {
            let channels = if shown.colour { 3 } else { 1 };
            assert_eq!(
                (shown.size, shown.data.len() as u64),
                (size, size.pixels() * channels)
            );
        }
    }
}

/// The markers of a JPEG frame; its copy without application segments tells the same of the frame.
pub(crate) fn jpeg_header(data: &[u8], _: &Path) {
    codec::check_header(data);
}
