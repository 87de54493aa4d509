//! `ultramotion`: finds and outlines things in moving images.
//!
//! Exit codes: 0 done, 1 a check failed, 2 some inputs failed (or the run could not go on), 64 usage, 130 interrupted.

mod args;
mod audit;
mod audit_args;
mod bench;
mod common_args;
mod completions;
mod dataset_args;
mod doctor;
mod eval;
mod eval_args;
mod eval_gates;
mod eval_table;
mod eval_tracks;
mod eval_tracks_table;
mod examples;
mod exit;
mod export;
mod hints;
mod igtl_args;
mod inputs;
mod live;
mod live_args;
mod live_report;
mod man;
mod merge;
mod models;
mod phantom;
mod phantom_args;
mod progress;
mod rename;
mod rename_key;
mod report;
mod run;
mod serve;
mod serve_args;
mod shard_args;
mod stream_args;
mod summary;
mod terminal;
mod track_args;
mod verify;
mod verify_args;
mod words;

use args::{Cli, Command};
use clap::Parser;
use exit::Exit;
use std::{process::ExitCode, sync::Arc};

fn main() -> ExitCode {
    without_backtraces();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            // Nowhere left to complain if the terminal is gone.
            let _ = error.print();
            return code.into();
        }
    };
    let terminal = Arc::new(terminal::Terminal::new(&cli.global));
    terminal::report_panics_briefly();
    let result = match &cli.command {
        Command::Extract(args) => run::extract(args, &terminal),
        Command::Detect(args) => run::detect(args, &terminal),
        Command::Segment(args) => run::segment(args, &terminal),
        Command::Pipeline(args) => run::pipeline(args, &terminal),
        Command::Live(args) => live::run(args, &terminal),
        Command::Serve(args) => serve::run(args, &terminal),
        Command::Merge(args) => merge::run(args, &terminal),
        Command::Phantom(args) => phantom::run(args, &terminal),
        Command::Export(args) => export::export(args, &terminal),
        Command::Convert(args) => export::convert(args, &terminal),
        Command::Eval(args) => eval::run(args, &terminal),
        Command::Models(args) => models::run(args, &terminal),
        Command::Bench(args) => bench::run(args, &terminal),
        Command::Audit(args) => audit::run(args, &terminal),
        Command::Doctor(args) => doctor::run(args, &terminal),
        Command::Completions(args) => completions::print(args),
        Command::Man(args) => completions::man(args),
    };
    match result {
        Ok(exit) => exit.into(),
        // Who reads the results has enough of them, as `head`.
        Err(error) if error.is::<terminal::ClosedStdout>() => Exit::Done.into(),
        Err(error) => {
            terminal.error(&error);
            exit::of_error(&error).into()
        }
    }
}

/// Messages for users have no backtraces in them, which libraries add where RUST_BACKTRACE is set for panics; RUST_LIB_BACKTRACE still asks
/// for them.
#[allow(unsafe_code)]
fn without_backtraces() {
    const ASKED: &str = "RUST_LIB_BACKTRACE";
    if std::env::var_os(ASKED).is_none() {
        // SAFETY: no other thread is there yet.
        unsafe { std::env::set_var(ASKED, "0") };
    }
}
