//! Encoded frames made by other encoders (tests/fixtures/dicom/make.py) against the values they were made from.

use super::common::*;
use dicom_core::VR;
use dicom_dictionary_std::tags;

pub(crate) const BASELINE: &str = "1.2.840.10008.1.2.4.50";
const EXTENDED: &str = "1.2.840.10008.1.2.4.51";
const LOSSLESS: &str = "1.2.840.10008.1.2.4.57";
const LOSSLESS_SV1: &str = "1.2.840.10008.1.2.4.70";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const JPEG_LS_NEAR: &str = "1.2.840.10008.1.2.4.81";
pub(crate) const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
pub(crate) const JPEG_2000_LOSSY: &str = "1.2.840.10008.1.2.4.91";
const HTJ2K: &str = "1.2.840.10008.1.2.4.201";
pub(crate) const COLUMNS: u16 = 40;
pub(crate) const ROWS: u16 = 30;

fn pattern(channels: i64, f: impl Fn(i64, i64, i64) -> i64) -> Vec<i64> {
    let places = (0..i64::from(ROWS)).flat_map(|y| (0..i64::from(COLUMNS)).map(move |x| (x, y)));
    places
        .flat_map(|(x, y)| (0..channels).map(move |c| (x, y, c)))
        .map(|(x, y, c)| f(x, y, c))
        .collect()
}

/// `rough` of make.py.
pub(crate) fn rough(bits: u32, channels: i64) -> Vec<i64> {
    pattern(channels, |x, y, c| {
        (x * x * 3 + y * 37 + x * y + c * 50) * if bits > 12 { 9 } else { 1 } % (1 << bits)
    })
}

/// `smooth` of make.py.
pub(crate) fn smooth(bits: u32, channels: i64) -> Vec<i64> {
    let max = (1 << bits) - 1;
    pattern(channels, |x, y, c| {
        (x * max / 39 + y * max / 29 + c * (1 << (bits - 3))) / 3
    })
}

fn object(syntax: &'static str, name: &str, allocated: u16, stored: u16) -> Object {
    let mut o = Object::image(COLUMNS, ROWS);
    o.bits(allocated, stored)
        .fragments(syntax, &[], &[fixture(name)]);
    o
}

pub(crate) fn mean_difference(a: &[i64], b: &[i64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs() as f64)
        .sum::<f64>()
        / a.len() as f64
}

#[test]
fn lossless_grey_is_exact() {
    let cases = [
        (LOSSLESS_SV1, "lossless-8-sv1.jpg", 8),
        (LOSSLESS, "lossless-12-sv6.jpg", 12),
        (LOSSLESS_SV1, "lossless-16-sv1.jpg", 16),
        (JPEG_LS, "ls-12.jls", 12),
        (JPEG_2000, "j2k-12.j2k", 12),
        (HTJ2K, "htj2k-12.j2k", 12),
    ];
    for (syntax, name, bits) in cases {
        let allocated = if bits > 8 { 16 } else { 8 };
        assert_eq!(
            values(&object(syntax, name, allocated, bits).stored()),
            rough(bits.into(), 1),
            "{name}"
        );
    }
}

#[test]
fn signed_values_come_back_signed_whatever_the_codestream_says() {
    let mut o = object(JPEG_2000, "j2k-16-signed.j2k", 16, 16);
    o.u16(tags::PIXEL_REPRESENTATION, 1);
    let expected: Vec<i64> = rough(16, 1).iter().map(|v| v - 32768).collect();
    assert_eq!(values(&o.stored()), expected);
    // 12 bits of two's complement in codestreams that know no sign.
    let expected: Vec<i64> = rough(12, 1)
        .iter()
        .map(|v| if *v >= 2048 { v - 4096 } else { *v })
        .collect();
    for (syntax, name) in [
        (LOSSLESS, "lossless-12-sv6.jpg"),
        (JPEG_LS, "ls-12.jls"),
        (JPEG_2000, "j2k-12.j2k"),
    ] {
        let mut o = object(syntax, name, 16, 12);
        o.u16(tags::PIXEL_REPRESENTATION, 1);
        assert_eq!(values(&o.stored()), expected, "{name}");
    }
}

#[test]
fn lossless_colour_is_exact_in_every_interleaving() {
    let cases = [
        (LOSSLESS_SV1, "lossless-rgb-sv1.jpg", "RGB"),
        (JPEG_LS, "ls-rgb-plane.jls", "RGB"),
        (JPEG_LS, "ls-rgb-line.jls", "RGB"),
        (JPEG_LS, "ls-rgb-sample.jls", "RGB"),
        (JPEG_2000, "j2k-rct.j2k", "YBR_RCT"),
    ];
    for (syntax, name, photometric) in cases {
        let mut o = object(syntax, name, 8, 8);
        o.photometric(photometric, 3);
        assert_eq!(values(&o.stored()), rough(8, 3), "{name}");
    }
}

#[test]
fn near_lossless_stays_within_its_bound() {
    let got = values(&object(JPEG_LS_NEAR, "ls-8-near-2.jls", 8, 8).stored());
    assert!(got.iter().zip(rough(8, 1)).all(|(a, b)| (a - b).abs() <= 2));
    assert_ne!(got, rough(8, 1));
}

#[test]
fn lossy_frames_are_close() {
    let grey = [
        (BASELINE, "baseline-8.jpg", 8, 8),
        (EXTENDED, "baseline-8.jpg", 8, 8),
        (EXTENDED, "extended-12.jpg", 16, 12),
    ];
    for (syntax, name, allocated, stored) in grey {
        let scale = f64::from(1 << (stored - 8));
        let off = mean_difference(
            &values(&object(syntax, name, allocated, stored).stored()),
            &smooth(stored.into(), 1),
        );
        assert!(off <= 1.0 * scale, "{name}: {off}");
    }
    let colour = [
        (BASELINE, "baseline-ybr-420.jpg", "YBR_FULL_422"),
        (BASELINE, "baseline-ybr-422.jpg", "YBR_FULL_422"),
        // JFIF says YCbCr, whatever the data set claims.
        (BASELINE, "baseline-ybr-422.jpg", "RGB"),
        (BASELINE, "baseline-rgb.jpg", "RGB"),
        // Component ids spell RGB, or the Adobe marker says so.
        (BASELINE, "baseline-rgb.jpg", "YBR_FULL_422"),
        (JPEG_2000_LOSSY, "j2k-ict.j2k", "YBR_ICT"),
    ];
    for (syntax, name, photometric) in colour {
        let mut o = object(syntax, name, 8, 8);
        o.photometric(photometric, 3);
        let off = mean_difference(&values(&o.stored()), &smooth(8, 3));
        assert!(off <= 2.0, "{name} as {photometric}: {off}");
    }
}

/// Two frames in three fragments.
fn two_frames() -> (Vec<Vec<u8>>, Vec<u32>) {
    let (first, second) = (fixture("lossless-8-sv1.jpg"), fixture("baseline-8.jpg"));
    let at = (first.len() / 2) & !1;
    let fragments = vec![first[..at].to_vec(), first[at..].to_vec(), second];
    let place = fragments[..2]
        .iter()
        .map(|f| 8 + f.len().next_multiple_of(2))
        .sum::<usize>();
    (fragments, vec![0, place as u32])
}

#[test]
fn frames_of_several_fragments_are_found_with_and_without_an_offset_table() {
    let (fragments, table) = two_frames();
    for table in [table, vec![], vec![0, 3]] {
        let mut o = Object::image(COLUMNS, ROWS);
        o.text(tags::NUMBER_OF_FRAMES, VR::IS, "2")
            .fragments(LOSSLESS_SV1, &table, &fragments);
        let mut image = o.open().expect("an image");
        assert_eq!(
            values(&image.stored(0).expect("frame 0")),
            rough(8, 1),
            "{table:?}"
        );
        assert!(mean_difference(&values(&image.stored(1).expect("frame 1")), &smooth(8, 1)) < 1.0);
    }
}

#[test]
fn an_extended_offset_table_wins_over_the_basic_one() {
    let (fragments, table) = two_frames();
    let mut o = Object::image(COLUMNS, ROWS);
    let quads: Vec<u8> = table
        .iter()
        .flat_map(|&o| u64::from(o).to_le_bytes())
        .collect();
    o.put(
        tags::EXTENDED_OFFSET_TABLE,
        VR::OV,
        dicom_core::PrimitiveValue::from(quads),
    );
    o.text(tags::NUMBER_OF_FRAMES, VR::IS, "2")
        .fragments(LOSSLESS_SV1, &[], &fragments);
    assert_eq!(
        values(&o.open().and_then(|mut i| i.stored(0)).expect("frame 0")),
        rough(8, 1)
    );
}
