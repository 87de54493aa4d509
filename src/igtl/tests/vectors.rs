//! Messages whose bytes were put together by hand from the tables of the specification, with a CRC of another program.

use super::*;
use std::time::Duration;

/// Bytes of hexadecimal digits; `z5` are five zeros.
fn bytes(text: &str) -> Vec<u8> {
    let word = |word: &str| match word.strip_prefix('z') {
        Some(count) => vec![0; count.parse().unwrap()],
        None => (0..word.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&word[at..at + 2], 16).unwrap())
            .collect(),
    };
    text.split_whitespace().flat_map(word).collect()
}

/// The bytes make the message, and the message, in version 1, the bytes.
fn same(text: &str, expected: &Message) {
    let bytes = bytes(text);
    assert_eq!(only(&bytes), (expected.clone(), 1));
    let encoded = Encoded::new(expected.clone()).unwrap();
    assert_eq!(encoded.to_bytes(Version::V1), bytes);
    assert_eq!(encoded.size(Version::V1), bytes.len());
}

#[test]
fn transform_is_column_by_column() {
    let rows = [
        [1.0, 4.0, 7.0, 10.0],
        [2.0, 5.0, 8.0, -20.5],
        [3.0, 6.0, 9.0, 30.0],
    ];
    same(
        "00015452414e53464f524d00000050726f6265546f547261636b6572 z6 6553f10080 z10 303aeb70bcc028ec493f8000004000000040400000
         4080000040a0000040c0000040e00000410000004110000041200000c1a4000041f00000",
        &Message {
            time: Some(Duration::new(1_700_000_000, 500_000_000)),
            ..message("ProbeToTracker", Content::Transform(rows))
        },
    );
}

#[test]
fn image_of_big_endian_pixels() {
    let text = "0001494d414745 z7 496d6167655f5265666572656e6365 z20 508c49f7b5da0161760001010501010002000200013f z15 3e80 z14
        3f8000004120000041a0000041f0 z9 0200020001000000011234ffff";
    let pixels = Samples::U16(vec![0, 1, 0x1234, 0xffff]);
    let expected = message("Image_Reference", image([2, 2, 1], 1, pixels));
    assert_eq!(only(&bytes(text)), (expected, 1));
}

#[test]
fn status_of_version_2_with_metadata_and_a_longer_extended_header() {
    let text = "0002535441545553 z6 536c69636572 z17 01 z11 67defac7d03db1f41b000f00120000002200000007aabbcc
        0001fffffffffffffffe4f4b z18 7265616479000002000c00030000000d0002006a000000074d524d4c4e6f64654e616d654947544c
        436f6e6e6563746f72c3bc4772c3b6c39f65";
    let status = Status {
        code: 1,
        sub_code: -2,
        name: "OK".to_owned(),
        text: "ready".to_owned(),
    };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let expected = Message {
        time: Some(Duration::from_secs(1)),
        metadata: vec![pair("MRMLNodeName", "IGTLConnector"), pair("ü", "Größe")],
        ..message("Slicer", Content::Status(status))
    };
    let (found, version) = only(&bytes(text));
    assert_eq!((found, version), (expected, 2));
}

#[test]
fn string_in_utf_8() {
    same(
        "0001535452494e47 z6 4c6f67 z32 074b0af598376f9739006a0003c39c31",
        &message("Log", Content::String("Ü1".to_owned())),
    );
}

#[test]
fn point_of_136_bytes() {
    let point = Point {
        name: "P1".to_owned(),
        group: "G".to_owned(),
        rgba: [255, 128, 0, 255],
        position: [1.5, -2.5, 3.5],
        diameter: 2.0,
        owner: "Image_Reference".to_owned(),
    };
    same(
        "0001504f494e54 z7 54617267657473 z28 88087ed9510c8e4c8c5031 z62 47 z31 ff8000ff3fc00000c020000040600000
         40000000496d6167655f5265666572656e6365 z5",
        &message("Targets", Content::Points(vec![point])),
    );
}

#[test]
fn capability_and_its_request() {
    let types = ["IMAGE", "GET_STATUS"].map(str::to_owned).to_vec();
    same(
        "00014341504142494c495459 z37 18bf7be756ae2ee1eb494d414745 z7 4745545f5354415455530000",
        &message("", Content::Capability(types)),
    );
    same(
        "00014745545f4341504142494c z45",
        &message("", Content::Request("GET_CAPABIL".to_owned())),
    );
}
