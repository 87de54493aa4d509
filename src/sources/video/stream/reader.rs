//! A stream that is reconnected where it breaks.

use super::{
    address::StreamAddress,
    connection::{Connection, Next, Picture},
    options::StreamOptions,
    watch::Stop,
};
use crate::{
    frame::{Frame, SourceInfo, SourceKind},
    sources::{Decoding, SourceError, SourceWarning},
};
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

/// First and longest pause before it is tried again.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(10)];
/// Longest sleep between looks at the request to end.
const NAP: Duration = Duration::from_millis(50);
/// How far the stream's own times may be from the times of arrival before the latter are taken.
const DRIFT: f64 = 2.0;

/// A stream of pictures that arrive at a pace of its own.
///
/// - Frames are numbered as they arrive, from 0, over interruptions; one that cannot be decoded, or is marked as damaged, has a number.
/// - Times are the stream's own, from its first picture; where it has none, or they are off by more than 2 s from the times of arrival
///   (after an interruption they begin anew), those of arrival. They never go backwards.
/// - A picture arrives when its last packet was read. Where a container shows the end of a picture by the beginning of the next
///   (MPEG-TS, elementary streams), that is one picture later.
/// - Decoders hold pictures back only where the stream has pictures out of order (B-frames).
/// - H.264 and HEVC of 8 bits in 4:2:0 are decoded on the GPU of the options, as those of files are.
pub struct StreamReader {
    address: StreamAddress,
    options: StreamOptions,
    info: Arc<SourceInfo>,
    state: State,
    warnings: Vec<SourceWarning>,
    /// Number of the next frame.
    index: u64,
    times: Times,
    /// Where it was last said to be decoded.
    decoding: Decoding,
}

enum State {
    Open(Box<Connection>),
    /// It broke: when it is tried again, and the pause after that.
    Broken(Instant, Duration),
    Ended,
}

/// What a [`StreamReader`] gives.
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamStep {
    /// A frame.
    Frame {
        /// It.
        frame: Box<Frame>,
        /// When its last packet was read.
        arrival: (Instant, SystemTime),
    },
    /// The stream was reconnected.
    Connected,
    /// It broke or is silent; the next call goes on to reconnect it.
    Disconnected(
        /// Why.
        String,
    ),
    /// It ended, or the end was requested.
    End,
}

impl std::fmt::Debug for StreamReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StreamReader({})", self.address)
    }
}

impl StreamReader {
    /// Opens a stream. `stop` says whether the end is requested.
    ///
    /// # Errors
    /// [`SourceError`] if it cannot be opened within [`StreamOptions::timeout`], has no video that can be decoded, or must be decoded on a
    /// GPU and cannot be.
    pub fn open(
        address: StreamAddress,
        options: StreamOptions,
        stop: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Result<Self, SourceError> {
        let info = SourceInfo {
            ordinal: 0,
            path: address.to_string().into(),
            name: address.name(),
            kind: SourceKind::Video,
            folder: None,
            frame_count: None,
            frame_rate: None,
            attributes: Default::default(),
        };
        let connection = Connection::open(&address, &info, &options, stop)?;
        let info = SourceInfo {
            frame_rate: connection.facts().frame_rate,
            ..info
        };
        Ok(Self {
            decoding: connection.decoding.clone(),
            address,
            options,
            info: Arc::new(info),
            state: State::Open(Box::new(connection)),
            warnings: Vec::new(),
            index: 0,
            times: Times::default(),
        })
    }

    /// Path (the address without secrets), name and stated rate.
    pub fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    /// Where it is decoded.
    pub fn decoding(&self) -> &Decoding {
        &self.decoding
    }

    /// Removes and returns the warnings since the last call.
    pub fn take_warnings(&mut self) -> Vec<SourceWarning> {
        std::mem::take(&mut self.warnings)
    }

    /// Waits for what comes next. `stop` says whether the end is requested; it is called at least every 100 ms.
    ///
    /// # Errors
    /// [`SourceError`] for a frame that cannot be decoded (the caller may go on), and for a stream that broke and is not to be reconnected
    /// (the next call gives [`StreamStep::End`]).
    pub fn next(
        &mut self,
        stop: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Result<StreamStep, SourceError> {
        loop {
            match &mut self.state {
                State::Ended => return Ok(StreamStep::End),
                State::Open(connection) => {
                    let next = connection.next(stop.clone());
                    let decoding = connection.decoding.clone();
                    return self.step(next, decoding);
                }
                State::Broken(at, pause) => {
                    let (at, pause) = (*at, *pause);
                    if !sleep_until(at, &stop) {
                        self.state = State::Ended;
                        return Ok(StreamStep::End);
                    }
                    if let Some(step) = self.reopen(pause, stop.clone()) {
                        return Ok(step);
                    }
                }
            }
        }
    }

    /// Leaves what is open.
    fn turn(&mut self, state: State) {
        if let State::Open(connection) = std::mem::replace(&mut self.state, state) {
            connection.close();
        }
    }

    fn step(&mut self, next: Next, decoding: Decoding) -> Result<StreamStep, SourceError> {
        self.note(decoding);
        match next {
            Next::Picture(picture) => Ok(self.frame(picture)),
            Next::Failed(problem) => {
                let error = SourceError::new(&self.info.path, problem).at(self.index);
                self.index += 1;
                Err(error)
            }
            Next::Broken(reason) if self.options.reconnect => {
                self.times.interrupt();
                self.turn(State::Broken(Instant::now() + PAUSES[0], PAUSES[0]));
                Ok(StreamStep::Disconnected(format!(
                    "{reason}; connecting again"
                )))
            }
            Next::Broken(reason) => {
                self.turn(State::Ended);
                Err(SourceError::new(&self.info.path, reason))
            }
            Next::Ended | Next::Stopped => {
                self.turn(State::Ended);
                Ok(StreamStep::End)
            }
        }
    }

    fn frame(&mut self, picture: Picture) -> StreamStep {
        let arrival = picture.arrival;
        let timestamp = self.times.time(picture.time, arrival.instant);
        let frame = Frame {
            source: self.info.clone(),
            index: self.index,
            timestamp: Some(timestamp),
            file: None,
            pixels: picture.pixels,
            physical: picture.physical,
            exif_orientation: None,
            stored: None,
        };
        self.index += 1;
        StreamStep::Frame {
            frame: Box::new(frame),
            arrival: (arrival.instant, arrival.time),
        }
    }

    /// Says where it is decoded, where that has changed.
    fn note(&mut self, decoding: Decoding) {
        if decoding == self.decoding {
            return;
        }
        let place = decoding.name().to_uppercase();
        let because = decoding.reason.as_ref();
        let because = because.map_or(String::new(), |reason| format!(": {reason}"));
        self.warnings.push(SourceWarning::new(
            &self.info.path,
            format!("is decoded on the {place} now{because}"),
        ));
        self.decoding = decoding;
    }

    /// Tries to open it again; where that fails, after a longer pause.
    fn reopen(&mut self, pause: Duration, stop: Stop) -> Option<StreamStep> {
        match Connection::open(&self.address, &self.info, &self.options, stop.clone()) {
            Ok(connection) => {
                self.note(connection.decoding.clone());
                self.state = State::Open(Box::new(connection));
                Some(StreamStep::Connected)
            }
            Err(_) if stop() => {
                self.state = State::Ended;
                Some(StreamStep::End)
            }
            Err(error) => {
                let pause = (pause * 2).min(PAUSES[1]);
                let problem = format!(
                    "{}; trying again in {} s",
                    error.problem,
                    pause.as_secs_f64()
                );
                self.warnings
                    .push(SourceWarning::new(&self.info.path, problem));
                self.state = State::Broken(Instant::now() + pause, pause);
                None
            }
        }
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.turn(State::Ended);
    }
}

/// Whether the end was not requested before.
fn sleep_until(at: Instant, stop: &Stop) -> bool {
    loop {
        if stop() {
            return false;
        }
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(NAP));
    }
}

/// Times of frames from the first.
#[derive(Debug, Default)]
struct Times {
    /// When the first frame arrived.
    first: Option<Instant>,
    /// The stream's time that is 0, in seconds; none before the first frame and after an interruption.
    origin: Option<f64>,
    last: Option<Duration>,
}

impl Times {
    /// The stream's times begin anew.
    fn interrupt(&mut self) {
        self.origin = None;
    }

    fn time(&mut self, stated: Option<f64>, arrival: Instant) -> Duration {
        let first = *self.first.get_or_insert(arrival);
        let arrived = arrival.saturating_duration_since(first).as_secs_f64();
        let stated = stated.filter(|stated| stated.is_finite());
        let from_origin = |origin: f64| stated.map(|stated| stated - origin);
        let known = self.origin.and_then(from_origin);
        let time = match known.filter(|time| (time - arrived).abs() <= DRIFT) {
            Some(time) => time,
            None => {
                let origin = stated.map(|stated| stated - arrived);
                self.origin = origin.or(self.origin);
                arrived
            }
        };
        let time = Duration::try_from_secs_f64(time).unwrap_or_default();
        // To the microsecond, as arithmetic with seconds leaves it.
        let time = Duration::from_micros(((time.as_nanos() + 500) / 1000) as u64);
        let time = self.last.map_or(time, |last| time.max(last));
        self.last = Some(time);
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_streams_own_until_they_are_off() {
        let mut times = Times::default();
        let start = Instant::now();
        let after = |ms: u64| start + Duration::from_millis(ms);
        let millis = |time: Duration| time.as_millis();
        assert_eq!(millis(times.time(Some(1000.0), start)), 0);
        // Arrival jitters, the stream's time does not.
        assert_eq!(millis(times.time(Some(1000.04), after(65))), 40);
        assert_eq!(millis(times.time(None, after(80))), 80);
        // Never backwards.
        assert_eq!(millis(times.time(Some(1000.06), after(90))), 80);
        // Another clock: the stream began anew.
        assert_eq!(millis(times.time(Some(5.0), after(4000))), 4000);
        assert_eq!(millis(times.time(Some(5.1), after(4120))), 4100);
        times.interrupt();
        assert_eq!(millis(times.time(Some(0.0), after(9000))), 9000);
        assert_eq!(millis(times.time(Some(f64::NAN), after(9100))), 9100);
    }
}
