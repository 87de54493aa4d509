//! The merge of shards.

use super::{
    place::{Placed, place},
    record::{merge_ends, merge_records},
    report::Reports,
    shards::{fixed, missing_shards, report_of},
};
use crate::{
    coco::Classes,
    datasets::{Export, ExportSource, SegOptions},
    progress::Cancel,
    run::{
        counts::{Counts, InputProblems},
        report::{RunReport, RunStatus},
        shard::{Fixed, Owner, ShardBy, ShardsFolder},
    },
    sinks::{Layout, OutputKind, SinkError},
    text::counted,
};
use std::path::Path;

/// How a merge ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MergeSummary {
    /// How many shards there are.
    pub shards: u32,
    /// Totals of all.
    pub counts: Counts,
    /// Inputs that could not be read.
    pub errors: InputProblems,
    /// Deviations from the settings, of shards and of data sets.
    pub notices: Vec<String>,
    /// Files of shards that are in the output folder now.
    pub files: u64,
    /// Whether it was cancelled: merging again completes it.
    pub interrupted: bool,
}

/// Makes one run of the shards in `output`: `detections.jsonl`, masks, pictures, overlays, frames and all data sets are byte by byte those of a
/// run of all inputs. The shards stay as they are, and are not needed any more. A merge that was killed or cancelled is completed by
/// merging again. Memory does not grow with the number of frames.
///
/// `wait` is called with a description of another process that merges, or did and was killed, if it has to be watched to find that out.
///
/// `run.json` has the arguments of the first shard, the earliest start and no times of stages.
///
/// # Errors
/// [`SinkError`] if there are no shards, one is not complete or does not fit the others, another merge is at work, `output` holds a run that is
/// not made of shards, or a file cannot be read or written.
pub fn merge(
    output: &Path,
    cancel: &Cancel,
    wait: &mut dyn FnMut(&str),
) -> Result<MergeSummary, SinkError> {
    let folder = ShardsFolder::new(output);
    let fixed = fixed(output, &folder)?;
    check_complete(output)?;
    let layout = Layout::new(output);
    if RunReport::read(&layout)?.is_some_and(|run| run.merged_of.is_none()) {
        let problem = "the folder holds a run that is not made of its shards";
        return Err(
            SinkError::new(output, problem).with_remedy("move that run away, or its shards")
        );
    }
    let stop = || cancel.is_requested();
    let owner = Owner::claim(&folder.owners(), "merge", wait, &stop)?;
    let mut reports = Reports::new(&fixed);
    let mut shards = Vec::new();
    for number in 1..=fixed.shards {
        let of_shard = Layout::new(folder.shard(number, fixed.shards));
        if let Some(report) = report_of(&folder, number, fixed.shards)? {
            reports.add(report, &of_shard)?;
        }
        shards.push(of_shard);
    }
    RunReport {
        merged_of: Some(fixed.shards),
        ..fixed.report.clone()
    }
    .write(&layout)?;
    let by_frames = fixed.by != ShardBy::Source;
    let ends = merge_ends(&shards, &layout, by_frames)?;
    if ends.sources != fixed.list.sources {
        let problem = format!(
            "{} ended in the shards, and the list had {}",
            counted(ends.sources, "source"),
            fixed.list.sources
        );
        return Err(SinkError::new(output, problem).with_remedy("run the shards again"));
    }
    let frames = ends.frames;
    let mut merge = Merge {
        fixed: &fixed,
        layout: &layout,
        cancel,
        report: reports.finish(ends),
        placed: Placed::default(),
    };
    let whole = merge.files(&shards, frames)? && merge.data_sets()?;
    owner.check()?;
    let status = match whole {
        true => RunStatus::Completed,
        false => RunStatus::Interrupted,
    };
    merge.report.end(status);
    merge.report.write(&layout)?;
    Ok(MergeSummary {
        shards: fixed.shards,
        counts: merge.report.counts,
        errors: merge.report.errors,
        notices: merge.report.notices,
        files: merge.placed.linked + merge.placed.copied,
        interrupted: !whole,
    })
}

fn check_complete(output: &Path) -> Result<(), SinkError> {
    let missing = missing_shards(output)?;
    if missing.tasks.is_empty() {
        return Ok(());
    }
    let problem = format!(
        "{} of {} shards {} not complete: {} as the scheduler numbers them",
        missing.tasks.len(),
        missing.of,
        if missing.tasks.len() == 1 {
            "is"
        } else {
            "are"
        },
        missing.expression(0, None)
    );
    Err(SinkError::new(output, problem).with_remedy("run these again; they resume by themselves"))
}

/// A merge at work.
struct Merge<'a> {
    fixed: &'a Fixed,
    layout: &'a Layout,
    cancel: &'a Cancel,
    report: RunReport,
    placed: Placed,
}

impl Merge<'_> {
    /// Merges the record and puts the other files in place; false if it was cancelled.
    fn files(&mut self, shards: &[Layout], frames: u64) -> Result<bool, SinkError> {
        let Some(lines) = merge_records(shards, self.layout, self.cancel)? else {
            return Ok(false);
        };
        if lines != frames {
            let problem = format!(
                "{} in the records of the shards, and {frames} in their lists of sources",
                counted(lines, "frame")
            );
            return Err(SinkError::new(self.layout.root(), problem)
                .with_remedy("run the shards again, with their results overwritten"));
        }
        for shard in shards {
            if !place(
                shard.root(),
                self.layout.root(),
                self.cancel,
                &mut self.placed,
            )? {
                return Ok(false);
            }
        }
        if self.placed.copied > 0 {
            let files = counted(self.placed.copied, "file");
            let notice = format!("{files} copied, since the file system has no hard links");
            self.report.notices.push(notice);
        }
        Ok(true)
    }

    /// Makes the data sets that the run would have made; false if it was cancelled.
    fn data_sets(&mut self) -> Result<bool, SinkError> {
        let settings = &self.fixed.outputs;
        let unknown = |problem: String| SinkError::new(self.layout.root(), problem);
        let by_sinks = [OutputKind::Masks, OutputKind::Instances];
        let outputs = settings.outputs().map_err(unknown)?;
        let kinds = outputs.iter();
        let kinds = kinds.filter(|kind| kind.is_of_record() && !by_sinks.contains(kind));
        let mut export = Export::new(kinds);
        if export.kinds.is_empty() {
            return Ok(true);
        }
        export.masks = settings.masks();
        export.split = settings.split().map_err(unknown)?;
        export.images = settings.images().map_err(unknown)?;
        export.image_root = settings.image_root.clone();
        export.seg = SegOptions {
            algorithm: Some(self.report.algorithm()),
            ..settings.seg()
        };
        export.report = self.report.page();
        export.cancel = self.cancel.clone();
        let classes = Classes::new(settings.classes.iter().map(String::as_str));
        let record = self.layout.record();
        let source = ExportSource::Record(&record, &classes);
        let summary = export.write(source, self.layout.root())?;
        self.report.notices.extend(summary.notes);
        Ok(!summary.interrupted)
    }
}
