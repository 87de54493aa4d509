#!/usr/bin/env bash
# The loop of a lab that has classes of its own, from recordings to a detector that knows them, without a GPU and without
# downloading a model:
#   recordings -> ultramotion pipeline -> export -> corrected -> convert -> D-FINE-seg trains -> ultramotion pipeline
# Phantom clips stand for the recordings; a short script that renames and deletes stands for the person who corrects. Training
# is of a few steps. Ends with exit code 0 if the trained checkpoint finds objects in a clip that it has not seen, under the
# lab's names, which it has from the checkpoint alone. docs/recipes.md walks through it.
#
#   tools/loop.sh [--output DIR] [--venv DIR] [--ultramotion PROGRAM] [--tool KIND] [--torch-index URL] [--epochs N]
#
#   --output DIR          where all of it goes; must not exist yet (default: a temporary folder, which is kept)
#   --venv DIR            a Python environment with dfine-seg; made if missing (default: DIR/venv of the output)
#   --ultramotion PROGRAM default: target/release/ultramotion of this repository, else that of PATH
#   --tool KIND           what the person who corrects works on: coco or labelme (default: coco)
#   --torch-index URL     where pip takes torch and torchvision from, such as https://download.pytorch.org/whl/cpu: those of
#                         PyPI bring CUDA libraries with them (3 GB to fetch, 6 GB on disk)
#   --epochs N            of training, 9 steps of 4 frames each (default: 6)
set -euo pipefail

# What the lab calls what the built-in models find.
renamed=(bone=cortex cyst=fluid vessel=fluid "needle=biopsy needle")

repository=$(cd "$(dirname "$0")/.." && pwd)
trainer=dfine-seg==0.6.2

output="" venv="" tool=coco torch_index="" epochs=6
if [ -x "$repository/target/release/ultramotion" ]; then ultramotion=$repository/target/release/ultramotion; else ultramotion=ultramotion; fi
while [ $# -gt 0 ]; do
  case "$1" in
    --output | --venv | --ultramotion | --tool | --torch-index | --epochs)
      [ $# -ge 2 ] || { echo "loop: $1 needs a value" >&2; exit 64; }
      name=${1#--}
      printf -v "${name//-/_}" '%s' "$2"
      shift 2
      ;;
    *)
      sed -n '2,/^set -/p' "$0" | sed -n 's/^# \{0,1\}//p' >&2
      exit 64
      ;;
  esac
done
command -v "$ultramotion" >/dev/null || { echo "loop: $ultramotion: no such program; build it (cargo build --release) or give --ultramotion" >&2; exit 64; }
ultramotion=$(realpath "$(command -v "$ultramotion")")
case "$tool" in
  coco) labels=labelled/coco.json ;;
  labelme) labels=labelled/labelme ;;
  *) echo "loop: --tool $tool: coco and labelme are known" >&2; exit 64 ;;
esac
[ -z "$venv" ] || venv=$(realpath -m "$venv")
if [ -z "$output" ]; then output=$(mktemp -d -t ultramotion-loop-XXXXXX); else mkdir "$output"; fi
cd "$output"
venv=${venv:-$PWD/venv}

start=$SECONDS
step() { printf '\n[%d:%02d] %s\n' $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60)) "$*"; }
# Shows a command as it is, then runs it.
run() {
  local word
  printf '  $'
  for word in "${@/#$ultramotion/ultramotion}"; do
    if [[ $word =~ [^A-Za-z0-9_./,:=@+-] ]]; then printf " '%s'" "$word"; else printf ' %s' "$word"; fi
  done
  printf '\n'
  "$@"
}

step "Python environment with $trainer: $venv"
if ! "$venv/bin/python" -c 'import importlib.util, sys; sys.exit(not all(map(importlib.util.find_spec, ["dfine_seg", "safetensors"])))' 2>/dev/null; then
  python3 -m venv "$venv"
  [ -z "$torch_index" ] || run "$venv/bin/pip" install --quiet --index-url "$torch_index" torch torchvision
  run "$venv/bin/pip" install --quiet "$trainer" safetensors
fi
# No accounts, no downloads of weights, no looking for updates. Threads that wait give their core away.
export WANDB_MODE=disabled HF_HUB_OFFLINE=1 NO_ALBUMENTATIONS_UPDATE=1 MPLBACKEND=Agg OMP_WAIT_POLICY=passive

step "Recordings: eight phantom clips to learn from, two that training does not see"
run "$ultramotion" phantom --seed 1000 --sequences 8 --frames 6 --frame-rate 1 --size 384x384 --write mp4 --output clips
run "$ultramotion" phantom --seed 1010 --sequences 2 --frames 6 --frame-rate 1 --size 384x384 --write mp4 --output new-clips

step "Annotate with what is there: the built-in pair"
run "$ultramotion" pipeline clips/*/clip.mp4 --device cpu --write coco --output annotated
run "$ultramotion" export --run annotated --to "$tool" --images copy --output labelled

step "Correct: the lab's names, doubtful objects deleted (a person does this, and more, in a tool that reads $tool)"
run "$venv/bin/python" "$repository/tools/loop_correct.py" "$labels" 0.6 "${renamed[@]}"

step "Convert to what D-FINE-seg trains on: COCO with polygons, train.json and val.json beside images/"
run "$ultramotion" convert "$labels" --from "$tool" --to datumaro --masks polygon --split 0.75,0.25 --seed 2 --images copy --output data
run mv data/annotations/instances_train.json data/train.json
run mv data/annotations/instances_val.json data/val.json
# The trainer numbers classes by the order of the categories' ids and takes their names in the same order.
names=$("$venv/bin/python" -c '
import json
categories = sorted(json.load(open("data/train.json", encoding="utf-8"))["categories"], key=lambda c: c["id"])
print("{" + ", ".join("%d: %s" % (i, json.dumps(c["name"])) for i, c in enumerate(categories)) + "}")')
echo "  classes: $names"

step "Train $epochs epochs on the CPU, starting from the built-in detector"
run "$venv/bin/python" "$repository/tools/loop_weights.py" "$repository/assets/models/dfine-n-phantom/model.safetensors" start.pt
run "$venv/bin/dfine" init --model n --task detect
run "$venv/bin/dfine" train "train.root=$PWD" "train.data_path=$PWD/data" train.coco_dataset=True \
  "~train.label_to_name" "+train.label_to_name=$names" "train.pretrained_model_path=$PWD/start.pt" exp=lab \
  train.device=cpu train.amp_enabled=False "train.img_size=[320, 320]" train.batch_size=4 "train.epochs=$epochs" train.num_workers=0 \
  train.base_lr=0.0002 train.backbone_lr=0.0001 train.mosaic_augs.mosaic_prob=0 \
  train.debug_img_processing=False train.to_visualize_eval=False >training.log 2>&1 || { tail -n 30 training.log; exit 1; }
checkpoint=output/models/lab/model.pt
grep -A 4 'Best epoch' training.log

step "The checkpoint back in ultramotion, on clips that training has not seen"
run "$ultramotion" models inspect "$checkpoint"
run "$ultramotion" pipeline new-clips/*/clip.mp4 --detector "$checkpoint" --confidence 0.3 --device cpu --write coco,overlay --output found

step "Boxes of the trained checkpoint"
"$venv/bin/python" - found/detections.jsonl "${renamed[@]#*=}" <<'PYTHON'
import collections, json, sys

lab = set(sys.argv[2:])
found, wrong = collections.Counter(), set()
for line in open(sys.argv[1], encoding="utf-8"):
    record = json.loads(line)
    for object in record["objects"]:
        found[object["label"]] += 1
        wrong |= {object["label"]} - lab
        if found[object["label"]] <= 3:
            box = ", ".join(f"{number:.1f}" for number in object["box"])
            print(f"  {record['source']} frame {record['frame']}: {object['label']} {object['score']:.2f} at [{box}]")
print("  in all: " + (", ".join(f"{count} {name}" for name, count in sorted(found.items())) or "nothing"))
if wrong or not found:
    sys.exit(f"loop: expected objects of the classes {', '.join(sorted(lab))}; others: {', '.join(sorted(wrong)) or 'none'}")
PYTHON
step "Done: all of it is in $PWD"
