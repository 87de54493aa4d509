//! `models list|pull|inspect|verify|init`.

use crate::{
    args::{ModelsArgs, ModelsCommand},
    exit::Exit,
    inputs::{self, usage},
    terminal::{Downloads, Terminal},
    verify,
};
use serde_json::json;
use std::path::Path;
use ultramotion::{
    geometry::Size,
    models::dfine::check_input,
    text::counted,
    tools,
    tools::NewDetector,
    weights::{self, EMBEDDED_MODELS, Inspection, ModelRef},
};

/// Runs the subcommand.
pub(crate) fn run(args: &ModelsArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    match &args.command {
        ModelsCommand::List => list(terminal),
        ModelsCommand::Pull { model } => pull(model, terminal),
        ModelsCommand::Inspect { model, tensors } => inspect(model, *tensors, terminal),
        ModelsCommand::Verify(args) => verify::run(args, terminal),
        ModelsCommand::Init {
            model,
            output,
            classes,
            channels,
            size,
            seed,
        } => init(
            model,
            output,
            classes,
            usize::from(*channels),
            *size,
            *seed,
            terminal,
        ),
    }
}

fn list(terminal: &Terminal) -> anyhow::Result<Exit> {
    for model in EMBEDDED_MODELS {
        if terminal.json {
            terminal.print_json(&json!({ "name": model.name, "role": model.role, "description": model.description, "embedded": true }))?;
        } else {
            terminal.print(&format!("{}: {}; embedded", model.name, model.description))?;
        }
    }
    for entry in weights::catalogue(&inputs::hub()?) {
        if terminal.json {
            terminal.print_json(&entry)?;
            continue;
        }
        let alias = entry
            .alias
            .map(|alias| format!(" ({alias})"))
            .unwrap_or_default();
        let cached = if entry.cached { "cached" } else { "not cached" };
        terminal.print(&format!(
            "{}{alias}: {}; {}@{}, {cached}",
            entry.name, entry.description, entry.repo, entry.revision
        ))?;
    }
    Ok(Exit::Done)
}

fn pull(model: &str, terminal: &Terminal) -> anyhow::Result<Exit> {
    let files =
        ModelRef::parse(model, None)?.pull(&inputs::hub()?, &mut Downloads::new(terminal))?;
    if terminal.json {
        terminal.print_json(&files)?;
    } else {
        for file in [
            Some(&files.weights),
            files.config.as_ref(),
            files.preprocessor.as_ref(),
        ]
        .into_iter()
        .flatten()
        {
            terminal.print(&format!(
                "{}: {}, SHA-256 {}",
                file.path.display(),
                counted(file.bytes, "byte"),
                file.sha256
            ))?;
        }
    }
    Ok(Exit::Done)
}

fn inspect(model: &str, tensors: bool, terminal: &Terminal) -> anyhow::Result<Exit> {
    let files =
        ModelRef::parse(model, None)?.resolve(&inputs::hub()?, &mut Downloads::new(terminal))?;
    let mut inspection = weights::inspect(&files.weights)?;
    let known = tools::describe(&files);
    let exit = if known.is_ok() {
        Exit::Done
    } else {
        Exit::CheckFailed
    };
    if terminal.json {
        if !tensors {
            inspection.tensors.clear();
        }
        let problem = known.as_ref().err().map(ToString::to_string);
        let family = tools::model_family(&files)?;
        terminal.print_json(&json!({ "file": inspection, "family": family, "model": known.ok(), "problem": problem }))?;
        return Ok(exit);
    }
    print_inspection(&inspection, terminal)?;
    match (known, tools::model_family(&files)?) {
        (Ok(description), _) => {
            let hint = if description.input.assumed {
                "; --input-size sets the size of the input"
            } else {
                ""
            };
            terminal.print(&format!("model: {description}{hint}"))?;
        }
        (Err(error), Some(family)) => {
            terminal.print(&format!("model: {family}, which cannot be used: {error}"))?
        }
        (Err(error), None) => terminal.print(&format!("model: {error}"))?,
    }
    if tensors {
        for tensor in &inspection.tensors {
            terminal.print(&format!(
                "  {} {:?} {}",
                tensor.name,
                tensor.shape,
                tensor.element.name()
            ))?;
        }
    }
    Ok(exit)
}

fn print_inspection(inspection: &Inspection, terminal: &Terminal) -> anyhow::Result<()> {
    let types: Vec<String> = inspection
        .elements
        .iter()
        .map(|(element, count)| format!("{count} of {}", element.name()))
        .collect();
    terminal.print(&format!(
        "{}: {}, {}",
        inspection.path.display(),
        inspection.format.name(),
        counted(inspection.bytes, "byte")
    ))?;
    terminal.print(&format!("SHA-256: {}", inspection.sha256))?;
    if let Some(dictionary) = &inspection.sub_dictionary {
        terminal.print(&format!("taken from: {dictionary}"))?;
    }
    let parameters = counted(inspection.parameters, "parameter");
    terminal.print(&format!(
        "tensors: {} ({}), {parameters}",
        inspection.tensor_count,
        types.join(", ")
    ))?;
    for (key, value) in &inspection.metadata {
        terminal.print(&format!("{key}: {value}"))?;
    }
    Ok(())
}

fn init(
    model: &str,
    output: &Path,
    classes: &[String],
    channels: usize,
    side: u32,
    seed: u64,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    if output.join("model.safetensors").exists() || output.join("mobile_sam.safetensors").exists() {
        terminal.detail(&format!("{}: replacing the model there", output.display()));
    }
    if model == "mobile-sam" {
        tools::init_segmenter(seed, output)?;
    } else {
        let Some(size) = model.strip_prefix("dfine-") else {
            return Err(usage(
                model,
                "not a model that can be made; use dfine-n, dfine-s, dfine-m, dfine-l, dfine-x or mobile-sam",
            ));
        };
        if channels == 2 {
            return Err(usage("--channels", "use 1 or 3"));
        }
        let size = size.parse().map_err(|e| usage(model, e))?;
        check_input(Size::new(side, side)).map_err(|e| usage("--size", e.problem))?;
        tools::init_detector(
            &NewDetector {
                size,
                classes: classes.to_vec(),
                channels,
                input: Size::new(side, side),
            },
            seed,
            output,
        )?;
    }
    terminal.print(&format!(
        "{}: {model} with random, untrained weights (seed {seed})",
        output.display()
    ))?;
    Ok(Exit::Done)
}
