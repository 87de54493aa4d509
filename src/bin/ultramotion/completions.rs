//! `completions` and `man`.

use crate::{
    args::{Cli, CompletionsArgs, ManArgs},
    exit::Exit,
    man,
    terminal::stdout_error,
};
use anyhow::Context;
use clap::CommandFactory;
use std::io::{self, Write};

/// Prints a shell's completions on stdout.
pub(crate) fn print(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut buffer = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ultramotion", &mut buffer);
    write_out(&buffer)
}

/// Prints the manual page, or writes one for each command.
pub(crate) fn man(args: &ManArgs) -> anyhow::Result<Exit> {
    let Some(folder) = &args.output else {
        return write_out(man::page(Cli::command())?.as_bytes());
    };
    std::fs::create_dir_all(folder)
        .with_context(|| format!("{}: cannot be made", folder.display()))?;
    for (name, text) in man::pages(Cli::command())? {
        let path = folder.join(name);
        std::fs::write(&path, text)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    Ok(Exit::Done)
}

fn write_out(bytes: &[u8]) -> anyhow::Result<Exit> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(stdout_error)?;
    Ok(Exit::Done)
}
