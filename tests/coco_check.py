#!/usr/bin/env python3
"""Checks an output folder against pycocotools and OpenCV.

    python3 tests/coco_check.py OUT [--root FOLDER]

Loads coco.json and coco_results.json, decodes every mask, and compares areas and boxes with pycocotools' own, label maps
with the masks, YOLO labels with both, and the number of pictures and their times in each MP4 with the frames of its
source. OUT must hold detections.jsonl; what else it holds is checked as far as it is there. --root is the folder that the
paths of images are relative to (the one the run was started in). Exits with 1 if anything differs.

Needs pycocotools, numpy and opencv-python.
"""

import argparse
import contextlib
import io
import json
import pathlib
import sys

import cv2
import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

problems = []


def check(condition, message):
    if not condition:
        problems.append(message)


def frame_name(line):
    """The name of a frame's outputs below their folder, without extension."""
    if line["kind"] == "image":
        return line["source"]
    if line["kind"] == "sequence" and line.get("file"):
        return f"{line['source']}/{pathlib.PurePath(line['file']).stem}"
    return f"{line['source']}/{line['frame']:06d}"


def load(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def check_coco(out, lines, root):
    coco = load(out / "coco.json")
    check(len(coco.imgs) == len(lines), f"coco.json has {len(coco.imgs)} images, the record {len(lines)} lines")
    annotations = iter(coco.dataset["annotations"])
    for number, line in enumerate(lines, 1):
        image = coco.imgs[number]
        check((image["width"], image["height"]) == (line["width"], line["height"]), f"image {number}: size differs")
        check_file(out, root, image, line)
        for thing in line["objects"]:
            check_annotation(coco, next(annotations), thing, number)
    check(next(annotations, None) is None, "coco.json has more annotations than the record has objects")
    check_results(coco, out)
    return coco


def check_file(out, root, image, line):
    if line["kind"] in ("video", "dicom"):
        path = out / image["file_name"]
        if not (out / "frames").exists():
            return
    else:
        path = root / image["file_name"]
        if not path.exists():
            return
    # OpenCV honours EXIF orientation, as frames do.
    pixels = cv2.imread(str(path))
    check(pixels is not None, f"{path} cannot be read")
    if pixels is not None:
        check(pixels.shape[:2] == (image["height"], image["width"]), f"{path}: size differs")


def check_annotation(coco, entry, thing, number):
    where = f"annotation {entry['id']}"
    check(entry["image_id"] == number and entry["iscrowd"] == 0, f"{where}: image or iscrowd")
    check(coco.cats[entry["category_id"]]["name"] == thing["label"], f"{where}: category is not {thing['label']}")
    check(np.float32(entry["score"]) == np.float32(thing["score"]), f"{where}: score differs")
    if "mask" in thing:
        rle = entry["segmentation"]
        check(rle == thing["mask"], f"{where}: run lengths differ from the record")
        check(int(coco_mask.area(rle)) == entry["area"] == thing["area"], f"{where}: area")
        check(list(coco_mask.toBbox(rle)) == entry["bbox"], f"{where}: bbox {entry['bbox']}, {list(coco_mask.toBbox(rle))}")
        pixels = coco_mask.decode(rle)
        check(int(pixels.sum()) == entry["area"], f"{where}: decoded area")
        again = coco_mask.encode(np.asfortranarray(pixels))["counts"].decode()
        check(again == rle["counts"], f"{where}: pycocotools encodes the mask differently")
        check((coco.annToMask(entry) == pixels).all(), f"{where}: annToMask")
    else:
        check(entry["segmentation"] == [], f"{where}: segmentation without a mask")
        check(entry["bbox"][2] * entry["bbox"][3] == entry["area"], f"{where}: area of the box")


def check_results(coco, out):
    results = json.loads((out / "coco_results.json").read_text())
    check(len(results) == len(coco.anns), "coco_results.json has another number of objects")
    if not results:
        return
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = coco.loadRes(str(out / "coco_results.json"))
    for entry, result in zip(coco.dataset["annotations"], loaded.dataset["annotations"]):
        same = all(entry[key] == result[key] for key in ("image_id", "category_id", "score"))
        same = same and np.allclose(entry["bbox"], result["bbox"]) and np.isclose(entry["area"], result["area"])
        check(same, f"coco_results.json: entry {result['id']} differs from coco.json")


def check_label_maps(out, lines):
    for line in lines:
        path = out / "masks" / f"{frame_name(line)}.png"
        found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        check(found is not None, f"{path} cannot be read")
        if found is None:
            continue
        check(found.dtype == (np.uint8 if len(line["objects"]) <= 255 else np.uint16), f"{path}: {found.dtype}")
        expected = np.zeros((line["height"], line["width"]), np.uint16)
        order = sorted(enumerate(line["objects"], 1), key=lambda item: (item[1]["score"], -item[0]))
        for number, thing in order:
            if "mask" in thing:
                expected[coco_mask.decode(thing["mask"]) > 0] = number
        check(found.shape == expected.shape and (found == expected).all(), f"{path}: labels differ from the masks")


def check_yolo(out, lines):
    names = (out / "classes.txt").read_text().splitlines()
    for line in lines:
        path = out / "labels" / f"{frame_name(line)}.txt"
        rows = [row.split() for row in path.read_text().splitlines()]
        outlines = any("mask" in thing for thing in line["objects"])
        size = np.array([line["width"], line["height"]], float)
        # An empty mask has no outline, and a box without extent is no box.
        things = [thing for thing in line["objects"] if thing["area"] > 0]
        check(len(rows) == len(things), f"{path}: {len(rows)} lines for {len(things)} objects")
        for row, thing in zip(rows, things):
            values = np.array(row[1:], float)
            check(int(row[0]) == thing["class"] and names[int(row[0])] == thing["label"], f"{path}: class")
            check(((values >= 0) & (values <= 1)).all(), f"{path}: not in 0..1")
            if outlines and "mask" in thing:
                check_outline(path, values.reshape(-1, 2) * size, thing)
            elif not outlines:
                centre, extent = values[:2] * size, values[2:] * size
                corners = np.concatenate([centre - extent / 2, centre + extent / 2])
                clipped = np.clip(thing["box"], 0, np.tile(size, 2))
                check(np.abs(corners - clipped).max() <= 2e-6 * size.max(), f"{path}: box {corners}, {clipped}")


def check_outline(path, points, thing):
    mask = coco_mask.decode(thing["mask"])
    # fillPoly counts from the centres of pixels and takes what its edges touch; 16 steps a pixel keep the halves.
    scale = 16
    filled = np.zeros([side * scale for side in mask.shape], np.uint8)
    cv2.fillPoly(filled, [np.round(points * scale - 0.5).astype(np.int32)], 1)
    filled = filled[scale // 2 :: scale, scale // 2 :: scale]
    union = np.logical_or(mask, filled).sum()
    overlap = np.logical_and(mask, filled).sum() / max(union, 1)
    check(overlap > (0.9 if mask.sum() > 300 else 0.7), f"{path}: outline overlaps its mask by {overlap:.3f}")


def check_overlays(out, lines):
    moving = {}
    for line in lines:
        still = out / "overlay" / f"{frame_name(line)}.png"
        if line["kind"] in ("image", "sequence") or still.exists():
            found = cv2.imread(str(still))
            check(found is not None and found.shape[:2] == (line["height"], line["width"]), f"{still}: size differs")
        else:
            moving.setdefault(line["source"], []).append(line)
    for name, of_source in moving.items():
        path = out / "overlay" / f"{name}.mp4"
        video = cv2.VideoCapture(str(path))
        times = []
        while True:
            ok, picture = video.read()
            if not ok:
                break
            times.append(video.get(cv2.CAP_PROP_POS_MSEC))
            even = tuple(side + side % 2 for side in (of_source[0]["height"], of_source[0]["width"]))
            check(picture.shape[:2] == even, f"{path}: size {picture.shape[:2]}, expected {even}")
        check(len(times) == len(of_source), f"{path}: {len(times)} pictures for {len(of_source)} frames")
        stamps = [line["timestamp"] for line in of_source]
        if len(times) == len(stamps) and None not in stamps:
            worst = max(abs(ms - (stamp - stamps[0]) * 1000) for ms, stamp in zip(times, stamps))
            check(worst < 0.01, f"{path}: a picture is {worst:.3f} ms off its time")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path("."))
    arguments = parser.parse_args()
    out = arguments.out
    lines = [json.loads(text) for text in (out / "detections.jsonl").read_text().splitlines()]
    checked = ["detections.jsonl"]
    if (out / "coco.json").exists():
        check_coco(out, lines, arguments.root)
        checked.append("coco.json")
    for folder, checker in (("masks", check_label_maps), ("labels", check_yolo), ("overlay", check_overlays)):
        if (out / folder).exists():
            checker(out, lines)
            checked.append(folder)
    for problem in problems[:50]:
        print(problem, file=sys.stderr)
    objects = sum(len(line["objects"]) for line in lines)
    print(f"{', '.join(checked)}: {len(lines)} frames, {objects} objects, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
