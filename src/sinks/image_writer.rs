//! Threads that encode and write images beside the run, behind a bounded queue.

use crate::sinks::error::SinkError;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

type Job = Box<dyn FnOnce() -> Result<(), SinkError> + Send>;

/// A few threads that write files. Handles are cheap to clone; the threads end with the last of them.
///
/// At most two jobs a thread wait; then [`ImageWriter::submit`] blocks, so that a slow disk slows the run instead of
/// filling the memory. An error of a job is reported once, by the next call of either method.
#[derive(Debug, Clone)]
pub struct ImageWriter {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    queue: Option<SyncSender<Job>>,
    workers: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    idle: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pending: usize,
    error: Option<SinkError>,
}

impl ImageWriter {
    /// A writer of `threads` threads, at least one.
    ///
    /// # Errors
    /// [`SinkError`], named by `root`, if the system gives no thread.
    pub fn new(root: &Path, threads: usize) -> Result<Self, SinkError> {
        let threads = threads.max(1);
        let (queue, jobs) = sync_channel::<Job>(2 * threads);
        let (jobs, shared) = (Arc::new(Mutex::new(jobs)), Arc::new(Shared::default()));
        let mut workers = Vec::with_capacity(threads);
        for i in 0..threads {
            let (jobs, shared) = (Arc::clone(&jobs), Arc::clone(&shared));
            let named = std::thread::Builder::new().name(format!("image-writer-{i}"));
            let worker = named.spawn(move || work(&jobs, &shared));
            workers.push(
                worker.map_err(|e| SinkError::io(root, "start a thread that writes images", &e))?,
            );
        }
        Ok(Self {
            pool: Arc::new(Pool {
                queue: Some(queue),
                workers,
                shared,
            }),
        })
    }

    /// Queues a job; waits while the queue is full.
    ///
    /// # Errors
    /// The [`SinkError`] of an earlier job; this one is then not queued.
    pub fn submit(
        &self,
        job: impl FnOnce() -> Result<(), SinkError> + Send + 'static,
    ) -> Result<(), SinkError> {
        let shared = &self.pool.shared;
        {
            let mut state = shared.lock();
            state.error.take().map_or(Ok(()), Err)?;
            state.pending += 1;
        }
        let sent = self
            .pool
            .queue
            .as_ref()
            .map(|queue| queue.send(Box::new(job)));
        if !matches!(sent, Some(Ok(()))) {
            shared.done(Err(SinkError::new(
                "",
                "the threads that write images have ended",
            )));
        }
        Ok(())
    }

    /// Waits until all queued jobs are done.
    ///
    /// # Errors
    /// The first [`SinkError`] of a job since the last report.
    pub fn wait(&self) -> Result<(), SinkError> {
        let shared = &self.pool.shared;
        let mut state = shared.lock();
        while state.pending > 0 {
            state = shared
                .idle
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.error.take().map_or(Ok(()), Err)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done(&self, outcome: Result<(), SinkError>) {
        let mut state = self.lock();
        state.pending -= 1;
        if let Err(error) = outcome {
            state.error.get_or_insert(error);
        }
        if state.pending == 0 {
            self.idle.notify_all();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue = None;
        for worker in self.workers.drain(..) {
            // A worker catches its jobs' panics, so it ends in order.
            let _ = worker.join();
        }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, shared: &Shared) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let outcome = catch_unwind(AssertUnwindSafe(job));
        shared.done(outcome.unwrap_or_else(|_| {
            Err(SinkError::new(
                "",
                "writing an image failed unexpectedly; this is a defect",
            ))
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn all_jobs_run_and_the_first_error_is_reported_once() {
        let writer = ImageWriter::new(Path::new("out"), 3).unwrap();
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let done = Arc::clone(&done);
            writer
                .submit(move || {
                    done.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                })
                .unwrap();
        }
        writer.wait().unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 100);
        writer
            .submit(|| Err(SinkError::new("a.png", "full")))
            .unwrap();
        assert_eq!(writer.wait().unwrap_err().path, Path::new("a.png"));
        writer.wait().unwrap();
    }

    #[test]
    fn a_panicking_job_is_an_error_not_a_hang() {
        let writer = ImageWriter::new(Path::new("out"), 1).unwrap();
        writer.submit(|| panic!("deliberate")).unwrap();
        assert!(writer.wait().is_err());
        writer.submit(|| Ok(())).unwrap();
        writer.wait().unwrap();
    }
}
