//! `run.json` of a merged run.

use super::record::Ends;
use crate::{
    run::{counts::Counts, report::RunReport, shard::Fixed, unreadable::Unreadable},
    sinks::{Layout, SinkError},
};

/// The reports of all shards as one.
pub(super) struct Reports {
    whole: RunReport,
    unreadable: Vec<Unreadable>,
    devices: Vec<String>,
}

impl Reports {
    /// Of no shard yet.
    pub(super) fn new(fixed: &Fixed) -> Self {
        let first = &fixed.report;
        let whole = RunReport::start(
            Vec::new(),
            first.settings.clone(),
            first.models.clone(),
            String::new(),
        );
        Self {
            whole: RunReport {
                version: first.version.clone(),
                merged_of: Some(fixed.shards),
                ..whole
            },
            unreadable: Vec::new(),
            devices: Vec::new(),
        }
    }

    /// Adds the report of a shard; they come in order.
    ///
    /// # Errors
    /// [`SinkError`] if its version, settings or models are not those of all.
    pub(super) fn add(&mut self, shard: RunReport, layout: &Layout) -> Result<(), SinkError> {
        self.whole.check_resumes(&shard, layout)?;
        let whole = &mut self.whole;
        if self.devices.is_empty() {
            whole.arguments = shard.arguments;
            whole.image_root = shard.image_root;
            whole.started = shard.started;
        } else if shard.started < whole.started {
            whole.started = shard.started;
        }
        if !self.devices.contains(&shard.device) {
            self.devices.push(shard.device);
        }
        whole.counts.extend(&shard.counts);
        whole.decoding.extend(shard.decoding);
        let warnings = shard.warnings.first.iter();
        warnings.for_each(|warning| whole.warnings.push_new(warning));
        for notice in shard.notices {
            if !whole.notices.contains(&notice) {
                whole.notices.push(notice);
            }
        }
        self.unreadable
            .extend(shard.shard.into_iter().flat_map(|shard| shard.unreadable));
        Ok(())
    }

    /// The report of the merged run, in which `ends` are the sources that ended.
    pub(super) fn finish(mut self, ends: Ends) -> RunReport {
        self.whole.device = self.devices.join(",");
        self.whole.counts = Counts {
            sources: ends.sources,
            ..self.whole.counts
        };
        self.whole.errors = ends.errors;
        self.unreadable.sort_by_key(|unreadable| unreadable.at);
        for unreadable in self.unreadable {
            self.whole.errors.push(unreadable.problem);
        }
        self.whole
    }
}
