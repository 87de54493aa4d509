//! Native and RLE pixel data: depths, signs, byte orders, photometric interpretations.

use super::common::*;
use dicom_core::{VR, value::PrimitiveValue};
use dicom_dictionary_std::tags;
use ultramotion::dicom::{DicomError, Photometric, Samples};

#[test]
fn each_transfer_syntax_gives_the_same_values() {
    let words = [0x0001, 0x0fff, 0x0800, 0x07ff, 0x1234, 0x0abc];
    for syntax in [IMPLICIT, EXPLICIT, BIG_ENDIAN] {
        let mut o = Object::image(3, 2);
        o.bits(16, 16).pixel_words(&words).syntax(syntax);
        assert_eq!(values(&o.stored()), words.map(i64::from), "{syntax}");
    }
}

#[test]
fn big_endian_bytes_in_words_are_unswapped_for_odd_frames_too() {
    // Two frames of 3×1 pixels as OW words: 1 2 3 | 4 5 6.
    let mut o = Object::image(3, 1);
    o.text(tags::NUMBER_OF_FRAMES, VR::IS, "2")
        .pixel_words(&[0x0201, 0x0403, 0x0605])
        .syntax(BIG_ENDIAN);
    let mut image = o.open().expect("an image");
    assert_eq!(values(&image.stored(0).expect("frame 0")), [1, 2, 3]);
    assert_eq!(values(&image.stored(1).expect("frame 1")), [4, 5, 6]);
}

#[test]
fn stored_bits_are_sign_extended_and_junk_above_them_is_dropped() {
    let mut o = Object::image(4, 1);
    o.bits(16, 12)
        .u16(tags::PIXEL_REPRESENTATION, 1)
        .pixel_words(&[0x07ff, 0x0800, 0xf001, 0x0fff]);
    assert_eq!(values(&o.stored()), [2047, -2048, 1, -1]);
    o.u16(tags::PIXEL_REPRESENTATION, 0);
    assert_eq!(values(&o.stored()), [2047, 2048, 1, 4095]);
}

#[test]
fn values_in_high_bits_are_shifted_down() {
    let mut o = Object::image(2, 1);
    o.bits(16, 12)
        .u16(tags::HIGH_BIT, 15)
        .pixel_words(&[0xfff7, 0x0013]);
    assert_eq!(values(&o.stored()), [4095, 1]);
}

#[test]
fn one_bit_frames_need_not_start_at_a_byte() {
    // Three frames of 3×1 pixels: 101 011 110, first pixel in the lowest bit.
    let mut o = Object::image(3, 1);
    o.bits(1, 1)
        .text(tags::NUMBER_OF_FRAMES, VR::IS, "3")
        .bytes(&[0b1111_0101, 0b0000_0000]);
    let mut image = o.open().expect("an image");
    let frames = [0, 1, 2].map(|i| values(&image.stored(i).expect("a frame")));
    assert_eq!(frames, [[1, 0, 1], [0, 1, 1], [1, 1, 0]]);
    assert_eq!(image.shown(0).expect("a frame").data, [255, 0, 255]);
}

#[test]
fn thirty_two_bits_and_floats_keep_their_values() {
    let mut o = Object::image(2, 1);
    o.bits(32, 32)
        .pixel_words(&[0x5678, 0x1234, 0xffff, 0x7fff]);
    assert_eq!(values(&o.stored()), [0x1234_5678, 0x7fff_ffff]);
    assert!(
        o.stored().to_u16().is_none(),
        "such values do not fit 16 bits"
    );
    let mut o = Object::image(2, 1);
    o.bits(32, 32).put(
        tags::FLOAT_PIXEL_DATA,
        VR::OF,
        PrimitiveValue::F32([-1.5, 2.5].as_slice().into()),
    );
    assert_eq!(o.stored().samples, Samples::F32(vec![-1.5, 2.5]));
    assert_eq!(o.shown().data, [0, 255]);
}

#[test]
fn colour_by_pixel_and_by_plane_is_the_same_picture() {
    let mut o = Object::image(2, 1);
    o.photometric("RGB", 3).bytes(&[1, 2, 3, 4, 5, 6]);
    assert_eq!(o.shown().data, [1, 2, 3, 4, 5, 6]);
    o.u16(tags::PLANAR_CONFIGURATION, 1)
        .bytes(&[1, 4, 2, 5, 3, 6]);
    assert_eq!(o.shown().data, [1, 2, 3, 4, 5, 6]);
    assert!(o.shown().colour);
}

#[test]
fn ybr_becomes_rgb_by_the_standards_equations() {
    // ITU-T T.871: white, black, pure red (76, 85, 255) within rounding.
    let mut o = Object::image(3, 1);
    o.photometric("YBR_FULL", 3)
        .bytes(&[255, 128, 128, 0, 128, 128, 76, 85, 255, 0]);
    assert_eq!(o.shown().data, [255, 255, 255, 0, 0, 0, 254, 0, 0]);
    assert_eq!(o.stored().photometric, Photometric::Rgb);
}

#[test]
fn native_422_shares_colour_between_neighbours() {
    let mut o = Object::image(2, 2);
    o.photometric("YBR_FULL_422", 3)
        .bytes(&[10, 20, 128, 128, 30, 40, 128, 128]);
    assert_eq!(
        o.shown().data,
        [10, 10, 10, 20, 20, 20, 30, 30, 30, 40, 40, 40]
    );
}

#[test]
fn sixteen_bit_colour_is_scaled_by_its_stored_bits() {
    let mut o = Object::image(1, 1);
    o.photometric("RGB", 3)
        .bits(16, 10)
        .pixel_words(&[1023, 512, 0]);
    assert_eq!(o.shown().data, [255, 128, 0]);
    assert_eq!(values(&o.stored()), [1023, 512, 0]);
}

fn palette(o: &mut Object, descriptor: [u16; 3], tables: [&[u16]; 3]) {
    let colours = [
        (
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
        (
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
        (
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
    ];
    for ((d, t), table) in colours.into_iter().zip(tables) {
        o.words(d, VR::US, &descriptor).words(t, VR::OW, table);
    }
}

#[test]
fn palettes_of_16_bits_start_at_their_first_value_and_clamp() {
    let mut o = Object::image(4, 1);
    o.photometric("PALETTE COLOR", 1).bytes(&[0, 10, 11, 200]);
    palette(
        &mut o,
        [2, 10, 16],
        [&[0x1100, 0xff00], &[0x2200, 0xee00], &[0x3300, 0xdd00]],
    );
    let (low, high) = ([0x11, 0x22, 0x33], [0xff, 0xee, 0xdd]);
    assert_eq!(o.shown().data, [low, low, high, high].concat());
    assert_eq!(
        values(&o.stored()),
        [0, 10, 11, 200],
        "stored values are indices"
    );
}

#[test]
fn palettes_of_8_bits_may_lie_two_entries_a_word() {
    let mut o = Object::image(2, 1);
    o.photometric("PALETTE COLOR", 1).bytes(&[0, 1]);
    palette(&mut o, [2, 0, 8], [&[0x0201], &[0x0403], &[0x0605]]);
    assert_eq!(o.shown().data, [1, 3, 5, 2, 4, 6]);
}

#[test]
fn segmented_palettes_expand_discrete_linear_and_indirect_segments() {
    // Discrete 0; linear to 400 in 4 steps (100, 200, 300, 400); the linear segment again, from 400: stays.
    let segments = [0, 1, 0, 1, 4, 400, 2, 1, 6, 0];
    let mut o = Object::image(9, 1);
    o.photometric("PALETTE COLOR", 1)
        .bytes(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 0]);
    let colours = [
        (
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
        (
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
        (
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
    ];
    for (d, t) in colours {
        o.words(d, VR::US, &[9, 0, 16]).words(t, VR::OW, &segments);
    }
    let red: Vec<u8> = o.shown().data.iter().step_by(3).copied().collect();
    assert_eq!(red, [0, 0, 0, 1, 1, 1, 1, 1, 1]);
    // A segment that refers to itself must not loop.
    for (_, t) in colours {
        o.words(t, VR::OW, &[0, 1, 0, 2, 1, 6, 0]);
    }
    assert!(matches!(
        o.open().and_then(|mut i| i.shown(0)),
        Err(DicomError::Invalid { .. })
    ));
}

/// PackBits in literal runs, one segment a byte plane.
pub(crate) fn rle(planes: &[Vec<u8>]) -> Vec<u8> {
    let mut header = vec![planes.len() as u32];
    let mut body = Vec::new();
    for plane in planes {
        header.push(64 + body.len() as u32);
        for run in plane.chunks(128) {
            body.push(run.len() as u8 - 1);
            body.extend_from_slice(run);
        }
        // A no-op, then padding to even length.
        body.push(128);
        body.resize(body.len().next_multiple_of(2), 0);
    }
    header.resize(16, 0);
    header
        .iter()
        .flat_map(|w| w.to_le_bytes())
        .chain(body)
        .collect()
}

#[test]
fn rle_of_8_and_16_bits_and_colour() {
    let mut o = Object::image(3, 1);
    o.fragments(RLE, &[], &[rle(&[vec![7, 8, 9]])]);
    assert_eq!(values(&o.stored()), [7, 8, 9]);
    let mut o = Object::image(3, 1);
    o.bits(16, 16).u16(tags::PIXEL_REPRESENTATION, 1).fragments(
        RLE,
        &[],
        &[rle(&[vec![0x12, 0xff, 0x00], vec![0x34, 0xfe, 0x05]])],
    );
    assert_eq!(values(&o.stored()), [0x1234, -2, 5]);
    let mut o = Object::image(2, 1);
    o.photometric("RGB", 3)
        .fragments(RLE, &[], &[rle(&[vec![1, 4], vec![2, 5], vec![3, 6]])]);
    assert_eq!(o.shown().data, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn rle_replicate_runs_expand_and_short_segments_are_errors() {
    let mut frame = rle(&[vec![]]);
    frame.truncate(64);
    frame.extend([254, 9, 0, 5]);
    let mut o = Object::image(4, 1);
    o.fragments(RLE, &[], &[frame]);
    assert_eq!(values(&o.stored()), [9, 9, 9, 5]);
    o.u16(tags::COLUMNS, 5);
    assert!(matches!(
        o.open().and_then(|mut i| i.stored(0)),
        Err(DicomError::Codec { codec: "RLE", .. })
    ));
}
