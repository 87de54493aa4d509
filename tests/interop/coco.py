#!/usr/bin/env python3
"""Reads COCO and Datumaro's layout of an output folder by other software and compares them with the record.

    python3 tests/interop/coco.py OUT RECORD [--polygons]

pycocotools reads coco.json, or of a divided data set coco_train.json and so on; so does supervision.
Datumaro reads annotations/ with the pictures beside it. supervision and Datumaro are asked where images/ holds no links, as they
refuse pictures that lie elsewhere. RECORD is the run's detections.jsonl; --polygons: masks were written
as polygons, whose IoU must be 0.97 or more, else they must be equal. Exits with 1 if anything differs.

Needs pycocotools, supervision, datumaro and numpy.
"""

import argparse
import contextlib
import io
import pathlib
import sys

import supervision
from datumaro.components.annotation import AnnotationType
from datumaro.components.dataset import Dataset
from pycocotools.coco import COCO

import record

PARTS = ("train", "val", "test")


def files(folder, plain, of_part):
    """The file, or those of the parts of a divided data set."""
    whole = folder / plain
    return [whole] if whole.exists() else [p for p in (folder / of_part.format(n) for n in PARTS) if p.exists()]


def quietly(call, *args, **options):
    with contextlib.redirect_stdout(io.StringIO()):
        return call(*args, **options)


def by_pycocotools(root, expected, polygons, file_names, folder, what):
    judge = record.Judge(what, polygons)
    missing = dict(expected)
    for file in file_names:
        coco = quietly(COCO, str(file))
        names = {c["id"]: c["name"] for c in coco.loadCats(coco.getCatIds())}
        for image in coco.dataset["images"]:
            name = image["file_name"]
            if name not in missing:
                judge.problems.append(f"{name} is not of the record, or twice")
                continue
            line, objects = missing.pop(name)
            if (root / "images").exists() and not (folder / name).is_file():
                judge.problems.append(f"{folder / name} is no file")
            if (image["width"], image["height"]) != (line["width"], line["height"]):
                judge.problems.append(f"{name}: size")
            found = []
            for entry in coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]])):
                x, y, w, h = entry["bbox"]
                mask = coco.annToMask(entry) if entry.get("segmentation") else None
                found.append((names[entry["category_id"]], [x, y, x + w, y + h], mask))
            judge.picture(name, objects, found)
    judge.problems += [f"{name}: not read" for name in missing]
    return judge.report()


def by_supervision(root, expected, file_names):
    judge = record.Judge("supervision: from_coco", False)
    for file in file_names:
        data = supervision.DetectionDataset.from_coco(str(root / "images"), str(file), force_masks=False)
        for path, picture, found in data:
            name = pathlib.Path(path).relative_to(root / "images").as_posix()
            line, objects = expected[name]
            if picture is None or picture.shape[:2] != (line["height"], line["width"]):
                judge.problems.append(f"{name}: its picture is not read")
            read = [(data.classes[c], list(b), None) for b, c in zip(found.xyxy, found.class_id)]
            judge.picture(name, objects, read, boxes_only=True)
    if judge.pictures != len(expected):
        judge.problems.append(f"{judge.pictures} pictures of {len(expected)}")
    return judge.report()


def by_datumaro(root, expected, polygons):
    judge = record.Judge("Datumaro: COCO instances", polygons)
    data = Dataset.import_from(str(root), "coco_instances")
    labels = data.categories()[AnnotationType.label].items
    items = list(data)
    for item in items:
        name = pathlib.Path(item.media.path).resolve().relative_to((root / "images").resolve()).as_posix()
        line, objects = expected[name] if name in expected else (None, [])
        if item.media.data is None:
            judge.problems.append(f"{name}: its picture is not read")
        groups = {}
        for a in item.annotations:
            groups.setdefault(a.group or id(a), []).append(a)
        found = []
        for parts in groups.values():
            label, mask = labels[parts[0].label].name, None
            x, y, w, h = parts[0].get_bbox()
            if parts[0].type == AnnotationType.mask:
                mask = parts[0].image
            elif parts[0].type == AnnotationType.polygon:
                mask = record.rasterise([p.points for p in parts], line["width"], line["height"])
            if mask is not None:
                x, y, right, lower = record.tight(mask)
                w, h = right - x, lower - y
            found.append((label, [x, y, x + w, y + h], mask))
        judge.picture(name, objects, found)
    if len(items) != len(expected):
        judge.problems.append(f"{len(items)} pictures of {len(expected)}")
    return judge.report()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("record", type=pathlib.Path)
    parser.add_argument("--polygons", action="store_true")
    args = parser.parse_args()
    root, expected, good = args.out.resolve(), record.read(args.record), []
    pictures = list((root / "images").rglob("*"))
    copies = bool(pictures) and not any(p.is_symlink() for p in pictures)
    plain = files(root, "coco.json", "coco_{}.json")
    layout = files(root / "annotations", "instances_default.json", "instances_{}.json")
    if plain:
        good.append(by_pycocotools(root, expected, args.polygons, plain, root / "images", "pycocotools: COCO"))
        if copies:
            good.append(by_supervision(root, expected, plain))
    if layout:
        what = "pycocotools: annotations/"
        good.append(by_pycocotools(root, expected, args.polygons, layout, root / "images", what))
        if copies:
            good.append(by_datumaro(root, expected, args.polygons))
    if not good:
        sys.exit(f"{root}: neither coco.json nor annotations/")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
