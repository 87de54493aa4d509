//! A file at its own pace, as a camera would give it.

use crate::{
    engine::Engine,
    frame::{Frame, SourceInfo},
    live::input::{Arrival, LiveInput, Received, ReceivedFrame},
    progress::Cancel,
    session::Session,
    sources::{
        DecodeDevice, ExpandOptions, Source, SourceError, SourceOptions, SourceSpec, SourceWarning,
        expand, group_dicom, open,
    },
};
use std::{
    ffi::OsString,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Frames a second of a source that states none.
const DEFAULT_RATE: f64 = 25.0;
/// Longest sleep between looks at the request to end.
const NAP: Duration = Duration::from_millis(50);

/// A video, a sequence of images, a DICOM file or series at its own pace: frames come when they are due by their times, or by the
/// stated rate (25 a second where none is stated).
///
/// A frame arrives when it is due; its decoding comes after that, and is part of its latency. Where decoding is slower than the pace,
/// or the loop makes it wait, the frames after it are due later: none is skipped here.
pub struct FileInput {
    info: Arc<SourceInfo>,
    open: Opener,
    /// `None` after the end.
    source: Option<Box<dyn Source>>,
    rate: f64,
    repeat: bool,
    /// Number of the next frame and its time in the stream, if it comes one nominal frame after the last.
    next: u64,
    next_time: Duration,
    /// Where the present pass through the file began in the stream.
    pass: Duration,
    /// When the stream's time 0 is, or was.
    origin: Option<Instant>,
    connected: bool,
    warnings: Vec<SourceWarning>,
}

/// Opens a source from its start.
type Opener = Box<dyn Fn() -> Result<Box<dyn Source>, SourceError> + Send>;

impl std::fmt::Debug for FileInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileInput({})", self.info.path.display())
    }
}

impl FileInput {
    /// Opens a file, or a folder of numbered images, that is one source. Videos are decoded on the session's GPU where it has one and it
    /// decodes them.
    ///
    /// # Errors
    /// [`SourceError`] if it cannot be read, or holds several sources.
    pub fn open(path: impl Into<OsString>, session: &Session) -> Result<Self, SourceError> {
        Self::open_with(path, &SourceOptions::default(), session.engine())
    }

    /// The same, read with `options`, on `engine`.
    ///
    /// # Errors
    /// As [`FileInput::open`].
    pub fn open_with(
        path: impl Into<OsString>,
        options: &SourceOptions,
        engine: &Engine,
    ) -> Result<Self, SourceError> {
        let spec = one_source(path.into())?;
        let device = options.device.clone();
        let options = SourceOptions {
            device: device.or_else(|| Some(DecodeDevice::new(engine))),
            ..options.clone()
        };
        Self::of(move || open(&spec, 0, &options))
    }

    /// Any source, which `open` opens from its start.
    ///
    /// # Errors
    /// What `open` gives.
    pub fn of(
        open: impl Fn() -> Result<Box<dyn Source>, SourceError> + Send + 'static,
    ) -> Result<Self, SourceError> {
        let source = open()?;
        let info = source.info().clone();
        let stated = info.frame_rate;
        let rate = stated.filter(|rate| rate.is_finite() && (0.01..=1000.0).contains(rate));
        Ok(Self {
            info,
            open: Box::new(open),
            source: Some(source),
            rate: rate.unwrap_or(DEFAULT_RATE),
            repeat: false,
            next: 0,
            next_time: Duration::ZERO,
            pass: Duration::ZERO,
            origin: None,
            connected: false,
            warnings: Vec::new(),
        })
    }

    /// Whether it begins again at its end, without end. Numbers and times of frames go on. Default false.
    #[must_use]
    pub fn repeat(self, repeat: bool) -> Self {
        Self { repeat, ..self }
    }

    fn step(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate)
    }

    /// Waits until `time` of the stream is due; false where the end is requested before. A frame that is late moves all after it.
    fn wait_for(&mut self, time: Duration, cancel: &Cancel) -> bool {
        let now = Instant::now();
        let origin = self.origin.get_or_insert(now);
        let due = *origin + time;
        if now > due + self.step() {
            self.origin = now.checked_sub(time);
            return !cancel.is_requested();
        }
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if cancel.is_requested() {
                return false;
            }
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(NAP));
        }
    }

    /// The next frame of the file, or of its next pass; none at the end.
    fn read(&mut self) -> Result<Option<Frame>, SourceError> {
        loop {
            let Some(source) = &mut self.source else {
                return Ok(None);
            };
            let next = source.next_frame();
            self.warnings.extend(source.take_warnings());
            if let Some(frame) = next? {
                return Ok(Some(frame));
            }
            // A file without frames does not begin again.
            let has_frames = self.next_time > self.pass;
            self.source = None;
            if self.repeat && has_frames {
                self.pass = self.next_time;
                self.source = Some((self.open)()?);
            }
        }
    }
}

impl LiveInput for FileInput {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next(&mut self, cancel: &Cancel) -> Result<Option<Received>, SourceError> {
        if !std::mem::replace(&mut self.connected, true) {
            return Ok(Some(Received::Connected));
        }
        if !self.wait_for(self.next_time, cancel) {
            return Ok(None);
        }
        let arrival = Arrival::now();
        let Some(frame) = self.read()? else {
            return Ok(None);
        };
        let decoded = Instant::now();
        let stated = frame.timestamp.map(|time| self.pass + time);
        let time = stated.unwrap_or(self.next_time);
        // A frame that is later than a nominal one after the last has been decoded early.
        let (arrival, decoded) = if time > self.next_time + self.step() / 4 {
            if !self.wait_for(time, cancel) {
                return Ok(None);
            }
            let arrival = Arrival::now();
            (arrival, arrival.instant)
        } else {
            (arrival, decoded)
        };
        let frame = Frame {
            source: self.info.clone(),
            index: self.next,
            timestamp: Some(time),
            ..frame
        };
        self.next += 1;
        self.next_time = time + self.step();
        Ok(Some(Received::Frame(Box::new(ReceivedFrame {
            frame,
            arrival,
            decoded,
            geometry: None,
        }))))
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        std::mem::take(&mut self.warnings)
    }
}

/// The one source that `path` stands for.
fn one_source(path: OsString) -> Result<SourceSpec, SourceError> {
    let options = ExpandOptions {
        group_dicom: &group_dicom,
        ..ExpandOptions::default()
    };
    let expanded = expand(std::slice::from_ref(&path), options, &mut std::io::empty());
    let count = expanded.sources.len();
    match (expanded.sources.into_iter().next(), count) {
        (Some(spec), 1) => spec,
        _ => Err(SourceError::new(
            &path,
            format!("holds {count} sources, and a live loop has one"),
        )
        .with_remedy("name one video, one DICOM file or one folder of numbered images")),
    }
}
