//! Which of how many runs a run is.

use serde::{Deserialize, Serialize};
use std::{fmt, num::NonZeroU64, str::FromStr};

/// What is dealt out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ShardBy {
    /// Whole sources.
    #[default]
    Source,
    /// Ranges of so many frames of videos; all else as whole sources.
    Frames(NonZeroU64),
}

impl ShardBy {
    /// Frames of a range where no number is given.
    pub const FRAMES: NonZeroU64 = match NonZeroU64::new(10_000) {
        Some(frames) => frames,
        None => NonZeroU64::MIN,
    };
}

impl FromStr for ShardBy {
    type Err = ShardError;

    /// `source`, `frames`, or `frames=LENGTH`.
    fn from_str(text: &str) -> Result<Self, ShardError> {
        match text.split_once('=') {
            None if text == "source" => Ok(Self::Source),
            None if text == "frames" => Ok(Self::Frames(Self::FRAMES)),
            Some(("frames", length)) => length
                .parse()
                .map(Self::Frames)
                .map_err(|_| ShardError::By(text.to_owned())),
            _ => Err(ShardError::By(text.to_owned())),
        }
    }
}

impl fmt::Display for ShardBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source => f.write_str("source"),
            Self::Frames(length) => write!(f, "frames={length}"),
        }
    }
}

/// A shard that cannot be: a number that is none, or an environment that does not say which it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// Not `I/N`.
    #[error(
        "{0}: not a shard; give its number and how many there are, as 3/16, counted from 1, or auto"
    )]
    Text(String),
    /// A number that is none of the shards.
    #[error("shard {number} of {of}: shards are numbered from 1 to {of}")]
    Number {
        /// The number.
        number: u64,
        /// How many there are.
        of: u32,
    },
    /// Not a way to deal out.
    #[error("{0}: give source, frames, or frames=LENGTH with a length above 0")]
    By(String),
    /// No scheduler says which shard this is.
    #[error(
        "the environment has neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX; run it in a Slurm array or an Indexed Job, or give \
         the shard by number, as 3/16"
    )]
    NoScheduler,
    /// A variable of the scheduler that is absent or no number.
    #[error("{name}: {}; the scheduler sets it to a number", value.as_deref().map_or("is not set".to_owned(), |v| format!("'{v}' is no number")))]
    Variable {
        /// The variable.
        name: &'static str,
        /// What it is.
        value: Option<String>,
    },
    /// How many shards there are is not known.
    #[error("{0}; give the number of shards")]
    NoCount(String),
    /// A task that is none of the shards.
    #[error(
        "task {task} of the scheduler: the {of} shards are its tasks {first} to {}",
        first + u64::from(*of) - 1
    )]
    Task {
        /// The task, with the offset.
        task: u64,
        /// The task of the first shard.
        first: u64,
        /// How many shards there are.
        of: u32,
    },
}

/// One of several runs that share the inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shard {
    /// Which it is, from 1.
    pub number: u32,
    /// How many there are.
    pub of: u32,
    /// What the scheduler, or the user, calls the first: shard `number` is task `first_task + number - 1`.
    pub first_task: u64,
    /// What is dealt out.
    pub by: ShardBy,
}

impl Shard {
    /// Shard `number`, from 1, of `of`, by whole sources.
    ///
    /// # Errors
    /// [`ShardError::Number`] if `number` is 0 or above `of`.
    pub fn new(number: u32, of: u32) -> Result<Self, ShardError> {
        if number == 0 || number > of {
            let number = u64::from(number);
            return Err(ShardError::Number { number, of });
        }
        Ok(Self {
            number,
            of,
            first_task: 1,
            by: ShardBy::Source,
        })
    }

    /// The same, dealt out as `by` says.
    #[must_use]
    pub fn by(self, by: ShardBy) -> Self {
        Self { by, ..self }
    }

    fn of_task(task: u64, first: u64, of: u32) -> Result<Self, ShardError> {
        let none = ShardError::Task { task, first, of };
        let index = task.checked_sub(first).ok_or_else(|| none.clone())?;
        let number = u32::try_from(index + 1).map_err(|_| none.clone())?;
        let shard = Self::new(number, of).map_err(|_| none)?;
        Ok(Self {
            first_task: first,
            ..shard
        })
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    /// `I/N`, I from 1.
    fn from_str(text: &str) -> Result<Self, ShardError> {
        let bad = || ShardError::Text(text.to_owned());
        let (number, of) = text.split_once('/').ok_or_else(bad)?;
        let number = number.trim().parse::<u32>().map_err(|_| bad())?;
        let of = of.trim().parse::<u32>().map_err(|_| bad())?;
        Self::new(number, of)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} of {}", self.number, self.of)
    }
}

/// What a scheduler says of the task that it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Environment {
    /// The number of the task: SLURM_ARRAY_TASK_ID, or JOB_COMPLETION_INDEX.
    pub task: u64,
    /// Of a Slurm array: its lowest and its highest task, and how many it has.
    pub array: Option<(u64, u64, u64)>,
}

impl Environment {
    /// Reads the variables of a Slurm array, else of an Indexed Job of Kubernetes, by `get`.
    ///
    /// # Errors
    /// [`ShardError::NoScheduler`] if there are none, [`ShardError::Variable`] if one is no number.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, ShardError> {
        let number = |name: &'static str| {
            let value = get(name);
            let parsed = value.as_deref().and_then(|v| v.trim().parse().ok());
            parsed.ok_or(ShardError::Variable { name, value })
        };
        if get("SLURM_ARRAY_TASK_ID").is_some() {
            let [task, min, max, count] = [
                "SLURM_ARRAY_TASK_ID",
                "SLURM_ARRAY_TASK_MIN",
                "SLURM_ARRAY_TASK_MAX",
                "SLURM_ARRAY_TASK_COUNT",
            ]
            .map(number);
            return Ok(Self {
                task: task?,
                array: Some((min?, max?, count?)),
            });
        }
        if get("JOB_COMPLETION_INDEX").is_some() {
            return Ok(Self {
                task: number("JOB_COMPLETION_INDEX")?,
                array: None,
            });
        }
        Err(ShardError::NoScheduler)
    }

    /// The shard of this task.
    ///
    /// How many there are is `shards`, else what `fixed` says, else the size of a Slurm array that has no gaps. The task of the first
    /// shard is what `fixed` says, so that an array of the missing tasks alone finds its shards; else the array's lowest where
    /// the array has as many tasks as there are shards; else 0. `offset` is added to the task's number, for arrays that are smaller than
    /// the number of shards. `fixed` is what the first shard of the output folder fixed: number of shards, first task.
    ///
    /// # Errors
    /// [`ShardError::NoCount`] if the number of shards is not known, [`ShardError::Task`] if the task is none of them.
    pub fn shard(
        &self,
        shards: Option<u32>,
        offset: u64,
        fixed: Option<(u32, u64)>,
    ) -> Result<Shard, ShardError> {
        let whole = |(min, max, count): (u64, u64, u64)| {
            let size = max.checked_sub(min).and_then(|size| size.checked_add(1));
            (size == Some(count)).then_some((min, count))
        };
        let array = self.array.and_then(whole);
        let fixed = fixed.filter(|(of, _)| shards.is_none_or(|shards| shards == *of));
        let counted = || match (self.array, array) {
            _ if offset > 0 => Err(ShardError::NoCount(format!(
                "an offset of {offset} means that there are more shards than tasks"
            ))),
            (Some(_), Some((_, count))) => u32::try_from(count)
                .map_err(|_| ShardError::NoCount(format!("the array has {count} tasks"))),
            (Some((min, max, count)), None) => Err(ShardError::NoCount(format!(
                "the array's {count} tasks are not all from {min} to {max}"
            ))),
            (None, _) => Err(ShardError::NoCount(
                "JOB_COMPLETION_INDEX does not say how many tasks there are".to_owned(),
            )),
        };
        let of = match (shards, fixed) {
            (Some(shards), _) => shards,
            (None, Some((of, _))) => of,
            (None, None) => counted()?,
        };
        let first = match (fixed, array) {
            (Some((_, first)), _) => first,
            (None, Some((min, count))) if count == u64::from(of) && offset == 0 => min,
            (None, _) => 0,
        };
        Shard::of_task(self.task.saturating_add(offset), first, of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Result<Environment, ShardError> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Environment::read(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    fn slurm(task: u64, min: u64, max: u64, count: u64) -> Environment {
        let text = [task, min, max, count].map(|n| n.to_string());
        let [id, min, max, count] = &text;
        environment(&[
            ("SLURM_ARRAY_TASK_ID", id),
            ("SLURM_ARRAY_TASK_MIN", min),
            ("SLURM_ARRAY_TASK_MAX", max),
            ("SLURM_ARRAY_TASK_COUNT", count),
            ("JOB_COMPLETION_INDEX", "77"),
        ])
        .unwrap()
    }

    #[test]
    fn shards_are_typed_from_1() {
        let shard: Shard = "3/16".parse().unwrap();
        assert_eq!((shard.number, shard.of, shard.first_task), (3, 16, 1));
        assert_eq!(shard.to_string(), "shard 3 of 16");
        for (text, problem) in [
            ("0/4", "numbered from 1 to 4"),
            ("5/4", "shard 5 of 4"),
            ("3", "as 3/16"),
            ("a/b", "as 3/16"),
            ("-1/4", "as 3/16"),
            ("1/0", "shard 1 of 0"),
        ] {
            let error = text.parse::<Shard>().unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
        let length = |n| ShardBy::Frames(NonZeroU64::new(n).unwrap());
        assert_eq!("frames=250".parse(), Ok(length(250)));
        assert_eq!("frames".parse(), Ok(length(10_000)));
        for bad in ["frames=0", "frame", "source=3", ""] {
            assert!(bad.parse::<ShardBy>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_slurm_array_says_which_shard_a_task_is() {
        let shard = |env: &Environment, shards, offset, fixed| {
            env.shard(shards, offset, fixed)
                .map(|shard| (shard.number, shard.of, shard.first_task))
        };
        // --array=0-15, --array=1-16, the same with the number given.
        assert_eq!(shard(&slurm(0, 0, 15, 16), None, 0, None), Ok((1, 16, 0)));
        assert_eq!(shard(&slurm(16, 1, 16, 16), None, 0, None), Ok((16, 16, 1)));
        assert_eq!(
            shard(&slurm(16, 1, 16, 16), Some(16), 0, None),
            Ok((16, 16, 1))
        );
        // The missing ones again: --array=3,7-9.
        for (first, expected) in [(0, 8), (1, 7)] {
            let again = shard(&slurm(7, 3, 9, 4), None, 0, Some((16, first)));
            assert_eq!(again, Ok((expected, 16, first)));
        }
        // 2,500 shards in arrays of at most 1,000.
        for (task, offset, number) in [(0, 0, 1), (999, 1000, 2000), (499, 2000, 2500)] {
            let env = slurm(task, 0, 999, 1000);
            assert_eq!(
                shard(&env, Some(2500), offset, None),
                Ok((number, 2500, 0)),
                "{task}"
            );
        }
        let error = |env: Environment, shards, offset, fixed| {
            env.shard(shards, offset, fixed).unwrap_err().to_string()
        };
        assert!(error(slurm(3, 3, 9, 4), None, 0, None).contains("not all from 3 to 9"));
        assert!(error(slurm(3, 0, 9, 10), None, 10, None).contains("offset of 10"));
        let beyond = error(slurm(16, 1, 16, 16), Some(12), 0, None);
        assert!(beyond.contains("task 16") && beyond.contains("tasks 0 to 11"));
    }

    #[test]
    fn an_indexed_job_needs_the_number_of_shards() {
        let env = environment(&[("JOB_COMPLETION_INDEX", "4")]).unwrap();
        let shard = env.shard(Some(5), 0, None).unwrap();
        assert_eq!((shard.number, shard.of), (5, 5));
        assert_eq!(env.shard(None, 0, Some((9, 0))).unwrap().number, 5);
        assert!(matches!(
            env.shard(None, 0, None),
            Err(ShardError::NoCount(_))
        ));
        assert_eq!(environment(&[]), Err(ShardError::NoScheduler));
        let bad = environment(&[("JOB_COMPLETION_INDEX", "x")]).unwrap_err();
        assert!(bad.to_string().contains("'x' is no number"));
        let bad = environment(&[("SLURM_ARRAY_TASK_ID", "3")]).unwrap_err();
        assert!(bad.to_string().contains("SLURM_ARRAY_TASK_MIN: is not set"));
    }
}
