//! `completions` and `man`.

use crate::{
    args::{Cli, CompletionsArgs, ManArgs},
    exit::Exit,
};
use anyhow::Context;
use clap::CommandFactory;
use std::io::{self, Write};

/// Prints a shell's completions on stdout.
pub fn print(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut buffer = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ultramotion", &mut buffer);
    io::stdout().write_all(&buffer).context("stdout: cannot be written")?;
    Ok(Exit::Done)
}

/// Prints the manual page, or writes one for each command.
pub fn man(args: &ManArgs) -> anyhow::Result<Exit> {
    match &args.output {
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
            clap_mangen::generate_to(Cli::command(), folder).with_context(|| format!("{}: cannot be written", folder.display()))?;
        }
        None => clap_mangen::Man::new(Cli::command()).render(&mut io::stdout()).context("stdout: cannot be written")?,
    }
    Ok(Exit::Done)
}
