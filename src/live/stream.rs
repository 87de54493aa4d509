//! Network streams and devices as inputs of a live loop.

use crate::{
    frame::SourceInfo,
    live::input::{Arrival, LiveInput, Received, ReceivedFrame},
    progress::Cancel,
    sources::{SourceError, SourceWarning, StreamAddress, StreamOptions, StreamReader, StreamStep},
};
use std::{sync::Arc, time::Instant};

/// A network stream or a device: see [`StreamReader`].
#[derive(Debug)]
pub struct StreamInput {
    reader: StreamReader,
    connected: bool,
}

impl StreamInput {
    /// Opens a stream; `cancel` ends the attempt.
    ///
    /// # Errors
    /// As [`StreamReader::open`].
    pub fn open(
        address: StreamAddress,
        options: StreamOptions,
        cancel: &Cancel,
    ) -> Result<Self, SourceError> {
        let reader = StreamReader::open(address, options, stop(cancel))?;
        Ok(Self {
            reader,
            connected: false,
        })
    }
}

fn stop(cancel: &Cancel) -> Arc<dyn Fn() -> bool + Send + Sync> {
    let cancel = cancel.clone();
    Arc::new(move || cancel.is_requested())
}

impl LiveInput for StreamInput {
    fn info(&self) -> &Arc<SourceInfo> {
        self.reader.info()
    }

    fn next(&mut self, cancel: &Cancel) -> Result<Option<Received>, SourceError> {
        if !std::mem::replace(&mut self.connected, true) {
            return Ok(Some(Received::Connected));
        }
        Ok(Some(match self.reader.next(stop(cancel))? {
            StreamStep::Frame { frame, arrival } => Received::Frame(Box::new(ReceivedFrame {
                frame: *frame,
                arrival: Arrival {
                    instant: arrival.0,
                    time: arrival.1,
                },
                decoded: Instant::now(),
                geometry: None,
            })),
            StreamStep::Connected => Received::Connected,
            StreamStep::Disconnected(reason) => Received::Disconnected { reason },
            StreamStep::End => return Ok(None),
        }))
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        self.reader.take_warnings()
    }
}
