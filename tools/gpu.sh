#!/usr/bin/env bash
# Builds, checks and times everything that needs an NVIDIA GPU, in one call.
#
#   tools/gpu.sh                      all steps, results below gpu-results/
#   tools/gpu.sh check speed audit    some of them, in the order given
#
# Steps: start (a cold and a warm start), check (all groups of tests/gpu), faults (tests/gpu_audit.rs), sanitize (compute-sanitizer),
# peers (compiled PyTorch, compiles while other steps run and is timed in `speed`), speed, bench, rates (1080p), live (latency from
# a frame's arrival to a client's message), audit, soak.
# Each step has a time limit, its own file of results, and a line here: name, exit code, seconds.
#
#   PROGRAMS=DIR   take ultramotion, gpu and gpu_audit from there instead of building them
#   RESULTS=DIR    where results go
#   CLIP=FILE      a 1080p H.264 clip; without it one is made with ffmpeg, or 1080p is left out
#   SOAK=SECONDS   how long the soak lasts (130)
#   SOAK_CLIP=FILE what it reads, again and again (the bundled clip, one after the other as one stream; needs ffmpeg)
#   SANITIZE=SECONDS   the limit of each group under compute-sanitizer (600)
#   PYTHON=FILE    a Python with what tools/bench_torch.py needs
set -uo pipefail
cd "$(dirname "$0")/.."
results=${RESULTS:-gpu-results}
python=${PYTHON:-python3}
soak=${SOAK:-130}
mkdir -p "$results"
models="--detector assets/models/dfine-n-phantom --segmenter assets/models/mobile-sam-phantom/mobile_sam.safetensors"
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT

build() {
  [ -n "${PROGRAMS:-}" ] && return
  PROGRAMS=${CARGO_TARGET_DIR:-target}/release
  cargo build --locked --release --features cuda || exit 1
  local test file
  for test in gpu gpu_audit; do
    file=$(cargo test --locked --release --features cuda --no-run --message-format json --test "$test" |
      "$python" -c 'import json,sys; print([m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable") and m["target"]["kind"] == ["test"]][-1])')
    cp "$file" "$PROGRAMS/$test" || exit 1
  done
}

# step NAME SECONDS COMMAND…
step() {
  local name=$1 limit=$2 start code
  shift 2
  start=$(date +%s)
  timeout --kill-after=5 "$limit" "$@" > "$results/$name.txt" 2>&1
  code=$?
  echo "$name: $code, $(($(date +%s) - start)) s"
}

run() { "$PROGRAMS/ultramotion" "$@"; }

pipeline() { # NAME SECONDS ARGUMENTS…: rate, latency, memory
  local name=$1 limit=$2
  shift 2
  rm -rf "$work/out" "$work/kpi.jsonl"
  # shellcheck disable=SC2086 # words of their own
  step "$name" "$limit" "$PROGRAMS/ultramotion" pipeline $models --device cuda --write jsonl,coco --output "$work/out" --kpi "$work/kpi.jsonl" "$@"
  "$python" tools/kpi_summary.py "$work/kpi.jsonl" | tee "$results/$name.json"
  # Equal wherever decoding is done, in every mode, and in batches of up to 4.
  echo "$name: results $(sha256sum < "$work/out/detections.jsonl" | cut -c1-12)"
}

start() {
  # shellcheck disable=SC2086
  for name in cold warm; do step "start-$name" 120 "$PROGRAMS/ultramotion" bench $models --device cuda --input assets/phantom-demo.mp4 --repeats 1 --warm-up 0; done
}

check() {
  step check 400 "$PROGRAMS/gpu"
  grep -E "^(FAILED|all groups)|FAIL|ERROR" "$results/check.txt"
}

faults() {
  step faults 120 "$PROGRAMS/gpu_audit"
  tail -n 3 "$results/faults.txt"
}

sanitize() { # the groups beside each other, small cases of the slow ones
  local tool group running
  for tool in memcheck racecheck; do
    running=()
    for group in linear perceptron conv2d stem depthwise inverted-residual image-pair norm normed-mlp pointwise attention window-attention deformable-attention selection boxes resize yuv masks mask-upscaling layout choose-objects token-products mask-heads; do
      step "$tool-$group" "${SANITIZE:-600}" compute-sanitizer --tool "$tool" --target-processes all "$PROGRAMS/gpu" --small "$group" &
      running+=($!)
    done
    # Peers may wait in the background too.
    wait "${running[@]}"
    grep -HE "ERROR SUMMARY|RACECHECK SUMMARY" "$results/$tool"-*.txt | sed "s,.*/,,"
  done
}

PEERS="dfine-s:1 mobile-sam:1 dfine-n:1 dfine-m:1 dfine-s:8 dfine-n:8"
peers() {
  local peer model
  for peer in $PEERS; do
    model=${peer%:*}
    [ "$model" = mobile-sam ] || { run models init "$model" --output "$work/$model" > /dev/null && model=$work/$model; }
    nice "$python" tools/bench_torch.py "$model" --batch "${peer#*:}" --wait "$work/go-$peer" > "$results/peer-$peer.json" 2> "$work/$peer.log" &
  done
}

# Whether a peer still compiles.
compiling() {
  local peer
  for peer in $PEERS; do [ -e "$work/go-$peer.ready" ] || ! pgrep -f "go-$peer" > /dev/null || return 0; done
  return 1
}

speed() {
  local peer waited
  # While one compiles it would disturb what is timed: those that are not ready in time are given up.
  for waited in $(seq 120); do
    compiling || break
    sleep 1
  done
  for peer in $PEERS; do
    [ -e "$work/go-$peer.ready" ] || ! [ -e "$work/$peer.log" ] || { echo "peer $peer: not ready after $waited s: $(tail -n 1 "$work/$peer.log" 2> /dev/null)"; pkill -f "go-$peer"; }
  done
  step speed 120 "$PROGRAMS/gpu" speed-dfine speed-mobile-sam
  grep median "$results/speed.txt"
  for peer in $PEERS; do
    [ -e "$work/go-$peer.ready" ] || continue
    touch "$work/go-$peer"
    for _ in $(seq 100); do [ -s "$results/peer-$peer.json" ] && break; sleep 0.1; done
    cat "$results/peer-$peer.json"
  done
  pkill -f tools/bench_torch.py
}

bench() {
  # shellcheck disable=SC2086
  step bench 60 "$PROGRAMS/ultramotion" bench $models --device cuda --input assets/phantom-demo.mp4 --repeats 200
  run models init dfine-s --output "$work/bench-s" > /dev/null
  step bench-s 60 "$PROGRAMS/ultramotion" bench --detector "$work/bench-s" --segmenter "${models##* }" --device cuda --input assets/phantom-demo.mp4 --repeats 200
  cat "$results/bench.txt" "$results/bench-s.txt"
}

clip() {
  [ -n "${CLIP:-}" ] && return
  CLIP=$work/hd.mp4
  ffmpeg -v error -stream_loop 9 -i assets/phantom-demo.mp4 -vf "scale=1080:1080,pad=1920:1080:420:0" -frames:v 600 -c:v libx264 -pix_fmt yuv420p "$CLIP" || CLIP=
}

rates() {
  clip
  [ -n "$CLIP" ] || { echo "rates: no clip, give CLIP"; return; }
  local batch
  for batch in 1 2 4 8; do pipeline "rate-batch-$batch" 60 --input "$CLIP" --input "$CLIP" --input "$CLIP" --batch "$batch"; done
  pipeline rate-latency 60 --input "$CLIP" --latency
  pipeline rate-cpu-decoding 60 --input "$CLIP" --decode cpu
  pipeline rate-legacy 60 --input "$CLIP" --mode legacy
  # The same files, wherever decoding is done.
  for place in gpu cpu; do run pipeline ${models} --device cuda --input assets/phantom-demo.mp4 --decode "$place" --quiet --output "$work/$place"; done
  if cmp "$work/gpu/coco.json" "$work/cpu/coco.json"; then echo "same files by GPU and CPU decoding"; fi
}

live() {
  step live 120 "$python" tests/live/latency.py "$PROGRAMS/ultramotion" --seconds 60 ${CLIP:+--clip "$CLIP"} -- --device cuda --track
}

audit() { # legacy beside resident with decoding on the GPU, then with one frame at a time; the resident mode with decoding on the CPU
  clip
  local input=${CLIP:-assets/phantom-demo.mp4}
  # shellcheck disable=SC2086
  of() { step "audit-$1" 90 "$PROGRAMS/ultramotion" audit $models --device cuda --input "$input" --frames 200 --warm-up 60 --json "${@:2}"; }
  of gpu-decoding --decode gpu --compare
  of latency --decode gpu --compare --latency
  of cpu-decoding --decode cpu
}

soak() {
  local input=${SOAK_CLIP:-}
  if [ -z "$input" ]; then
    # One long stream: where a clip is opened again and again, decoder follows decoder.
    ffmpeg -v error -i assets/phantom-demo.mp4 -c copy -bsf:v h264_mp4toannexb "$work/clip.h264" || return
    input=$work/long.h264
    for _ in $(seq $((soak * 20))); do cat "$work/clip.h264"; done > "$input"
  fi
  # shellcheck disable=SC2086
  step soak $((soak + 60)) "$PROGRAMS/ultramotion" audit $models --device cuda --input "$input" --duration "${soak}s" --batch 4 --warm-up 1000 --frames 100 \
    --max-drift-mb 1 --max-latency-ms 100 --report "$results/soak.html"
  tail -n 12 "$results/soak.txt"
}

build
[ $# -gt 0 ] || set -- start peers check faults speed bench rates live audit soak sanitize
for name in "$@"; do
  case $name in
    start | check | faults | sanitize | peers | speed | bench | rates | live | audit | soak) "$name" ;;
    *) echo "$name: no such step" >&2; exit 64 ;;
  esac
done
