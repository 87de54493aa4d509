//! Images of OpenIGTLink as the input of a live loop.

use super::{
    address::IgtlAddress,
    error::IgtlError,
    frame_clock::FrameClock,
    inbox::{Arrived, Inbox},
    input_options::IgtlInputOptions,
    link::Link,
    picture::picture,
};
use crate::{
    frame::{Frame, SourceInfo, SourceKind},
    igtl::{Client, Content, LinkFigures, Message, Sender, Server},
    live::input::{Arrival, LiveInput, Received, ReceivedFrame},
    progress::Cancel,
    sources::{SourceError, SourceWarning},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

/// Longest wait between looks at the request to end.
const NAP: Duration = Duration::from_millis(50);

/// Different remarks that are reported.
const REMARKS: usize = 100;

/// Time between reports of images that were dropped here.
const REPORT: Duration = Duration::from_secs(5);

/// Images of a server of OpenIGTLink, or of those who connect.
///
/// Read are `IMAGE` of one slice, of 1 and 3 components, of 8 and 16 bits, of one device; their geometry and spacing are kept, and
/// their times count from the first. `TRANSFORM` and `STATUS` are passed through. A connection that ends or is silent is made again.
pub struct IgtlInput {
    info: Arc<SourceInfo>,
    options: IgtlInputOptions,
    inbox: Arc<Inbox>,
    link: Link,
    /// Connections that there are.
    peers: usize,
    /// Whether the stream is reported as there.
    there: bool,
    frames: u64,
    clock: FrameClock,
    /// When it was first waited for an image.
    begun: Option<Instant>,
    /// Since when no image came, while there is a connection.
    quiet: Option<Instant>,
    ready: VecDeque<Received>,
    ended: bool,
    remarks: BTreeSet<String>,
    reported: Option<Instant>,
    dropped: u64,
    warnings: Vec<SourceWarning>,
}

impl std::fmt::Debug for IgtlInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IgtlInput({})", self.info.path.display())
    }
}

impl IgtlInput {
    /// Connects to a server, again and again until there is a connection. The address's device, where it names one, takes the place
    /// of the options'.
    ///
    /// # Errors
    /// [`IgtlError::Thread`].
    pub fn connect(address: &IgtlAddress, options: IgtlInputOptions) -> Result<Self, IgtlError> {
        let device = address.device.clone().or_else(|| options.device.clone());
        let inbox = Arc::new(Inbox::new(options.wait, device));
        let receiving = Arc::clone(&inbox);
        let client = Client::connect(
            address.host_and_port(),
            options.link.clone(),
            move |event| receiving.receive(event),
        );
        let client = client.map_err(|error| IgtlError::Thread {
            address: address.to_string(),
            error,
        })?;
        let name = format!("igtl-{}-{}", address.host, address.port);
        Ok(Self::new(
            address.to_string(),
            &name,
            options,
            inbox,
            Link::Client(client),
        ))
    }

    /// Listens at `address`; port 0 takes any that is free ([`IgtlInput::address`]).
    ///
    /// # Errors
    /// [`IgtlError::Listen`].
    pub fn listen(address: SocketAddr, options: IgtlInputOptions) -> Result<Self, IgtlError> {
        let inbox = Arc::new(Inbox::new(options.wait, options.device.clone()));
        let receiving = Arc::clone(&inbox);
        let server = Server::bind(address, options.link.clone(), move |event| {
            receiving.receive(event);
        });
        let server = server.map_err(|error| IgtlError::Listen {
            address: format!("igtl://{address}"),
            error,
        })?;
        let address = server.address();
        let name = format!("igtl-{}", address.port());
        Ok(Self::new(
            format!("igtl://{address}"),
            &name,
            options,
            inbox,
            Link::Server(server),
        ))
    }

    fn new(
        path: String,
        name: &str,
        options: IgtlInputOptions,
        inbox: Arc<Inbox>,
        link: Link,
    ) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let info = SourceInfo {
            ordinal: 0,
            path: PathBuf::from(path),
            name: name.replace(|c| !plain(c), "-"),
            kind: SourceKind::Video,
            folder: None,
            frame_count: None,
            frame_rate: None,
            attributes: BTreeMap::new(),
        };
        Self {
            info: Arc::new(info),
            options,
            inbox,
            link,
            peers: 0,
            there: false,
            frames: 0,
            clock: FrameClock::default(),
            begun: None,
            quiet: None,
            ready: VecDeque::new(),
            ended: false,
            remarks: BTreeSet::new(),
            reported: None,
            dropped: 0,
            warnings: Vec::new(),
        }
    }

    /// Where it listens; none where it connects.
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

    /// What is made of something that arrived.
    fn read(&mut self, arrived: Arrived) -> Result<(), SourceError> {
        match arrived {
            Arrived::Image(message, arrival) => return self.image(*message, arrival),
            Arrived::Passed(message) => self.ready.push_back(Received::Message(message)),
            Arrived::Unreadable(device, problem) => {
                let number = self.count();
                let problem = format!("IMAGE of device {device:?}: {problem}");
                return Err(SourceError::new(&self.info.path, problem).at(number));
            }
            Arrived::Other(device, read) => {
                let remark =
                    format!("images of device {device:?} come too; those of {read:?} are read");
                self.remark(remark, Some("name the device whose images are to be read"));
            }
            Arrived::Connected => {
                self.peers += 1;
                self.quiet = Some(Instant::now());
                self.appear();
            }
            Arrived::Disconnected(reason) => {
                self.peers = self.peers.saturating_sub(1);
                if self.peers == 0 {
                    self.quiet = None;
                    self.vanish(reason);
                }
            }
            Arrived::Remark(remark) => self.remark(remark, None),
        }
        Ok(())
    }

    fn appear(&mut self) {
        if !std::mem::replace(&mut self.there, true) {
            self.ready.push_back(Received::Connected);
        }
    }

    fn vanish(&mut self, reason: String) {
        if std::mem::replace(&mut self.there, false) {
            self.ready.push_back(Received::Disconnected { reason });
        }
    }

    /// The number of the next frame.
    fn count(&mut self) -> u64 {
        self.frames += 1;
        self.frames - 1
    }

    fn image(&mut self, message: Message, arrival: Arrival) -> Result<(), SourceError> {
        let Content::Image(image) = message.content else {
            return Ok(());
        };
        self.quiet = Some(Instant::now());
        self.appear();
        let (number, geometry) = (self.count(), image.geometry);
        let time = self.clock.time(message.time, arrival.instant);
        let picture = picture(image, self.options.window, self.options.max_pixels);
        let picture = picture.map_err(|[problem, remedy]| {
            let problem = format!("IMAGE of device {:?}: {problem}", message.device);
            let error = SourceError::new(&self.info.path, problem).at(number);
            error.with_remedy(remedy)
        })?;
        if let Some([problem, remedy]) = picture.remark {
            self.remark(problem, Some(&remedy));
        }
        let frame = Frame {
            timestamp: Some(time),
            physical: picture.physical,
            ..Frame::new(Arc::clone(&self.info), number, picture.image)
        };
        self.ready
            .push_back(Received::Frame(Box::new(ReceivedFrame {
                frame,
                arrival,
                decoded: Instant::now(),
                geometry: Some(geometry),
            })));
        Ok(())
    }

    /// A warning, the first time.
    fn remark(&mut self, problem: String, remedy: Option<&str>) {
        if self.remarks.len() < REMARKS && self.remarks.insert(problem.clone()) {
            let warning = SourceWarning::new(&self.info.path, problem);
            self.warnings.push(match remedy {
                Some(remedy) => warning.with_remedy(remedy),
                None => warning,
            });
        }
    }

    /// Looks whether the stream has been silent for too long.
    fn look_at_clock(&mut self) -> Result<(), SourceError> {
        let now = Instant::now();
        let begun = *self.begun.get_or_insert(now);
        if let Some(first) = self.options.first
            && self.frames == 0
            && now >= begun + first
        {
            self.ended = true;
            let problem = format!("no IMAGE came within {} s", first.as_secs_f32());
            let remedy =
                "look whether the program at the other end sends images, and at address and port";
            return Err(SourceError::new(&self.info.path, problem).with_remedy(remedy));
        }
        if let Some(silent) = self.options.silent
            && self.there
            && self.quiet.is_some_and(|quiet| now >= quiet + silent)
        {
            let reason = format!("no IMAGE came for {} s", silent.as_secs_f32());
            if let Link::Client(client) = &self.link {
                // The other end may be gone without a word.
                client.sender().disconnect(&reason);
            }
            self.vanish(reason);
        }
        Ok(())
    }

    /// Warns of images that came faster than they were read.
    fn report_dropped(&mut self) {
        let now = Instant::now();
        self.dropped += self.inbox.take_dropped();
        if self.dropped > 0 && self.reported.is_none_or(|last| now >= last + REPORT) {
            let count = std::mem::take(&mut self.dropped);
            let images = crate::text::counted(count, "image");
            let problem = format!("{images} came faster than they could be read, and were dropped");
            self.warnings
                .push(SourceWarning::new(&self.info.path, problem));
            self.reported = Some(now);
        }
    }
}

impl LiveInput for IgtlInput {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next(&mut self, cancel: &Cancel) -> Result<Option<Received>, SourceError> {
        loop {
            if let Some(received) = self.ready.pop_front() {
                return Ok(Some(received));
            }
            if self.ended || cancel.is_requested() {
                return Ok(None);
            }
            let arrived = self.inbox.take(NAP);
            self.report_dropped();
            if let Some(arrived) = arrived {
                self.read(arrived)?;
            }
            self.look_at_clock()?;
        }
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        std::mem::take(&mut self.warnings)
    }
}

impl Drop for IgtlInput {
    fn drop(&mut self) {
        self.inbox.close();
        // Threads that wait for room go on and end.
        self.sender().disconnect("stopped");
    }
}
