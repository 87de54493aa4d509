#!/usr/bin/env python3
"""Reads mot/ and mots/ of an output folder by TrackEval and Datumaro and compares them with the record.

    python3 tests/interop/mot.py OUT RECORD

RECORD is the run's detections.jsonl with tracks. TrackEval must load ground truth and results of every sequence with the
record's boxes, masks, numbers and scores, and give a HOTA of 1 for results against themselves; Datumaro must read the same
from gt.txt and from the pictures of MOTS. Masks that the record has lie over each other by score. Exits with 1 if anything
differs, with 77 if a package is missing.

Needs trackeval 1.3.0, datumaro, numpy and pycocotools.
"""

import collections
import contextlib
import io
import json
import pathlib
import sys

try:
    import numpy as np
    import trackeval
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset
    from pycocotools import mask as coco_mask
except ImportError as error:
    print(f"skipped: {error}; pip install trackeval datumaro numpy pycocotools", file=sys.stderr)
    sys.exit(77)

NEAR = 1e-3
# Of each judge its files, objects, and checks that failed.
judged = collections.OrderedDict()


def check(judge, holds, what, files=0, objects=0):
    print(("ok    " if holds else "FAILS ") + f"{judge}, {what}")
    total = judged.setdefault(judge, [0, 0, 0])
    for at, count in enumerate([files, objects, int(not holds)]):
        total[at] += count


def read(path):
    """Source -> (lines, frame from 1 -> [(track, class from 1, label, box, score, mask or None)])."""
    sources = collections.OrderedDict()
    for text in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if line["kind"] == "image":
            continue
        lines, frames = sources.setdefault(line["source"], ([], {}))
        lines.append(line)
        found = frames[line["frame"] + 1] = []
        for o in line["objects"]:
            if "track_id" not in o:
                continue
            x0, y0, x1, y1 = o["box"]
            mask = None
            if "mask" in o:
                height, width = o["mask"]["size"]
                mask = coco_mask.decode({"size": [height, width], "counts": o["mask"]["counts"].encode()}).astype(bool)
                if mask.any():
                    ys, xs = np.nonzero(mask)
                    x0, y0, x1, y1 = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
            found.append((o["track_id"], o["class"] + 1, o["label"], [x0, y0, x1 - x0, y1 - y0], o["score"], mask))
    return sources


def painted(objects, shape):
    """(class, track) -> mask, of which the better score has the pixels that several share."""
    free = np.ones(shape, bool)
    masks = {}
    for track, kind, _, _, score, mask in sorted(objects, key=lambda o: -o[4]):
        if mask is not None and mask.any() and track < 1000:
            mine = mask & free
            free &= ~mask
            if mine.any():
                masks[kind, track] = mine
    return masks


def quiet(call, *arguments):
    with contextlib.redirect_stdout(io.StringIO()):
        return call(*arguments)


def dataset(kind, out, names):
    """TrackEval's data set of the folder `out`/mot or `out`/mots; results are judged against themselves."""
    cls, folder = {
        "mot": (trackeval.datasets.MotChallenge2DBox, "mot"),
        "mots": (trackeval.datasets.MOTSChallenge, "mots"),
    }[kind]
    config = {
        "GT_FOLDER": str(out / folder / "sequences"), "TRACKERS_FOLDER": str(out), "TRACKERS_TO_EVAL": [folder],
        "TRACKER_SUB_FOLDER": "data", "SKIP_SPLIT_FOL": True, "SEQ_INFO": {name: None for name in names},
        "PRINT_CONFIG": False, "OUTPUT_FOLDER": str(out),
    }
    if kind == "mot":
        config["DO_PREPROC"] = False
    return quiet(cls, config), folder


def boxes_by_trackeval(out, sources):
    data, folder = dataset("mot", out, sources)
    for name, (lines, frames) in sources.items():
        raw = {True: data._load_raw_file("", name, True), False: data._load_raw_file(folder, name, False)}
        frames_read = raw[True]["num_timesteps"]
        check("TrackEval: MOT", frames_read == lines[-1]["frame"] + 1, f"{name}: {frames_read} frames")
        for truth, prefix in [(True, "gt"), (False, "tracker")]:
            wrong = count = 0
            for t in range(raw[truth]["num_timesteps"]):
                expected = frames.get(t + 1, [])
                count += len(expected)
                ids, classes = raw[truth][f"{prefix}_ids"][t], raw[truth][f"{prefix}_classes"][t]
                same = [list(ids), list(classes)] == [[o[0] for o in expected], [o[1] for o in expected]]
                if same and expected:
                    same = np.abs(raw[truth][f"{prefix}_dets"][t] - [o[3] for o in expected]).max() < NEAR
                    scores = raw[truth]["gt_extras"][t]["zero_marked"] if truth else raw[truth]["tracker_confidences"][t]
                    same &= np.abs(scores - [1 if truth else o[4] for o in expected]).max() < 1e-6
                wrong += not same
            check("TrackEval: MOT", not wrong, f"{prefix}, {name}: {count} boxes, {wrong} frames differ", 1, count)
        hota(data, folder, name, "MOT", 1, any(o[1] == 1 for f in frames.values() for o in f))


def hota(data, folder, name, what, kind, there):
    """Results against themselves, for the one class that TrackEval judges, which is class `kind` from 1."""
    if not there:
        print(f"      TrackEval, {what}, {name}: no object of class {kind}, the one that it judges")
        return
    raw = quiet(data.get_raw_seq_data, folder, name)
    if what == "MOT":
        # Only pedestrians may be there: class 1.
        for key in ("gt", "tracker"):
            for t, classes in enumerate(raw[f"{key}_classes"]):
                kept = classes == kind
                raw[f"{key}_classes"][t], raw[f"{key}_ids"][t] = classes[kept], raw[f"{key}_ids"][t][kept]
                raw[f"{key}_dets"][t] = raw[f"{key}_dets"][t][kept]
                if key == "tracker":
                    raw["tracker_confidences"][t] = raw["tracker_confidences"][t][kept]
                else:
                    extras = raw["gt_extras"][t]
                    extras["zero_marked"] = extras["zero_marked"][kept]
        raw["similarity_scores"] = [
            data._calculate_similarities(g, r) for g, r in zip(raw["gt_dets"], raw["tracker_dets"])
        ]
    seq = quiet(data.get_preprocessed_seq_data, raw, "pedestrian")
    found = trackeval.metrics.HOTA().eval_sequence(seq)["HOTA"].mean()
    check(f"TrackEval: {what}", abs(found - 1) < 1e-9, f"{name}: HOTA of results against themselves {found:.6f}")


def masks_by_trackeval(out, sources):
    data, folder = dataset("mots", out, sources)
    for name, (lines, frames) in sources.items():
        shape = (lines[0]["height"], lines[0]["width"])
        for truth, prefix in [(True, "gt"), (False, "tracker")]:
            # Loading fails where masks overlap.
            raw = data._load_raw_file("" if truth else folder, name, truth)
            wrong = count = 0
            for t in range(raw["num_timesteps"]):
                expected = painted(frames.get(t + 1, []), shape)
                found = {
                    (int(kind), int(number) % 1000): coco_mask.decode(rle).astype(bool)
                    for kind, number, rle in zip(raw[f"{prefix}_classes"][t], raw[f"{prefix}_ids"][t], raw[f"{prefix}_dets"][t])
                }
                count += len(expected)
                wrong += found.keys() != expected.keys() or any((found[k] != expected[k]).any() for k in expected)
            check("TrackEval: MOTS", not wrong, f"{prefix}, {name}: {count} masks, {wrong} frames differ", 1, count)
        hota(data, folder, name, "MOTS", 2, any(o[1] == 2 and o[5] is not None for f in frames.values() for o in f))


def boxes_by_datumaro(out, sources):
    for name, (lines, frames) in sources.items():
        data = Dataset.import_from(str(out / "mot/sequences" / name), "mot_seq")
        labels = [label.name for label in data.categories()[AnnotationType.label]]
        items = {int(item.id): item for item in data}
        wrong = count = 0
        for frame, expected in frames.items():
            item = items.pop(frame)
            size = tuple(item.media.size) == (lines[0]["height"], lines[0]["width"])
            found = [(a.attributes["track_id"], labels[a.label], [a.x, a.y, a.w, a.h]) for a in item.annotations]
            same = size and [f[:2] for f in found] == [(o[0], o[2]) for o in expected]
            # Datumaro rounds to hundredths.
            wrong += not (same and all(np.abs(np.subtract(f[2], o[3])).max() < 0.011 for f, o in zip(found, expected)))
            count += len(expected)
        rest = sum(len(item.annotations) for item in items.values())
        what = f"{name}: {count} boxes, {wrong} frames differ, {rest} boxes of no frame"
        check("Datumaro: mot_seq", not wrong and not rest, what, 1, count)


def masks_by_datumaro(out, sources):
    for name, (lines, frames) in sources.items():
        shape = (lines[0]["height"], lines[0]["width"])
        data = Dataset.import_from(str(out / "mots/sequences" / name), "mots")
        labels = [label.name for label in data.categories()[AnnotationType.label]]
        items = {int(item.id): item for item in data}
        names = {(o[1], o[0]): o[2] for objects in frames.values() for o in objects}
        wrong = count = 0
        for frame, objects in frames.items():
            expected = {(names[key], key[1]): mask for key, mask in painted(objects, shape).items()}
            found = {(labels[a.label], int(a.attributes["track_id"])): np.asarray(a.image, bool) for a in items.pop(frame).annotations}
            count += len(expected)
            wrong += found.keys() != expected.keys() or any((found[k] != expected[k]).any() for k in expected)
        what = f"{name}: {count} masks, {wrong} frames differ, {len(items)} pictures of no frame"
        check("Datumaro: mots", not wrong and not items, what, len(frames), count)


def main():
    out, sources = pathlib.Path(sys.argv[1]), read(sys.argv[2])
    if (out / "mot").is_dir():
        boxes_by_trackeval(out, sources)
        boxes_by_datumaro(out, sources)
    if (out / "mots").is_dir():
        masks_by_trackeval(out, sources)
        masks_by_datumaro(out, sources)
    if not judged:
        sys.exit(f"{out}: has neither mot/ nor mots/, or {sys.argv[2]} has no sequence")
    for judge, total in judged.items():
        files, objects, wrong = total
        # That nothing was written is no agreement.
        total[2] = wrong = wrong + int(not objects)
        print(f"{judge}: {files} files, {objects} objects, {wrong} wrong")
    return int(any(wrong for _, _, wrong in judged.values()))


if __name__ == "__main__":
    sys.exit(main())
