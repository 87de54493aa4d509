//! What the program prints, as files that are read like a session in a terminal: `tests/cmd`.
//!
//! `TRYCMD=overwrite cargo test --test it snapshots` writes them anew; read the difference before you commit it: times
//! of this machine stand where `[..]` was.

use trycmd::TestCases;

/// The terminal's language, width and colours do not matter, nor does what this machine has cached; nothing is fetched.
#[test]
fn the_program_prints_what_the_files_show() {
    TestCases::new()
        .default_bin_path(env!("CARGO_BIN_EXE_ultramotion"))
        .env("HF_HOME", "/nonexistent")
        .env("HF_HUB_OFFLINE", "1")
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .case("tests/cmd/*.trycmd");
}

#[test]
fn the_files_hold_no_times_of_one_machine() {
    let runs = include_str!("../../cmd/run.trycmd");
    assert!(runs.contains("\"timings\":{[..]}"));
    assert!(
        !runs.contains("median_ms"),
        "tests/cmd/run.trycmd: write [..] in place of the times"
    );
}
