//! `phantom`.

use crate::{
    exit::Exit,
    inputs::usage,
    phantom_args::{PhantomArgs, PhantomFile, PhantomMotion},
    run::on_interrupt,
    terminal::Terminal,
};
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use ultramotion::{
    phantom::{Class, Motion, PhantomError, PhantomOptions, TargetSet},
    progress::Cancel,
    text::counted,
    tools::{PhantomEvent, PhantomFiles, PhantomPlan, PhantomRunError, PhantomSummary},
};

/// Writes sequences.
pub(crate) fn run(args: &PhantomArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    let plan = plan(args)?;
    plan.check()
        .map_err(|error| usage(option_of(&error), error))?;
    on_interrupt(
        &plan.cancel,
        terminal,
        "interrupted: finishing the frame; sequences without coco.json are not complete",
    );
    let frames = u64::from(plan.options.frames).saturating_mul(plan.sequences.get());
    let bar = terminal.frame_bar("phantom", Some(frames));
    let failure: Mutex<Option<anyhow::Error>> = Mutex::new(None);
    let result = plan.run(&|event: PhantomEvent<'_>| match event {
        PhantomEvent::FrameDone => bar.advance(),
        PhantomEvent::SequenceDone(sequence) if terminal.json => {
            let line = terminal.print_json(&json!({
                "type": "sequence",
                "seed": sequence.seed,
                "folder": sequence.folder.display().to_string(),
                "frames": sequence.frames,
                "empty_frames": sequence.empty_frames,
                "objects": sequence.objects,
            }));
            if let Err(error) = line {
                failure
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(error);
                plan.cancel.request();
            }
        }
        PhantomEvent::SequenceDone(sequence) => {
            terminal.detail(&format!("{}: done", sequence.folder.display()))
        }
        _ => {}
    });
    bar.clear();
    let summary = result?;
    failure
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .map_or(Ok(()), Err)?;
    summarise(&summary, terminal)?;
    Ok(if summary.interrupted {
        Exit::Interrupted
    } else {
        Exit::Done
    })
}

fn plan(args: &PhantomArgs) -> anyhow::Result<PhantomPlan> {
    let writes = |kind| args.write.contains(&kind);
    let targets = targets(&args.targets).map_err(|e| usage("--targets", e))?;
    Ok(PhantomPlan {
        options: PhantomOptions {
            seed: args.seed,
            frames: args.frames,
            size: args.size,
            targets,
            motion: match args.motion {
                PhantomMotion::Calm => Motion::Calm,
                PhantomMotion::Probe => Motion::Probe,
                PhantomMotion::Hard => Motion::Hard,
            },
            frame_rate: args.frame_rate,
        },
        sequences: args.sequences,
        files: PhantomFiles {
            png: writes(PhantomFile::Png),
            mp4: writes(PhantomFile::Mp4),
            dicom: writes(PhantomFile::Dicom),
            mot: writes(PhantomFile::Mot),
            mots: writes(PhantomFile::Mots),
        },
        output: args.output.clone(),
        overwrite: args.overwrite,
        cancel: Cancel::default(),
    })
}

/// The classes named, or none at all.
fn targets(names: &[String]) -> Result<TargetSet, PhantomError> {
    match names {
        [only] if only.trim() == "none" => Ok(TargetSet::NONE),
        names => names.iter().map(|name| name.parse::<Class>()).collect(),
    }
}

/// The option that an error is about.
fn option_of(error: &PhantomRunError) -> &'static str {
    match error {
        PhantomRunError::Options(PhantomError::Size(_)) => "--size",
        PhantomRunError::Options(PhantomError::NoFrames) => "--frames",
        PhantomRunError::Options(PhantomError::FrameRate(_)) => "--frame-rate",
        PhantomRunError::Seeds { .. } => "--seed",
        _ => "phantom",
    }
}

fn summarise(summary: &PhantomSummary, terminal: &Terminal) -> anyhow::Result<()> {
    if terminal.json {
        return terminal.print_json(&json!({
            "type": "summary",
            "output": summary.output.display().to_string(),
            "interrupted": summary.interrupted,
            "sequences": summary.sequences,
            "frames": summary.frames,
            "empty_frames": summary.empty_frames,
            "objects": summary.objects,
        }));
    }
    let objects: Vec<String> = summary
        .objects
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    terminal.print(&format!(
        "{}: {}, {} ({} empty), objects: {}",
        summary.output.display(),
        counted(summary.sequences, "sequence"),
        counted(summary.frames, "frame"),
        summary.empty_frames,
        if objects.is_empty() {
            "none".to_owned()
        } else {
            objects.join(", ")
        }
    ))
}
