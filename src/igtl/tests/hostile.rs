//! Bytes that are no messages, or not all of one.

use super::*;

fn transform() -> Vec<u8> {
    let message = message("d", Content::Transform([[1.0; 4]; 3]));
    Encoded::new(message).unwrap().to_bytes(Version::V1)
}

/// A message of any type and body with the right check sum.
fn raw(version: u16, kind: &str, body: &[u8]) -> Vec<u8> {
    let mut crc = crc::Crc::new();
    crc.update(body);
    let header = header::Header {
        version,
        kind: kind.to_owned(),
        device: "d".to_owned(),
        time: None,
        body: body.len() as u64,
        crc: crc.value(),
    };
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    bytes.extend_from_slice(body);
    bytes
}

fn problem(bytes: &[u8]) -> DecodeError {
    let mut stream = bytes.to_vec();
    stream.extend(transform());
    let (mut all, error) = read_all(&stream, ReadLimits::default());
    assert!(error.is_none(), "{error:?}");
    assert_eq!(all.len(), 2, "what follows is read: {all:?}");
    assert!(matches!(all[1], Incoming::Message { .. }));
    match all.remove(0) {
        Incoming::Rejected { problem, .. } => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wrong_check_sum_drops_one_message() {
    let mut bytes = transform();
    bytes[70] ^= 1;
    assert!(matches!(problem(&bytes), DecodeError::CheckSum { .. }));
}

#[test]
fn a_message_that_is_cut_anywhere_is_truncated() {
    let bytes = transform();
    for cut in 1..bytes.len() {
        let (all, error) = read_all(&bytes[..cut], ReadLimits::default());
        assert!(all.is_empty());
        assert!(matches!(error, Some(ReadError::Truncated)), "{cut}");
    }
}

#[test]
fn a_body_beyond_the_bounds_ends_the_stream() {
    let mut bytes = raw(1, "IMAGE", &[]);
    for size in [(256 << 20) + 1, 1 << 62, u64::MAX] {
        bytes[42..50].copy_from_slice(&u64::to_be_bytes(size));
        let (_, error) = read_all(&bytes, ReadLimits::default());
        let Some(ReadError::Decode(DecodeError::TooLarge { stated, .. })) = error else {
            panic!("{error:?}");
        };
        assert_eq!(stated, size);
    }
    let limits = ReadLimits {
        body: 1000,
        small: 10,
    };
    assert!(read_all(&raw(1, "STRING", &[0; 11]), limits).1.is_some());
    assert!(read_all(&raw(1, "QTDATA", &[0; 1001]), limits).1.is_some());
    assert!(read_all(&raw(1, "QTDATA", &[0; 1000]), limits).1.is_none());
}

#[test]
fn other_types_are_passed_over() {
    let mut bytes = raw(2, "TDATA", &[9; 70]);
    bytes.extend(raw(1, "STT_TDATA", &[0; 36]));
    bytes.extend(transform());
    let (all, error) = read_all(&bytes, ReadLimits::default());
    assert!(error.is_none());
    let kinds = all.iter().map(|incoming| match incoming {
        Incoming::Skipped { kind, .. } => kind.as_str(),
        _ => "",
    });
    assert_eq!(kinds.collect::<Vec<_>>(), ["TDATA", "STT_TDATA", ""]);
}

#[test]
fn sizes_around_the_content_must_fit() {
    let sizes = |size: u16, index: u16, texts: u32, rest: &[u8]| {
        let mut body = Vec::new();
        body.extend_from_slice(&size.to_be_bytes());
        body.extend_from_slice(&index.to_be_bytes());
        body.extend_from_slice(&texts.to_be_bytes());
        body.extend_from_slice(&[0; 4]);
        body.extend_from_slice(rest);
        problem(&raw(2, "CAPABILITY", &body))
    };
    let extended = |problem| matches!(problem, DecodeError::ExtendedHeader { .. });
    assert!(extended(sizes(8, 0, 0, &[])));
    assert!(extended(sizes(100, 0, 0, &[])));
    assert!(extended(problem(&raw(2, "CAPABILITY", &[0, 12]))));
    let metadata = |problem| matches!(problem, DecodeError::Metadata(_));
    assert!(metadata(sizes(12, 0, 1000, &[])));
    assert!(metadata(sizes(12, 1, 0, &[0])));
    assert!(metadata(sizes(12, 10, 0, &[0, 5, 0, 0, 0, 3, 0, 0, 0, 0])));
    let entry = [0, 1, 0, 1, 0, 3, 0xFF, 0xFF, 0xFF, 0xFF, b'k', 0, 0];
    assert!(metadata(sizes(12, 10, 3, &entry)));
    let utf_16 = [0, 1, 0, 0, 0x03, 0xF6, 0, 0, 0, 0];
    assert_eq!(sizes(12, 10, 0, &utf_16), DecodeError::Encoding(1014));
}

#[test]
fn contents_of_a_wrong_size_are_refused() {
    let size = |kind, body: &[u8]| {
        let problem = problem(&raw(1, kind, body));
        assert!(matches!(problem, DecodeError::Size { .. }), "{problem}");
    };
    size("TRANSFORM", &[0; 47]);
    size("TRANSFORM", &[0; 49]);
    size("STATUS", &[0; 30]);
    size("STRING", &[0; 3]);
    size("STRING", &[0, 3, 0, 9, b'a']);
    size("POINT", &[0; 137]);
    size("CAPABILITY", &[0; 13]);
    size("IMAGE", &[0; 71]);
    let unterminated = problem(&raw(1, "STATUS", &[1; 40]));
    assert_eq!(unterminated, DecodeError::Unterminated);
    let encoding = problem(&raw(1, "STRING", &[0, 4, 0, 1, 0xFC]));
    assert_eq!(encoding, DecodeError::Encoding(4));
    assert_eq!(
        problem(&raw(1, "STRING", &[0, 106, 0, 1, 0xFC])),
        DecodeError::Text
    );
}

/// The body of an image of 4 by 2 by 1 with changes to its header.
fn body(changes: &[(usize, u8)]) -> Vec<u8> {
    let samples = Samples::U8((0..8).collect());
    let bytes = Encoded::new(message("d", image([4, 2, 1], 1, samples))).unwrap();
    let mut body = bytes.to_bytes(Version::V1)[header::HEADER..].to_vec();
    changes.iter().for_each(|&(at, value)| body[at] = value);
    body
}

#[test]
fn images_that_are_not_read_are_named() {
    let image = |changes: &[(usize, u8)]| match problem(&raw(1, "IMAGE", &body(changes))) {
        DecodeError::Image(problem) => problem,
        other => panic!("{other}"),
    };
    assert_eq!(image(&[(1, 2)]), ImageProblem::Version(2));
    assert_eq!(image(&[(2, 4)]), ImageProblem::Components(4));
    assert_eq!(image(&[(3, 10)]), ImageProblem::Scalar(10));
    assert_eq!(image(&[(4, 3)]), ImageProblem::Endian(3));
    assert_eq!(image(&[(5, 0)]), ImageProblem::Coordinates(0));
    let pixels = |found, expected| ImageProblem::Pixels { found, expected };
    assert_eq!(image(&[(3, 5)]), pixels(8, 16));
    assert_eq!(
        image(&[(6, 255), (66, 255)]),
        pixels(8, 2 * (255 * 256 + 4))
    );
    assert!(matches!(image(&[(61, 1)]), ImageProblem::Extent { .. }));
    assert!(matches!(image(&[(67, 0)]), ImageProblem::Extent { .. }));
}

#[test]
fn a_part_of_a_volume_lies_where_it_is() {
    // Columns 2 and 3 of 4, row 1 of 2.
    let mut body = body(&[(61, 2), (63, 1), (67, 2), (69, 1)]);
    body.truncate(image::IMAGE_HEADER + 2);
    let (message, _) = only(&raw(1, "IMAGE", &body));
    let Content::Image(part) = message.content else {
        panic!("no image");
    };
    assert_eq!(
        (part.size, part.samples),
        ([2, 1, 1], Samples::U8(vec![0, 1]))
    );
    // The middle of the volume is at 1.5, 0.5; that of the part at 2.5, 1.
    assert_eq!(part.geometry.centre, [10.5, 20.125, 30.0]);
    assert_eq!(part.geometry.row_step, geometry().row_step);
}

/// Changed copies of good streams, often with a right size and check sum, through the fuzzer's door.
#[test]
fn changed_messages_are_survived() {
    let text = Content::String("ü".to_owned());
    let status = Status {
        code: 1,
        sub_code: 2,
        name: "OK".to_owned(),
        text: "ready".to_owned(),
    };
    let samples = Samples::I16((0..24).collect());
    let contents = [
        image([4, 2, 1], 3, samples),
        Content::Status(status),
        text,
        Content::Capability(vec!["IMAGE".to_owned(); 3]),
        Content::Transform([[1.0; 4]; 3]),
    ];
    let good = contents.map(|content| {
        let message = Message {
            metadata: vec![("key".to_owned(), "value".to_owned()); 2],
            ..message("device", content)
        };
        let encoded = Encoded::new(message).unwrap();
        [Version::V1, Version::V2].map(|version| encoded.to_bytes(version))
    });
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..20_000 {
        let mut bytes = good[random(5)][random(2)].clone();
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            let to = (at + random(9)).min(bytes.len());
            match random(4) {
                0 => bytes[at] ^= 1 << random(8),
                1 => bytes[at..to].fill([0, 0xFF][random(2)]),
                2 => drop(bytes.drain(at..to)),
                _ => bytes[at] = random(256) as u8,
            }
            bytes.push(0);
        }
        if bytes.len() > header::HEADER && random(3) > 0 {
            let (head, body) = bytes.split_at_mut(header::HEADER);
            let mut crc = crc::Crc::new();
            crc.update(body);
            head[42..50].copy_from_slice(&(body.len() as u64).to_be_bytes());
            head[50..58].copy_from_slice(&crc.value().to_be_bytes());
        }
        fuzzing::messages(&bytes, std::path::Path::new(""));
    }
}
