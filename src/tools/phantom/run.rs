//! Several sequences at a time.

use crate::{
    phantom::PhantomOptions,
    progress::Cancel,
    tools::phantom::{
        folder::PhantomFolder,
        merged,
        plan::{PhantomPlan, PhantomRunError},
        sequence::SequenceJob,
        summary::{PhantomEvent, PhantomObserver, PhantomSummary, SequenceSummary},
    },
};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// How many bytes of pixels the frames that wait for their writer may hold, over all sequences at work.
const PIXELS_AHEAD: u64 = 1 << 26;

impl PhantomPlan {
    /// Writes the sequences, several at a time where there are several threads in rayon's pool; `observer` receives each frame and sequence.
    ///
    /// # Errors
    /// [`PhantomRunError`] as [`PhantomPlan::check`], or if the folder or a file cannot be written: sequences that were
    /// complete before stay.
    pub fn run(&self, observer: &PhantomObserver<'_>) -> Result<PhantomSummary, PhantomRunError> {
        self.check()?;
        let _folder = PhantomFolder::prepare(self)?;
        let (done, next, stop) = (
            Mutex::new(PhantomSummary::of(self)),
            AtomicU64::new(0),
            Cancel::default(),
        );
        let failed: Mutex<Option<PhantomRunError>> = Mutex::new(None);
        let at_work = self.at_work();
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.sequences.get()
                    || stop.is_requested()
                    || self.cancel.is_requested()
                {
                    return;
                }
                match self.write_sequence(number, at_work, &stop, observer) {
                    Ok(Some(sequence)) => {
                        done.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .add(&sequence);
                        observer.event(PhantomEvent::SequenceDone(&sequence));
                    }
                    Ok(None) => return,
                    Err(error) => {
                        failed
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .get_or_insert(error);
                        stop.request();
                    }
                }
            }
        };
        // These threads wait and write; rendering is done in rayon's pool.
        std::thread::scope(|scope| {
            for _ in 1..at_work {
                scope.spawn(work);
            }
            work();
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let mut summary = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        summary.interrupted = summary.sequences < self.sequences.get();
        if !summary.interrupted && self.sequences.get() > 1 {
            merged::write(self)?;
        }
        Ok(summary)
    }

    fn write_sequence(
        &self,
        number: u64,
        at_work: u64,
        stop: &Cancel,
        observer: &PhantomObserver<'_>,
    ) -> Result<Option<SequenceSummary>, PhantomRunError> {
        let options = PhantomOptions {
            seed: self.options.seed + number,
            ..self.options.clone()
        };
        let threads = rayon::current_num_threads() as u64;
        let room = PIXELS_AHEAD / options.size.pixels().max(1) / at_work;
        let job = SequenceJob {
            options,
            folder: self.folder(number),
            files: self.files,
            ahead: (4 * threads / at_work).clamp(2, 64).min(room).max(1) as u32,
            stopped: &|| stop.is_requested() || self.cancel.is_requested(),
            frame_done: &|| observer.event(PhantomEvent::FrameDone),
        };
        job.run()
    }

    /// How many sequences are written at a time.
    fn at_work(&self) -> u64 {
        let room = (PIXELS_AHEAD / self.options.size.pixels().max(1)).max(1);
        self.sequences
            .get()
            .min(rayon::current_num_threads() as u64)
            .min(room)
    }
}
