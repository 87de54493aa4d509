//! `shards/plan.json`: what the first shard fixes for all of them.

use super::{
    folder::ShardsFolder,
    list::ListDigest,
    number::{Shard, ShardBy},
    publish::publish,
    settings::OutputSettings,
};
use crate::{run::report::RunReport, sinks::SinkError};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How long a file that is not whole is read again: on file systems without links it is there before its bytes are.
const WHOLE_AFTER: Duration = Duration::from_secs(10);

/// How many shards the output folder `output` has, and what the scheduler calls the first; none where no shard has begun there.
///
/// # Errors
/// [`SinkError`] if that cannot be read.
pub fn fixed_shards(output: &Path) -> Result<Option<(u32, u64)>, SinkError> {
    let fixed = Fixed::read(&ShardsFolder::new(output))?;
    Ok(fixed.map(|fixed| (fixed.shards, fixed.first_task)))
}

/// What all shards have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fixed {
    /// How many there are.
    pub(crate) shards: u32,
    /// What the scheduler calls the first.
    pub(crate) first_task: u64,
    /// What is dealt out.
    pub(crate) by: ShardBy,
    /// The sources.
    pub(crate) list: ListDigest,
    /// What is written of all results.
    pub(crate) outputs: OutputSettings,
    /// The report of the first shard as it began: version, settings and models are those of all.
    pub(crate) report: RunReport,
}

impl Fixed {
    /// Reads it; none where no shard has begun.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be read or is none of this program.
    pub(crate) fn read(folder: &ShardsFolder) -> Result<Option<Self>, SinkError> {
        let path = folder.plan();
        let begun = Instant::now();
        loop {
            let text = match fs::read(&path) {
                Ok(text) => text,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) => {
                    return Err(SinkError::io(&path, "read what the first shard fixed", &e));
                }
            };
            match serde_json::from_slice(&text) {
                Ok(fixed) => return Ok(Some(fixed)),
                Err(e) if e.is_eof() && begun.elapsed() < WHOLE_AFTER => {
                    thread::sleep(Duration::from_millis(100));
                }
                Err(e) => {
                    let problem = format!("is not what a first shard fixes: {e}");
                    return Err(SinkError::new(path, problem)
                        .with_remedy("choose another output folder, or remove this one"));
                }
            }
        }
    }

    /// What is fixed: `self`, if this is the first shard, else what that fixed. And whether this is the first.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be written or read.
    pub(crate) fn or_first(self, folder: &ShardsFolder) -> Result<(Self, bool), SinkError> {
        if let Some(fixed) = Self::read(folder)? {
            return Ok((fixed, false));
        }
        let path = folder.plan();
        let root = folder.root();
        fs::create_dir_all(root).map_err(|e| SinkError::io(root, "create the folder", &e))?;
        let mut text =
            serde_json::to_vec_pretty(&self).map_err(|e| SinkError::new(&path, e.to_string()))?;
        text.push(b'\n');
        let made = publish(&path, &text)
            .map_err(|e| SinkError::io(&path, "write what the first shard fixes", &e))?;
        if made {
            return Ok((self, true));
        }
        let fixed = Self::read(folder)?;
        let gone = || SinkError::new(path, "was removed while shards began");
        Ok((fixed.ok_or_else(gone)?, false))
    }

    /// Whether `shard` of a run with `report`, which would fix `own`, is one of these.
    ///
    /// # Errors
    /// [`SinkError`] that names the first difference.
    pub(crate) fn check(&self, shard: &Shard, own: &Self, output: &Path) -> Result<(), SinkError> {
        let refused = |problem: String| {
            let remedy = "give the same as for the first shard, or choose another output folder";
            Err(SinkError::new(output, problem).with_remedy(remedy))
        };
        if self.shards != shard.of {
            return refused(format!(
                "the first shard was one of {}, this is {shard}",
                self.shards
            ));
        }
        if self.by != shard.by {
            return refused(format!(
                "the first shard was dealt out by {}, this one by {}",
                self.by, shard.by
            ));
        }
        if let Some(difference) = own.report.difference(&self.report) {
            return refused(format!("the first shard was run with {difference}"));
        }
        let (ours, first) = (&own.outputs, &self.outputs);
        if ours.classes != first.classes {
            return refused("the classes are not those of the first shard".to_owned());
        }
        if ours.seg().keep_patient_data != first.seg().keep_patient_data {
            return refused("the first shard kept patient data otherwise".to_owned());
        }
        Ok(())
    }

    /// The task that the scheduler knows shard `number` by.
    pub(crate) fn task_of(&self, number: u32) -> u64 {
        self.first_task + u64::from(number) - 1
    }
}
