#!/usr/bin/env python3
"""Reads labelme/ of an output folder by globox and by labelme's own rules and compares it with the record.

    python3 tests/interop/labelme_json.py OUT RECORD [--rle]

globox reads boxes of rectangles and polygons; masks are those of pycocotools' fill of the polygons, or (--rle) the bitmaps
of shapes of type mask as labelme places them. labelme itself opens every file beside a blank picture, and draws the shapes:
of polygons it paints the outline too, half a pixel more on each side, so the IoU of its own drawing is shown and not judged.
Exits with 1 if anything differs.

Needs globox, labelme 6, pillow, numpy and pycocotools.
"""

import argparse
import base64
import collections
import io
import json
import pathlib
import sys
import tempfile

import numpy as np
from globox import Annotation
from labelme import utils
from labelme._label_file import read_label_file
from PIL import Image

import record


def objects(shapes, width, height):
    groups, found = collections.OrderedDict(), []
    for i, s in enumerate(shapes):
        (xs, ys), kind = zip(*s["points"]), s["shape_type"]
        if kind == "rectangle":
            found.append((s["label"], [min(xs), min(ys), max(xs), max(ys)], None))
        elif kind == "mask":
            pixels = np.array(Image.open(io.BytesIO(base64.b64decode(s["mask"])))).astype(bool)
            mask = np.zeros((height, width), bool)
            # labelme: mask[y1 : y2 + 1, x1 : x2 + 1] = shape["mask"]
            (x1, y1), (x2, y2) = np.asarray(s["points"]).astype(int)
            mask[y1 : y2 + 1, x1 : x2 + 1] = pixels
            found.append((s["label"], record.tight(mask), mask))
        else:
            key = ("group", s["group_id"], s["label"]) if s["group_id"] is not None else i
            groups.setdefault(key, (s["label"], []))[1].append(np.ravel(s["points"]))
    for label, polygons in groups.values():
        xs, ys = np.concatenate([p[0::2] for p in polygons]), np.concatenate([p[1::2] for p in polygons])
        box = [xs.min(), ys.min(), xs.max(), ys.max()]
        found.append((label, box, record.rasterise(polygons, width, height)))
    return found


def by_labelme(path, file, folder, judge, drawn):
    """Opens a copy of the file in labelme, and draws each shape as it does."""
    copy = folder / path.name
    picture = folder / pathlib.PurePath(file["imagePath"]).name
    width, height = file["imageWidth"], file["imageHeight"]
    Image.new("RGB", (width, height)).save(picture)
    copy.write_text(json.dumps(dict(file, imagePath=picture.name)), encoding="utf-8")
    read = read_label_file(str(copy))
    if len(read.shapes) != len(file["shapes"]):
        judge.problems.append(f"{path}: labelme reads {len(read.shapes)} of {len(file['shapes'])} shapes")
    for shape in read.shapes:
        if shape["shape_type"] == "rectangle":
            continue
        own, _ = utils.shapes_to_label((height, width), [dict(shape, group_id=None)], {shape["label"]: 1})
        given = objects([dict(shape, mask=None, group_id=None)], width, height) if shape["mask"] is None else None
        if given is None:
            (x1, y1), (x2, y2) = np.asarray(shape["points"]).astype(int)
            mask = np.zeros((height, width), bool)
            mask[y1 : y2 + 1, x1 : x2 + 1] = shape["mask"]
        else:
            mask = given[0][2]
        drawn.append(record.iou(own > 0, mask > 0))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("record", type=pathlib.Path)
    parser.add_argument("--rle", action="store_true")
    parser.add_argument("--pictures", action="store_true", help="imagePath must lead to a file")
    args = parser.parse_args()
    judge = record.Judge("labelme", not args.rle)
    by_globox = record.Judge("labelme, globox: boxes of shapes", True)
    root = args.out / "labelme"
    scratch = tempfile.TemporaryDirectory()
    drawn = []
    for name, (line, expected) in record.read(args.record).items():
        path = root / f"{name}.json"
        if not path.exists():
            path = root / pathlib.PurePath(name).with_suffix(".json")
        file = json.loads(path.read_text(encoding="utf-8"))
        if (file["imageWidth"], file["imageHeight"]) != (line["width"], line["height"]):
            judge.problems.append(f"{name}: size")
        picture = path.parent / file["imagePath"]
        if args.pictures and not picture.is_file():
            judge.problems.append(f"{name}: {file['imagePath']} is no file")
        if pathlib.PurePath(file["imagePath"]).name != pathlib.PurePath(name).name:
            judge.problems.append(f"{name}: {file['imagePath']}")
        judge.picture(name, expected, objects(file["shapes"], line["width"], line["height"]))
        by_labelme(path, file, pathlib.Path(scratch.name), judge, drawn)
        if not args.rle:
            read = Annotation.from_labelme(path, include_poly=True)
            shapes = [
                (s["label"], [min(x), min(y), max(x), max(y)], None)
                for s in file["shapes"]
                for x, y in [zip(*s["points"])]
            ]
            by_globox.picture(name, shapes, [(b.label, b.ltrb, None) for b in read.boxes])
    good = [judge.report()]
    if drawn:
        print(f"labelme's own drawing: {len(drawn)} shapes, IoU least {min(drawn):.4f} mean {np.mean(drawn):.4f}")
    if not args.rle:
        good.append(by_globox.report())
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
