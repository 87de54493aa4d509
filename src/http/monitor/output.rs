//! The page as an output of a live loop.

use super::{
    message::{FRAME, Figures, FrameJson, ObjectJson, message},
    outline::lines,
    picture::{factor, jpeg},
    routes::Routes,
    shared::Shared,
    tally::{milliseconds, milliseconds_of, rounded},
};
use crate::{
    frame::Object,
    http::{HttpError, server::Server},
    live::{LiveEvent, LiveFrame, LiveOutput, LiveStream},
};
use bytes::Bytes;
use std::{
    net::SocketAddr,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

/// Least time between two frames that are shown; a stream of 60 frames a second is shown with 30.
const BETWEEN: Duration = Duration::from_millis(25);

/// How the page is served.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MonitorOptions {
    /// Address and port to listen on; port 0 is any that is free. Default 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// Longest side of the picture that is sent, in pixels: larger frames are reduced by a whole number. Default 1280. Outlines
    /// are drawn by the browser.
    pub longest_side: u32,
}

impl Default for MonitorOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            longest_side: 1280,
        }
    }
}

/// A page that shows a live loop to browsers (64 connections at a time): the newest frame with boxes, outlines and tracks, latency and
/// its parts over the last three minutes, rates, device memory, moves between host and device, and what happened.
///
/// It asks for pixels only while somebody looks. The page needs nothing but this server. Where it listens on the loopback
/// interface it answers to names of that alone (`Host`), and never to pages of other sites (`Origin`).
pub struct MonitorOutput {
    shared: Arc<Shared>,
    server: Option<Server>,
    encoder: Option<JoinHandle<()>>,
    address: SocketAddr,
}

impl MonitorOutput {
    /// Listens.
    ///
    /// # Errors
    /// [`HttpError`] if the address cannot be listened on, or the system gives no threads.
    pub fn start(options: &MonitorOptions) -> Result<Self, HttpError> {
        let shared = Arc::new(Shared::new());
        let routes = Arc::new(Routes::new(shared.clone()));
        let server = Server::start(options.listen, "monitor", routes)?;
        let (encoding, longest) = (shared.clone(), options.longest_side);
        let encoder = thread::Builder::new()
            .name("monitor-encoder".to_owned())
            .spawn(move || encode_frames(&encoding, longest))
            .map_err(|source| HttpError::Start {
                address: options.listen,
                source,
            })?;
        Ok(Self {
            shared,
            address: server.address(),
            server: Some(server),
            encoder: Some(encoder),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Number of browsers that show the page.
    pub fn viewers(&self) -> usize {
        self.shared.viewers()
    }
}

impl std::fmt::Debug for MonitorOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MonitorOutput({})", self.address)
    }
}

impl Drop for MonitorOutput {
    fn drop(&mut self) {
        self.shared.close();
        self.server = None;
        if let Some(encoder) = self.encoder.take() {
            // A panic of it was reported when it happened.
            let _ = encoder.join();
        }
    }
}

impl LiveOutput for MonitorOutput {
    fn begin(&mut self, stream: &LiveStream) {
        self.shared.tally().source = stream.info.name.clone();
    }

    fn frame(&mut self, frame: &Arc<LiveFrame>) {
        let news = self.shared.tally().frame(frame);
        if self.shared.viewers() > 0 {
            self.shared.put(frame.clone());
        }
        if news {
            self.shared.news.send_replace(false);
        }
    }

    fn event(&mut self, event: &LiveEvent) {
        if self.shared.tally().live_event(event, SystemTime::now()) {
            self.shared.news.send_replace(false);
        }
    }

    fn reads_pixels(&self) -> bool {
        self.shared.viewers() > 0
    }
}

/// Encodes the newest frame, over and over.
fn encode_frames(shared: &Shared, longest: u32) {
    let mut due = Instant::now();
    loop {
        // The frame is taken after the pause, so that it is the newest.
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let Some(frame) = shared.take() else { return };
        due = Instant::now() + BETWEEN;
        let made = encoded(shared, &frame, longest);
        shared.newest.send_replace(Some(made));
    }
}

/// A frame as a message.
fn encoded<'a>(shared: &Shared, live: &'a LiveFrame, longest: u32) -> Bytes {
    let size = live.frame.size();
    let factor = factor((size.width, size.height), longest);
    let picture = (live.frame.image())
        .map_err(|e| e.to_string())
        .and_then(|image| jpeg(image, factor));
    let object = |object: &'a Object| {
        let lines = object.mask.as_ref().map(|mask| lines(mask, factor));
        ObjectJson::new(object, lines.unwrap_or_default())
    };
    let (moves, tracks) = {
        let tally = shared.tally();
        (tally.moves_a_frame(), tally.tracks(live.times.done))
    };
    let json = FrameJson {
        source: &live.frame.source.name,
        frame: live.frame.index,
        time: milliseconds_of(live.times.arrival.time),
        width: size.width,
        height: size.height,
        latency: milliseconds(live).map(rounded),
        figures: Figures::new(&live.figures, moves, shared.viewers()),
        objects: live.detections.objects.iter().map(object).collect(),
        tracks,
        no_picture: picture.as_ref().err().cloned(),
    };
    message(FRAME, &json, picture.as_deref().unwrap_or_default())
}
