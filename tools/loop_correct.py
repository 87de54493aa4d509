#!/usr/bin/env python3
"""Stands for the person who corrects an exported data set: renames all classes and deletes objects of a low score, in place.

    python tools/loop_correct.py labelled/coco.json 0.6 bone=cortex cyst=fluid vessel=fluid needle='biopsy needle'
    python tools/loop_correct.py labelled/labelme 0.6 bone=cortex …

Takes a COCO data set, or a folder with labelme's files and its list of classes (labels.txt). Classes of one new name become one.
Counts annotations, or shapes of labelme, of which an object in several parts has several.
"""

import collections
import json
import pathlib
import sys


def correct_coco(data: dict, least: float, names: dict[str, str], counts: collections.Counter) -> None:
    """Renames the categories, of equal names the first stays, and keeps annotations of at least the score."""
    new = {category["id"]: names[category["name"]] for category in data["categories"]}
    ids = {name: number for number, name in enumerate(sorted(set(new.values())), start=1)}
    kept = [annotation for annotation in data["annotations"] if annotation.get("score", 1.0) >= least]
    counts["deleted"] += len(data["annotations"]) - len(kept)
    for annotation in kept:
        name = new[annotation["category_id"]]
        annotation["category_id"] = ids[name]
        counts[name] += 1
    data["annotations"] = kept
    data["categories"] = [{"id": number, "name": name} for name, number in ids.items()]


def correct_labelme(data: dict, least: float, names: dict[str, str], counts: collections.Counter) -> None:
    """Renames the shapes and keeps those of at least the score."""
    kept = [shape for shape in data["shapes"] if shape.get("score", 1.0) >= least]
    counts["deleted"] += len(data["shapes"]) - len(kept)
    for shape in kept:
        shape["label"] = names[shape["label"]]
        counts[shape["label"]] += 1
    data["shapes"] = kept


def main() -> int:
    if len(sys.argv) < 4:
        print(__doc__, file=sys.stderr)
        return 64
    place, least = pathlib.Path(sys.argv[1]), float(sys.argv[2])
    names = dict(word.split("=", 1) for word in sys.argv[3:])
    counts = collections.Counter()
    for path in sorted(place.rglob("*.json")) if place.is_dir() else [place]:
        data = json.loads(path.read_text(encoding="utf-8"))
        correct = correct_coco if "annotations" in data else correct_labelme
        correct(data, least, names, counts)
        path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    classes = place / "labels.txt"
    if classes.is_file():
        known = [names.get(line, line) for line in classes.read_text(encoding="utf-8").splitlines()]
        classes.write_text("".join(f"{name}\n" for name in sorted(set(known))), encoding="utf-8")
    print(", ".join(f"{count} {name}" for name, count in sorted(counts.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
