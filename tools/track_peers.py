#!/usr/bin/env python3
"""Tracks the same detections with ultramotion and with trackers in Python, and prints HOTA, IDF1 and the rest.

    pip install trackers==2.6.1 trackeval==1.3.0 ultralytics==8.4.190
    cargo build --release --example track_record
    python tools/track_peers.py scenes --seeds 1000-1039 --ours target/release/examples/track_record
    python tools/track_peers.py phantoms --seeds 2000-2059 --ours target/release/examples/track_record --program ultramotion

`scenes` are those of track_scenes.py. `phantoms` are clips of `ultramotion phantom --motion hard` with what
`ultramotion pipeline` finds in them. Both are made once, in the folder --work, and taken from there afterwards.

Each peer runs as its package has it, and once more with the thresholds and the time to keep lost tracks that ultramotion
uses; the line shows the better of the two by the mean of HOTA and IDF1. What a peer gives an id counts, with the box that
it puts out. Metrics are those of trackeval over all frames of all sequences; an object can only match truth of its class.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import time
import types
import warnings

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import track_scenes  # noqa: E402

RATE = 30.0


class Sequence:
    """Detections and truth of a clip, frame by frame."""

    def __init__(self, folder):
        self.folder, self.name = folder, folder.name
        lines = [json.loads(line) for line in (folder / "detections.jsonl").open()]
        self.rate = next((line["source_info"]["frame_rate"] for line in lines if "source_info" in line), RATE)
        objects = [line["objects"] for line in lines]
        self.boxes = [np.array([o["box"] for o in found], float).reshape(-1, 4) for found in objects]
        self.scores = [np.array([o["score"] for o in found], float) for found in objects]
        self.classes = [np.array([o["class"] for o in found], int) for found in objects]
        self.truth = [[] for _ in lines]
        for line in (folder / "truth.jsonl").open():
            frame = json.loads(line)
            self.truth[frame["frame"]] = [(o["track_id"], o["class"], o["box"]) for o in frame["objects"]]

    def images(self):
        """The frames as peers that want pictures take them; none where there are no pictures."""
        clip = next(iter(self.folder.glob("*.mp4")), None)
        if clip is None:
            for _ in self.boxes:
                yield None
            return
        import cv2

        reader = cv2.VideoCapture(str(clip))
        for _ in self.boxes:
            ok, image = reader.read()
            yield image if ok else None


def write_lines(path, items):
    path.write_text("".join(json.dumps(item) + "\n" for item in items))


def make_scene(folder, seed):
    _, truth, found = track_scenes.scene(seed)
    size = {"width": track_scenes.WIDTH, "height": track_scenes.HEIGHT}
    rounded = lambda box: [round(float(v), 3) for v in box]
    lines = []
    for frame, objects in enumerate(found):
        known = [{"box": rounded(b), "score": round(s, 4), "class": 0, "label": "object"} for b, s in objects]
        lines.append({"frame": frame, "timestamp": frame / track_scenes.RATE, **size, "objects": known})
    lines[0]["source_info"] = {"frame_rate": track_scenes.RATE}
    write_lines(folder / "detections.jsonl", lines)
    lines = []
    for frame, objects in enumerate(truth):
        known = [{"track_id": i, "class": 0, "box": rounded(b)} for i, b in objects]
        lines.append({"frame": frame, "objects": known})
    write_lines(folder / "truth.jsonl", lines)


def make_phantom(folder, seed, program):
    """A clip of 100 frames, its truth from coco.json, and all that the built-in models find from a score of 0.1."""
    made, run = folder / "made", folder / "run"
    for left in (made, run):
        shutil.rmtree(left, ignore_errors=True)
    call = lambda *command: subprocess.run([program, *map(str, command)], check=True, capture_output=True)
    call("phantom", "--motion", "hard", "--seed", seed, "--frames", 100, "--write", "mp4", "--output", made)
    (made / "clip.mp4").rename(folder / "clip.mp4")
    call("pipeline", "--input", folder / "clip.mp4", "--confidence", 0.1, "--write", "jsonl", "--output", run)
    (run / "detections.jsonl").rename(folder / "detections.jsonl")
    convert_truth(made / "coco.json", folder / "truth.jsonl")
    shutil.rmtree(made)
    shutil.rmtree(run)


def convert_truth(coco, path):
    known = json.loads(coco.read_text())
    frames = {image["id"]: [] for image in sorted(known["images"], key=lambda image: image["id"])}
    for a in known["annotations"]:
        x, y, w, h = a["bbox"]
        item = {"track_id": a["track_id"], "class": a["category_id"] - 1, "box": [x, y, x + w, y + h]}
        frames[a["image_id"]].append(item)
    write_lines(path, [{"frame": i, "objects": objects} for i, objects in enumerate(frames.values())])


def sequences(kind, seeds, work, program):
    found = []
    for seed in seeds:
        folder = work / f"{kind}-{seed}"
        if not (folder / "truth.jsonl").exists():
            folder.mkdir(parents=True, exist_ok=True)
            make_scene(folder, seed) if kind == "scenes" else make_phantom(folder, seed, program)
        found.append(Sequence(folder))
    return found


def supervision_peer(make, wants_images):
    """A tracker of the package `trackers`."""
    import supervision as sv

    def run(sequence, same):
        tracker = make(sequence, same)
        images = sequence.images() if wants_images else (None for _ in sequence.boxes)
        out = []
        for boxes, scores, classes, image in zip(sequence.boxes, sequence.scores, sequence.classes, images):
            found = sv.Detections(xyxy=boxes, confidence=scores, class_id=classes)
            found = tracker.update(found, frame=image) if wants_images else tracker.update(found)
            ids = found.tracker_id if found.tracker_id is not None else np.full(len(found), -1)
            out.append([(int(i), int(c), b) for i, c, b in zip(ids, found.class_id, found.xyxy) if i >= 0])
        return out

    return run


class Boxes:
    """What the trackers of Ultralytics read of a result."""

    def __init__(self, xyxy, conf, cls):
        self.xyxy, self.conf, self.cls = xyxy, conf, cls

    @property
    def xywh(self):
        return np.concatenate([(self.xyxy[:, :2] + self.xyxy[:, 2:]) / 2, self.xyxy[:, 2:] - self.xyxy[:, :2]], axis=1)

    def __getitem__(self, keep):
        return Boxes(self.xyxy[keep], self.conf[keep], self.cls[keep])

    def __len__(self):
        return len(self.conf)


def ultralytics_peer(name, options):
    from ultralytics.trackers.track import TRACKER_MAP
    from ultralytics.utils import YAML
    from ultralytics.utils.checks import check_yaml

    def run(sequence, same):
        config = YAML.load(check_yaml(f"{name}.yaml"))
        if same:
            config |= {
                "track_high_thresh": options["high_threshold"],
                "track_low_thresh": options["low_threshold"],
                "new_track_thresh": options["new_track_threshold"],
                "track_buffer": max(1, round(options["lost_buffer"] * sequence.rate)),
            }
        tracker = TRACKER_MAP[config["tracker_type"]](args=types.SimpleNamespace(**config, device="cpu"))
        out = []
        for boxes, scores, classes, image in zip(sequence.boxes, sequence.scores, sequence.classes, sequence.images()):
            found = tracker.update(Boxes(boxes, scores, classes.astype(float)), image)
            out.append([(int(t[4]), int(t[6]), t[:4]) for t in found])
        return out

    return run


def peers(options):
    import trackers

    def configured(cls, names, images=False):
        same = {
            "lost_track_buffer": max(1, round(options["lost_buffer"] * 30)),
            "track_activation_threshold": options["new_track_threshold"],
            "high_conf_det_threshold": options["high_threshold"],
        }

        def make(sequence, with_same):
            extra = {"enable_cmc": False} if images and not list(sequence.folder.glob("*.mp4")) else {}
            return cls(frame_rate=sequence.rate, **{n: same[n] for n in names if with_same}, **extra)

        return supervision_peer(make, images)

    both = list(("lost_track_buffer", "track_activation_threshold", "high_conf_det_threshold"))
    return {
        "SORT": configured(trackers.SORTTracker, both[:2]),
        "ByteTrack": configured(trackers.ByteTrackTracker, both),
        "OC-SORT": configured(trackers.OCSORTTracker, [both[0], both[2]]),
        "BoT-SORT": configured(trackers.BoTSORTTracker, both, images=True),
        "C-BIoU": configured(trackers.CBIoUTracker, both),
        "McByte, without its mask networks": configured(trackers.McByteTracker, both, images=True),
        "Ultralytics TrackTrack (default)": ultralytics_peer("tracktrack", options),
    }


def run_ours(program, found, options):
    """What ultramotion makes of the sequences: all in one call."""
    overrides = [f"{key}={json.dumps(value)}" for key, value in options.items()]
    command = [program, *sum((["--set", o] for o in overrides), []), *(str(s.folder / "detections.jsonl") for s in found)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    results = [[[] for _ in s.boxes] for s in found]
    for line in text.splitlines():
        sequence, frame, identity, cls, *box = line.split("\t")
        results[int(sequence)][int(frame)].append((int(identity), int(cls), [float(v) for v in box]))
    return results


def evaluation_data(sequence, result):
    """The data of a sequence as trackeval's metrics take it."""
    gt_numbers, our_numbers = {}, {}
    data = {key: [] for key in ("gt_ids", "tracker_ids", "similarity_scores")}
    for truth, found in zip(sequence.truth, result):
        # An id that appears twice in a frame is no id.
        numbers = [our_numbers.setdefault((i, c), len(our_numbers)) for i, c, _ in found]
        data["gt_ids"].append(np.array([gt_numbers.setdefault(i, len(gt_numbers)) for i, _, _ in truth], int))
        data["tracker_ids"].append(np.array(numbers, int))
        boxes = lambda items: np.array([b for _, _, b in items], float).reshape(-1, 4)
        same = np.array([c for _, c, _ in truth])[:, None] == np.array([c for _, c, _ in found])[None]
        data["similarity_scores"].append(track_scenes.iou(boxes(truth), boxes(found)) * same.reshape(len(truth), len(found)))
    data["num_gt_ids"], data["num_tracker_ids"] = len(gt_numbers), len(our_numbers)
    data["num_gt_dets"] = sum(map(len, data["gt_ids"]))
    data["num_tracker_dets"] = sum(map(len, data["tracker_ids"]))
    data["num_timesteps"] = len(sequence.boxes)
    data["seq"] = sequence.name
    return data


def evaluate(found, results):
    import trackeval

    quiet = {"PRINT_CONFIG": False, "THRESHOLD": 0.5}
    metrics = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR(quiet), trackeval.metrics.Identity(quiet)]
    data = {s.name: evaluation_data(s, r) for s, r in zip(found, results)}
    merged = {}
    for metric in metrics:
        each = {name: metric.eval_sequence(d) for name, d in data.items()}
        merged |= metric.combine_sequences(each)
    percent = {name: 100 * float(np.mean(merged[name])) for name in ("HOTA", "DetA", "AssA", "IDF1", "MOTA")}
    return percent | {"IDSW": int(merged["IDSW"]), "Frag": int(merged["Frag"])}


COLUMNS = ["HOTA", "IDF1", "AssA", "DetA", "MOTA", "IDSW", "Frag"]


def row(name, scores):
    shown = [f"{scores[c]:.2f}" if isinstance(scores[c], float) else str(scores[c]) for c in COLUMNS]
    print(f"| {name} | {' | '.join(shown)} |", flush=True)


def seed_range(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["scenes", "phantoms"])
    parser.add_argument("--seeds", type=seed_range, required=True, help="FIRST-LAST")
    parser.add_argument("--ours", required=True, help="the example track_record, built")
    parser.add_argument("--program", default="ultramotion", help="for phantoms")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("target/track-peers"))
    parser.add_argument("--only", nargs="*", help="names of peers that begin so; none of them if empty")
    parser.add_argument("--each", action="store_true", help="a table for each kind of scene as well")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    found = sequences(args.kind, args.seeds, args.work, args.program)
    options = json.loads(subprocess.run([args.ours, "--defaults"], check=True, capture_output=True, text=True).stdout)
    frames = sum(len(s.boxes) for s in found)
    print(f"{len(found)} sequences, {frames} frames, seeds {args.seeds.start}-{args.seeds.stop - 1}\n")
    print(f"| tracker | {' | '.join(COLUMNS)} |\n|---|{'---:|' * len(COLUMNS)}")
    results = {"ultramotion": run_ours(args.ours, found, {})}
    row("ultramotion", evaluate(found, results["ultramotion"]))
    if any('"mask"' in line for s in found for line in (s.folder / "detections.jsonl").open()):
        results["ultramotion, masks not used"] = run_ours(args.ours, found, {"mask_weight": 0.0})
        row("ultramotion, masks not used", evaluate(found, results["ultramotion, masks not used"]))
    for name, peer in peers(options).items():
        if args.only is not None and not any(name.startswith(o) for o in args.only):
            continue
        best = None
        for same in (False, True):
            start = time.perf_counter()
            result = [peer(s, same) for s in found]
            scores = evaluate(found, result)
            if best is None or scores["HOTA"] + scores["IDF1"] > best[0]["HOTA"] + best[0]["IDF1"]:
                best = scores, result, same
            ms = 1e3 * (time.perf_counter() - start) / frames
            print(f"{name} same={same} {ms:.2f} ms a frame, with its evaluation", file=sys.stderr)
        results[name] = best[1]
        row(name + (", our thresholds" if best[2] else ""), best[0])
    if args.each and args.kind == "scenes":
        for place, kind in enumerate(track_scenes.KINDS):
            print(f"\n| {kind} | {' | '.join(COLUMNS)} |\n|---|{'---:|' * len(COLUMNS)}")
            chosen = [i for i, seed in enumerate(args.seeds) if seed % len(track_scenes.KINDS) == place]
            for name, result in results.items():
                row(name, evaluate([found[i] for i in chosen], [result[i] for i in chosen]))


if __name__ == "__main__":
    main()
