//! How a run joins those that it shares the inputs with.

use super::{
    fixed::Fixed,
    folder::ShardsFolder,
    list::{self, ListDigest},
    number::{Shard, ShardBy},
    owner::Owner,
    settings::OutputSettings,
    sharing::Sharing,
};
use crate::{
    frame::SourceKind,
    run::{
        counts::InputProblem, error::RunError, event::Event, output_dir::OutputMode, plan::Plan,
        report::RunReport, task::Task,
    },
    sinks::{Layout, OutputKind, SinkError},
};
use std::{
    thread,
    time::{Duration, Instant},
};

/// How long the list of sources, which the first shard writes, is waited for.
const LIST_AFTER: Duration = Duration::from_secs(60);

impl Plan {
    /// Joins the runs that share the inputs, if this is one of several: the run then writes to the folder of its shard, with the sources in
    /// the order of the first shard.
    ///
    /// # Errors
    /// [`RunError`] if inputs or settings cannot be shared or are not those of the first shard, or another process has the shard.
    pub(crate) fn join(mut self) -> Result<Self, RunError> {
        let Some(shard) = self.shard.take() else {
            return Ok(self);
        };
        self.check_can_be_shared(&shard)?;
        if self.keys.len() != self.sources.len() {
            let problem = "inputs without keys cannot be dealt out";
            return Err(RunError::Internal(problem.to_owned()));
        }
        let folder = ShardsFolder::new(&self.output);
        if folder.plan().symlink_metadata().is_err()
            && RunReport::read(&Layout::new(&self.output))?.is_some()
        {
            let problem = "the folder holds a run that is not made of shards";
            return Err(SinkError::new(&self.output, problem)
                .with_remedy("choose another folder")
                .into());
        }
        let own = self.would_fix(&shard);
        let (fixed, first) = own.clone().or_first(&folder)?;
        fixed.check(&shard, &own, &self.output)?;
        if first {
            list::write(&folder.sources(), &self.sources)?;
        } else {
            self.take_order(&fixed, &own, &folder, &shard)?;
        }
        let kinds = self.sources.iter().map(|source| match source {
            Ok(spec) => Ok(spec.kind),
            Err(error) => Err(InputProblem::from(error)),
        });
        let image_root = fixed.outputs.image_root.clone();
        // Boxes of frames are found by the names of all sources, whichever shard they are in.
        let has_all = matches!(self.task, Task::Segment(..));
        let keyed = kinds.zip(self.keys.iter().copied());
        let sharing = Sharing::new(&shard, keyed, image_root, has_all);
        if !has_all {
            self.keep(sharing.listed());
        }
        sharing.own(self.claim(&shard, &folder)?);
        self.output = folder.shard(shard.number, shard.of);
        if self.output_mode == OutputMode::Fresh {
            self.output_mode = OutputMode::Resume;
        }
        self.observer.event(Event::Dealt {
            shard: &shard,
            sources: sharing.listed(),
            of: sharing.total(),
        });
        self.shared = Some(sharing);
        Ok(self)
    }

    /// Drops all sources but those at `places` among the readable ones.
    fn keep(&mut self, places: &[usize]) {
        let mut places = places.iter().peekable();
        let sources = std::mem::take(&mut self.sources).into_iter();
        self.sources = (sources.filter(Result::is_ok).enumerate())
            .filter(|(at, _)| places.next_if(|next| **next == *at).is_some())
            .map(|(_, source)| source)
            .collect();
    }

    /// Makes this process the owner of the shard.
    fn claim(&self, shard: &Shard, folder: &ShardsFolder) -> Result<Owner, RunError> {
        let name = ShardsFolder::name(shard.number, shard.of);
        let mut wait = |who: &str| self.observer.event(Event::AwaitsOwner { owner: who });
        let stop = || self.cancel.is_requested();
        Owner::claim(&folder.owners(), &name, &mut wait, &stop).map_err(|error| {
            if stop() {
                let folder = folder.shard(shard.number, shard.of);
                RunError::Cancelled { folder }
            } else {
                error.into()
            }
        })
    }

    fn check_can_be_shared(&self, shard: &Shard) -> Result<(), RunError> {
        let refused = |problem: &str, remedy: &str| {
            let error = SinkError::new(&self.output, format!("{shard}: {problem}"));
            Err(error.with_remedy(remedy).into())
        };
        if !self.own_sources.is_empty() {
            return refused(
                "sources of the caller's own have no path to deal them out by",
                "give inputs by their paths",
            );
        }
        if self.source_options.aliases.is_some() {
            return refused(
                "sources under other names would need one key of all shards",
                "rename the files first, or run without shards",
            );
        }
        if self.on_error == crate::run::plan::OnError::Stop
            && self.sources.iter().any(Result::is_err)
        {
            // Each shard would stop at the same input, and none would run.
            return self.report_first_unreadable();
        }
        if let ShardBy::Frames(_) = shard.by {
            if self.refining.track.is_some() {
                return refused(
                    "a track would break where a range of frames ends",
                    "deal out whole sources where objects are tracked",
                );
            }
            let is_video = |spec: &crate::sources::SourceSpec| spec.kind == SourceKind::Video;
            let videos = self.sources.iter().flatten().any(is_video);
            if videos && self.outputs.contains(OutputKind::Overlay) {
                return refused(
                    "the overlay of a video is one file, which ranges of its frames cannot share",
                    "leave the overlay out, or deal out whole sources",
                );
            }
        }
        Ok(())
    }

    fn report_first_unreadable(&self) -> Result<(), RunError> {
        match self.sources.iter().find_map(|source| source.as_ref().err()) {
            Some(error) => Err(RunError::Source(error.clone())),
            None => Ok(()),
        }
    }

    /// What this run would fix if it were the first.
    fn would_fix(&self, shard: &Shard) -> Fixed {
        let report = RunReport::start(
            self.arguments.clone(),
            self.fingerprint(),
            self.model_reports(),
            self.device(),
        );
        let (outputs, seg) = (&self.outputs, &self.seg);
        let mut outputs = OutputSettings::new(outputs, self.images(), self.masks, self.split, seg);
        let classes = self.task.classes();
        outputs.classes = classes.names().iter().map(|n| (**n).to_owned()).collect();
        outputs.image_root = self.image_root();
        Fixed {
            shards: shard.of,
            first_task: shard.first_task,
            by: shard.by,
            list: ListDigest::of(&self.sources),
            outputs,
            report,
        }
    }

    /// Puts the sources in the order of the first shard.
    fn take_order(
        &mut self,
        fixed: &Fixed,
        own: &Fixed,
        folder: &ShardsFolder,
        shard: &Shard,
    ) -> Result<(), RunError> {
        let path = folder.sources();
        let (first, ours) = (&fixed.list, &own.list);
        if ours == first {
            // Where the first was killed before it wrote the list, whoever comes again writes it.
            let again = folder.shard(shard.number, shard.of).exists();
            if again && path.symlink_metadata().is_err() {
                list::write(&path, &self.sources)?;
            }
            return Ok(());
        }
        let begun = Instant::now();
        while path.symlink_metadata().is_err() && begun.elapsed() < LIST_AFTER {
            if self.cancel.is_requested() {
                break;
            }
            thread::sleep(Duration::from_millis(200));
        }
        if ours.set != first.set {
            let counts = format!(
                "the inputs are not those of the first shard, which had {} that could be read and {} that could not; these are {} and {}",
                first.sources, first.unreadable, ours.sources, ours.unreadable
            );
            let problem = match list::difference(&path, &self.sources) {
                Some(difference) => format!("{counts}: {difference}"),
                None => counts,
            };
            let remedy = "give the same inputs as for the first shard, or choose another output folder for these";
            let error = SinkError::new(&self.output, problem);
            return Err(error.with_remedy(remedy).into());
        }
        let order = list::order(&path, &self.sources)?;
        self.keys = order.iter().map(|&at| self.keys[at]).collect();
        let mut sources: Vec<_> = std::mem::take(&mut self.sources)
            .into_iter()
            .map(Some)
            .collect();
        self.sources = order
            .into_iter()
            .filter_map(|at| sources[at].take())
            .collect();
        Ok(())
    }
}
