//! Runs one door of `ultramotion::fuzzing`, the one that the environment variable `FUZZ_TARGET` names.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod run {
    use libfuzzer_sys::fuzz_target;
    use std::{path::PathBuf, process::exit, sync::OnceLock};
    use ultramotion::fuzzing::{TARGETS, Target};

    fn target() -> &'static (Target, PathBuf) {
        static CHOSEN: OnceLock<(Target, PathBuf)> = OnceLock::new();
        CHOSEN.get_or_init(|| {
            let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
            let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) else {
                let known: Vec<&str> = TARGETS.iter().map(|(known, _)| *known).collect();
                eprintln!("FUZZ_TARGET={name}: no target; use {}", known.join(", "));
                exit(64);
            };
            // For files that a parser reads by path.
            let scratch = tempfile::Builder::new()
                .prefix("ultramotion-fuzz-")
                .tempdir();
            match scratch {
                Ok(folder) => (*target, folder.keep()),
                Err(error) => {
                    eprintln!("a folder for files: {error}");
                    exit(1);
                }
            }
        })
    }

    fuzz_target!(|data: &[u8]| {
        let (target, scratch) = target();
        target(data, scratch);
    });
}

#[cfg(not(fuzzing))]
fn main() {
    eprintln!("tools/fuzz.sh builds the fuzzer");
}
