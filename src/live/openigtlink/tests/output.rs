//! Results out.

use super::*;
use crate::{
    frame::{
        self, Channels, Detections, Frame, Mask, Object, ObjectTrack, SourceInfo, SourceKind,
        Visibility, VisibilityChange,
    },
    geometry::{BoxXyxy, Size},
    igtl::{Point, Status},
    live::{
        Arrival, LiveEvent, LiveFigures, LiveFrame, LiveOutput, LiveStream, LiveTimes, SendMeter,
        openigtlink::{IgtlOutput, IgtlOutputOptions, MaskValues, PictureSent},
    },
};
use std::{collections::BTreeMap, net::TcpListener, sync::Arc, time::Instant};

const SIZE: Size = Size::new(8, 4);

fn info() -> Arc<SourceInfo> {
    Arc::new(SourceInfo {
        ordinal: 0,
        path: "stream".into(),
        name: "stream".to_owned(),
        kind: SourceKind::Video,
        folder: None,
        frame_count: None,
        frame_rate: None,
        attributes: BTreeMap::new(),
    })
}

/// An object whose mask is the columns `from` to `to` of row 1.
fn object(class: u32, from: u32, to: u32, track: Option<u64>) -> Object {
    let inside = |at: u32| u8::from(at / 8 == 1 && (from..to).contains(&(at % 8)));
    let pixels: Vec<u8> = (0..32).map(inside).collect();
    Object {
        bbox: BoxXyxy::new(from as f32, 1.0, to as f32, 2.0),
        score: 0.5,
        class,
        label: ["bone", "needle"][class as usize].into(),
        mask: Mask::from_row_major(SIZE, &pixels),
        mask_score: None,
        track: track.map(|id| ObjectTrack {
            id,
            visibility: Visibility::Visible,
            visibility_score: 0.75,
        }),
    }
}

fn live_frame(
    number: u64,
    objects: Vec<Object>,
    geometry: Option<ImageGeometry>,
) -> Arc<LiveFrame> {
    let image = frame::Image::new(SIZE, Channels::Gray, vec![number as u8; 32]).unwrap();
    let now = Instant::now();
    Arc::new(LiveFrame {
        frame: Frame {
            timestamp: Some(Duration::from_millis(40 * number)),
            ..Frame::new(info(), number, image)
        },
        detections: Detections::new(SIZE, objects),
        geometry,
        times: LiveTimes {
            arrival: Arrival::now(),
            decoded: now,
            started: now,
            done: now,
        },
        figures: LiveFigures::default(),
    })
}

fn begun(options: IgtlOutputOptions) -> (IgtlOutput, SendMeter) {
    let mut output = IgtlOutput::serve(local(), options).unwrap();
    let sent = SendMeter::default();
    output.begin(&LiveStream {
        info: info(),
        labels: vec!["bone".into(), "needle".into()],
        device: "cpu".to_owned(),
        sent: sent.clone(),
    });
    (output, sent)
}

/// A peer that has shown version 2, after the classes.
fn peer_of(output: &mut IgtlOutput) -> Peer {
    let mut peer = Peer::connect(output.address().unwrap());
    let Content::String(classes) = peer.of_device("Classes").content else {
        panic!("no classes");
    };
    let classes: serde_json::Value = serde_json::from_str(&classes).unwrap();
    assert_eq!(classes["classes"][1]["name"], "needle");
    let request = Message {
        device: String::new(),
        time: None,
        metadata: Vec::new(),
        content: Content::Request("GET_STATUS".to_owned()),
    };
    peer.send(request, Version::V2);
    while !matches!(peer.read().0.content, Content::Status(_)) {}
    peer
}

fn image_of(message: Message) -> (Image, BTreeMap<String, String>) {
    match message.content {
        Content::Image(image) => (image, message.metadata.into_iter().collect()),
        other => panic!("{other:?}"),
    }
}

fn points_of(message: Message) -> Vec<Point> {
    match message.content {
        Content::Points(points) => points,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_frame_goes_out_as_mask_boxes_and_centroids_where_it_lies() {
    let (mut output, sent) = begun(IgtlOutputOptions::default());
    let mut peer = peer_of(&mut output);
    let objects = vec![object(0, 2, 4, None), object(1, 5, 8, None)];
    let frame = live_frame(3, objects, Some(geometry()));
    output.frame(&frame);
    let mask = peer.of_device("Mask_Image");
    let arrival = frame
        .times
        .arrival
        .time
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    assert_eq!(mask.time, Some(arrival));
    let (image, metadata) = image_of(mask);
    assert_eq!(
        (image.size, image.components, image.geometry),
        ([8, 4, 1], 1, geometry())
    );
    let mut expected = [0; 32];
    expected[10..12].fill(1);
    expected[13..16].fill(2);
    assert_eq!(image.samples, Samples::U8(expected.to_vec()));
    assert_eq!(metadata["frame"], "3");
    assert_eq!(metadata["stream_time_s"], "0.120000");
    assert!(metadata["latency_ms"].parse::<f64>().unwrap() >= 0.0);
    let listed: serde_json::Value = serde_json::from_str(&metadata["objects"]).unwrap();
    assert_eq!(listed[1]["name"], "needle");
    assert_eq!(
        (&listed[1]["value"], &listed[1]["box"]),
        (&2.into(), &serde_json::json!([5.0, 1.0, 3.0, 1.0]))
    );

    // Columns go along y by 0.5, rows along z by −0.25; the centre is 4 columns and 2 rows in.
    let boxes = points_of(peer.of_device("Boxes_Image"));
    let places: Vec<_> = boxes
        .iter()
        .map(|p| (p.name.as_str(), p.position))
        .collect();
    assert_eq!(places[0], ("bone upper left", [10.0, 19.0, 30.25]));
    assert_eq!(places[1], ("bone lower right", [10.0, 20.0, 30.0]));
    assert_eq!(boxes[3].owner, "Mask_Image");
    let centroids = points_of(peer.of_device("Centroids_Image"));
    assert_eq!(centroids.len(), 2);
    assert_eq!(
        (centroids[0].name.as_str(), centroids[0].position),
        ("bone", [10.0, 19.5, 30.125])
    );
    assert_eq!(sent.latency().count, 1);
    assert!(output.take_problems().is_empty());
    assert!(matches!(
        output.take_events()[..],
        [LiveEvent::ClientConnected { .. }]
    ));
}

#[test]
fn tracks_give_values_of_16_bits_from_number_256_on() {
    let options = IgtlOutputOptions {
        values: MaskValues::Tracks,
        boxes: false,
        ..IgtlOutputOptions::default()
    };
    let (mut output, _) = begun(options);
    let mut peer = peer_of(&mut output);
    let mut samples = |number, tracks: [Option<u64>; 2]| {
        let [a, b] = tracks;
        let objects = vec![object(0, 2, 3, a), object(1, 5, 6, b)];
        output.frame(&live_frame(number, objects, None));
        let (image, _) = image_of(peer.of_device("Mask_Image"));
        let names = points_of(peer.of_device("Centroids_Image"));
        (image.samples, names[0].name.clone())
    };
    let mut narrow = [0; 32];
    (narrow[10], narrow[13]) = (1, 255);
    let (found, name) = samples(0, [Some(1), Some(255)]);
    assert_eq!(
        (found, name.as_str()),
        (Samples::U8(narrow.to_vec()), "bone #1")
    );
    let mut wide = [0; 32];
    (wide[10], wide[13]) = (1, 256);
    assert_eq!(
        samples(1, [Some(1), Some(256)]).0,
        Samples::U16(wide.to_vec())
    );
    wide[13] = 0;
    assert_eq!(
        samples(2, [Some(1), None]).0,
        Samples::U16(wide.to_vec()),
        "it stays"
    );
    let problems = output.take_problems();
    assert!(problems[0].contains("without a track"), "{problems:?}");
}

#[test]
fn without_geometry_the_centre_is_the_origin_and_pictures_go_where_they_are_chosen() {
    for picture in [PictureSent::Frame, PictureSent::Overlay] {
        let options = IgtlOutputOptions {
            picture,
            ..IgtlOutputOptions::default()
        };
        let (mut output, _) = begun(options);
        assert!(!output.reads_pixels());
        let mut peer = peer_of(&mut output);
        assert!(output.reads_pixels());
        output.frame(&live_frame(9, vec![object(0, 2, 4, None)], None));
        let (image, _) = image_of(peer.of_device("Frame_Image"));
        assert_eq!(image.geometry.centre, [0.0; 3]);
        assert_eq!(image.geometry.column_step, [-1.0, 0.0, 0.0]);
        assert_eq!(image.geometry.coordinates, CoordinateSystem::Ras);
        match picture {
            PictureSent::Frame => assert_eq!(image.samples, Samples::U8(vec![9; 32])),
            _ => assert_eq!((image.components, image.samples.len()), (3, 96)),
        }
    }
}

#[test]
fn changes_the_stream_and_messages_of_the_input_go_out() {
    let (mut output, _) = begun(IgtlOutputOptions::default());
    let input = "igtl://plus:18944".to_owned();
    output.event(&LiveEvent::Connected {
        input: input.clone(),
    });
    let mut peer = peer_of(&mut output);
    let mut frame = LiveFrame::clone(&live_frame(5, vec![], None));
    frame.detections.changes.push(VisibilityChange {
        track_id: Some(7),
        class: 1,
        label: "needle".into(),
        from: Some(Visibility::Visible),
        to: Visibility::Lost,
        score: 0.25,
    });
    output.frame(&Arc::new(frame));
    let status = |message: Message| match message.content {
        Content::Status(status) => status,
        other => panic!("{other:?}"),
    };
    let Status {
        code,
        sub_code,
        name,
        text,
    } = status(peer.of_device("Objects"));
    assert_eq!((code, sub_code, name.as_str()), (4, 7, "lost"));
    let text: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&text["frame"], &text["from"]),
        (&5.into(), &"visible".into())
    );

    let transform = Message {
        content: Content::Transform([[2.0; 4]; 3]),
        ..image("ProbeToTracker", 77, [1, 1, 1], 1, Samples::U8(vec![0]))
    };
    output.event(&LiveEvent::Message(Arc::new(transform.clone())));
    assert_eq!(peer.of_device("ProbeToTracker"), transform);
    let reason = "the peer closed the connection".to_owned();
    output.event(&LiveEvent::Disconnected { input, reason });
    assert_eq!(status(peer.of_device("Stream")).code, 7);
}

#[test]
fn a_client_sends_to_a_server_and_the_last_frame_before_the_end() {
    let server = TcpListener::bind(local()).unwrap();
    let address = server.local_addr().unwrap().to_string().parse().unwrap();
    let mut output = IgtlOutput::connect(&address, IgtlOutputOptions::default()).unwrap();
    let mut peer = Peer::of(server.accept().unwrap().0);
    while output.figures().connected == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    output.frame(&live_frame(1, vec![object(0, 0, 1, None)], None));
    output.finish();
    drop(output);
    peer.of_device("Centroids_Image");
    assert_eq!(peer.0.next_message().unwrap(), None);
}
