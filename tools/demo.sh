#!/usr/bin/env bash
# Sets up (see tools/setup.sh), builds, and runs the main job on the bundled clip: boxes and masks in out/demo.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
[ -n "${HOME:-}" ] && [ -r "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"

cargo build --release --locked
ultramotion=target/release/ultramotion
out=out/demo

echo "demo: no trained models are bundled yet: making a detector and a segmenter with random weights (their boxes and masks mean nothing)" >&2
"$ultramotion" models init dfine-n --classes bone,cyst,vessel,needle --seed 1 --output "$out/models/dfine-n"
"$ultramotion" models init mobile-sam --seed 1 --output "$out/models/mobile-sam"

"$ultramotion" pipeline --input assets/phantom-demo.mp4 \
  --detector "$out/models/dfine-n" --segmenter "$out/models/mobile-sam/mobile_sam.safetensors" \
  --confidence 0 --max-objects 3 --write jsonl,coco,masks,overlay,yolo,frames --output "$out/results" --overwrite
echo "demo: look at $out/results/overlay" >&2
