"""COCO, Datumaro's layout and YOLO as other tools read them, compared with the record of the run.

    coco_yolo.py RUN          a run's folder, or an export of all of these kinds, with images/ in it, and detections.jsonl
    coco_yolo.py RUN RECORD   the record elsewhere

Reads `coco.json` with pycocotools and supervision, `annotations/` with Datumaro, `data.yaml` with Ultralytics' loader (from
another working directory). Needs pycocotools, supervision, datumaro, ultralytics and opencv; exits 77 where one is missing.
"""

import os
import pathlib
import sys
import tempfile

try:
    import cv2
    import numpy as np
    import supervision
    from datumaro.components.dataset import Dataset
    from pycocotools.coco import COCO
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset, polygon2mask
except ImportError as missing:
    print(f"coco_yolo: left out, {missing.name} is not installed")
    sys.exit(77)

import record

root = pathlib.Path(sys.argv[1]).resolve()
truth = record.read(sys.argv[2] if len(sys.argv) > 2 else root / "detections.jsonl")
objects = sum(len(found) for _, found in truth.values())
wrong = []


def check(what, good):
    if not good:
        wrong.append(what)


def iou(a, b):
    a, b = np.asarray(a, bool), np.asarray(b, bool)
    return (a & b).sum() / max((a | b).sum(), 1)


def tight(box, mask):
    """The box that data sets have: of the mask, where there is one."""
    if mask is None or not mask.any():
        return box
    ys, xs = np.nonzero(mask)
    return [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


# pycocotools
coco = COCO(root / "coco.json")
names = {c["id"]: c["name"] for c in coco.loadCats(coco.getCatIds())}
by_name = {image["file_name"]: image["id"] for image in coco.dataset["images"]}
check("coco: other pictures", set(by_name) == set(truth))
for name, (line, found) in truth.items():
    check(f"coco: {name} is not there", (root / "images" / name).is_file())
    entries = coco.loadAnns(coco.getAnnIds(imgIds=[by_name[name]]))
    check(f"coco: {name} has {len(entries)} objects, not {len(found)}", len(entries) == len(found))
    for entry, (label, box, mask) in zip(entries, found):
        x, y, w, h = entry["bbox"]
        same = np.allclose([x, y, x + w, y + h], tight(box, mask), atol=1e-3)
        check(f"coco: {name} {label} box", same and names[entry["category_id"]] == label)
        if mask is not None:
            least = record.NEAR if isinstance(entry["segmentation"], list) else 1.0
            got = iou(coco.annToMask(entry), mask)
            check(f"coco: {name} {label} mask IoU {got:.4f}", got >= least or mask.sum() < 9)

# supervision
data = supervision.DetectionDataset.from_coco(str(root / "images"), str(root / "coco.json"), force_masks=False)
check("supervision: pictures", len(data) == len(truth))
found = sum(len(data[i][2]) for i in range(len(data)))
check(f"supervision: {found} objects, not {objects}", found == objects)

# Datumaro
if (root / "annotations").is_dir():
    items = list(Dataset.import_from(str(root), "coco_instances"))
    check(f"datumaro: {len(items)} pictures, not {len(truth)}", len(items) == len(truth))
    check("datumaro: pictures are not found", all(item.media is not None and item.media.data is not None for item in items))

# Ultralytics, from elsewhere
os.chdir(tempfile.mkdtemp())
data = check_det_dataset(str(root / "data.yaml"))
masks = any(mask is not None for _, found in truth.values() for _, _, mask in found)
task = "segment" if masks else "detect"
loaded = YOLODataset(img_path=data["train"], data=data, task=task, augment=False, cache=False)
check(f"ultralytics: {len(loaded.labels)} pictures, not {len(truth)}", len(loaded.labels) == len(truth))
overlaps = []
for label in loaded.labels:
    name = os.path.relpath(label["im_file"], root / "images")
    line, found = truth[name]
    found = [o for o in found if o[2] is None or o[2].any()]
    check(f"ultralytics: {name} has {len(label['cls'])} objects, not {len(found)}", len(label["cls"]) == len(found))
    height, width = line["height"], line["width"]
    order = {}
    for segment, number in zip(label["segments"], label["cls"]):
        order.setdefault(data["names"][int(number[0])], []).append(segment)
    if not masks:
        for (x, y, w, h), (text, box, _) in zip(label["bboxes"], found):
            got = [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height]
            check(f"ultralytics: {name} {text} box", np.allclose(got, box, atol=2e-3 * max(width, height)))
        continue
    for text, _, mask in found:
        segments = [polygon2mask((height, width), [np.asarray(s) * [width, height]]) for s in order[text]]
        overlaps.append((max(iou(s, mask) for s in segments), int(mask.sum()), name, text))
if overlaps:
    mean = np.mean([o[0] for o in overlaps])
    print(f"ultralytics: mean IoU of its fill {mean:.4f}, least {min(overlaps)[:2]}")
    check(f"ultralytics: mean IoU {mean:.4f}", mean >= record.NEAR)

print(f"{len(truth)} pictures, {objects} objects, {len(wrong)} wrong")
for line in wrong[:20]:
    print("  " + line)
sys.exit(bool(wrong))
