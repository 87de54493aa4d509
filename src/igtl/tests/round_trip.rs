//! Any message comes back as it was.

use super::*;
use proptest::{collection::vec, prelude::*};
use std::time::Duration;

fn number() -> impl Strategy<Value = f32> {
    any::<i16>().prop_map(|v| f32::from(v) / 8.0)
}

fn triple() -> impl Strategy<Value = [f32; 3]> {
    [number(), number(), number()]
}

fn name(most: usize) -> impl Strategy<Value = String> {
    vec(prop::char::range('!', 'ÿ'), 0..=most / 2).prop_map(String::from_iter)
}

fn any_image() -> impl Strategy<Value = Content> {
    let size = [1..9u16, 1..9u16, 1..3u16];
    let head = (
        size,
        prop::bool::ANY,
        0..3,
        [triple(), triple(), triple(), triple()],
        any::<bool>(),
    );
    head.prop_flat_map(|(size, colour, kind, vectors, ras)| {
        let components = if colour { 3 } else { 1 };
        let count =
            size.iter().map(|&s| usize::from(s)).product::<usize>() * usize::from(components);
        vec(any::<u16>(), count).prop_map(move |values| {
            let samples = match kind {
                0 => Samples::U8(values.iter().map(|&v| v as u8).collect()),
                1 => Samples::U16(values),
                _ => Samples::I16(values.iter().map(|&v| v as i16).collect()),
            };
            let [column_step, row_step, slice_step, centre] = vectors;
            let coordinates = match ras {
                true => CoordinateSystem::Ras,
                false => CoordinateSystem::Lps,
            };
            Content::Image(Image {
                size,
                components,
                samples,
                geometry: ImageGeometry {
                    column_step,
                    row_step,
                    slice_step,
                    centre,
                    coordinates,
                },
            })
        })
    })
}

fn content() -> impl Strategy<Value = Content> {
    let row = || [number(), number(), number(), number()];
    let point = (
        name(64),
        name(32),
        any::<[u8; 4]>(),
        triple(),
        number(),
        name(20),
    );
    let point = point.prop_map(|(name, group, rgba, position, diameter, owner)| Point {
        name,
        group,
        rgba,
        position,
        diameter,
        owner,
    });
    let status = (any::<u16>(), any::<i64>(), name(20), name(99));
    let status = status.prop_map(|(code, sub_code, name, text)| Status {
        code,
        sub_code,
        name,
        text,
    });
    prop_oneof![
        any_image(),
        [row(), row(), row()].prop_map(Content::Transform),
        status.prop_map(Content::Status),
        name(3000).prop_map(Content::String),
        vec(point, 0..5).prop_map(Content::Points),
        vec(name(12), 0..5).prop_map(Content::Capability),
        "(GET|STT|STP)_[A-Z]{1,8}".prop_map(Content::Request),
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    let time = prop::option::of((1..u32::MAX, 0..1_000_000_000u32));
    let metadata = vec((name(40), name(200)), 0..6);
    (name(20), time, metadata, content()).prop_map(|(device, time, metadata, content)| Message {
        device,
        time: time.map(|(s, n)| Duration::new(u64::from(s), n)),
        metadata,
        content,
    })
}

proptest! {
    #[test]
    fn messages_come_back(messages in vec((any_message(), any::<bool>()), 1..5)) {
        let mut bytes = Vec::new();
        for (message, second) in &messages {
            let version = if *second { Version::V2 } else { Version::V1 };
            let encoded = Encoded::new(message.clone()).unwrap();
            encoded.write(version, &mut bytes, |_, _| false).unwrap();
        }
        let (all, error) = read_all(&bytes, ReadLimits::default());
        prop_assert!(error.is_none());
        prop_assert_eq!(all.len(), messages.len());
        for (incoming, (sent, second)) in all.into_iter().zip(messages) {
            let Incoming::Message { message, version, .. } = incoming else {
                return Err(TestCaseError::fail("not a message"));
            };
            let metadata = if second { sent.metadata.clone() } else { Vec::new() };
            prop_assert_eq!(message, Message { metadata, ..sent });
            prop_assert_eq!(version, 1 + u16::from(second));
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let fits = |message: Message| Encoded::new(message).map(|_| ());
    let text = |text: &str| message("d", Content::String(text.to_owned()));
    assert!(fits(text(&"a".repeat(65_535))).is_ok());
    assert!(fits(text(&"a".repeat(65_536))).is_err());
    assert!(fits(message("twenty-one characters", Content::Points(vec![]))).is_err());
    assert!(fits(message("a\0b", Content::Points(vec![]))).is_err());
    assert!(fits(message("d", Content::Request("IMAGE".to_owned()))).is_err());
    let wrong = [
        image([2, 2, 1], 1, Samples::U8(vec![0; 5])),
        image([2, 0, 1], 1, Samples::U8(vec![])),
        image([1, 1, 1], 4, Samples::U8(vec![0; 4])),
    ];
    for content in wrong {
        assert!(fits(message("d", content)).is_err());
    }
    let many = vec![(String::new(), String::new()); 9000];
    let metadata = Message {
        metadata: many,
        ..text("")
    };
    assert!(fits(metadata).is_err());
}
