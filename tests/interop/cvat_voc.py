#!/usr/bin/env python3
"""Reads cvat/ and voc/ of an output folder by Datumaro and compares them with the record.

    python3 tests/interop/cvat_voc.py OUT RECORD [--rle] [--voc-one-based]

RECORD is the run's detections.jsonl; where it has tracks, those of CVAT must be the same objects. --rle: masks were written as run lengths and must be equal. Datumaro does not read
masks of tracks (CVAT does): those are read here by CVAT's rule. Exits with 1 if anything differs.

Needs datumaro, numpy and pycocotools.
"""

import argparse
import collections
import os
import pathlib
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import numpy as np
from datumaro.components.annotation import AnnotationType
from datumaro.components.dataset import Dataset
from datumaro.plugins.data_formats.cvat.base import CvatBase

import record

# Datumaro rounds left, upper edge, width and height to hundredths.
HUNDREDTH = 0.0101

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63fcffff3f030005fe02fea735811e0000000049454e44ae426082"
)


def objects(annotations, categories, width, height):
    """Objects of a Datumaro item: polygons of one label and group are one object."""
    labels = categories[AnnotationType.label]
    groups, found = collections.OrderedDict(), []
    for a in annotations:
        if a.attributes.get("outside"):
            continue
        label = labels.items[a.label].name
        if a.type == AnnotationType.bbox:
            found.append((label, [a.x, a.y, a.x + a.w, a.y + a.h], None))
        elif a.type == AnnotationType.mask:
            found.append((label, record.tight(a.image), a.image))
        else:
            key = (label, a.group) if a.group else id(a)
            groups.setdefault(key, (label, []))[1].append(a.points)
    for label, polygons in groups.values():
        xs, ys = np.concatenate([p[0::2] for p in polygons]), np.concatenate([p[1::2] for p in polygons])
        box = [xs.min(), ys.min(), xs.max(), ys.max()]
        found.append((label, box, record.rasterise(polygons, width, height)))
    return found


def images(path, expected, near):
    judge = record.Judge("CVAT for images, Datumaro", near, HUNDREDTH)
    stills = {n: v for n, v in expected.items() if v[0]["kind"] in ("image", "sequence")}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        os.symlink(path.resolve(), folder / "default.xml")
        for name in stills:
            (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "images" / name).write_bytes(PNG)
        base = CvatBase(str(folder / "default.xml"))
        read = {pathlib.Path(i.media.path).relative_to(folder / "images").as_posix(): i for i in base}
        for name, (line, objects_) in stills.items():
            item = read.pop(name)
            size = (line["height"], line["width"])
            if tuple(item.media.size) != size:
                judge.problems.append(f"{name}: size {item.media.size}")
            judge.picture(name, objects_, objects(item.annotations, base.categories(), line["width"], line["height"]))
        judge.problems += [f"{name} is not of the record" for name in read]
    return judge.report()


def masks_of_tracks(path, width, height):
    """Frame -> masks, as CVAT reads them: run lengths by rows of the crop, zeros first."""
    found = collections.defaultdict(list)
    for track in ElementTree.parse(path).getroot().iter("track"):
        shapes = [s for s in track.iter("mask") if s.get("outside") == "0"]
        for s in shapes:
            counts = [int(c) for c in s.get("rle").split(",")]
            left, top, w, h = (int(s.get(k)) for k in ("left", "top", "width", "height"))
            pixels = np.repeat(np.arange(len(counts)) % 2, counts).reshape(h, w)
            mask = np.zeros((height, width), np.uint8)
            mask[top : top + h, left : left + w] = pixels
            found[int(s.get("frame"))].append((track.get("label"), record.tight(mask), mask))
    return found


def videos(folder, expected, near):
    judge = record.Judge("CVAT for video, " + ("Datumaro" if near else "masks by CVAT's rule"), near, HUNDREDTH)
    sources = collections.OrderedDict()
    for name, (line, objects_) in expected.items():
        if line["kind"] in ("video", "dicom"):
            sources.setdefault(line["source"], []).append((name, line, objects_))
    for source, frames in sources.items():
        path = folder / f"{source}.xml"
        width, height = frames[0][1]["width"], frames[0][1]["height"]
        if near:
            base = CvatBase(str(path))
            read = {
                i.attributes["frame"]: objects(i.annotations, base.categories(), width, height) for i in base
            }
        else:
            read = masks_of_tracks(path, width, height)
        for name, line, objects_ in frames:
            if not near:
                objects_ = [o for o in objects_ if o[2] is not None]
            judge.picture(name, objects_, read.pop(line["frame"], []))
        judge.problems += [f"{source}: frame {f} is not of the record" for f, found in read.items() if found]
    return judge.report()


def tracks(folder, expected):
    """Every track of the XML is one object of the record, in the frames that have it and no others."""
    judge = record.Judge("CVAT tracks, Datumaro", True, HUNDREDTH)
    wanted, sources = collections.defaultdict(dict), set()
    for line, _ in expected.values():
        sources |= {line["source"]} if line["kind"] in ("video", "dicom") else set()
        for o in line["objects"]:
            if "track_id" in o:
                wanted[line["source"], o["track_id"]].setdefault(line["frame"], o)
    for source in sorted(sources):
        base = CvatBase(str(folder / f"{source}.xml"))
        labels = base.categories()[AnnotationType.label]
        found = collections.defaultdict(set)
        for item in base:
            for a in item.annotations:
                own = int(a.attributes["track_id"]) if str(a.attributes.get("track_id", "")).isdigit() else None
                if own is None or a.attributes.get("outside"):
                    continue
                o = wanted.get((source, own), {}).get(item.attributes["frame"])
                if o is None or o["label"] != labels.items[a.label].name or not a.attributes.get("keyframe", True):
                    judge.problems.append(f"{source}, frame {item.attributes['frame']}: track {own} is not of the record")
                elif a.attributes.get("visibility", o.get("visibility")) != o.get("visibility"):
                    judge.problems.append(f"{source}: track {own} is {a.attributes['visibility']}")
                found[own].add(item.attributes["frame"])
        for (name, own), frames in wanted.items():
            if name == source:
                judge.pictures += 1
                judge.boxes += len(found[own])
                if found[own] != set(frames):
                    judge.problems.append(f"{source}: track {own} is in {len(found[own])} frames, {len(frames)} are right")
    return judge.report()


def voc(folder, expected, one_based):
    judge = record.Judge("VOC, Datumaro", True, HUNDREDTH)
    mode = "voc-one-based" if one_based else "dm-zero-based"
    data = Dataset.import_from(str(folder), "voc", coordinate_mode=mode)
    read = {item.id: item for item in data}
    for name, (line, objects_) in expected.items():
        item = read.pop(name, None) or read.pop(os.path.splitext(name)[0], None)
        if item is None:
            judge.problems.append(f"{name}: not read")
            continue
        found = objects(item.annotations, data.categories(), line["width"], line["height"])
        judge.picture(name, objects_, found, boxes_only=True)
    judge.problems += [f"{name} is not of the record" for name in read]
    return judge.report()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("record", type=pathlib.Path)
    parser.add_argument("--rle", action="store_true")
    parser.add_argument("--voc-one-based", action="store_true")
    args = parser.parse_args()
    expected = record.read(args.record)
    kinds = {line["kind"] for line, _ in expected.values()}
    good = []
    if kinds & {"image", "sequence"}:
        good.append(images(args.out / "cvat/images.xml", expected, not args.rle))
    if kinds & {"video", "dicom"}:
        good.append(videos(args.out / "cvat", expected, not args.rle))
        if not args.rle and any("track_id" in o for line, _ in expected.values() for o in line["objects"]):
            good.append(tracks(args.out / "cvat", expected))
    good.append(voc(args.out / "voc", expected, args.voc_one_based))
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
