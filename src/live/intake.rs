//! The thread of the input: frames into the mailbox, all else to the outputs.

use crate::{
    live::{
        counters::Counters,
        event::LiveEvent,
        input::{LiveInput, Received},
        mailbox::{Mailbox, Put},
        outlet::{Outlet, ToOutputs},
    },
    progress::Cancel,
    sources::SourceError,
};
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// Errors one after another, without a frame between them, after which a stream is of no use.
const MAX_ERRORS_IN_A_ROW: u32 = 1000;

/// What the thread shares with the loop.
pub(super) struct Intake {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) counters: Arc<Counters>,
    pub(super) outlet: Outlet,
    pub(super) stop: Cancel,
}

/// Ends the mailbox, also after a panic of the input.
struct Ends<'a>(&'a Mailbox);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Intake {
    /// Reads until the stream ends or the loop does. Returns the last error where no frame came after it.
    pub(super) fn run(self, mut input: Box<dyn LiveInput>) -> Option<SourceError> {
        let _ends = Ends(&self.mailbox);
        let (mut last_error, mut errors, mut connected) = (None, 0, false);
        while !self.stop.is_requested() && errors < MAX_ERRORS_IN_A_ROW {
            let next = input.next(&self.stop);
            self.warn(&mut *input);
            match next {
                Ok(None) => break,
                Ok(Some(Received::Frame(frame))) => {
                    (last_error, errors) = (None, 0);
                    Counters::add(&self.counters.arrived);
                    match self.mailbox.put(frame) {
                        Put::Kept => {}
                        Put::Replaced => Counters::add(&self.counters.dropped),
                        Put::Closed => break,
                    }
                }
                Ok(Some(Received::Message(message))) => self.tell(LiveEvent::Message(message)),
                Ok(Some(Received::Connected)) => {
                    if std::mem::replace(&mut connected, true) {
                        Counters::add(&self.counters.reconnects);
                    }
                    let input = input.info().path.display().to_string();
                    self.tell(LiveEvent::Connected { input });
                }
                Ok(Some(Received::Disconnected { reason })) => {
                    let input = input.info().path.display().to_string();
                    self.tell(LiveEvent::Disconnected { input, reason });
                }
                Err(error) => {
                    errors += 1;
                    self.failed(&error);
                    last_error = Some(error);
                }
            }
        }
        last_error.filter(|_| !self.stop.is_requested())
    }

    fn warn(&self, input: &mut dyn LiveInput) {
        for warning in input.take_warnings() {
            self.tell(LiveEvent::Warning(warning));
        }
    }

    fn failed(&self, error: &SourceError) {
        Counters::add(&self.counters.failed);
        self.tell(LiveEvent::FrameFailed {
            frame: error.frame,
            problem: error.to_string(),
        });
    }

    /// An event that the outputs' queue has no room for is dropped: they are behind by seconds then.
    fn tell(&self, event: LiveEvent) {
        if !self.outlet.offer(ToOutputs::Event(event)) {
            self.counters.not_handed.fetch_add(1, Relaxed);
        }
    }
}
