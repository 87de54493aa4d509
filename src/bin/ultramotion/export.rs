//! `export` and `convert`.

use crate::{
    dataset_args::{ConvertArgs, DatasetArgs, ExportArgs, TargetArgs},
    exit::Exit,
    inputs::usage,
    run::on_interrupt,
    terminal::{FrameBar, Terminal},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
};
use ultramotion::{
    datasets::{self, Export, ExportEvent, ExportSummary},
    progress::Observer,
    run::OutputMode,
    sinks::OutputKind,
    tools::{export_dataset, export_run},
};

#[derive(Serialize)]
struct Output<'a> {
    r#type: &'static str,
    output: String,
    to: &'a [String],
    images: u64,
    annotations: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<&'static str, u64>,
    interrupted: bool,
}

/// `export`.
pub(crate) fn export(args: &ExportArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    let mut export = prepared(&args.target, &args.datasets, terminal)?;
    export.seg = args.datasets.seg(args.keep_patient_data)?;
    let bar = Bar::of(&mut export, "export", terminal);
    let summary = export_run(&args.run, &export, &args.target.output, mode(&args.target));
    bar.clear();
    finish(&args.target, summary?, terminal)
}

/// `convert`.
pub(crate) fn convert(args: &ConvertArgs, terminal: &Arc<Terminal>) -> anyhow::Result<Exit> {
    let mut export = prepared(&args.target, &args.datasets, terminal)?;
    export.seg = args.datasets.seg(false)?;
    let mut warnings = Vec::new();
    let dataset = datasets::read(&args.input, args.from, &mut warnings)?;
    warnings.iter().for_each(|warning| terminal.warn(warning));
    let beside = |path: &Path| {
        let folder = if path.is_dir() {
            Some(path)
        } else {
            path.parent()
        };
        folder
            .into_iter()
            .flat_map(Path::ancestors)
            .take(2)
            .map(|folder| folder.join("images"))
            .find(|images| images.is_dir())
    };
    let root = args.image_root.clone().or_else(|| beside(&args.input));
    export.image_root = root.map(|root| std::fs::canonicalize(&root).unwrap_or(root));
    let from = (&*args.input, &dataset);
    let bar = Bar::of(&mut export, "convert", terminal);
    let summary = export_dataset(from, &export, &args.target.output, mode(&args.target));
    bar.clear();
    finish(&args.target, summary?, terminal)
}

/// Shows how far an export is.
struct Bar {
    name: &'static str,
    terminal: Arc<Terminal>,
    /// Once the number of pictures is known.
    bar: OnceLock<FrameBar>,
}

impl Bar {
    /// That of `export`, which it observes.
    fn of(export: &mut Export, name: &'static str, terminal: &Arc<Terminal>) -> Arc<Self> {
        let bar = Arc::new(Self {
            name,
            terminal: terminal.clone(),
            bar: OnceLock::new(),
        });
        export.observer = bar.clone();
        bar
    }

    fn clear(&self) {
        if let Some(bar) = self.bar.get() {
            bar.clear();
        }
    }
}

impl Observer<ExportEvent> for Bar {
    fn event(&self, event: ExportEvent) {
        match event {
            ExportEvent::Began(count) => {
                let bar = || self.terminal.bar_of("pictures", self.name, Some(count));
                self.bar.get_or_init(bar);
            }
            ExportEvent::PictureDone => {
                if let Some(bar) = self.bar.get() {
                    bar.advance();
                }
            }
            _ => {}
        }
    }
}

fn prepared(
    target: &TargetArgs,
    args: &DatasetArgs,
    terminal: &Arc<Terminal>,
) -> anyhow::Result<Export> {
    let kinds: Result<Vec<OutputKind>, _> = target.to.iter().map(|kind| kind.parse()).collect();
    let kinds = kinds.map_err(|e| usage("--to", e))?;
    if let Some(kind) = kinds.iter().find(|kind| !kind.is_of_record()) {
        let problem = format!("{kind} is not made of a run's results; a run writes it");
        return Err(usage("--to", problem));
    }
    let mut export = Export::new(kinds.iter().copied());
    let needed = OutputKind::images_needed(kinds.iter().copied());
    export.images = args.images.unwrap_or(needed);
    export.masks = args.masks.map(Into::into);
    export.split = args.parts();
    on_interrupt(
        &export.cancel,
        terminal,
        "interrupted: run again with --resume to go on",
    );
    Ok(export)
}

fn mode(target: &TargetArgs) -> OutputMode {
    match (target.resume, target.overwrite) {
        (true, _) => OutputMode::Resume,
        (_, true) => OutputMode::Overwrite,
        _ => OutputMode::Fresh,
    }
}

fn finish(
    target: &TargetArgs,
    summary: ExportSummary,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let output = target.output.display();
    if terminal.json {
        terminal.print_json(&Output {
            r#type: "export",
            output: output.to_string(),
            to: &target.to,
            images: summary.items,
            annotations: summary.annotations,
            parts: summary.parts.iter().copied().collect(),
            interrupted: summary.interrupted,
        })?;
    } else {
        let (items, objects) = (
            ultramotion::text::counted(summary.items, "picture"),
            ultramotion::text::counted(summary.annotations, "object"),
        );
        let parts = summary.parts.iter();
        let parts: Vec<_> = parts
            .map(|(part, count)| format!("{count} {part}"))
            .collect();
        let parts = match &parts[..] {
            [] => String::new(),
            parts => format!(" ({})", parts.join(", ")),
        };
        terminal.say(&format!("{items}{parts}, {objects}: {output}"));
    }
    summary.notes.iter().for_each(|note| terminal.warn(note));
    Ok(if summary.interrupted {
        Exit::Interrupted
    } else {
        Exit::Done
    })
}
