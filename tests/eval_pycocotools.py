#!/usr/bin/env python3
"""Compares `ultramotion eval` with pycocotools and scipy on random sets.

    python3 tests/eval_pycocotools.py target/release/ultramotion [--sets 300] [--seed 0]

Makes sets as tests/fixtures/eval/make.py does, runs the program with --json, and prints the largest difference of any AP
or AR, over all and by class, by boxes and masks, from pycocotools, and of matched objects from an assignment by scipy.
Exits with 1 if one is above 1e-6, or if a figure is there on one side alone. Needs pycocotools, numpy and scipy.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent / "fixtures" / "eval"))
import make  # noqa: E402


def difference(found, wanted, where, wrong):
    if found is None or wanted is None:
        if found is not wanted:
            wrong.append(f"{where}: {found} instead of {wanted}")
        return 0.0
    if abs(found - wanted) > 1e-6:
        wrong.append(f"{where}: {found} instead of {wanted}")
    return abs(found - wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--sets", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wrong, largest, figures = [], {"bbox": 0.0, "segm": 0.0, "matched": 0.0}, 0
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder) / name for name in ("gt.json", "predictions.json")]
        for number in range(options.sets):
            rng = np.random.default_rng([options.seed, number])
            form = make.FORMS[number % len(make.FORMS)]
            limits = (1, 10, 100) if number % 4 else (3, 40)
            if number % 10 == 9:
                truth, predictions = make.many(rng, "boxes" if number % 20 == 9 else "whole_boxes")
            else:
                truth, predictions = make.random_set(rng, form, crowded=number % 3 == 0)
            for path, value in zip(paths, (truth, predictions)):
                path.write_text(json.dumps(value))
            command = [options.program, "eval", "--ground-truth", paths[0], "--predictions", paths[1], "--json"]
            run = subprocess.run(command + ["--max-detections", ",".join(map(str, limits))], capture_output=True, text=True)
            if run.returncode != 0:
                wrong.append(f"set {number} ({form}): exit code {run.returncode}: {run.stderr.strip()}")
                continue
            found, wanted = json.loads(run.stdout), make.expected(truth, predictions, limits)
            for kind in ("bbox", "segm"):
                if (found[kind] is None) != (wanted[kind] is None):
                    wrong.append(f"set {number} ({form}): {kind} is there on one side alone")
                    continue
                if wanted[kind] is None:
                    continue
                pairs = [("overall", found[kind]["overall"], wanted[kind]["overall"])]
                pairs += [(row["category"], row, wanted[kind]["per_class"][row["category"]]) for row in found[kind]["per_class"]]
                for name, row, target in pairs:
                    for figure, value in target.items():
                        figures += 1
                        where = f"set {number} ({form}), {kind}, {name}, {figure}"
                        largest[kind] = max(largest[kind], difference(row[figure], value, where, wrong))
            for row in found["matched_per_class"]:
                for figure, value in wanted["matched"][row["category"]].items():
                    # Equal costs leave several choices, of which any is right, but masks then differ.
                    if form == "masks" and figure in ("mean_mask_iou", "mean_dice"):
                        continue
                    figures += 1
                    where = f"set {number} ({form}), matched, {row['category']}, {figure}"
                    largest["matched"] = max(largest["matched"], difference(row[figure], value, where, wrong))
    print("\n".join(wrong[:20]))
    print(f"{options.sets} sets, {figures} figures, {len(wrong)} wrong; largest difference: {largest}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
