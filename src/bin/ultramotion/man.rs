//! Manual pages: clap_mangen's, with a synopsis that names the values of options.

use clap::{Arg, ArgAction, Command};
use clap_mangen::Man;
use std::io;

/// The page of one command.
pub(crate) fn page(command: Command) -> io::Result<String> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    render(command)
}

/// File names and pages of a command and all below it.
pub(crate) fn pages(command: Command) -> io::Result<Vec<(String, String)>> {
    fn add(command: &Command, found: &mut Vec<(String, String)>) -> io::Result<()> {
        for below in command
            .get_subcommands()
            .filter(|below| !below.is_hide_set())
        {
            add(below, found)?;
        }
        found.push((
            Man::new(command.clone()).get_filename(),
            render(command.clone())?,
        ));
        Ok(())
    }
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut found = Vec::new();
    add(&command, &mut found)?;
    Ok(found)
}

fn render(command: Command) -> io::Result<String> {
    let synopsis = synopsis(&command);
    let (arguments, below) = (
        command.get_arguments().next().is_some(),
        command.has_subcommands(),
    );
    let examples = command.get_after_help().is_some();
    let versioned = command.get_version().is_some();
    let man = Man::new(command);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    page.extend_from_slice(synopsis.as_bytes());
    man.render_description_section(&mut page)?;
    if arguments {
        man.render_options_section(&mut page)?;
    }
    if below {
        man.render_subcommands_section(&mut page)?;
    }
    if examples {
        man.render_extra_section(&mut page)?;
    }
    if versioned {
        man.render_version_section(&mut page)?;
    }
    String::from_utf8(page).map_err(io::Error::other)
}

/// The section SYNOPSIS.
fn synopsis(command: &Command) -> String {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let mut text = format!(".SH SYNOPSIS\n\\fB{}\\fR", escape(name));
    let (options, positionals): (Vec<_>, Vec<_>) = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set())
        .partition(|arg| !arg.is_positional());
    for arg in options.into_iter().chain(positionals) {
        text = format!("{text} {}", usage(arg));
    }
    if command.has_subcommands() {
        let value = if command.is_subcommand_required_set() {
            "<COMMAND>"
        } else {
            "[COMMAND]"
        };
        text = format!("{text} {value}");
    }
    text + "\n"
}

/// An argument as `[-i|--input PATH]...`.
fn usage(arg: &Arg) -> String {
    let names = [
        arg.get_short().map(|short| format!("-{short}")),
        arg.get_long().map(|long| format!("--{long}")),
    ];
    let names: Vec<String> = names
        .into_iter()
        .flatten()
        .map(|name| format!("\\fB{}\\fR", escape(&name)))
        .collect();
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let values = arg
        .get_value_names()
        .filter(|_| takes_value)
        .unwrap_or_default();
    let values: Vec<String> = values
        .iter()
        .map(|value| format!("\\fI{}\\fR", escape(value)))
        .collect();
    let all = [names.join("|"), values.join(" ")]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let more = if matches!(arg.get_action(), ArgAction::Append | ArgAction::Count) {
        "..."
    } else {
        ""
    };
    if arg.is_required_set() {
        format!("{all}{more}")
    } else {
        format!("[{all}]{more}")
    }
}

/// Text as roff takes it.
fn escape(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq")
}
