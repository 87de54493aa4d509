//! Which shards there are, and which are not complete.

use crate::{
    run::{
        report::{RunReport, RunStatus},
        shard::{Fixed, ShardsFolder},
    },
    sinks::{Layout, SinkError},
};
use std::path::Path;

/// The shards of an output folder that are not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingShards {
    /// How many there are.
    pub of: u32,
    /// Those that are not complete, by what the scheduler calls them, rising.
    pub tasks: Vec<u64>,
}

impl MissingShards {
    /// The tasks as Slurm's `--array` takes them: `0,3,7-9`. Of an array that was submitted with an offset, `offset` is taken off and tasks
    /// below it are left out; so are those from `size` on, where the array has a size.
    pub fn expression(&self, offset: u64, size: Option<u64>) -> String {
        let tasks = self
            .tasks
            .iter()
            .filter_map(|task| task.checked_sub(offset));
        let tasks: Vec<u64> = tasks
            .filter(|task| size.is_none_or(|size| *task < size))
            .collect();
        let ranges = tasks.chunk_by(|a, b| a + 1 == *b);
        let texts = ranges.filter_map(|range| match range {
            [] => None,
            [one] => Some(one.to_string()),
            [first, .., last] => Some(format!("{first}-{last}")),
        });
        texts.collect::<Vec<_>>().join(",")
    }
}

/// The shards of the output folder `output` that are not complete: not begun, killed, failed, or running still.
///
/// # Errors
/// [`SinkError`] if no shard has begun there, or a report cannot be read.
pub fn missing_shards(output: &Path) -> Result<MissingShards, SinkError> {
    let folder = ShardsFolder::new(output);
    let fixed = fixed(output, &folder)?;
    let mut tasks = Vec::new();
    for number in 1..=fixed.shards {
        if !report_of(&folder, number, fixed.shards)?.is_some_and(is_complete) {
            tasks.push(fixed.task_of(number));
        }
    }
    let of = fixed.shards;
    Ok(MissingShards { of, tasks })
}

fn is_complete(report: RunReport) -> bool {
    report.status == RunStatus::Completed
}

/// What the first shard fixed.
pub(super) fn fixed(output: &Path, folder: &ShardsFolder) -> Result<Fixed, SinkError> {
    Fixed::read(folder)?.ok_or_else(|| {
        SinkError::new(output, "holds no shards")
            .with_remedy("give the output folder of runs that were each a shard")
    })
}

pub(super) fn report_of(
    folder: &ShardsFolder,
    number: u32,
    of: u32,
) -> Result<Option<RunReport>, SinkError> {
    RunReport::read(&Layout::new(folder.shard(number, of)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_tasks_are_written_as_slurm_reads_them() {
        let missing = |tasks: &[u64]| MissingShards {
            of: 5000,
            tasks: tasks.to_vec(),
        };
        for (tasks, text) in [
            (&[][..], ""),
            (&[4], "4"),
            (&[0, 3, 7, 8, 9], "0,3,7-9"),
            (&[1, 2, 5, 6], "1-2,5-6"),
        ] {
            assert_eq!(missing(tasks).expression(0, None), text);
        }
        let many = missing(&[3, 999, 1000, 1001, 1999, 2000]);
        assert_eq!(many.expression(1000, Some(1000)), "0-1,999");
        assert_eq!(many.expression(0, Some(1000)), "3,999");
    }
}
