//! Claims of a shard, and the beat of its owner.

use super::record::{Record, serialised};
use crate::{
    run::shard::publish::{publish, token},
    sinks::SinkError,
};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How often owners are heard of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Time between two writes of an owner.
    pub(super) beat: Duration,
    /// Time after which an owner of another machine that was not heard of is dead.
    pub(super) patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(10),
            patience: Duration::from_secs(90),
        }
    }
}

/// The right to write to a shard, until this is dropped.
#[derive(Debug)]
pub(crate) struct Owner {
    held: Arc<Held>,
    beating: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Held {
    folder: PathBuf,
    name: String,
    generation: u64,
    pace: Pace,
    lost: AtomicBool,
    state: Mutex<State>,
    /// Wakes the thread that beats when the owner is done.
    ended: Condvar,
}

#[derive(Debug)]
struct State {
    record: Record,
    written: Instant,
    done: bool,
}

/// What became of the present owner.
enum Present {
    /// None, or it is done, or dead: the next may be made.
    Free(u64),
    /// It works.
    Held(Record),
    /// `stop` requested an end.
    Stopped,
}

impl Owner {
    /// Makes this process the owner of `name` among the files in `folder`, which is made. `wait` is called once with a description of the
    /// owner before, if that may be dead and is watched; `stop` ends the watch.
    ///
    /// # Errors
    /// [`SinkError`] if another process is the owner, the watch was stopped, or the file system fails.
    pub(crate) fn claim(
        folder: &Path,
        name: &str,
        wait: &mut dyn FnMut(&str),
        stop: &dyn Fn() -> bool,
    ) -> Result<Self, SinkError> {
        Self::claim_at(folder, name, Pace::default(), Record::own(), wait, stop)
    }

    pub(super) fn claim_at(
        folder: &Path,
        name: &str,
        pace: Pace,
        record: Record,
        wait: &mut dyn FnMut(&str),
        stop: &dyn Fn() -> bool,
    ) -> Result<Self, SinkError> {
        let failed = |e: io::Error| SinkError::io(folder, "note who writes to the shard", &e);
        fs::create_dir_all(folder).map_err(failed)?;
        loop {
            let generation = match present(folder, name, pace, &record, wait, stop)? {
                Present::Free(generation) => generation,
                Present::Held(other) => {
                    let problem = format!("is being written by {}", other.described());
                    return Err(SinkError::new(folder.join(name), problem)
                        .with_remedy("wait until that has ended, or end it"));
                }
                Present::Stopped => {
                    return Err(SinkError::new(folder.join(name), "the wait was ended"));
                }
            };
            let text = serialised(&record, folder)?;
            if publish(&file(folder, name, generation), &text).map_err(failed)? {
                let held = Held {
                    folder: folder.to_owned(),
                    name: name.to_owned(),
                    generation,
                    pace,
                    lost: AtomicBool::new(false),
                    state: Mutex::new(State {
                        record,
                        written: Instant::now(),
                        done: false,
                    }),
                    ended: Condvar::new(),
                };
                return held.begin();
            }
        }
    }

    /// Whether this is still the owner; to be called before each write. Cheap: the files are looked at only where the last beat is long ago.
    ///
    /// # Errors
    /// [`SinkError`] if another has taken over, since this process was not heard of for so long, or that cannot be found out.
    pub(crate) fn check(&self) -> Result<(), SinkError> {
        let held = &self.held;
        let late = held.state().written.elapsed() > 2 * held.pace.beat;
        if late && !held.lost() {
            held.beat()?;
        }
        if held.lost() {
            let problem = "another process has taken the shard over, since this one was not heard of for too long";
            return Err(SinkError::new(held.folder.join(&held.name), problem)
                .with_remedy("leave it to that one, or run this again when it has ended"));
        }
        Ok(())
    }

    /// Whether another has taken over.
    pub(crate) fn is_lost(&self) -> bool {
        self.held.lost()
    }
}

impl Held {
    /// Removes files of earlier owners and starts to beat.
    fn begin(self) -> Result<Owner, SinkError> {
        for earlier in generations(&self.folder, &self.name)? {
            if earlier < self.generation {
                // One that stays harms nobody: the highest counts.
                let _ = fs::remove_file(file(&self.folder, &self.name, earlier));
            }
        }
        let held = Arc::new(self);
        let beating = held.clone();
        let started = thread::Builder::new()
            .name("owner".to_owned())
            .spawn(move || beating.beat_on());
        let failed = |e| SinkError::io(&held.folder, "start a thread", &e);
        Ok(Owner {
            beating: Some(started.map_err(failed)?),
            held,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    fn beat_on(&self) {
        let mut state = self.state();
        while !state.done && !self.lost() {
            let (waited, _) = self
                .ended
                .wait_timeout(state, self.pace.beat)
                .unwrap_or_else(PoisonError::into_inner);
            if waited.done {
                return;
            }
            drop(waited);
            // One that fails is late, and the next write looks again.
            let _ = self.beat();
            state = self.state();
        }
    }

    /// Looks whether there is a later owner, and writes the file anew.
    fn beat(&self) -> Result<(), SinkError> {
        let mut state = self.state();
        if state.done {
            return Ok(());
        }
        self.refresh();
        self.look()?;
        if !self.lost() {
            state.record.beat += 1;
            let written = self.write(&state.record);
            // It may have come while this was written.
            self.look()?;
            if !self.lost() {
                written?;
                state.written = Instant::now();
            }
        }
        Ok(())
    }

    /// Writes the file anew, in place: who watches it on a network file system then sees the new bytes as soon as it opens it, which a
    /// file that replaces another may hide until the watcher's cache of the folder has expired.
    fn write(&self, record: &Record) -> Result<(), SinkError> {
        let path = file(&self.folder, &self.name, self.generation);
        let text = serialised(record, &self.folder)?;
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).open(&path)?;
            file.write_all(&text)?;
            file.sync_data()
        };
        write().map_err(|e| SinkError::io(&path, "note that the shard is being written", &e))
    }

    /// Changes the folder, so that a network file system lists it anew and not from its cache.
    fn refresh(&self) {
        let path = self.folder.join(format!(".ultramotion-{}.tmp", token()));
        if fs::write(&path, "").is_ok() {
            let _ = fs::remove_file(&path);
        }
    }

    fn look(&self) -> Result<(), SinkError> {
        let highest = generations(&self.folder, &self.name)?.into_iter().max();
        if highest.is_some_and(|highest| highest > self.generation) {
            self.lost.store(true, Ordering::Release);
        }
        Ok(())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        {
            let mut state = self.held.state();
            state.done = true;
            state.record.released = true;
            state.record.beat += 1;
            if !self.held.lost() {
                // If it fails, the next one waits until it takes this for dead.
                let _ = self.held.write(&state.record);
            }
        }
        self.held.ended.notify_all();
        if let Some(thread) = self.beating.take() {
            let _ = thread.join();
        }
    }
}

pub(super) fn file(folder: &Path, name: &str, generation: u64) -> PathBuf {
    folder.join(format!("{name}.{generation:06}"))
}

/// The numbers of the owners' files of `name`.
pub(super) fn generations(folder: &Path, name: &str) -> Result<Vec<u64>, SinkError> {
    let failed = |e: io::Error| SinkError::io(folder, "list the folder", &e);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?.file_name();
        let number: Option<u64> = entry
            .to_str()
            .and_then(|entry| entry.strip_prefix(name)?.strip_prefix('.')?.parse().ok());
        found.extend(number);
    }
    Ok(found)
}

/// What became of the present owner; one of another machine is watched.
fn present(
    folder: &Path,
    name: &str,
    pace: Pace,
    own: &Record,
    wait: &mut dyn FnMut(&str),
    stop: &dyn Fn() -> bool,
) -> Result<Present, SinkError> {
    let mut watched: Option<(u64, Vec<u8>, Instant)> = None;
    loop {
        let Some(highest) = generations(folder, name)?.into_iter().max() else {
            return Ok(Present::Free(0));
        };
        let path = file(folder, name, highest);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            // A later owner has removed it, or it is being replaced: look again.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                thread::sleep(Duration::from_millis(10));
                continue;
            }
            // On NFS, a file that was replaced while it was read.
            Err(e) if e.kind() == io::ErrorKind::StaleNetworkFileHandle => continue,
            Err(e) => return Err(SinkError::io(&path, "read who writes to the shard", &e)),
        };
        let record: Record = serde_json::from_slice(&bytes).unwrap_or_default();
        if record.released {
            return Ok(Present::Free(highest + 1));
        }
        match record.is_running(own) {
            Some(true) => return Ok(Present::Held(record)),
            Some(false) => return Ok(Present::Free(highest + 1)),
            None => {}
        }
        match &watched {
            Some((seen, before, since)) if *seen == highest && *before == bytes => {
                if since.elapsed() > pace.patience {
                    return Ok(Present::Free(highest + 1));
                }
            }
            Some((seen, ..)) if *seen == highest => return Ok(Present::Held(record)),
            _ => {
                wait(&record.described());
                watched = Some((highest, bytes, Instant::now()));
            }
        }
        if stop() {
            return Ok(Present::Stopped);
        }
        thread::sleep((pace.beat / 10).min(Duration::from_secs(1)));
    }
}
