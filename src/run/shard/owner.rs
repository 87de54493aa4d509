//! Who works on a shard: one process at a time, on any machine, without locks.
//!
//! Each owner has a file, `NAME.000000`, `NAME.000001` and so on; the highest is the present one. A file is made once, by [`publish`],
//! so that of many who want to follow an owner one does. The owner writes its file anew every few seconds with a higher count, and a last
//! time when it is done. Who finds an owner
//!
//! - of the same machine asks the system whether its process is there;
//! - of another machine watches its file: an owner whose file does not change for [`Pace::patience`] is dead. Only the watcher's own time is
//!   used: clocks of machines need not agree.
//!
//! An owner that was only held up and finds that it was followed stops before it writes more ([`Owner::check`]).

use super::publish::{host, publish, token};
use crate::sinks::SinkError;
use serde::{Deserialize, Serialize};
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

/// Bytes of an owner's file before its line break, at least.
const LENGTH: usize = 1023;

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

/// The content of an owner's file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// Distinguishes it from all others.
    token: String,
    host: String,
    /// Distinguishes starts of the machine, and machines of one name.
    boot: String,
    /// The space that the process's number is of, since containers of one machine have their own, and the user, since systems may hide the
    /// processes of others.
    space: String,
    pid: u32,
    /// When the process started, by the machine's own count: numbers of processes are used again.
    start: String,
    /// The job of a scheduler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    /// Rises with each write.
    beat: u64,
    /// Whether it is done.
    released: bool,
}

impl Record {
    fn own() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let space = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let space = format!("{} of user {}", space.display(), user());
        Self {
            token: token(),
            host: host(),
            boot: read("/proc/sys/kernel/random/boot_id").trim().to_owned(),
            space,
            pid: std::process::id(),
            start: start_of(std::process::id()).unwrap_or_default(),
            job: job(|name| std::env::var(name).ok()),
            beat: 0,
            released: false,
        }
    }

    /// Whether its process runs; none where only its machine knows.
    fn is_running(&self, own: &Self) -> Option<bool> {
        let same = |of: fn(&Self) -> &str| !of(own).is_empty() && of(own) == of(self);
        let here = same(|r| &r.host) && same(|r| &r.boot) && same(|r| &r.space);
        (here && !self.start.is_empty())
            .then(|| start_of(self.pid).as_deref() == Some(self.start.as_str()))
    }

    fn described(&self) -> String {
        let job = self.job.as_deref().map(|job| format!(", {job}"));
        format!(
            "process {} on {}{}",
            self.pid,
            self.host,
            job.unwrap_or_default()
        )
    }
}

/// The time at which process `pid` started, as Linux counts it; none where there is no such process, or no such count. Of one that has ended
/// and waits for its parent there is none.
fn start_of(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name, in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X"))
        .then(|| fields.nth(18).map(str::to_owned))
        .flatten()
}

/// The number of the user of this process, where the system has such.
#[cfg(unix)]
fn user() -> String {
    let meta = fs::metadata("/proc/self");
    meta.map(|meta| std::os::unix::fs::MetadataExt::uid(&meta).to_string())
        .unwrap_or_default()
}

#[cfg(not(unix))]
fn user() -> String {
    String::new()
}

/// What the scheduler calls this job, by its variables.
fn job(get: impl Fn(&str) -> Option<String>) -> Option<String> {
    let slurm = get("SLURM_ARRAY_JOB_ID")
        .zip(get("SLURM_ARRAY_TASK_ID"))
        .map(|(job, task)| format!("Slurm job {job}_{task}"));
    let one = || get("SLURM_JOB_ID").map(|job| format!("Slurm job {job}"));
    let index = || get("JOB_COMPLETION_INDEX").map(|index| format!("index {index}"));
    slurm.or_else(one).or_else(index)
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
    /// `stop` asked for an end.
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

    fn claim_at(
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

/// Always as long, so that it can be written over.
fn serialised(record: &Record, folder: &Path) -> Result<Vec<u8>, SinkError> {
    let text = serde_json::to_string(record).map_err(|e| SinkError::new(folder, e.to_string()))?;
    Ok(format!("{text:LENGTH$}\n").into_bytes())
}

fn file(folder: &Path, name: &str, generation: u64) -> PathBuf {
    folder.join(format!("{name}.{generation:06}"))
}

/// The numbers of the owners' files of `name`.
fn generations(folder: &Path, name: &str) -> Result<Vec<u64>, SinkError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        beat: Duration::from_millis(20),
        patience: Duration::from_millis(400),
    };

    fn elsewhere(host: &str) -> Record {
        Record {
            host: host.to_owned(),
            boot: "another".to_owned(),
            ..Record::own()
        }
    }

    fn claim(folder: &Path, record: Record) -> Result<Owner, SinkError> {
        Owner::claim_at(folder, "s", PACE, record, &mut |_| (), &|| false)
    }

    #[test]
    fn one_at_a_time_on_one_machine_and_on_two() {
        let dir = tempfile::tempdir().unwrap();
        let first = claim(dir.path(), Record::own()).unwrap();
        let error = claim(dir.path(), Record::own()).unwrap_err().to_string();
        assert!(error.contains("is being written by process"), "{error}");
        // Seen from another machine it is known by its beats.
        let error = claim(dir.path(), elsewhere("far")).unwrap_err().to_string();
        assert!(error.contains("is being written by process"), "{error}");
        first.check().unwrap();
        drop(first);
        let second = claim(dir.path(), elsewhere("far")).unwrap();
        assert!(claim(dir.path(), Record::own()).is_err());
        drop(second);
        drop(claim(dir.path(), Record::own()).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_dead_are_followed_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let dead = |record: &Record| {
            let text = serde_json::to_vec(record).unwrap();
            fs::write(file(dir.path(), "s", 4), text).unwrap();
        };
        // Of this machine: its process is not there, or is another of the same number.
        let other = Record {
            start: "1".to_owned(),
            ..Record::own()
        };
        dead(&other);
        let begun = Instant::now();
        drop(claim(dir.path(), Record::own()).unwrap());
        assert!(begun.elapsed() < PACE.patience);
        fs::remove_file(file(dir.path(), "s", 5)).unwrap();
        // Of another: it is not heard of. Many wait for it.
        dead(&elsewhere("far"));
        let begun = Instant::now();
        let owners = thread::scope(|scope| {
            let one = |n: u32| claim(dir.path(), elsewhere(&format!("near{n}")));
            let start = |n: u32| scope.spawn(move || one(n));
            let threads: Vec<_> = (0..8).map(start).collect();
            let claims = threads.into_iter().map(|t| t.join().unwrap());
            claims.filter_map(Result::ok).collect::<Vec<_>>()
        });
        assert!(begun.elapsed() > PACE.patience);
        assert_eq!(owners.len(), 1);
        owners[0].check().unwrap();
    }

    #[test]
    fn who_was_followed_stops() {
        let dir = tempfile::tempdir().unwrap();
        let first = claim(dir.path(), Record::own()).unwrap();
        let generation = generations(dir.path(), "s").unwrap()[0];
        fs::write(file(dir.path(), "s", generation + 1), "{}").unwrap();
        thread::sleep(5 * PACE.beat);
        assert!(first.is_lost());
        let error = first.check().unwrap_err().to_string();
        assert!(error.contains("another process has taken"), "{error}");
        drop(first);
        let left = fs::read(file(dir.path(), "s", generation + 1)).unwrap();
        assert_eq!(left, b"{}", "the later owner's file is as it was");
    }

    #[test]
    fn a_watch_can_be_ended_and_is_announced() {
        let dir = tempfile::tempdir().unwrap();
        let other = Record {
            job: Some("Slurm job 7_3".to_owned()),
            ..elsewhere("far")
        };
        fs::write(
            file(dir.path(), "s", 0),
            serde_json::to_vec(&other).unwrap(),
        )
        .unwrap();
        let mut said = Vec::new();
        let mut wait = |who: &str| said.push(who.to_owned());
        let ended = Owner::claim_at(dir.path(), "s", PACE, Record::own(), &mut wait, &|| true);
        assert!(ended.is_err());
        assert_eq!(said.len(), 1);
        assert!(said[0].ends_with("on far, Slurm job 7_3"), "{said:?}");
    }

    #[test]
    fn schedulers_name_their_jobs() {
        let of = |known: &[(&str, &str)]| {
            job(|name| {
                let found = known.iter().find(|(n, _)| *n == name);
                found.map(|(_, v)| (*v).to_owned())
            })
        };
        let array = [("SLURM_ARRAY_JOB_ID", "12"), ("SLURM_ARRAY_TASK_ID", "3")];
        assert_eq!(of(&array).as_deref(), Some("Slurm job 12_3"));
        assert_eq!(
            of(&[("JOB_COMPLETION_INDEX", "5")]).as_deref(),
            Some("index 5")
        );
        assert_eq!(of(&[]), None);
    }
}
