#!/usr/bin/env bash
# Fuzzes the parsers of bytes from outside: builds the fuzzer once with the stable compiler, and runs its targets side by side.
#
#   tools/fuzz.sh SECONDS [TARGET…]       each target, or those named, for so long
#   tools/fuzz.sh --runs N [TARGET…]      each for N executions
#   tools/fuzz.sh --build                 builds the fuzzer alone
#
# FUZZ_JOBS (2) says how many run at once. What is found lies in target/fuzz/found; new inputs in target/fuzz/corpus, where
# the next run begins. FUZZ_BUILT=1 takes the fuzzer as it was built last. Exit code 1 if a target failed.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${HOME:-}" ] && [ -r "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 64; }
case "${1:-}" in
  --runs) limit="-runs=${2:?}"; shift 2 ;;
  --build) limit= ;;
  '' | *[!0-9]*) usage ;;
  *) limit="-max_total_time=$1"; shift ;;
esac

target=${CARGO_TARGET_DIR:-target}
# Most of a short run would be spent on compiling with more.
export CARGO_PROFILE_DEV_OPT_LEVEL=1
[ -n "${FUZZ_BUILT:-}" ] || RUSTC_WORKSPACE_WRAPPER="$PWD/fuzz/rustc.sh" cargo build --locked --quiet -p ultramotion-fuzz
[ -n "$limit" ] || exit 0
work=$target/fuzz
mkdir -p "$work/found" "$work/log"
# Files that parsers read by path lie in memory where there is such a folder.
memory=/dev/shm
[ -d "$memory" ] && [ -w "$memory" ] || memory=${TMPDIR:-/tmp}
scratch=$(mktemp -d "$memory/ultramotion-fuzz.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

fuzz_one() {
  local name=$1 log=$work/log/$1
  mkdir -p "$work/corpus/$name"
  # Memory in MiB that is in use, and in KiB that may be asked for; seconds for one input.
  ulimit -v $((8 << 20))
  if FUZZ_TARGET=$name TMPDIR=$scratch "$target/debug/fuzz" "$limit" -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 \
    -artifact_prefix="$work/found/$name-" "$work/corpus/$name" "fuzz/corpus/$name" >"$log" 2>&1; then
    printf '%-18s %9s executions, %s\n' "$name" "$(awk '/number_of_executed_units/ { print $2 }' "$log")" \
      "$(grep -a -o 'DONE *cov: [0-9]*' "$log" | sed 's/DONE *cov: */coverage /')"
  else
    printf '%s failed:\n' "$name"
    tail -n 25 "$log"
    return 1
  fi
}
export -f fuzz_one
export limit target work scratch

[ $# -gt 0 ] || set -- $(ls fuzz/corpus)
printf '%s\n' "$@" | xargs -P "${FUZZ_JOBS:-2}" -I '{}' bash -c 'fuzz_one "$1"' _ '{}'
