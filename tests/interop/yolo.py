#!/usr/bin/env python3
"""Loads a YOLO data set by Ultralytics from another working directory and compares it with the record.

    python3 tests/interop/yolo.py OUT RECORD

OUT holds data.yaml, labels/ and images/. Each object is compared with the record as Ultralytics fills it: the box of the
pixels must be the mask's, the mean IoU 0.97 or more. Objects without masks have the record's box. Exits with 1 if anything
differs.

Needs ultralytics (with torch), pycocotools and numpy.
"""

import argparse
import os
import pathlib
import sys
import tempfile

import numpy as np
import ultralytics.data.utils
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset, polygon2mask
from ultralytics.utils import LOGGER

import record

LOGGER.setLevel("ERROR")
# Nothing is drawn, so no font is fetched.
ultralytics.data.utils.check_font = lambda *_, **__: None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("record", type=pathlib.Path)
    args = parser.parse_args()
    root, expected = args.out.resolve(), record.read(args.record)
    masks = any(mask is not None for _, found in expected.values() for _, _, mask in found)
    judge = record.Judge("Ultralytics: YOLODataset", True)
    # The mean is judged: lines between parts cost a small object more than a large one.
    judge.least = 0.0
    os.chdir(tempfile.mkdtemp())
    data = check_det_dataset(str(root / "data.yaml"))
    paths = []
    for part in ("train", "val", "test"):
        if data.get(part) and data[part] not in paths:
            paths.append(data[part])
    missing = dict(expected)
    for path in paths:
        task = "segment" if masks else "detect"
        for label in YOLODataset(img_path=path, data=data, task=task, augment=False, cache=False).labels:
            name = pathlib.Path(os.path.relpath(label["im_file"], root / "images")).as_posix()
            if name not in missing:
                judge.problems.append(f"{name} is not of the record, or twice")
                continue
            line, objects = missing.pop(name)
            height, width = line["height"], line["width"]
            if tuple(label["shape"]) != (height, width):
                judge.problems.append(f"{name}: size {label['shape']}")
            names = [data["names"][int(number[0])] for number in label["cls"]]
            if masks:
                filled = [polygon2mask((height, width), [s * [width, height]]) for s in label["segments"]]
                found = [(text, record.tight(mask), mask) for text, mask in zip(names, filled)]
            else:
                x, y, w, h = (label["bboxes"] * [width, height, width, height]).T
                found = [(text, list(b), None) for text, b in zip(names, np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]).T)]
            # Ultralytics drops all but one of the lines of one class and box.
            distinct = {(text, *np.round(box, 3)): (text, box, mask) for text, box, mask in reversed(objects)}
            objects = list(distinct.values())[::-1]
            judge.picture(name, objects, found)
    judge.problems += [f"{name}: not read" for name in missing]
    mean = np.mean(judge.ious) if judge.ious else 1.0
    if mean < record.NEAR:
        judge.problems.append(f"mean IoU {mean:.4f}")
    sys.exit(0 if judge.report() else 1)


if __name__ == "__main__":
    main()
