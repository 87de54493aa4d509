//! How a run ended, on stdout.

use crate::terminal::Terminal;
use serde_json::json;
use ultramotion::{
    run::Summary,
    sinks::{OutputKind, OutputSet},
    text::counted,
};

/// Prints a line, or an object, of a run over so many `sources`.
pub(crate) fn print(
    summary: &Summary,
    written: &OutputSet,
    sources: usize,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    if let Some(of) = summary.boxes.filter(|of| of.matched < of.frames) {
        terminal.say(&format!(
            "boxes for {} of {}",
            of.matched,
            counted(of.frames, "frame")
        ));
    }
    if !summary.kept {
        terminal.say(&format!(
            "{}: no output folder was made, since nothing could be done",
            summary.output.display()
        ));
    }
    let of_boxes = |notice: &&String| !notice.starts_with("boxes for ");
    summary
        .notices
        .iter()
        .filter(of_boxes)
        .for_each(|notice| terminal.warn(notice));
    if terminal.json {
        return terminal.print_json(&json!({
            "type": "summary",
            "output": summary.output.display().to_string(),
            "interrupted": summary.interrupted,
            "kept": summary.kept,
            "boxes": summary.boxes,
            "counts": summary.counts,
            "errors": summary.errors,
            "notices": summary.notices,
            "timings": summary.timings,
        }));
    }
    terminal.print(&summary_line(summary, written, sources))?;
    for (stage, time) in &summary.timings {
        terminal.detail(&format!(
            "{stage}: median {:.2} ms, p90 {:.2}, p99 {:.2} ({})",
            time.median_ms,
            time.p90_ms,
            time.p99_ms,
            counted(time.count, "time")
        ));
    }
    Ok(())
}

/// What was done, and where to look at it.
fn summary_line(summary: &Summary, written: &OutputSet, sources: usize) -> String {
    let counts = &summary.counts;
    let frames = counted(counts.frames, "frame");
    let done = match summary.interrupted {
        true => format!(
            "{frames}, {} of {} complete",
            counts.sources,
            counted(sources, "source")
        ),
        false => format!("{frames} of {}", counted(counts.sources, "source")),
    };
    let classes: Vec<String> = counts
        .per_class
        .iter()
        .map(|(name, n)| format!("{n} {name}"))
        .collect();
    let classes = if classes.is_empty() {
        String::new()
    } else {
        format!(" ({})", classes.join(", "))
    };
    let errors = counted(summary.errors.count, "error");
    let line = format!(
        "{}: {done}, {}{classes}, {errors}",
        summary.output.display(),
        counted(counts.objects, "object")
    );
    // What shows most first.
    let places = [
        (OutputKind::Report, "report.html"),
        (OutputKind::Overlay, "overlay"),
        (OutputKind::Masks, "masks"),
        (OutputKind::Frames, "frames"),
        (OutputKind::Coco, "coco.json"),
        (OutputKind::Jsonl, "detections.jsonl"),
    ];
    let mut there = places
        .into_iter()
        .filter(|(kind, _)| written.contains(*kind))
        .map(|(_, name)| summary.output.join(name));
    match there.find(|path| path.exists()) {
        Some(path) => format!("{line}; see {}", path.display()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use ultramotion::run::{Counts, InputProblems};

    fn line(frames: u64, sources: u64, objects: u64, interrupted: bool) -> String {
        let per_class = BTreeMap::from([("bone".to_owned(), objects)]);
        let counts = Counts {
            frames,
            sources,
            objects,
            per_class,
        };
        let (errors, output) = (
            InputProblems {
                count: 1,
                ..InputProblems::default()
            },
            "no-such-folder".into(),
        );
        let summary = Summary {
            counts,
            errors,
            timings: BTreeMap::new(),
            interrupted,
            output,
            kept: true,
            notices: Vec::new(),
            boxes: None,
        };
        summary_line(&summary, &OutputSet::default_for(false), 3)
    }

    #[test]
    fn one_is_singular_and_an_interrupt_says_what_is_complete() {
        assert_eq!(
            line(1, 1, 1, false),
            "no-such-folder: 1 frame of 1 source, 1 object (1 bone), 1 error"
        );
        assert_eq!(
            line(10, 0, 2, true),
            "no-such-folder: 10 frames, 0 of 3 sources complete, 2 objects (2 bone), 1 error"
        );
    }
}
