//! Files that lie: each gives an error of its own, none panics, none makes the reader allocate what the file cannot back.

use super::{common::*, native::rle};
use dicom_core::VR;
use dicom_dictionary_std::tags;
use ultramotion::dicom::{DicomError, Window};

fn error(o: &Object) -> DicomError {
    o.open()
        .and_then(|mut image| image.shown(0))
        .expect_err("a hostile file")
}

/// A change to an object.
type Change = fn(&mut Object);

#[test]
fn impossible_image_attributes_are_named() {
    let cases: [(&str, Change); 9] = [
        ("Rows", |o| {
            o.u16(tags::ROWS, 0);
        }),
        ("Columns", |o| {
            o.u16(tags::COLUMNS, 0);
        }),
        ("BitsAllocated", |o| {
            o.u16(tags::BITS_ALLOCATED, 255);
        }),
        ("BitsStored", |o| {
            o.u16(tags::BITS_STORED, 9);
        }),
        ("BitsStored", |o| {
            o.u16(tags::BITS_STORED, 0);
        }),
        ("SamplesPerPixel", |o| {
            o.u16(tags::SAMPLES_PER_PIXEL, 7);
        }),
        ("PixelRepresentation", |o| {
            o.u16(tags::PIXEL_REPRESENTATION, 2);
        }),
        ("PhotometricInterpretation", |o| {
            o.text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "PLAID");
        }),
        ("NumberOfFrames", |o| {
            o.text(tags::NUMBER_OF_FRAMES, VR::IS, "-1");
        }),
    ];
    for (name, change) in cases {
        let mut o = Object::image(2, 2);
        change(o.bytes(&[0; 4]));
        assert!(
            matches!(error(&o), DicomError::Invalid { name: n, .. } if n == name),
            "{name}: {:?}",
            error(&o)
        );
    }
    for (tag, name) in [
        (tags::ROWS, "Rows"),
        (tags::BITS_ALLOCATED, "BitsAllocated"),
        (
            tags::PHOTOMETRIC_INTERPRETATION,
            "PhotometricInterpretation",
        ),
    ] {
        let mut o = Object::image(2, 2);
        o.bytes(&[0; 4]).data.remove_element(tag);
        assert_eq!(error(&o), DicomError::Missing(name));
    }
    assert_eq!(error(&Object::image(2, 2)), DicomError::NoPixelData);
}

#[test]
fn native_data_shorter_than_declared_are_truncated() {
    let mut o = Object::image(65535, 4000);
    o.bits(16, 16).pixel_words(&[1, 2]);
    assert!(matches!(
        error(&o),
        DicomError::Truncated {
            frame: 0,
            available: 4,
            ..
        }
    ));
    o.u16(tags::ROWS, 65535);
    assert!(matches!(error(&o), DicomError::TooLarge { .. }));
    // The last frame of a declared many must not overflow.
    let mut o = Object::image(4000, 4000);
    o.text(tags::NUMBER_OF_FRAMES, VR::IS, "2147483647")
        .bytes(&[0; 16]);
    let mut image = o.open().expect("an image");
    assert!(matches!(
        image.stored(2_147_483_646),
        Err(DicomError::Truncated { .. })
    ));
    assert!(matches!(
        image.stored(u64::MAX),
        Err(DicomError::Truncated { .. })
    ));
}

#[test]
fn tiny_encoded_frames_cannot_claim_huge_images() {
    for (syntax, frame) in [
        (RLE, rle(&[vec![1, 2]])),
        ("1.2.840.10008.1.2.4.90", fixture("j2k-12.j2k")),
        ("1.2.840.10008.1.2.4.50", fixture("baseline-8.jpg")),
    ] {
        let mut o = Object::image(16000, 16000);
        o.fragments(syntax, &[], std::slice::from_ref(&frame));
        assert!(
            matches!(error(&o), DicomError::TooLarge { .. }),
            "{syntax}: {:?}",
            error(&o)
        );
        let mut o = Object::image(100, 100);
        o.fragments(syntax, &[], &[frame]);
        assert!(
            matches!(error(&o), DicomError::Codec { .. }),
            "{syntax}: {:?}",
            error(&o)
        );
    }
}

/// OpenJPEG allocates for each tile that SIZ asks for.
#[test]
fn a_codestream_cannot_claim_more_tiles_than_it_holds() {
    let mut frame = fixture("j2k-12.j2k");
    for field in [24, 28] {
        frame[field..field + 4].copy_from_slice(&1_u32.to_be_bytes());
    }
    let mut o = Object::image(40, 30);
    o.bits(16, 12)
        .fragments("1.2.840.10008.1.2.4.90", &[], &[frame]);
    assert!(
        matches!(error(&o), DicomError::Codec { codec: "JPEG 2000", problem } if problem.contains("tiles"))
    );
}

#[test]
fn broken_fragments_are_errors() {
    let mut o = Object::image(2, 1);
    o.fragments(RLE, &[], &[vec![]]);
    assert!(
        matches!(error(&o), DicomError::Structure { .. }),
        "an empty fragment"
    );
    o.fragments(RLE, &[], &[]);
    assert!(
        matches!(error(&o), DicomError::Structure { .. }),
        "no fragment"
    );
    o.fragments(RLE, &[], &[vec![255; 10]]);
    assert!(matches!(error(&o), DicomError::Codec { codec: "RLE", .. }));
    o.fragments(RLE, &[], &[vec![255; 100]]);
    assert!(matches!(error(&o), DicomError::Codec { codec: "RLE", .. }));
    o.bytes(&[1, 2]);
    assert!(
        matches!(error(&o), DicomError::WrongEncoding { .. }),
        "native data under a compressed transfer syntax"
    );
    // More frames than fragments, and fragments that fit no number of frames.
    o.text(tags::NUMBER_OF_FRAMES, VR::IS, "3").fragments(
        RLE,
        &[],
        &[rle(&[vec![1, 2]]), rle(&[vec![3, 4]])],
    );
    let mut image = o.open().expect("an image");
    assert_eq!(values(&image.stored(1).expect("frame 1")), [3, 4]);
    assert!(matches!(image.stored(2), Err(DicomError::Truncated { .. })));
}

#[test]
fn palettes_without_tables_are_errors() {
    let mut o = Object::image(2, 1);
    o.photometric("PALETTE COLOR", 1).bytes(&[0, 1]);
    assert_eq!(
        error(&o),
        DicomError::Missing("RedPaletteColorLookupTableDescriptor")
    );
    o.words(
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        VR::US,
        &[256, 0],
    );
    assert!(matches!(error(&o), DicomError::Invalid { .. }));
    o.words(
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        VR::US,
        &[256, 0, 8],
    )
    .words(tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA, VR::OW, &[1, 2]);
    assert!(matches!(
        error(&o),
        DicomError::Invalid {
            name: "RedPaletteColorLookupTableData",
            ..
        }
    ));
}

#[test]
fn unknown_transfer_syntaxes_are_named() {
    let mut o = Object::image(2, 1);
    o.bytes(&[1, 2]);
    let mut bytes = o.encoded();
    let at = bytes
        .windows(EXPLICIT.len())
        .position(|w| w == EXPLICIT.as_bytes())
        .expect("a transfer syntax");
    bytes[at + EXPLICIT.len() - 1] = b'7';
    let got = open_bytes(&bytes, Window::Auto)
        .map(|_| ())
        .expect_err("unknown");
    assert!(
        matches!(&got, DicomError::TransferSyntax { uid, .. } if uid == "1.2.840.10008.1.2.7"),
        "{got:?}"
    );
}

/// An element whose length is a lie must not be allocated: dicom-rs would.
#[test]
fn lengths_past_the_end_are_refused_before_anything_is_read() {
    let head = {
        let bytes = Object::image(2, 1).encoded();
        bytes[..132].to_vec()
    };
    let lying: [&[u8]; 4] = [
        b"\x08\x00\x16\x00UN\0\0\xf0\xff\xff\xff1.2",
        b"\x08\x00\x40\x11SQ\0\0\xf0\xff\xff\xff1.2",
        b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00\x50\x11UN\0\0\xf0\xff\xff\xff1",
        b"\x08\x00\x40\x11SQ\0\0\x14\0\0\0\xfe\xff\x00\xe0\x0c\0\0\0\x08\x00\x50\x11UN\0\0\xf0\xff\xff\x7f",
    ];
    for data in lying {
        let got = open_bytes(&[&head, data].concat(), Window::Auto)
            .map(|_| ())
            .expect_err("a lie");
        assert!(matches!(got, DicomError::Structure { .. }), "{got:?}");
    }
}

/// Inside an implicit item the two readings of a header must not be mixed: a length for one is nonsense for the other.
#[test]
fn headers_of_the_wrong_encoding_inside_a_sequence_are_not_trusted() {
    let mut o = Object::image(2, 1);
    o.bytes(&[1, 2]);
    let bytes = o.encoded();
    let at = bytes
        .windows(4)
        .position(|w| w == [0x28, 0, 2, 0])
        .expect("Samples per Pixel");
    for inner in [
        &b"\x08\x00\x50\x11un\xff\x7f"[..],
        b"\x08\x00\x50\x11ZZ\0\0\xf0\xff\xff\x7f",
        b"\x08\x00\x50\x11UI\xff\xff",
    ] {
        let len = inner.len() as u8;
        let sequence = [
            b"\x08\x00\x40\x11SQ\0\0",
            &[len + 8, 0, 0, 0][..],
            b"\xfe\xff\x00\xe0",
            &[len, 0, 0, 0],
            inner,
        ]
        .concat();
        let file = [&bytes[..at], &sequence, &bytes[at..]].concat();
        let got = open_bytes(&file, Window::Auto).map(|_| ());
        assert!(matches!(got, Err(DicomError::Structure { .. })), "{got:?}");
    }
}

#[test]
fn sequences_nested_without_end_do_not_exhaust_the_stack() {
    let head = Object::image(2, 1).encoded()[..132].to_vec();
    let level = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff";
    let file = [head, level.repeat(200_000)].concat();
    let got = open_bytes(&file, Window::Auto)
        .map(|_| ())
        .expect_err("a tower");
    assert!(matches!(got, DicomError::Structure { .. }), "{got:?}");
}

#[test]
fn a_jpeg_ls_stream_cut_before_its_end_marker_ends_at_once() {
    let mut frame = fixture("ls-12.jls");
    frame.truncate(frame.len() / 2);
    let mut o = Object::image(40, 30);
    o.bits(16, 12)
        .fragments("1.2.840.10008.1.2.4.80", &[], &[frame]);
    let start = std::time::Instant::now();
    assert!(matches!(
        error(&o),
        DicomError::Codec {
            codec: "JPEG-LS",
            ..
        }
    ));
    assert!(
        start.elapsed().as_secs() < 3,
        "the decoder must not read on past the end"
    );
}

/// A small generator of numbers, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

/// Bytes are changed and files cut at random places: the result is pixels or an error, never a panic.
#[test]
fn damaged_files_give_pixels_or_errors() {
    let encoded = [
        ("1.2.840.10008.1.2.4.50", "baseline-ybr-420.jpg", 8, 3),
        ("1.2.840.10008.1.2.4.51", "extended-12.jpg", 12, 1),
        ("1.2.840.10008.1.2.4.70", "lossless-16-sv1.jpg", 16, 1),
        ("1.2.840.10008.1.2.4.70", "lossless-rgb-sv1.jpg", 8, 3),
        ("1.2.840.10008.1.2.4.80", "ls-rgb-line.jls", 8, 3),
        ("1.2.840.10008.1.2.4.90", "j2k-rct.j2k", 8, 3),
        ("1.2.840.10008.1.2.4.201", "htj2k-12.j2k", 12, 1),
    ];
    let mut files: Vec<Vec<u8>> = encoded
        .iter()
        .map(|&(syntax, name, bits, samples)| {
            let mut o = Object::image(40, 30);
            let photometric = if samples == 3 { "RGB" } else { "MONOCHROME2" };
            o.bits(if bits > 8 { 16 } else { 8 }, bits)
                .photometric(photometric, samples)
                .fragments(syntax, &[], &[fixture(name)]);
            o.encoded()
        })
        .collect();
    let mut o = Object::image(3, 1);
    o.fragments(RLE, &[], &[rle(&[vec![7, 8, 9]])]);
    files.push(o.encoded());
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for file in &files {
        for _ in 0..150 {
            let mut damaged = file.clone();
            for _ in 0..=numbers.next(4) {
                let at = 132 + numbers.next(damaged.len() - 132);
                match numbers.next(4) {
                    0 => damaged[at] = 0xff,
                    1 => damaged[at] = numbers.next(256) as u8,
                    2 => damaged[at] ^= 1 << numbers.next(8),
                    _ if numbers.next(8) == 0 => damaged.truncate(at.max(140)),
                    _ => damaged[at] = 0,
                }
            }
            // Either outcome is right; a panic or an endless run is what this test would show.
            if let Ok(mut image) = open_bytes(&damaged, Window::Auto) {
                let shown = image.shown(0);
                assert!(
                    shown.is_err()
                        || shown.is_ok_and(|s| s.data.len() as u64
                            == s.size.pixels() * if s.colour { 3 } else { 1 })
                );
            }
        }
    }
}
