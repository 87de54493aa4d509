#!/usr/bin/env bash
# Stands before rustc (RUSTC_WORKSPACE_WRAPPER) where the fuzzer is built: libFuzzer's counters go into this crate alone.
# These are the flags of `cargo fuzz build --sanitizer none`; dependencies are those of any other build, and not built again.
rustc=$1
shift
case " $* " in
  *" --crate-name ultramotion "* | *" --crate-name fuzz "*)
    exec "$rustc" "$@" --cfg fuzzing -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
      -C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table \
      -C llvm-args=-sanitizer-coverage-trace-compares -C llvm-args=-simplifycfg-branch-fold-threshold=0 -C codegen-units=4
    ;;
esac
exec "$rustc" "$@"
