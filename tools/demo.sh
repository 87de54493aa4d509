#!/usr/bin/env bash
# Sets up (see tools/setup.sh), builds, and runs the main job on the bundled clip: boxes and masks in out/demo.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
[ -n "${HOME:-}" ] && [ -r "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"

cargo build --release --locked

echo "demo: 40 frames of a synthetic clip, with the built-in models that were trained on such clips" >&2
# By cargo, which knows where it built.
cargo run --release --locked --quiet -- pipeline --input assets/phantom-demo.mp4 --frames ..40 --write jsonl,coco,masks,overlay,yolo,frames --output out/demo --overwrite
echo "demo: look at out/demo/overlay" >&2
