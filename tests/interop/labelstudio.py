#!/usr/bin/env python3
"""Reads labelstudio.json of an output folder by label-studio-sdk and compares it with the record.

    python3 tests/interop/labelstudio.py OUT RECORD [--rle]

The converter reads annotations, so predictions are given to it as such. Brush strokes are decoded by its brush module;
rectangles and polygons go through its conversion to COCO. The labelling configuration is parsed by the SDK. Exits with 1
if anything differs.

Needs label-studio-sdk, numpy and pycocotools.
"""

import argparse
import collections
import json
import pathlib
import sys
import tempfile

import numpy as np
from label_studio_sdk.converter import Converter, brush
from label_studio_sdk.label_interface import LabelInterface

import record


def regions(task):
    for key in ("annotations", "predictions"):
        for results in task.get(key, []):
            yield from results["result"]


def by_brush(task):
    for r in regions(task):
        if r["type"] == "brushlabels":
            shape = (r["original_height"], r["original_width"], 4)
            mask = (brush.decode_rle(r["value"]["rle"]).reshape(shape)[:, :, 3] > 127).astype(np.uint8)
            yield (r["value"]["brushlabels"][0], record.tight(mask), mask)


def by_hand(task, width, height):
    """Objects of rectangles and polygons; a polygon with a parent is a part of it."""
    groups = collections.OrderedDict()
    for r in regions(task):
        v = r["value"]
        if r["type"] == "rectanglelabels":
            x, y = v["x"] * width / 100, v["y"] * height / 100
            box = [x, y, x + v["width"] * width / 100, y + v["height"] * height / 100]
            yield (v["rectanglelabels"][0], box, None)
        elif r["type"] == "polygonlabels":
            points = np.array(v["points"]) * [width / 100, height / 100]
            groups.setdefault(r.get("parentID", r["id"]), (v["polygonlabels"][0], []))[1].append(points.ravel())
    for label, polygons in groups.values():
        xs, ys = np.concatenate([p[0::2] for p in polygons]), np.concatenate([p[1::2] for p in polygons])
        box = [xs.min(), ys.min(), xs.max(), ys.max()]
        yield (label, box, record.rasterise(polygons, width, height))


def by_converter(tasks, config):
    """File name -> objects, one a region, of the converter's COCO."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "in.json"
        given = []
        for task in tasks:
            results = [dict(r, completed_by=1, id=i) for i, r in enumerate(task.get("annotations") or task["predictions"])]
            # What follows /data/local-files/?d= is the picture's name for the converter.
            given.append({"id": task["id"], "data": task["data"], "annotations": results})
        source.write_text(json.dumps(given), encoding="utf-8")
        Converter(config, folder, download_resources=False).convert_to_coco(
            str(source), folder, output_image_dir=folder, is_dir=False
        )
        coco = json.loads((pathlib.Path(folder) / "result.json").read_text(encoding="utf-8"))
    names = {c["id"]: c["name"] for c in coco["categories"]}
    images = {i["id"]: i for i in coco["images"]}
    found = collections.defaultdict(list)
    for a in coco["annotations"]:
        x, y, w, h = a["bbox"]
        found[images[a["image_id"]]["file_name"]].append((names[a["category_id"]], [x, y, x + w, y + h], None))
    return images, found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("record", type=pathlib.Path)
    parser.add_argument("--rle", action="store_true")
    args = parser.parse_args()
    tasks = json.loads((args.out / "labelstudio.json").read_text(encoding="utf-8"))
    config = (args.out / "labelstudio.xml").read_text(encoding="utf-8")
    interface = LabelInterface(config)
    known = {label for control in interface.controls for label in control.labels}
    judge = record.Judge("Label Studio, brush by its converter" if args.rle else "Label Studio", not args.rle)
    read = {task["data"]["file_name"]: task for task in tasks}
    expected = record.read(args.record)
    for name, (line, objects) in expected.items():
        task = read.pop(name, None)
        if task is None:
            judge.problems.append(f"{name}: no task")
            continue
        found = list(by_brush(task)) + list(by_hand(task, line["width"], line["height"]))
        judge.picture(name, objects, found)
        judge.problems += [f"{name}: label {o[0]!r} is not of the configuration" for o in objects if o[0] not in known]
    judge.problems += [f"{name} is not of the record" for name in read]
    good = [judge.report()]
    if not args.rle:
        converted = record.Judge("Label Studio, converter to COCO: boxes of regions", True)
        images, found = by_converter(tasks, config)
        by_task = list(images.values())
        if len(by_task) != len(tasks):
            converted.problems.append(f"{len(tasks)} tasks, {len(by_task)} images")
        for task, image in zip(tasks, by_task):
            w, h = task["data"]["width"], task["data"]["height"]
            shapes = []
            for r in regions(task):
                v = r["value"]
                if r["type"] == "rectanglelabels":
                    shapes += [o for o in by_hand({"annotations": [{"result": [r]}]}, w, h)]
                else:
                    points = np.array(v["points"]) * [w / 100, h / 100]
                    box = [*points.min(0), *points.max(0)]
                    shapes.append((v["polygonlabels"][0], box, None))
            converted.picture(task["data"]["file_name"], shapes, found[image["file_name"]])
        good.append(converted.report())
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
