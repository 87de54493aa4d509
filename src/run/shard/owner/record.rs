//! What an owner says of itself.

use crate::{
    run::shard::publish::{host, token},
    sinks::SinkError,
};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// Bytes of an owner's file before its line break, at least.
const LENGTH: usize = 1023;

/// The content of an owner's file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Distinguishes it from all others.
    pub(super) token: String,
    pub(super) host: String,
    /// Distinguishes starts of the machine, and machines of one name.
    pub(super) boot: String,
    /// The space that the process's number is of, since containers of one machine have their own, and the user, since systems may hide the
    /// processes of others.
    pub(super) space: String,
    pub(super) pid: u32,
    /// When the process started, by the machine's own count: numbers of processes are used again.
    pub(super) start: String,
    /// The job of a scheduler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) job: Option<String>,
    /// Rises with each write.
    pub(super) beat: u64,
    /// Whether it is done.
    pub(super) released: bool,
}

impl Record {
    pub(super) fn own() -> Self {
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
    pub(super) fn is_running(&self, own: &Self) -> Option<bool> {
        let same = |of: fn(&Self) -> &str| !of(own).is_empty() && of(own) == of(self);
        let here = same(|r| &r.host) && same(|r| &r.boot) && same(|r| &r.space);
        (here && !self.start.is_empty())
            .then(|| start_of(self.pid).as_deref() == Some(self.start.as_str()))
    }

    pub(super) fn described(&self) -> String {
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
pub(super) fn job(get: impl Fn(&str) -> Option<String>) -> Option<String> {
    let slurm = get("SLURM_ARRAY_JOB_ID")
        .zip(get("SLURM_ARRAY_TASK_ID"))
        .map(|(job, task)| format!("Slurm job {job}_{task}"));
    let one = || get("SLURM_JOB_ID").map(|job| format!("Slurm job {job}"));
    let index = || get("JOB_COMPLETION_INDEX").map(|index| format!("index {index}"));
    slurm.or_else(one).or_else(index)
}

/// Always as long, so that it can be written over.
pub(super) fn serialised(record: &Record, folder: &Path) -> Result<Vec<u8>, SinkError> {
    let text = serde_json::to_string(record).map_err(|e| SinkError::new(folder, e.to_string()))?;
    Ok(format!("{text:LENGTH$}\n").into_bytes())
}
