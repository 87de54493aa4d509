"""What detections.jsonl says of each picture, and the comparison with what a tool read; for the scripts beside it.

Needs numpy and pycocotools.
"""

import json
import pathlib

import numpy as np
from pycocotools import mask as coco_mask

NEAR = 0.97


def decode(counts, width, height):
    return coco_mask.decode({"size": [height, width], "counts": counts.encode()})


def rasterise(polygons, width, height):
    """The union of polygons, lists of x, y in turn, as pycocotools fills them."""
    rles = coco_mask.frPyObjects([list(map(float, p)) for p in polygons], height, width)
    return coco_mask.decode(coco_mask.merge(rles))


def picture_name(line):
    """The name of a frame's picture below the folder of pictures."""
    if "image" in line:
        return line["image"]
    if line["kind"] == "image":
        return line["source"] + pathlib.PurePath(line["path"]).suffix
    if line["kind"] == "sequence" and line.get("file"):
        return f"{line['source']}/{pathlib.PurePath(line['file']).name}"
    return f"{line['source']}/{line['frame']:06d}.png"


def read(path):
    """Name of the picture -> (line, [(label, box, mask or None)])."""
    found = {}
    for text in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        objects = []
        for o in line["objects"]:
            box, mask = o["box"], None
            if o.get("mask"):
                mask = decode(o["mask"]["counts"], line["width"], line["height"])
                if mask.any():
                    box = tight(mask)
                else:
                    mask = None
            objects.append((o["label"], box, mask))
        found[picture_name(line)] = (line, objects)
    return found


def tight(mask):
    """Box of a mask's pixels, right and lower edges exclusive."""
    ys, xs = np.nonzero(mask)
    return [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1]


def iou(a, b):
    union = np.logical_or(a, b).sum()
    return 1.0 if union == 0 else np.logical_and(a, b).sum() / union


def say(what, files, objects, problems, ious=(), masks=None):
    """Prints what a judge read, in the one form that judges.py makes its table of, and the first problems; whether all is
    right."""
    overlap = f", IoU least {min(ious):.4f} mean {sum(ious) / len(ious):.4f}" if len(ious) else ""
    masks = "" if masks is None else f" ({masks} with masks)"
    print(f"{what}: {files} files, {objects} objects{masks}, {len(problems)} wrong{overlap}")
    for problem in problems[:10]:
        print("  ", problem)
    return not problems


class Judge:
    """Counts what is equal and what is not."""

    def __init__(self, what, near, tolerance=1e-3):
        self.what, self.tolerance = what, tolerance
        self.least = NEAR if near else 1.0
        self.pictures = self.boxes = self.masks = 0
        self.ious, self.problems = [], []

    def picture(self, name, expected, found, boxes_only=False):
        """Compares objects, (label, box, mask or None), in any order."""
        self.pictures += 1
        if len(expected) != len(found):
            self.problems.append(f"{name}: {len(expected)} objects, {len(found)} read")
        left = list(found)
        for label, box, mask in expected:
            best, best_score = None, -1.0
            for other in left:
                if other[0] != label or np.abs(np.subtract(other[1], box)).max() > self.tolerance:
                    continue
                score = 1.0
                if mask is not None and not boxes_only:
                    score = -0.5 if other[2] is None else iou(mask, other[2])
                if score > best_score:
                    best, best_score = other, score
            if best is None:
                self.problems.append(f"{name}: {label} {box} was not read")
                continue
            left = [other for other in left if other is not best]
            self.boxes += 1
            if mask is not None and not boxes_only:
                self.masks += 1
                self.ious.append(best_score)
                if best_score < self.least:
                    self.problems.append(f"{name}: {label} {box}: IoU {best_score:.4f}")

    def report(self):
        return say(self.what, self.pictures, self.boxes, self.problems, self.ious, self.masks)
