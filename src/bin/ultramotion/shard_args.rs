//! Options of runs that share the inputs, and of their merge.

use crate::inputs::usage;
use clap::Args;
use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
};
use ultramotion::run::{Shard, ShardBy, ShardEnvironment, ShardError, fixed_shards};

/// Which of several runs this is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Shards")]
pub(crate) struct ShardArgs {
    /// Do one of N shares of the inputs, number I from 1, in DIR/shards; auto: that of this task of a Slurm array or Indexed Job of
    /// Kubernetes. A share that was begun goes on; `ultramotion merge DIR` makes one run of all
    #[arg(long, value_name = "I/N|auto")]
    shard: Option<String>,
    /// How many shares there are, where the scheduler does not say it; with it --shard is auto
    #[arg(long, value_name = "N")]
    shards: Option<NonZeroU32>,
    /// Add this to the number of the scheduler's task, where arrays may not be as large as N
    #[arg(long, value_name = "K", default_value = "0")]
    shard_offset: u64,
    /// What is dealt out: source, or frames[=LENGTH] for ranges of LENGTH frames (10000) of videos, and all else whole
    #[arg(long, value_name = "UNIT", default_value = "source")]
    shard_by: ShardBy,
}

impl ShardArgs {
    /// Whether a share was typed.
    pub(crate) fn is_given(&self) -> bool {
        self.shard.is_some() || self.shards.is_some()
    }

    /// The shard that was typed, or that the scheduler's variables name; none where the run is not shared. `output` is the folder of all.
    pub(crate) fn shard(&self, output: &Path) -> anyhow::Result<Option<Shard>> {
        let shard = match (self.shard.as_deref(), self.shards) {
            (None, None) => {
                if self.shard_offset > 0 || self.shard_by != ShardBy::Source {
                    let option = if self.shard_offset > 0 {
                        "--shard-offset"
                    } else {
                        "--shard-by"
                    };
                    return Err(usage(option, "is of shards; give --shard or --shards too"));
                }
                return Ok(None);
            }
            (None | Some("auto"), shards) => self.of_task(shards, output)?,
            (Some(text), shards) => {
                let shard: Shard = text.parse().map_err(|e| usage("--shard", e))?;
                if shards.is_some_and(|shards| shards.get() != shard.of) {
                    let problem = format!("is not the number of --shard {text}; leave it out");
                    return Err(usage("--shards", problem));
                }
                if self.shard_offset > 0 {
                    let problem = "is for tasks of a scheduler; --shard names the shard itself";
                    return Err(usage("--shard-offset", problem));
                }
                shard
            }
        };
        Ok(Some(shard.by(self.shard_by)))
    }

    fn of_task(&self, shards: Option<NonZeroU32>, output: &Path) -> anyhow::Result<Shard> {
        let option = match shards {
            Some(shards) => format!("--shards {shards}"),
            None => "--shard auto".to_owned(),
        };
        let environment = ShardEnvironment::read(|name| std::env::var(name).ok())
            .map_err(|e| usage(&option, e))?;
        let fixed = fixed_shards(output)?;
        let shards = shards.map(NonZeroU32::get);
        let shard = environment.shard(shards, self.shard_offset, fixed);
        shard.map_err(|error| match error {
            ShardError::NoCount(_) => usage(&option, format!("{error} (--shards N)")),
            error => usage(&option, error),
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Output folder of the shards
    #[arg(value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Merge nothing: print the shards that are not complete as Slurm's --array takes them (0,3,7-9), and nothing if all are; exit code 1
    /// if any is not
    #[arg(long)]
    pub(crate) missing: bool,
    /// Of an array that was submitted with the same option: its tasks alone, by its own numbers
    #[arg(long, value_name = "K", default_value = "0", requires = "missing")]
    pub(crate) shard_offset: u64,
    /// Of an array of this many tasks: none beyond it
    #[arg(long, value_name = "M", requires = "missing")]
    pub(crate) array_size: Option<u64>,
}
