//! `--rename-sources`: sources under neutral names.

use crate::{
    common_args::{InputArgs, OutputArgs},
    rename_key::Key,
};
use std::path::Path;
use ultramotion::sources::{Aliases, Inputs};

/// Gives all sources neutral names, takes the names out of what is to be said about inputs, and writes the key.
pub(crate) fn rename(mut key: Key, inputs: &mut Inputs) -> anyhow::Result<Aliases> {
    let mut aliases = Vec::new();
    for source in &mut inputs.sources {
        match source {
            Ok(spec) => {
                let alias = key.rename(spec);
                aliases.push((spec.name.clone(), alias));
            }
            Err(error) => {
                let alias = key.other(&error.path);
                error.rename(&alias);
            }
        }
    }
    for warning in &mut inputs.warnings {
        let alias = key.other(&warning.path);
        warning.rename(&alias);
    }
    key.write()?;
    Ok(Aliases::new(aliases))
}

/// Takes the paths of inputs, of the folder of outputs and of files beside them out of the command line that `run.json` keeps.
pub(crate) fn without_names(
    arguments: Vec<String>,
    input: &InputArgs,
    output: &OutputArgs,
    boxes: Option<&Path>,
) -> Vec<String> {
    let inputs = input
        .source
        .inputs()
        .into_iter()
        .enumerate()
        .map(|(at, path)| (path, format!("(input {})", at + 1)));
    let files = [
        (Some(&*output.output), "(output)"),
        (output.kpi.as_deref(), "(kpi)"),
        (boxes, "(boxes)"),
        (input.rename_sources.as_deref(), "(key)"),
    ];
    let files = files
        .into_iter()
        .filter_map(|(path, alias)| Some((path?.as_os_str().to_owned(), alias.to_owned())));
    let paths: Vec<(String, String)> = inputs
        .chain(files)
        .map(|(path, alias)| (path.to_string_lossy().into_owned(), alias))
        .collect();
    neutral_arguments(arguments, &paths)
}

/// A command line without the paths in it: `paths` and what stands for each.
fn neutral_arguments(arguments: Vec<String>, paths: &[(String, String)]) -> Vec<String> {
    let neutral = |argument: String| {
        let of = |(path, alias): &(String, String)| {
            let before = argument.strip_suffix(path.as_str())?;
            // `PATH`, `--option=PATH`, `-oPATH`.
            let is_short =
                before.len() == 2 && before.starts_with('-') && !before.starts_with("--");
            (before.is_empty() || is_short || (before.starts_with('-') && before.ends_with('=')))
                .then(|| format!("{before}{alias}"))
        };
        paths.iter().find_map(of).unwrap_or(argument)
    };
    arguments.into_iter().map(neutral).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_leave_a_command_line_whatever_their_form() {
        let paths = [
            ("Meier/a.png".to_owned(), "(input 1)".to_owned()),
            ("out".to_owned(), "(output)".to_owned()),
        ];
        let typed = [
            "detect",
            "Meier/a.png",
            "-iMeier/a.png",
            "--input=Meier/a.png",
            "--output",
            "out",
            "--write",
            "layout",
        ];
        let found = neutral_arguments(typed.map(str::to_owned).to_vec(), &paths);
        assert_eq!(
            found,
            [
                "detect",
                "(input 1)",
                "-i(input 1)",
                "--input=(input 1)",
                "--output",
                "(output)",
                "--write",
                "layout"
            ]
        );
    }
}
