//! The page.

use super::{ask, connect, get, head};
use crate::{
    frame::{
        Channels, Detections, Frame, Image, Mask, Object, ObjectTrack, SourceInfo, SourceKind,
        Visibility, VisibilityChange,
    },
    geometry::{BoxXyxy, Size},
    http::{MonitorOptions, MonitorOutput, monitor::BIN},
    live::{Arrival, LiveEvent, LiveFigures, LiveFrame, LiveOutput, LiveTimes},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

fn monitor() -> MonitorOutput {
    let options = MonitorOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        longest_side: 32,
    };
    MonitorOutput::start(&options).unwrap()
}

/// A frame of 64×48 pixels with a track, 4 ms old.
fn frame(index: u64, state: Visibility) -> Arc<LiveFrame> {
    let size = Size::new(64, 48);
    let source = Arc::new(SourceInfo {
        ordinal: 0,
        path: "probe".into(),
        name: "probe".to_owned(),
        kind: SourceKind::Video,
        folder: None,
        frame_count: None,
        frame_rate: None,
        attributes: Default::default(),
    });
    let image = Image::new(size, Channels::Gray, vec![70; 64 * 48]).unwrap();
    let inside =
        |at: usize| u8::from((10..40).contains(&(at % 64)) && (8..40).contains(&(at / 64)));
    let mask: Vec<u8> = (0..64 * 48).map(inside).collect();
    let object = Object {
        bbox: BoxXyxy::new(10.0, 8.0, 40.0, 40.0),
        score: 0.75,
        class: 1,
        label: "cyst".into(),
        mask: Mask::from_row_major(size, &mask),
        mask_score: None,
        track: Some(ObjectTrack {
            id: 2,
            visibility: state,
            visibility_score: 0.7,
        }),
    };
    let mut detections = Detections::new(size, vec![object]);
    if state == Visibility::Lost {
        detections.objects.clear();
        detections.changes.push(VisibilityChange {
            track_id: Some(2),
            class: 1,
            label: "cyst".into(),
            from: Some(Visibility::Relocalizing),
            to: Visibility::Lost,
            score: 0.1,
        });
    }
    let now = Instant::now();
    let before = |ms| now.checked_sub(Duration::from_millis(ms)).unwrap();
    Arc::new(LiveFrame {
        frame: Frame::new(source, index, image),
        detections,
        geometry: None,
        times: LiveTimes {
            arrival: Arrival {
                instant: before(4),
                time: SystemTime::now(),
            },
            decoded: before(3),
            started: before(2),
            done: now,
        },
        figures: LiveFigures {
            arrived: index + 1,
            done: index + 1,
            transfers: [index + 1, 2 * (index + 1)],
            device_memory: 77,
            ..LiveFigures::default()
        },
    })
}

/// The stream of a viewer.
struct Viewer(BufReader<TcpStream>, Vec<u8>);

impl Viewer {
    fn open(address: SocketAddr) -> Self {
        let mut stream = connect(address);
        stream.write_all(get("/stream").as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        Self(reader, Vec::new())
    }

    /// The next message: kind, JSON, picture; none at the end.
    fn next(&mut self) -> Option<(char, Value, Vec<u8>)> {
        let length = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap()) as usize;
        loop {
            if self.1.len() >= 9 {
                let (json, picture) = (length(&self.1[1..5]), length(&self.1[5..9]));
                if self.1.len() >= 9 + json + picture {
                    let rest = self.1.split_off(9 + json + picture);
                    let message = std::mem::replace(&mut self.1, rest);
                    let value = serde_json::from_slice(&message[9..9 + json]).unwrap();
                    return Some((message[0].into(), value, message[9 + json..].to_vec()));
                }
            }
            // A chunk of the body.
            let mut line = String::new();
            self.0.read_line(&mut line).ok()?;
            let chunk = usize::from_str_radix(line.trim(), 16).ok()?;
            let mut bytes = vec![0; chunk + 2];
            self.0.read_exact(&mut bytes).ok()?;
            if chunk == 0 {
                return None;
            }
            self.1.extend(&bytes[..chunk]);
        }
    }

    /// The next message of a kind.
    fn next_of(&mut self, kind: char) -> (Value, Vec<u8>) {
        loop {
            let (found, json, picture) = self.next().expect("the stream goes on");
            if found == kind {
                return (json, picture);
            }
        }
    }
}

/// Waits until `holds`.
fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn viewers_get_frames_with_pictures_and_nothing_is_read_without_them() {
    let mut monitor = monitor();
    monitor.event(&LiveEvent::Connected {
        input: "probe".to_owned(),
    });
    monitor.frame(&frame(0, Visibility::Visible));
    assert!(!monitor.reads_pixels());
    let mut viewer = Viewer::open(monitor.address());
    let (hello, _) = viewer.next_of('H');
    assert_eq!(hello["source"], "probe");
    assert_eq!(hello["events"][0]["text"], "probe: connected");
    assert!(monitor.reads_pixels());
    monitor.frame(&frame(1, Visibility::Visible));
    let (json, picture) = viewer.next_of('F');
    assert_eq!(json["frame"], 1, "that of before is not shown");
    let latency: Vec<f64> = (0..4)
        .map(|at| json["latency"][at].as_f64().unwrap())
        .collect();
    assert_eq!(latency, [4.0, 1.0, 1.0, 2.0]);
    assert_eq!(json["figures"]["moves"], serde_json::json!([1.0, 2.0]));
    assert_eq!(json["figures"]["viewers"], 1);
    let object = &json["objects"][0];
    assert_eq!(
        (&object["id"], &object["state"]),
        (&2.into(), &"visible".into())
    );
    let line = object["lines"][0].as_array().unwrap();
    assert_eq!(line.len(), 8, "a square has four corners: {line:?}");
    let decoded = image::load_from_memory(&picture).unwrap();
    assert_eq!((decoded.width(), decoded.height()), (32, 24));
    monitor.frame(&frame(2, Visibility::Relocalizing));
    monitor.frame(&frame(3, Visibility::Lost));
    let (log, _) = viewer.next_of('L');
    let texts = log["events"].to_string();
    assert!(texts.contains("cyst #2: relocalizing → lost"), "{texts}");
    monitor.frame(&frame(4, Visibility::Lost));
    loop {
        let (json, _) = viewer.next_of('F');
        if json["frame"] == 4 {
            assert_eq!(json["tracks"][0]["state"], "lost");
            assert!(json["objects"].as_array().unwrap().is_empty());
            break;
        }
    }
    drop(viewer);
    // The server notices when it next sends something.
    until("the viewer is no longer counted", || monitor.viewers() == 0);
}

#[test]
fn columns_of_the_chart_are_kept_for_those_who_come_later() {
    let mut monitor = monitor();
    monitor.frame(&frame(0, Visibility::Visible));
    thread::sleep(BIN);
    monitor.frame(&frame(1, Visibility::Visible));
    let (hello, _) = Viewer::open(monitor.address()).next_of('H');
    let bins = hello["bins"].as_array().unwrap();
    assert_eq!(bins.len(), 1);
    assert_eq!(bins[0][1], 1, "one frame");
    assert_eq!(bins[0][6], 4.0, "its latency");
}

#[test]
fn a_viewer_that_does_not_read_holds_back_nobody() {
    let mut monitor = monitor();
    let _deaf = Viewer::open(monitor.address());
    let mut viewer = Viewer::open(monitor.address());
    viewer.next_of('H');
    until("both are counted", || monitor.viewers() == 2);
    let mut longest = Duration::ZERO;
    for index in 0..50 {
        let frame = frame(index, Visibility::Visible);
        let start = Instant::now();
        monitor.frame(&frame);
        longest = longest.max(start.elapsed());
        thread::sleep(Duration::from_millis(2));
    }
    assert!(longest < Duration::from_millis(500), "{longest:?}");
    let last = |viewer: &mut Viewer| viewer.next_of('F').0["frame"].as_u64().unwrap();
    // Not every frame, but the newest in the end.
    let mut frames = vec![last(&mut viewer)];
    while frames.last() != Some(&49) {
        frames.push(last(&mut viewer));
    }
    assert!(frames.is_sorted() && frames.len() < 50, "{frames:?}");
}

#[test]
fn streams_end_with_the_output_and_a_page_can_come_again() {
    let monitor = monitor();
    let address = monitor.address();
    let mut viewer = Viewer::open(address);
    viewer.next_of('H');
    let start = Instant::now();
    drop(monitor);
    while viewer.next().is_some() {}
    assert!(start.elapsed() < Duration::from_secs(10));
    let again = MonitorOutput::start(&MonitorOptions {
        listen: address,
        ..MonitorOptions::default()
    });
    assert_eq!(
        again.unwrap().address(),
        address,
        "the port is free at once"
    );
}

#[test]
fn the_page_may_run_what_is_in_it_and_nothing_else() {
    let monitor = monitor();
    let (status, answer) = ask(monitor.address(), &get("/"));
    assert_eq!(status, 200);
    let (head_lines, page) = answer.split_once("\r\n\r\n").unwrap();
    let policy = head_lines
        .lines()
        .find_map(|line| line.strip_prefix("content-security-policy: "))
        .unwrap();
    for tag in ["script", "style"] {
        let (_, rest) = page.split_once(&format!("<{tag}>")).unwrap();
        let (text, others) = rest.split_once(&format!("</{tag}>")).unwrap();
        let digest = STANDARD.encode(Sha256::digest(text.as_bytes()));
        assert!(
            policy.contains(&format!("{tag}-src 'sha256-{digest}'")),
            "{policy}"
        );
        assert!(!others.contains(&format!("<{tag}>")), "one {tag}");
    }
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for outside in ["http://", "https://", "//cdn", " style=", "onclick="] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn pages_of_others_and_names_of_elsewhere_are_refused() {
    let monitor = monitor();
    let address = monitor.address();
    for (request, status) in [
        (get("/other"), 404),
        (get("/../Cargo.toml"), 404),
        (head("POST", "/", ""), 405),
        (get("/stream").replace("localhost", "example.org"), 403),
        (
            head("GET", "/stream", "Origin: https://example.org\r\n"),
            403,
        ),
    ] {
        assert_eq!(ask(address, &request).0, status, "{request}");
    }
    assert_eq!(monitor.viewers(), 0);
}
