//! The thread that makes messages of frames.

use super::report::Reporter;
use crate::{
    igtl::{Encoded, Sender},
    live::{event::LiveEvent, meter::SendMeter, result::LiveFrame},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// Different problems that are reported, and events that wait.
const REPORTS: usize = 100;

/// What the loop's thread, the connections and the thread that sends share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    mail: Mutex<Mail>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Mail {
    frame: Option<Arc<LiveFrame>>,
    dropped: u64,
    sent: SendMeter,
    events: Vec<LiveEvent>,
    problems: Vec<String>,
    known: BTreeSet<String>,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, sent: SendMeter) {
        self.lock().sent = sent;
    }

    /// Puts a frame in the place of one that still waits.
    pub(super) fn put(&self, frame: &Arc<LiveFrame>) {
        let mut mail = self.lock();
        let replaced = mail.frame.replace(Arc::clone(frame));
        mail.dropped += u64::from(replaced.is_some());
        drop(mail);
        self.changed.notify_one();
    }

    fn take(&self) -> Option<(Arc<LiveFrame>, SendMeter)> {
        let mail = self.lock();
        let idle = |mail: &mut Mail| mail.frame.is_none() && !mail.ended;
        let waited = self.changed.wait_while(mail, idle);
        let mut mail = waited.unwrap_or_else(PoisonError::into_inner);
        let frame = mail.frame.take()?;
        Some((frame, mail.sent.clone()))
    }

    /// The frame that waits is still sent.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_one();
    }

    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    pub(super) fn add_event(&self, event: LiveEvent) {
        let mut mail = self.lock();
        if mail.events.len() < REPORTS {
            mail.events.push(event);
        }
    }

    pub(super) fn take_events(&self) -> Vec<LiveEvent> {
        std::mem::take(&mut self.lock().events)
    }

    /// A problem, the first time.
    pub(super) fn add_problem(&self, problem: String) {
        let mut mail = self.lock();
        if mail.known.len() < REPORTS && mail.known.insert(problem.clone()) {
            mail.problems.push(problem);
        }
    }

    pub(super) fn take_problems(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().problems)
    }
}

/// Makes and sends the messages of the newest frame, again and again.
pub(super) fn send_frames(shared: &Shared, sender: &Sender, mut reporter: Reporter, output: &str) {
    while let Some((frame, sent)) = shared.take() {
        if !sender.is_connected() {
            continue;
        }
        let arrival = frame.times.arrival.instant;
        // Its time of sending is that of the frame.
        let mut first = Some(move || sent.sent(arrival));
        let problems = reporter.messages(&frame, |message| match Encoded::new(message) {
            Ok(message) => sender.send_encoded(match first.take() {
                Some(note) => message.noting(note),
                None => message,
            }),
            Err(error) => shared.add_problem(format!("{output}: {error}")),
        });
        for problem in problems {
            shared.add_problem(format!("{output}: {problem}"));
        }
    }
}
