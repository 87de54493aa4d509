//! `merge`.

use crate::{exit::Exit, run::on_interrupt, shard_args::MergeArgs, terminal::Terminal};
use serde_json::json;
use std::sync::Arc;
use ultramotion::{
    progress::Cancel,
    run::{merge, missing_shards},
    text::counted,
};

/// `merge`.
pub(crate) fn run(args: &MergeArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    if args.missing {
        return missing(args, terminal);
    }
    let cancel = Cancel::default();
    on_interrupt(&cancel, terminal, "interrupted: merge again to go on");
    let mut wait = |who: &str| {
        terminal.say(&format!(
            "a merge was begun by {who}; waiting until that is found dead or alive"
        ));
    };
    let merged = merge(&args.output, &cancel, &mut wait);
    if merged.is_err() && cancel.is_requested() {
        return Ok(Exit::Interrupted);
    }
    let summary = merged?;
    let output = args.output.display().to_string();
    if terminal.json {
        terminal.print_json(&json!({
            "type": "merge",
            "output": output,
            "shards": summary.shards,
            "interrupted": summary.interrupted,
            "counts": summary.counts,
            "errors": summary.errors,
            "notices": summary.notices,
        }))?;
    } else if !summary.interrupted {
        let counts = &summary.counts;
        terminal.print(&format!(
            "{output}: {} merged: {} of {}, {}, {}",
            counted(summary.shards, "shard"),
            counted(counts.frames, "frame"),
            counted(counts.sources, "source"),
            counted(counts.objects, "object"),
            counted(summary.errors.count, "error"),
        ))?;
    }
    for notice in &summary.notices {
        terminal.warn(notice);
    }
    Ok(match (summary.interrupted, summary.errors.count) {
        (true, _) => Exit::Interrupted,
        (false, 0) => Exit::Done,
        (false, _) => Exit::SomeFailed,
    })
}

fn missing(args: &MergeArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let missing = missing_shards(&args.output)?;
    let array = missing.expression(args.shard_offset, args.array_size);
    if terminal.json {
        terminal.print_json(&json!({ "type": "missing", "shards": missing.of, "array": array }))?;
    } else if !array.is_empty() {
        terminal.print(&array)?;
    }
    Ok(if array.is_empty() {
        Exit::Done
    } else {
        Exit::CheckFailed
    })
}
