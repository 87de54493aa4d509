//! Images in.

use super::*;
use crate::{
    frame::Channels,
    igtl::Status,
    live::{
        LiveInput, Received, ReceivedFrame,
        openigtlink::{IgtlInput, IgtlInputOptions},
    },
    progress::Cancel,
};
use std::net::TcpListener;

fn next(input: &mut IgtlInput) -> Received {
    input.next(&Cancel::default()).unwrap().unwrap()
}

fn frame(input: &mut IgtlInput) -> ReceivedFrame {
    match next(input) {
        Received::Frame(frame) => *frame,
        other => panic!("{other:?}"),
    }
}

fn listening(options: IgtlInputOptions) -> (IgtlInput, Peer) {
    let input = IgtlInput::listen(local(), options).unwrap();
    let peer = Peer::connect(input.address().unwrap());
    (input, peer)
}

fn grey(device: &str, stamp: u64, value: u8) -> Message {
    image(device, stamp, [3, 2, 1], 1, Samples::U8(vec![value; 6]))
}

#[test]
fn images_become_frames_with_geometry_spacing_and_time() {
    let (mut input, mut peer) = listening(IgtlInputOptions::default());
    peer.send(grey("Image", 1_000_000, 7), Version::V1);
    let colour = Samples::U16([0, 257, 65_535].repeat(6));
    peer.send(image("Image", 1_000_040, [2, 3, 1], 3, colour), Version::V2);
    assert!(matches!(next(&mut input), Received::Connected));
    let first = frame(&mut input);
    assert_eq!(first.geometry, Some(geometry()));
    let physical = first.frame.physical.as_ref().unwrap();
    assert_eq!(physical.pixel_spacing_mm, Some([0.25, 0.5]));
    assert_eq!(first.frame.timestamp, Some(Duration::ZERO));
    assert_eq!(
        (first.frame.index, first.frame.image().unwrap().data()),
        (0, &[7; 6][..])
    );
    let second = frame(&mut input);
    let picture = second.frame.image().unwrap();
    assert_eq!(picture.channels(), Channels::Rgb);
    assert_eq!(picture.data(), [0, 1, 255].repeat(6));
    assert_eq!(second.frame.timestamp, Some(Duration::from_millis(40)));
    assert!(second.arrival.instant <= second.decoded);
}

#[test]
fn transforms_and_states_pass_and_other_devices_are_named() {
    let (mut input, mut peer) = listening(IgtlInputOptions::default());
    peer.send(grey("Image", 1, 1), Version::V1);
    peer.send(grey("Other", 2, 2), Version::V1);
    let transform = Message {
        content: Content::Transform([[1.0; 4]; 3]),
        ..grey("ProbeToTracker", 3, 0)
    };
    peer.send(transform.clone(), Version::V1);
    let status = Message {
        content: Content::Status(Status {
            code: 1,
            sub_code: 0,
            name: String::new(),
            text: "frozen".to_owned(),
        }),
        ..grey("Scanner", 4, 0)
    };
    peer.send(status.clone(), Version::V1);
    peer.send(grey("Image", 5, 3), Version::V1);
    assert!(matches!(next(&mut input), Received::Connected));
    assert_eq!(frame(&mut input).frame.image().unwrap().data()[0], 1);
    for expected in [transform, status] {
        let Received::Message(message) = next(&mut input) else {
            panic!("no message");
        };
        assert_eq!(*message, expected);
    }
    assert_eq!(frame(&mut input).frame.image().unwrap().data()[0], 3);
    let warnings = input.take_warnings();
    assert_eq!(warnings.len(), 1);
    let text = warnings[0].to_string();
    assert!(
        text.starts_with("igtl://127.0.0.1:") && text.contains("\"Other\" come too"),
        "{text}"
    );
}

#[test]
fn an_image_that_cannot_be_read_is_an_error_and_the_next_is_read() {
    let (mut input, mut peer) = listening(IgtlInputOptions::default());
    assert!(matches!(next(&mut input), Received::Connected));
    let mut damaged = Encoded::new(grey("Image", 1, 1))
        .unwrap()
        .to_bytes(Version::V1);
    *damaged.last_mut().unwrap() ^= 1;
    peer.1.write_all(&damaged).unwrap();
    peer.send(
        image("Image", 2, [1, 1, 2], 1, Samples::U8(vec![0; 2])),
        Version::V1,
    );
    peer.send(grey("Image", 3, 3), Version::V1);
    let cancel = Cancel::default();
    for (number, expected) in [(0, "CRC-64"), (1, "2 slices")] {
        let error = input.next(&cancel).unwrap_err();
        assert_eq!(error.frame, Some(number));
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(frame(&mut input).frame.index, 2);
}

#[test]
fn a_server_that_comes_back_is_connected_to_again() {
    let server = TcpListener::bind(local()).unwrap();
    let address = server.local_addr().unwrap();
    let mut options = IgtlInputOptions::default();
    options.link.pauses = [Duration::from_millis(5), Duration::from_millis(50)];
    let mut input = IgtlInput::connect(&address.to_string().parse().unwrap(), options).unwrap();
    let mut peer = Peer::of(server.accept().unwrap().0);
    peer.send(grey("Image", 1, 1), Version::V1);
    assert!(matches!(next(&mut input), Received::Connected));
    assert_eq!(frame(&mut input).frame.index, 0);
    drop((peer, server));
    let Received::Disconnected { reason } = next(&mut input) else {
        panic!("still connected");
    };
    assert!(
        reason.ends_with("the peer closed the connection"),
        "{reason}"
    );
    let server = TcpListener::bind(address).unwrap();
    let mut peer = Peer::of(server.accept().unwrap().0);
    peer.send(grey("Image", 900, 2), Version::V1);
    assert!(matches!(next(&mut input), Received::Connected));
    assert_eq!(frame(&mut input).frame.index, 1);
}

#[test]
fn a_silent_server_is_connected_to_anew() {
    let server = TcpListener::bind(local()).unwrap();
    let mut options = IgtlInputOptions {
        silent: Some(Duration::from_millis(100)),
        ..IgtlInputOptions::default()
    };
    options.link.pauses = [Duration::from_millis(5); 2];
    let address = server.local_addr().unwrap().to_string();
    let mut input = IgtlInput::connect(&address.parse().unwrap(), options).unwrap();
    let _silent = server.accept().unwrap();
    assert!(matches!(next(&mut input), Received::Connected));
    let Received::Disconnected { reason } = next(&mut input) else {
        panic!("still connected");
    };
    assert_eq!(reason, "no IMAGE came for 0.1 s");
    let mut peer = Peer::of(server.accept().unwrap().0);
    assert!(matches!(next(&mut input), Received::Connected));
    peer.send(grey("Image", 1, 1), Version::V1);
    assert_eq!(frame(&mut input).frame.index, 0);
}

#[test]
fn no_image_at_all_ends_with_an_error() {
    let options = IgtlInputOptions {
        first: Some(Duration::from_millis(60)),
        ..IgtlInputOptions::default()
    };
    let mut input = IgtlInput::listen(local(), options).unwrap();
    let cancel = Cancel::default();
    let error = input.next(&cancel).unwrap_err().to_string();
    assert!(
        error.contains("no IMAGE came within 0.06 s; look"),
        "{error}"
    );
    assert!(input.next(&cancel).unwrap().is_none());
    let mut waiting = IgtlInput::listen(local(), IgtlInputOptions::default()).unwrap();
    cancel.request();
    assert!(waiting.next(&cancel).unwrap().is_none());
}

#[test]
fn images_that_are_not_read_in_time_are_dropped_or_waited_for() {
    for wait in [false, true] {
        let options = IgtlInputOptions {
            wait,
            ..IgtlInputOptions::default()
        };
        let (mut input, mut peer) = listening(options);
        assert!(matches!(next(&mut input), Received::Connected));
        for number in 0..20 {
            peer.send(grey("Image", 1 + u64::from(number), number), Version::V1);
        }
        // A message after them: once it was counted, they are in the queue.
        let after = Message {
            content: Content::String(String::new()),
            ..grey("", 1, 0)
        };
        peer.send(after, Version::V1);
        while !wait && input.figures().received < 21 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let value = |frame: ReceivedFrame| frame.frame.image().unwrap().data()[0];
        if wait {
            let read: Vec<u8> = (0..20).map(|_| value(frame(&mut input))).collect();
            assert_eq!(read, (0..20).collect::<Vec<u8>>());
            assert!(input.take_warnings().is_empty());
        } else {
            let read = [0; 2].map(|_| value(frame(&mut input)));
            assert_eq!(read, [18, 19]);
            let text = input.take_warnings()[0].to_string();
            assert!(text.contains("18 images came faster"), "{text}");
        }
    }
}
