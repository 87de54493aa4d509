//! The recorder: what a run of files writes, beside the loop.

use crate::{
    frame::{Pixels, SourceInfo},
    live::{event::LiveEvent, output::LiveOutput, queued::WhenFull, result::LiveFrame},
    run::{Recorded, Recording, RunError, Summary},
    text::counted,
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};

/// Results that may wait to be written; fewer with their pixels.
const WAITING: [usize; 2] = [256, 16];

/// Records a live loop into an output folder, on a thread of its own behind a bounded queue.
///
/// Where the disk cannot keep up, frames are left out of the recording and counted ([`LiveOutput::dropped`], a notice in `run.json`): the
/// loop does not wait, unless [`WhenFull::Wait`] says so. A frame's line is written as soon as its turn comes.
pub struct Recorder {
    queue: Option<SyncSender<Recorded>>,
    thread: Option<JoinHandle<Result<Summary, RunError>>>,
    when_full: WhenFull,
    reads_pixels: bool,
    dropped: u64,
    problems: Vec<String>,
    summary: RecordSummary,
}

/// How a recording ended, once the loop has. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct RecordSummary(Arc<Mutex<Option<Summary>>>);

impl RecordSummary {
    /// Takes it; none where the recording has not ended, or failed.
    pub fn take(&self) -> Option<Summary> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recorder({:?})", self.when_full)
    }
}

impl Recorder {
    /// Prepares the output folder for what is found in the source `info`, and gives where the summary is to be had at the end.
    ///
    /// # Errors
    /// [`RunError`] if the folder cannot be prepared, [`RunError::Internal`] if the thread cannot be started.
    pub fn start(
        recording: Recording,
        info: &Arc<SourceInfo>,
        when_full: WhenFull,
    ) -> Result<(Self, RecordSummary), RunError> {
        let reads_pixels = recording.reads_pixels();
        let (queue, items) = sync_channel(WAITING[usize::from(reads_pixels)]);
        let (prepared, is_prepared) = sync_channel(1);
        let items = Prepared {
            items,
            prepared: Some(prepared),
        };
        let info = info.clone();
        let started = thread::Builder::new()
            .name("live-record".to_owned())
            .spawn(move || recording.start(&info, items));
        let thread = started.map_err(|error| {
            RunError::Internal(format!(
                "the recorder's thread could not be started: {error}"
            ))
        })?;
        // It takes the first frame once the folder is prepared, and ends without where it cannot be.
        let is_prepared = is_prepared.recv().is_ok();
        let summary = RecordSummary::default();
        let mut recorder = Self {
            queue: Some(queue),
            thread: Some(thread),
            when_full,
            reads_pixels,
            dropped: 0,
            problems: Vec::new(),
            summary: summary.clone(),
        };
        if is_prepared {
            return Ok((recorder, summary));
        }
        match recorder.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => Err(error),
            _ => Err(RunError::Internal(
                "the recorder failed by a fault of its own".to_owned(),
            )),
        }
    }

    /// Whether it was taken, without waiting unless it is to be waited.
    fn put(&mut self, item: Recorded) -> bool {
        let Some(queue) = &self.queue else {
            return false;
        };
        let is_there = match self.when_full {
            WhenFull::Wait => queue.send(item).is_ok(),
            WhenFull::Drop => match queue.try_send(item) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => return false,
                Err(TrySendError::Disconnected(_)) => false,
            },
        };
        if !is_there {
            // It ended early, with an error.
            self.end();
        }
        is_there
    }

    fn end(&mut self) {
        if let Some(queue) = self.queue.take()
            && self.dropped > 0
        {
            let notice = format!(
                "{} are missing: they could not be written as fast as they came",
                counted(self.dropped, "frame")
            );
            // A recorder that has ended has an error of its own.
            let _ = queue.send(Recorded::Notice(notice));
        }
        match self.thread.take().map(JoinHandle::join) {
            None => {}
            Some(Ok(Ok(summary))) => {
                let mut place = self
                    .summary
                    .0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                *place = Some(summary);
            }
            Some(Ok(Err(error))) => self.problems.push(format!("recording: {error}")),
            Some(Err(_)) => self
                .problems
                .push("recording: it failed by a fault of its own".to_owned()),
        }
    }
}

/// Items, and a signal that the first was taken.
struct Prepared {
    items: Receiver<Recorded>,
    prepared: Option<SyncSender<()>>,
}

impl Iterator for Prepared {
    type Item = Recorded;

    fn next(&mut self) -> Option<Recorded> {
        if let Some(prepared) = self.prepared.take() {
            let _ = prepared.send(());
        }
        self.items.recv().ok()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}

impl LiveOutput for Recorder {
    fn frame(&mut self, frame: &Arc<LiveFrame>) {
        let mut of_record = frame.frame.clone();
        if !self.reads_pixels {
            of_record.pixels = Pixels::Released(of_record.size());
        }
        let found = Box::new(frame.detections.clone());
        let taken = self.put(Recorded::Frame(Box::new(of_record), found));
        self.dropped += u64::from(!taken);
    }

    fn event(&mut self, event: &LiveEvent) {
        match event {
            LiveEvent::Warning(warning) => {
                self.put(Recorded::Warning(warning.clone()));
            }
            LiveEvent::FrameFailed { problem, .. } => {
                self.put(Recorded::Failed(problem.clone()));
            }
            LiveEvent::Disconnected { reason, .. } => {
                self.put(Recorded::Notice(reason.clone()));
            }
            _ => {}
        }
    }

    fn reads_pixels(&self) -> bool {
        self.reads_pixels && self.queue.is_some()
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }

    fn take_problems(&mut self) -> Vec<String> {
        std::mem::take(&mut self.problems)
    }

    fn finish(&mut self) {
        self.end();
    }
}
