"""Compares `ultramotion eval --tracks` with trackeval on the same files.

Needs Python 3.10 or later and: pip install trackeval==1.3.0 pycocotools

    python3 tests/interop/track_eval.py PROGRAM
    python3 tests/interop/track_eval.py PROGRAM GROUND_TRUTH PREDICTIONS [options of eval]

The first makes phantoms, disturbs their ground truth into predictions, and compares them as COCO, as the record of a run, as MOT
and as MOTS text, with crowds and by boxes and masks.

GROUND_TRUTH and PREDICTIONS are what `eval --tracks` takes: COCO files with track_id, folders of runs or their
detections.jsonl, MOTChallenge or MOTS text (SEQ.txt, SEQ/gt/gt.txt with seqinfo.ini). Files are read here by other code than
the program's; figures and rules are trackeval's own. Of the options `--iou`, `--rules`, `--boxes-only`, `--iou-threshold` and
`--common` are understood. Exit code 1 if a figure differs by more than 1e-9, or by more than 1e-9 of counts and sums.
"""

import configparser
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from random import Random

import numpy as np
from pycocotools import mask as mask_utils
from trackeval.datasets import MotChallenge2DBox, MOTSChallenge
from trackeval.metrics import CLEAR, HOTA, Identity

ARRAYS = ["HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA", "OWTA", "HOTA_TP", "HOTA_FN", "HOTA_FP"]
ZERO = ["HOTA(0)", "LocA(0)", "HOTALocA(0)"]
CLEARS = [
    "MOTA", "MOTP", "MODA", "sMOTA", "MOTAL", "CLR_Re", "CLR_Pr", "CLR_F1", "FP_per_frame", "MOTP_sum", "MTR", "PTR", "MLR",
    "CLR_TP", "CLR_FN", "CLR_FP", "IDSW", "MT", "PT", "ML", "Frag", "CLR_Frames",
]
IDENTITIES = ["IDF1", "IDP", "IDR", "IDTP", "IDFN", "IDFP"]
COUNTS = ["objects", "tracks", "predictions", "predicted_tracks"]


class Thing:
    """An object: `box` is x, y, width, height; `rle` what pycocotools takes; `role` is object, unmarked, crowd or region."""

    def __init__(self, track, cls, box=None, rle=None, role="object"):
        self.track, self.cls, self.box, self.rle, self.role = track, cls, box, rle, role


class Boxes(MOTSChallenge):
    """MOTS's rules for boxes: a region is a list of boxes, each by itself."""

    def _calculate_similarities(self, gt, tracker):
        return self._calculate_box_ious(table(gt), table(tracker), box_format="xywh")

    @staticmethod
    def _calculate_mask_ious(one, regions, is_encoded=False, do_ioa=False):
        return MOTSChallenge._calculate_box_ious(table(one), table(regions[0]), box_format="xywh", do_ioa=True)


def table(boxes):
    return np.array(boxes, dtype=float).reshape(-1, 4)


def ids(things):
    return np.array([t.track for t in things], dtype=int)


def classes(things):
    return np.array([t.cls for t in things], dtype=int)


def mot_data(name, frames, benchmark):
    """Preprocessed by MotChallenge2DBox; `frames` are pairs of lists of things."""
    dataset = MotChallenge2DBox.__new__(MotChallenge2DBox)
    dataset.benchmark, dataset.do_preproc = benchmark, True
    names = ["pedestrian", "person_on_vehicle", "car", "bicycle", "motorbike", "non_mot_vehicle", "static_person",
             "distractor", "occluder", "occluder_on_ground", "occluder_full", "reflection", "crowd"]
    dataset.class_name_to_class_id = {n: i + 1 for i, n in enumerate(names)}
    dataset.valid_class_numbers = list(range(1, 14))
    raw = defaultdict(list, num_timesteps=len(frames), seq=name)
    for truth, predictions in frames:
        raw["gt_ids"].append(ids(truth))
        raw["gt_classes"].append(classes(truth))
        raw["gt_dets"].append(table([t.box for t in truth]))
        raw["gt_extras"].append({"zero_marked": np.array([t.role != "unmarked" for t in truth], dtype=int)})
        raw["tracker_ids"].append(ids(predictions))
        raw["tracker_classes"].append(np.ones(len(predictions), dtype=int))
        raw["tracker_dets"].append(table([t.box for t in predictions]))
        raw["tracker_confidences"].append(np.ones(len(predictions)))
        raw["similarity_scores"].append(dataset._calculate_similarities(raw["gt_dets"][-1], raw["tracker_dets"][-1]))
    return dataset.get_preprocessed_seq_data(raw, "pedestrian")


def class_data(name, frames, cls, masks):
    """Preprocessed by MOTSChallenge: one class, unmatched predictions in its crowds and in regions left out."""
    kind = MOTSChallenge if masks else Boxes
    dataset = kind.__new__(kind)
    dataset.class_name_to_class_id = {"this": cls}
    shape = (lambda t: t.rle) if masks else (lambda t: t.box)
    raw = defaultdict(list, num_timesteps=len(frames), seq=name)
    for truth, predictions in frames:
        crowds = [shape(t) for t in truth if t.role == "region" or (t.role == "crowd" and t.cls == cls)]
        objects = [t for t in truth if t.role == "object"]
        raw["gt_ids"].append(ids(objects))
        raw["gt_classes"].append(classes(objects))
        raw["gt_dets"].append([shape(t) for t in objects])
        raw["tracker_ids"].append(ids(predictions))
        raw["tracker_classes"].append(classes(predictions))
        raw["tracker_dets"].append([shape(t) for t in predictions])
        raw["gt_ignore_region"].append(mask_utils.merge(crowds, intersect=False) if masks else crowds)
        raw["similarity_scores"].append(dataset._calculate_similarities(raw["gt_dets"][-1], raw["tracker_dets"][-1]))
    return dataset.get_preprocessed_seq_data(raw, "this")


def figures(found):
    """The figures of three metrics in one dictionary."""
    return {k: v for part in found.values() for k, v in part.items()}


def evaluate(sequences, rules, masks=False, class_ids=(1,), threshold=0.5):
    """`sequences` are (name, frames). Figures by class, and of all: {"classes": {id: {...}}, "mean": ..., "all": ...}."""
    quiet = {"THRESHOLD": threshold, "PRINT_CONFIG": False}
    metrics = {"hota": HOTA(), "clear": CLEAR(quiet), "identity": Identity(quiet)}
    combined, counts, single = {}, {}, {}
    for cls in class_ids:
        by_sequence, count = {}, dict.fromkeys(COUNTS, 0)
        for name, frames in sequences:
            if rules == "classes":
                data = class_data(name, frames, cls, masks)
            else:
                data = mot_data(name, frames, {"mot15": "MOT15", "mot17": "MOT17", "mot20": "MOT20"}[rules])
            by_sequence[name] = {m: metric.eval_sequence(data) for m, metric in metrics.items()}
            for key, field in zip(COUNTS, ["num_gt_dets", "num_gt_ids", "num_tracker_dets", "num_tracker_ids"]):
                count[key] += int(data[field])
        if count["objects"] + count["predictions"] == 0:
            continue
        combined[cls] = {
            m: metric.combine_sequences({s: found[m] for s, found in by_sequence.items()}) for m, metric in metrics.items()
        }
        single[cls] = {name: figures(found) for name, found in by_sequence.items()}
        counts[cls] = count
    if not combined:
        return {"classes": {}, "sequences": {}, "mean": None, "all": None}
    total = {key: sum(count[key] for count in counts.values()) for key in COUNTS}
    of_all = lambda way: figures({m: getattr(metric, way)({c: f[m] for c, f in combined.items()}) for m, metric in metrics.items()})
    return {
        "classes": {c: {**figures(f), **counts[c]} for c, f in combined.items()},
        "sequences": single,
        "mean": {**of_all("combine_classes_class_averaged"), **total},
        "all": {**of_all("combine_classes_det_averaged"), **total},
    }


# Reading files.


def read_text(path, is_truth):
    """Frames by number from 0, and whether it is MOTS."""
    frames, is_mots = defaultdict(list), False
    with open(path) as file:
        for line in file:
            row = [f for f in (line.strip().rstrip(",").split(",") if "," in line else line.split())]
            if not row:
                continue
            frame = int(float(row[0])) - 1
            if len(row) == 6 and "," not in line:
                is_mots = True
                region = is_truth and row[2] == "10"
                rle = {"size": [int(row[3]), int(row[4])], "counts": row[5].encode()}
                frames[frame].append(Thing(int(row[1]), int(row[2]), list(mask_utils.toBbox(rle)), rle,
                                           "region" if region else "object"))
                continue
            role = "unmarked" if is_truth and int(float(row[6])) == 0 else "object"
            cls = int(float(row[7])) if len(row) > 7 else -1
            frames[frame].append(Thing(int(float(row[1])), cls, [float(v) for v in row[2:6]], None, role))
    return frames, is_mots


def texts(path):
    """Sequence, file, and length or none."""
    def length(folder):
        ini = os.path.join(folder, "seqinfo.ini")
        if not os.path.isfile(ini):
            return None
        parser = configparser.ConfigParser()
        parser.read(ini)
        return int(parser["Sequence"]["seqLength"])

    def of_folder(folder):
        return os.path.basename(os.path.abspath(folder)), os.path.join(folder, "gt", "gt.txt"), length(folder)

    if os.path.isfile(path):
        parts = os.path.abspath(path).split(os.sep)
        if parts[-2:] == ["gt", "gt.txt"]:
            return [of_folder(os.path.dirname(os.path.dirname(os.path.abspath(path))))]
        return [(os.path.splitext(parts[-1])[0], path, None)]
    if os.path.isfile(os.path.join(path, "gt", "gt.txt")):
        return [of_folder(path)]
    below = [os.path.join(path, name) for name in sorted(os.listdir(path))]
    found = [of_folder(p) for p in below if os.path.isfile(os.path.join(p, "gt", "gt.txt"))]
    return found or [(os.path.splitext(os.path.basename(p))[0], p, None) for p in below
                     if p.endswith(".txt") and os.path.basename(p) != "labels.txt"]


def read_coco(path, is_truth):
    """Sequences as {name: {number: (file name, things)}}, names of classes by id."""
    with open(path) as file:
        data = json.load(file)
    names = {v["id"]: v.get("name") or v.get("file_name") for v in data.get("videos", [])}
    images = {i["id"]: i for i in data["images"]}
    found, place = defaultdict(dict), {}
    for image in sorted(images.values(), key=lambda i: (i.get("video_id") or 0, i.get("frame_id", 0), i["id"])):
        video = image.get("video_id")
        sequence = found[names.get(video, f"video {video}" if video is not None else "images")]
        number = image.get("frame_id", len(sequence))
        sequence[number] = (image.get("file_name"), [])
        place[image["id"]] = sequence[number][1]
    for a in data["annotations"]:
        track = a.get("track_id", (a.get("attributes") or {}).get("track_id"))
        crowd = is_truth and bool(a.get("iscrowd"))
        if track is None and not crowd:
            continue
        size = images[a["image_id"]]
        rle = coco_rle(a.get("segmentation"), size)
        box = a.get("bbox") or (list(mask_utils.toBbox(rle)) if rle else None)
        place[a["image_id"]].append(Thing(-1 if track is None else track, a["category_id"], box, rle,
                                          "crowd" if crowd else "object"))
    return found, {c["id"]: c["name"] for c in data["categories"]}


def coco_rle(segmentation, image):
    if not segmentation:
        return None
    if isinstance(segmentation, list):
        return mask_utils.merge(mask_utils.frPyObjects(segmentation, image["height"], image["width"]))
    if isinstance(segmentation["counts"], list):
        return mask_utils.frPyObjects(segmentation, *segmentation["size"])
    return {"size": segmentation["size"], "counts": segmentation["counts"].encode()}


def read_record(path):
    found, names, images = defaultdict(dict), {}, 0
    with open(path) as file:
        for line in file:
            line = json.loads(line)
            source, number = line["source"], line["frame"]
            if line.get("kind") == "image":
                source, number, images = "images", images, images + 1
            things = []
            for o in line["objects"]:
                names[o["class"]] = o["label"]
                if o.get("track_id") is None:
                    continue
                x0, y0, x1, y1 = o["box"]
                rle = {"size": o["mask"]["size"], "counts": o["mask"]["counts"].encode()} if o.get("mask") else None
                things.append(Thing(o["track_id"], o["class"], [x0, y0, x1 - x0, y1 - y0], rle))
            found[source][number] = (line.get("image"), things)
    return found, names


def read(path, is_truth):
    """Sequences {name: {number: (file name or none, things)}}, lengths by name, names of classes, kind."""
    for name, reader in (("detections.jsonl", read_record), ("coco.json", lambda p: read_coco(p, is_truth))):
        if os.path.isfile(os.path.join(path, name)):
            return *reader(os.path.join(path, name)), {}, "listed"
    if path.endswith(".jsonl"):
        return *read_record(path), {}, "listed"
    if path.endswith(".json"):
        return *read_coco(path, is_truth), {}, "listed"
    found, lengths, mots = {}, {}, False
    for name, file, length in texts(path):
        frames, is_mots = read_text(file, is_truth)
        mots |= is_mots
        found[name] = {n: (None, things) for n, things in frames.items()}
        lengths[name] = length
    return found, {1: "car", 2: "pedestrian"} if mots else {}, lengths, "mots" if mots else "mot"


def pair(truth, predictions, lengths, listed, common):
    """[(name, [(truth's things, predictions' things)])] in the order of frames."""
    stem = lambda name: os.path.splitext(os.path.basename(name))[0]
    if len(truth) == 1 and len(predictions) == 1:
        of = {next(iter(truth)): next(iter(predictions))}
    else:
        of = {t: t if t in predictions else next((p for p in predictions if stem(p) == stem(t)), None) for t in truth}
    paired = []
    for name, frames in truth.items():
        other = predictions.get(of[name])
        if other is None:
            if common:
                continue
            sys.exit(f"{name}: no such sequence in the predictions")
        if any(listed):
            numbers = sorted(n for n in set(frames) | set(other)
                             if (not listed[0] or n in frames) and (not listed[1] or n in other))
        else:
            numbers = range(lengths.get(name) or max([*frames, *other, -1]) + 1)
        nothing = (None, [])
        paired.append((name, [(frames.get(n, nothing)[1], other.get(n, nothing)[1]) for n in numbers]))
    return paired


def close(ours, theirs):
    return abs(ours - theirs) <= 1e-9 * max(1.0, abs(theirs))


def compare(place, ours, theirs):
    """Messages of what differs."""
    wrong = []
    def check(field, a, b):
        if not close(float(a), float(b)):
            wrong.append(f"{place}: {field} is {a}, trackeval says {b}")
    for i, row in enumerate(ours["hota"]["alphas"]):
        for field in ARRAYS:
            check(f"{field} at {row['alpha']:.2f}", row[field], theirs[field][i])
    for field in ARRAYS[:9]:
        check(field, ours["hota"][field], np.mean(theirs[field]))
    for part, fields in (("hota", ZERO), ("clear", CLEARS), ("identity", IDENTITIES)):
        for field in fields:
            check(field, ours[part][field], theirs[field])
    if "objects" in theirs:
        for field in COUNTS:
            check(field, ours["count"][field], theirs[field])
    return wrong


def compare_files(program, truth_path, predictions_path, options=()):
    """Prints what differs; how many objects were compared, and how many figures differ."""
    command = [program, "eval", "--tracks", "--json", "--ground-truth", truth_path, "--predictions", predictions_path, *options]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode not in (0, 1) or not run.stdout.strip():
        sys.exit(f"{' '.join(command)}: {run.stderr}")
    ours = json.loads(run.stdout)
    truth, names, lengths, kind = read(truth_path, True)
    predictions, own_names, _, own_kind = read(predictions_path, False)
    listed = (kind == "listed", own_kind == "listed")
    paired = pair(truth, predictions, lengths, listed, "--common" in options)
    class_ids = [1]
    if ours["rules"] == "classes":
        by_name = {name: cls for cls, name in names.items()}
        same = {c: by_name.get(n) for c, n in own_names.items()}
        if own_names and names:
            for thing in [t for _, frames in paired for _, things in frames for t in things]:
                thing.cls = same.get(thing.cls) or -1
        class_ids = sorted(names or {t.cls for _, frames in paired for ts in frames for t in ts[0]})
    theirs = evaluate(paired, ours["rules"], ours["iou"] == "masks", class_ids, ours["iou_threshold"])
    wrong, checked = [], 0
    for cls in ours["per_class"]:
        key = cls["category_id"] if ours["rules"] == "classes" else 1
        wrong += compare(cls["category"], cls, theirs["classes"].pop(key))
        for sequence in cls["sequences"]:
            place = f"{cls['category']}, {sequence['sequence']}"
            wrong += compare(place, sequence, theirs["sequences"][key][sequence["sequence"]])
        checked += 1 + len(cls["sequences"])
    wrong += [f"class {cls} is missing" for cls in theirs["classes"]]
    if theirs["all"]:
        wrong += compare("all, by detections", ours["detection_averaged"], theirs["all"])
        wrong += compare("all, mean of classes", ours["class_averaged"], theirs["mean"])
        checked += 2
    all_of = ours["detection_averaged"]
    print("\n".join(wrong[:40] + [
        f"{checked} sets of figures compared, {len(wrong)} figures differ: IoU of {ours['iou']}, rules of {ours['rules']}, "
        f"HOTA {all_of['hota']['HOTA']:.4f}, MOTA {all_of['clear']['MOTA']:.4f}, IDF1 {all_of['identity']['IDF1']:.4f}, "
        f"IDSW {all_of['clear']['IDSW']}, {all_of['count']['objects']} objects, {all_of['count']['predictions']} predictions"]))
    return all_of["count"]["objects"], len(wrong)


# Phantoms.


def moved(rle, dx, dy):
    mask = mask_utils.decode(rle)
    height, width = mask.shape
    result = np.zeros_like(mask)
    result[max(dy, 0):height + min(dy, 0), max(dx, 0):width + min(dx, 0)] = \
        mask[max(-dy, 0):height + min(-dy, 0), max(-dx, 0):width + min(-dx, 0)]
    return mask_utils.encode(np.asfortranarray(result))


def disturb(truth, random):
    """Predictions: annotations that are moved, missed, confused, double, of another class or track."""
    images = {i["id"]: i for i in truth["images"]}
    current, fresh, found = {}, 1000, []
    for a in truth["annotations"]:
        video = images[a["image_id"]]["video_id"]
        key = (video, a["track_id"])
        current.setdefault(key, a["track_id"])
        if random.random() < 0.06:
            fresh += 1
            current[key] = fresh
        if random.random() < 0.12:
            continue
        rle = {"size": a["segmentation"]["size"], "counts": a["segmentation"]["counts"].encode()}
        for track, reach, likely in ((current[key], 3, 1.0), (5000 + a["track_id"], 12, 0.15)):
            if random.random() < likely:
                shape = moved(rle, random.randint(-reach, reach), random.randint(-reach, reach))
                if mask_utils.area(shape) > 0:
                    cls = a["category_id"] if random.random() < 0.95 else 1
                    found.append((a["image_id"], track, cls, round(random.random(), 3), shape))
    return found


def write_forms(folder, truth, found):
    """The same tracks as COCO, as a record, as MOT and MOTS text; pairs of paths with options."""
    path = lambda *parts: os.path.join(folder, *parts)
    text = lambda rle: {"size": list(rle["size"]), "counts": rle["counts"].decode()}
    names = {c["id"]: c["name"] for c in truth["categories"]}
    videos = {v["id"]: f"S-{v['id']}" for v in truth["videos"]}
    annotations = [{"id": n + 1, "image_id": i, "track_id": t, "category_id": c, "score": s, "segmentation": text(m), "iscrowd": 0,
                    "bbox": list(mask_utils.toBbox(m))} for n, (i, t, c, s, m) in enumerate(found)]
    with open(path("predictions.json"), "w") as file:
        json.dump({**truth, "annotations": annotations}, file)
    crowded = [{**a, "iscrowd": int(a["image_id"] % 3 == 0)} for a in truth["annotations"]]
    with open(path("crowded.json"), "w") as file:
        json.dump({**truth, "annotations": crowded}, file)
    by_image = defaultdict(list)
    for one in found:
        by_image[one[0]].append(one)
    with open(path("detections.jsonl"), "w") as file:
        sources = {v["id"]: v["name"] for v in truth["videos"]}
        for i in truth["images"]:
            objects = []
            for _, track, cls, score, m in by_image[i["id"]]:
                x, y, w, h = mask_utils.toBbox(m)
                objects.append({"box": [x, y, x + w, y + h], "score": score, "class": cls - 1, "label": names[cls], "area": 1,
                                "mask": text(m), "track_id": track})
            file.write(json.dumps({"source": sources[i["video_id"]], "source_index": i["video_id"] - 1, "kind": "video", "path": "x",
                                   "image": "other/" + i["file_name"], "frame": i["frame_id"], "width": i["width"],
                                   "height": i["height"], "objects": objects}) + "\n")
    for form in ("mot", "mots"):
        write_text(path(form), form, truth, found, videos)
    return [
        (path("truth.json"), path("predictions.json"), []),
        (path("truth.json"), path("predictions.json"), ["--iou", "boxes"]),
        (path("truth.json"), path("predictions.json"), ["--iou-threshold", "0.7"]),
        (path("crowded.json"), path("predictions.json"), []),
        (path("crowded.json"), path("predictions.json"), ["--iou", "boxes"]),
        (path("truth.json"), path("detections.jsonl"), []),
        (path("mot", "gt"), path("mot", "tracker"), []),
        (path("mot", "gt"), path("mot", "tracker"), ["--rules", "mot20"]),
        (path("mots", "gt"), path("mots", "tracker"), []),
    ]


def write_text(folder, form, truth, found, videos):
    """MOT text with classes 1, 2, 7 and 12 and some lines marked 0; MOTS text with classes 1 and 2 and regions for the rest."""
    images = {i["id"]: i for i in truth["images"]}
    lines = defaultdict(lambda: ([], []))
    own = [(a["image_id"], a["track_id"], a["category_id"], 1, a["segmentation"]) for a in truth["annotations"]]
    for side, things in enumerate((own, found)):
        for image, track, cls, score, rle in things:
            frame, video = images[image]["frame_id"] + 1, images[image]["video_id"]
            counts = rle["counts"] if isinstance(rle["counts"], str) else rle["counts"].decode()
            if form == "mots":
                cls = (cls if cls < 3 else 10) if side == 0 else min(cls, 2)
                lines[video][side].append(f"{frame} {track} {cls} {rle['size'][0]} {rle['size'][1]} {counts}")
            else:
                x, y, w, h = mask_utils.toBbox({"size": rle["size"], "counts": counts.encode()})
                cls = {1: 1, 2: 2, 3: 1, 4: 12}[cls] if side == 0 else 1
                mark = int((frame + track) % 7 != 0) if side == 0 else score
                lines[video][side].append(f"{frame},{track},{x + 0.25},{y},{w},{h},{mark},{cls},1")
    for video, name in videos.items():
        own = os.path.join(folder, "gt", name)
        os.makedirs(os.path.join(own, "gt"))
        os.makedirs(os.path.join(folder, "tracker"), exist_ok=True)
        length = sum(i["video_id"] == video for i in truth["images"])
        for file, rows in ((os.path.join(own, "gt", "gt.txt"), lines[video][0]),
                           (os.path.join(folder, "tracker", name + ".txt"), lines[video][1]),
                           (os.path.join(own, "seqinfo.ini"), ["[Sequence]", f"seqLength={length}"])):
            with open(file, "w") as out:
                out.writelines(row + "\n" for row in rows)


def phantoms(program):
    known = subprocess.run([program, "phantom", "--help"], capture_output=True, text=True).stdout
    passed = True
    for motion in ["probe", "hard"] if "--motion" in known else [None]:
        with tempfile.TemporaryDirectory() as folder:
            made = os.path.join(folder, "phantom")
            command = [program, "phantom", "--output", made, "--seed", "5", "--sequences", "4", "--frames", "60", "--size", "256x192"]
            command += ["--write", "png"] + (["--motion", motion] if motion else [])
            subprocess.run(command, check=True, capture_output=True)
            with open(os.path.join(made, "coco.json")) as file:
                truth = json.load(file)
            with open(os.path.join(folder, "truth.json"), "w") as file:
                json.dump(truth, file)
            files = objects = wrong = 0
            for truth_path, predictions_path, options in write_forms(folder, truth, disturb(truth, Random(1))):
                names = [os.path.relpath(p, folder) for p in (truth_path, predictions_path)]
                print(motion or "phantom", *names, *options, end=": ", flush=True)
                compared = compare_files(program, truth_path, predictions_path, options)
                files, objects, wrong = files + 2, objects + compared[0], wrong + compared[1]
            print(f"TrackEval: {motion or 'phantom'}: {files} files, {objects} objects, {wrong} wrong")
            passed &= not wrong
    return passed


def main():
    if len(sys.argv) == 2:
        passed = phantoms(sys.argv[1])
    else:
        program, truth, predictions, *options = sys.argv[1:]
        passed = not compare_files(program, truth, predictions, options)[1]
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
