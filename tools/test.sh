#!/usr/bin/env bash
# Sets up (see tools/setup.sh) and runs all tests that need no GPU.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
[ -n "${HOME:-}" ] && [ -r "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
exec cargo test --locked "$@"
