//! Results of a live loop to OpenIGTLink.

use super::{
    address::IgtlAddress,
    error::IgtlError,
    link::Link,
    output_options::{IgtlOutputOptions, PictureSent},
    report::Reporter,
    sending::{Shared, send_frames},
    stated,
};
use crate::{
    igtl::{Client, LinkEvent, LinkFigures, Message, Sender, Server},
    live::{
        event::LiveEvent,
        output::{LiveOutput, LiveStream},
        result::LiveFrame,
    },
};
use std::{
    net::SocketAddr,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

/// How long peers are waited for at the end.
const LAST: Duration = Duration::from_secs(1);

/// Sends what is found to all clients of a server, or to a server.
///
/// | device | message |
/// |---|---|
/// | [`mask`](super::DeviceNames::mask) | `IMAGE` of one component, with the objects in its metadata |
/// | [`picture`](super::DeviceNames::picture) | `IMAGE` of the frame or overlay, where it is chosen |
/// | [`boxes`](super::DeviceNames::boxes) | `POINT`: for each object two, the upper left and the lower right corner of its box |
/// | [`centroids`](super::DeviceNames::centroids) | `POINT`: for each object one, the middle of its mask |
/// | [`classes`](super::DeviceNames::classes) | `STRING`, JSON, first on each connection |
/// | [`objects`](super::DeviceNames::objects) | `STATUS` for each change of visibility |
/// | [`stream`](super::DeviceNames::stream) | `STATUS`: whether the input is connected, also as answer to `GET_STATUS` |
///
/// Messages of a frame have the time of its arrival. Metadata (`frame`, `latency_ms`, `stream_time_s`, `objects`) goes to peers that have
/// shown version 2. Where a peer or the making of messages is slower than the frames, the newest goes out and others are left out.
/// Messages that the input passes through are sent as they are.
pub struct IgtlOutput {
    name: String,
    link: Link,
    options: IgtlOutputOptions,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for IgtlOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IgtlOutput({}, {:?})", self.name, self.sender())
    }
}

impl IgtlOutput {
    /// Serves at `address`; port 0 takes any that is free ([`IgtlOutput::address`]).
    ///
    /// # Errors
    /// [`IgtlError`].
    pub fn serve(address: SocketAddr, options: IgtlOutputOptions) -> Result<Self, IgtlError> {
        options.names.check()?;
        let shared = Arc::new(Shared::default());
        let listener = listener(&shared, None);
        let server = Server::bind(address, options.link.clone(), listener);
        let server = server.map_err(|error| IgtlError::Listen {
            address: format!("igtl://{address}"),
            error,
        })?;
        let name = format!("igtl://{}", server.address());
        Self::new(name, Link::Server(server), options, shared)
    }

    /// Connects to a server, again and again until there is a connection. The address's device means nothing.
    ///
    /// # Errors
    /// [`IgtlError`].
    pub fn connect(address: &IgtlAddress, options: IgtlOutputOptions) -> Result<Self, IgtlError> {
        options.names.check()?;
        let shared = Arc::new(Shared::default());
        let name = format!("igtl://{}", address.host_and_port());
        let listener = listener(&shared, Some(name.clone()));
        let client = Client::connect(address.host_and_port(), options.link.clone(), listener);
        let client = client.map_err(|error| IgtlError::Thread {
            address: name.clone(),
            error,
        })?;
        Self::new(name, Link::Client(client), options, shared)
    }

    fn new(
        name: String,
        link: Link,
        options: IgtlOutputOptions,
        shared: Arc<Shared>,
    ) -> Result<Self, IgtlError> {
        let mut output = Self {
            name,
            link,
            options,
            shared,
            thread: None,
        };
        let (shared, sender) = (Arc::clone(&output.shared), output.sender().clone());
        let (reporter, name) = (Reporter::new(output.options.clone()), output.name.clone());
        let thread = thread::Builder::new()
            .name("igtl-frames".to_owned())
            .spawn(move || send_frames(&shared, &sender, reporter, &name));
        output.thread = Some(thread.map_err(|error| IgtlError::Thread {
            address: output.name.clone(),
            error,
        })?);
        Ok(output)
    }

    /// Where it serves; none where it connects.
    pub fn address(&self) -> Option<SocketAddr> {
        self.link.address()
    }

    /// Figures of its connections.
    pub fn figures(&self) -> LinkFigures {
        self.sender().figures()
    }

    fn sender(&self) -> &Sender {
        self.link.sender()
    }

    fn send(&self, message: impl Into<Arc<Message>>) {
        if let Err(error) = self.sender().send(message) {
            self.shared.add_problem(format!("{}: {error}", self.name));
        }
    }

    fn keep(&self, message: Message) {
        if let Err(error) = self.sender().keep(message) {
            self.shared.add_problem(format!("{}: {error}", self.name));
        }
    }

    fn stream(&self, input: &str, lost: Option<&str>) {
        let status = stated::stream(input, lost);
        // It was made to fit.
        let _ = self.sender().set_status(status.clone());
        self.keep(stated::of_stream(&self.options.names.stream, status));
    }

    fn end(&mut self) {
        self.shared.end();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            let problem = format!("{}: failed by a fault of its own", self.name);
            self.shared.add_problem(problem);
        }
    }
}

/// Makes events of the loop of those of connections. A client names the server it connects to.
fn listener(
    shared: &Arc<Shared>,
    server: Option<String>,
) -> impl Fn(LinkEvent) + Send + Sync + 'static {
    let shared = Arc::clone(shared);
    move |event| {
        let named = |peer: SocketAddr| server.clone().unwrap_or_else(|| format!("igtl {peer}"));
        let gone = |client, reason| LiveEvent::ClientDisconnected { client, reason };
        shared.add_event(match event {
            LinkEvent::Connected { peer } => LiveEvent::ClientConnected {
                client: named(peer),
            },
            LinkEvent::Disconnected { peer, end, .. } => gone(named(peer), end.to_string()),
            LinkEvent::TurnedAway { peer } => gone(
                named(peer),
                "turned away: there are as many clients as there may be".to_owned(),
            ),
            LinkEvent::ConnectFailed {
                error, failures: 1, ..
            } => gone(
                server.clone().unwrap_or_default(),
                format!("no connection: {error}; it is tried again until there is one"),
            ),
            LinkEvent::Failed { error } => {
                return shared.add_problem(format!("igtl: a connection failed: {error}"));
            }
            _ => return,
        });
    }
}

impl LiveOutput for IgtlOutput {
    fn begin(&mut self, stream: &LiveStream) {
        self.shared.begin(stream.sent.clone());
        let names = &self.options.names;
        self.keep(stated::classes(
            &names.classes,
            &stream.labels,
            self.options.values,
        ));
    }

    fn frame(&mut self, frame: &Arc<LiveFrame>) {
        if !self.sender().is_connected() {
            return;
        }
        // Of a frame that a newer one replaces, too.
        for change in &frame.detections.changes {
            let (number, time) = (frame.frame.index, frame.times.arrival.time);
            self.send(stated::change(
                &self.options.names.objects,
                change,
                number,
                time,
            ));
        }
        self.shared.put(frame);
    }

    fn event(&mut self, event: &LiveEvent) {
        match event {
            LiveEvent::Connected { input } => self.stream(input, None),
            LiveEvent::Disconnected { input, reason } => self.stream(input, Some(reason)),
            LiveEvent::Message(message) => self.send(Arc::clone(message)),
            _ => {}
        }
    }

    fn reads_pixels(&self) -> bool {
        self.options.picture != PictureSent::None && self.sender().is_connected()
    }

    fn dropped(&self) -> u64 {
        self.shared.dropped()
    }

    fn take_events(&mut self) -> Vec<LiveEvent> {
        self.shared.take_events()
    }

    fn take_problems(&mut self) -> Vec<String> {
        self.shared.take_problems()
    }

    fn finish(&mut self) {
        self.end();
        self.sender().flush(LAST);
    }
}

impl Drop for IgtlOutput {
    fn drop(&mut self) {
        self.end();
    }
}
