//! Streams on loopback, made of fixtures.

use super::*;
use crate::{geometry::Size, sources::SourceError};
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

fn fixture(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/media");
    fs::read(folder.join(name)).unwrap()
}

/// Answers each connection of HTTP with `head` and `pieces`, with a pause after each, and closes it: the address.
fn serve(head: &'static str, pieces: Vec<Vec<u8>>, pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{head}\r\n\r\n");
            let _ = stream.write_all(head.as_bytes());
            for piece in &pieces {
                if stream.write_all(piece).is_err() {
                    break;
                }
                thread::sleep(pause);
            }
        }
    });
    format!("http://user:secret@127.0.0.1:{port}/stream")
}

fn options() -> StreamOptions {
    StreamOptions {
        timeout: Duration::from_secs(5),
        ..StreamOptions::default()
    }
}

fn never() -> Arc<dyn Fn() -> bool + Send + Sync> {
    Arc::new(|| false)
}

fn open(address: &str, options: StreamOptions) -> Result<StreamReader, SourceError> {
    StreamReader::open(address.parse().unwrap(), options, never())
}

/// Motion JPEG as cameras send it.
fn motion_jpeg(frames: usize) -> Vec<Vec<u8>> {
    let picture = fixture("orientation1.jpg");
    let head = format!(
        "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        picture.len()
    );
    let part = [head.as_bytes(), &picture, b"\r\n"].concat();
    vec![part; frames]
}

const MOTION_JPEG: &str = "Content-Type: multipart/x-mixed-replace;boundary=--frame";

#[test]
fn a_stream_that_ends_is_taken_up_again() {
    let address = serve(MOTION_JPEG, motion_jpeg(12), Duration::from_millis(10));
    let mut reader = open(&address, options()).unwrap();
    assert!(!reader.info().path.to_string_lossy().contains("secret"));
    let (mut frames, mut steps, mut last) = (0, Vec::new(), None);
    while frames < 30 {
        match reader.next(never()).unwrap() {
            StreamStep::Frame { frame, arrival } => {
                assert_eq!(frame.index, frames);
                assert!(
                    frame.timestamp >= last,
                    "{:?} after {last:?}",
                    frame.timestamp
                );
                assert!(arrival.0 <= Instant::now());
                last = frame.timestamp;
                frames += 1;
            }
            StreamStep::Connected => steps.push("connected".to_owned()),
            StreamStep::Disconnected(reason) => steps.push(reason),
            StreamStep::End => panic!("it ended after {frames} frames"),
        }
    }
    assert!(steps[0].ends_with("; connecting again"), "{steps:?}");
    assert_eq!(steps[1], "connected");
    // Without reconnecting the end is an error, once.
    let options = StreamOptions {
        reconnect: false,
        ..options()
    };
    let mut reader = open(&address, options).unwrap();
    let error = loop {
        match reader.next(never()) {
            Ok(StreamStep::Frame { .. }) => {}
            Ok(step) => panic!("{step:?}"),
            Err(error) => break error,
        }
    };
    let error = error.to_string();
    assert!(
        error.starts_with("http://127.0.0.1:") && !error.contains("secret"),
        "{error}"
    );
    assert!(matches!(reader.next(never()), Ok(StreamStep::End)));
}

#[test]
fn frames_of_another_size_come_as_they_are() {
    let pieces = fixture("two_sizes.h264");
    let pieces = pieces.chunks(2000).map(<[u8]>::to_vec).collect();
    let address = serve("Content-Type: video/h264", pieces, Duration::from_millis(1));
    let mut reader = open(&address, options()).unwrap();
    let mut sizes: Vec<Size> = Vec::new();
    loop {
        match reader.next(never()) {
            Ok(StreamStep::Frame { frame, .. }) => {
                let size = frame.image().unwrap().size();
                if sizes.last() != Some(&size) {
                    sizes.push(size);
                }
            }
            Ok(StreamStep::Disconnected(_) | StreamStep::End) => break,
            Ok(StreamStep::Connected) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(sizes.len() >= 2, "{sizes:?}");
}

/// Sends a transport stream by UDP until it is dropped.
struct Sender(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);

impl Sender {
    fn start(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (of_thread, bytes) = (stop.clone(), fixture("ends.ts"));
        let thread = thread::spawn(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            while !of_thread.load(Ordering::Relaxed) {
                for datagram in bytes.chunks(7 * 188) {
                    let _ = socket.send_to(datagram, ("127.0.0.1", port));
                    thread::sleep(Duration::from_millis(2));
                }
            }
        });
        Self(stop, Some(thread))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        let _ = self.1.take().map(thread::JoinHandle::join);
    }
}

#[test]
fn a_silent_stream_times_out_and_comes_back() {
    let port = {
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let address = format!("udp://127.0.0.1:{port}");
    let options = StreamOptions {
        timeout: Duration::from_millis(600),
        ..options()
    };
    let start = Instant::now();
    let error = open(&address, options.clone()).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{address}: nothing came for 0.6 s; start")),
        "{error}"
    );
    assert!(start.elapsed() < Duration::from_secs(4));
    let sender = Sender::start(port);
    let mut reader = open(
        &address,
        StreamOptions {
            timeout: Duration::from_secs(3),
            ..options
        },
    )
    .unwrap();
    let mut sender = Some(sender);
    let (mut before, mut after, mut reasons) = (0, 0, Vec::new());
    while after < 3 {
        match reader.next(never()) {
            Ok(StreamStep::Frame { .. }) if reasons.is_empty() => {
                before += 1;
                if before == 5 {
                    sender = None;
                }
            }
            Ok(StreamStep::Frame { .. }) => after += 1,
            Ok(StreamStep::Disconnected(reason)) => {
                reasons.push(reason);
                sender = Some(Sender::start(port));
            }
            Ok(StreamStep::Connected) | Err(_) => {}
            Ok(StreamStep::End) => panic!("it ended"),
        }
    }
    assert_eq!(reasons, ["nothing came for 3 s; connecting again"]);
    drop(sender);
}

#[test]
fn a_request_to_end_is_heard_while_a_stream_is_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let end = Instant::now() + Duration::from_millis(200);
    let stop = Arc::new(move || Instant::now() >= end);
    let address = format!("http://me:secret@127.0.0.1:{port}/")
        .parse()
        .unwrap();
    let error = StreamReader::open(address, options(), stop)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cancelled") && !error.contains("secret"),
        "{error}"
    );
    assert!(Instant::now() < end + Duration::from_secs(2));
}

#[test]
fn a_device_of_ffmpegs_is_a_stream_and_an_absent_one_is_named() {
    let mut reader = open("lavfi:testsrc2=s=64x48:r=50:d=0.2", options()).unwrap();
    let mut frames = 0;
    while let StreamStep::Frame { frame, .. } = reader.next(never()).unwrap() {
        assert_eq!(frame.size(), Size::new(64, 48));
        frames += 1;
    }
    assert_eq!(frames, 10);
    assert!(matches!(reader.next(never()), Ok(StreamStep::End)));
    let error = open("v4l2:/no/such/camera", options())
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("v4l2:/no/such/camera: "), "{error}");
}

#[test]
fn a_stream_cannot_lead_to_files() {
    let list =
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n";
    let address = serve(
        "Content-Type: application/vnd.apple.mpegurl",
        vec![list.to_vec()],
        Duration::ZERO,
    );
    assert!(open(&address, options()).is_err());
}
