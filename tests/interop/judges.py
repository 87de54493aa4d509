#!/usr/bin/env python3
"""Makes a mixed folder, runs the program on it, exports in all variants, and has each judge read what was written.

    python3 tests/interop/judges.py PROGRAM FOLDER [--require PARTS]

tools/judges.sh installs the judges into FOLDER and starts this, with JUDGES_ULTRALYTICS and CORNERSTONE naming the folders
of those that may be missing, and JUDGES_IGTL_PEER the example that exchanges messages; FOLDER/NAME/why says why one is. Data
sets go to FOLDER/work, which is made anew. Prints a table; exits with 1 if a judge found anything wrong, or one of a part of
--require was left out.
"""

import argparse
import concurrent.futures
import filecmp
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import numpy as np
from PIL import Image

import record

HERE = pathlib.Path(__file__).parent
KINDS = "coco,masks,instances,yolo,datumaro,nnunet,cvat,labelme,voc,labelstudio,seg,nrrd,csv,report"
# Files that say how a folder was made, which differ.
OWN_FILES = {"run.json", "export.json", "detections.jsonl", ".ultramotion-state.jsonl"}
SPLIT = ["--split", "0.6,0.2,0.2", "--split-by", "source", "--seed", "5"]
SAID = re.compile(r"(.+): (\d+) files, (\d+) objects(?: \(\d+ with masks\))?, (\d+) wrong(?:, IoU least (\S+) mean (\S+))?$")

# Rows of the table, in the order in which they were asked for: a call gives each list of them.
results = []
judges = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
start = time.monotonic()


def made(variant, judge, files="", objects="", wrong=0, least="", mean="", state=None):
    return [variant, judge, str(files), str(objects), str(wrong), least or "", mean or "", state or ("FAILS" if wrong else "ok")]


def row(*given, **named):
    results.append(lambda: [made(*given, **named)])


def say(text):
    print(f"[{time.monotonic() - start:4.0f} s] {text}", flush=True)


def ask(variant, script, *arguments, python=(sys.executable,), environment=None):
    """Runs a script beside this one, others at the same time; its lines become rows."""

    def run():
        command = [*python, str(HERE / script), *map(str, arguments)]
        ran = subprocess.run(command, capture_output=True, text=True, env=os.environ | (environment or {}))
        said = [m for m in map(SAID.match, ran.stdout.splitlines()) if m]
        rows = [made(variant, m[1], m[2], m[3], int(m[4]), m[5], m[6]) for m in said]
        wrong = any(int(m[4]) for m in said)
        if wrong or ran.returncode or not said:
            print(f"{variant}: {' '.join(command)}\n{ran.stdout}{ran.stderr[-2000:]}", flush=True)
        if not wrong and (ran.returncode or not said):
            rows.append(made(variant, script, wrong=1, state=f"FAILS: exit code {ran.returncode}"))
        return rows

    results.append(judges.submit(run).result)


# What the program is run on.


def mixed(program, folder):
    """Stills below folders with blanks and umlauts, a numbered folder, videos, a DICOM cine, a picture without objects."""
    phantoms, into = folder / "phantoms", folder / "in"
    program("phantom", "--seed", "40", "--sequences", "5", "--frames", "5", "--size", "320x288", "--write", "png,mp4,dicom",
            "--output", phantoms)
    made = sorted(phantoms.glob("seed-*"))
    frame = lambda sequence, number: made[sequence] / "frames" / f"{number:06}.png"
    # Their masks have parts that a line must reach.
    program("extract", HERE.parent.parent / "assets/phantom-demo.mp4", "--frames", "..5", "--output", folder / "demo")
    demo = sorted((folder / "demo").rglob("*.png"))
    copies = {
        "photo ü/Größe A.png": demo[0], "photo ü/bild Nr. 13.png": demo[3], "photo ü/bild Nr. 14.png": demo[4],
        "photo ü/sub/still.png": frame(2, 1), "seq/000001.png": frame(3, 0), "seq/000002.png": frame(3, 1),
        "seq/000003.png": frame(3, 2), "videos/clip ä.mp4": made[2] / "clip.mp4", "videos/b/clip.mp4": made[4] / "clip.mp4",
        "cine.dcm": made[0] / "clip.dcm",
    }
    for name, original in copies.items():
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(original, into / name)
    colour = np.asarray(Image.open(demo[1]).convert("RGB")) * [1.0, 0.9, 0.8]
    Image.fromarray(colour.astype(np.uint8)).save(into / "photo ü/farbe b.jpg", quality=92)
    Image.new("L", (333, 217), 40).save(into / "photo ü/leer.png")
    return into


# What is compared here.


def same_bytes(variant, run, export):
    """Every file of an export is one of the run, with the same bytes, and none is missing but the run's own."""
    names = lambda root: {
        p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file() and p.relative_to(root).as_posix() not in OWN_FILES
    }
    mine, theirs = names(run), names(export)
    differ = sorted(mine ^ theirs) + sorted(n for n in mine & theirs if not filecmp.cmp(run / n, export / n, shallow=False))
    row(variant, "export = --write, byte for byte", len(mine | theirs), wrong=len(differ))
    for name in differ[:10]:
        print(f"{variant}: {name} differs", flush=True)


def no_source_is_divided(variant, run, root):
    """Parts of each kind hold every picture once, all pictures of a source in one part, the same part in every kind."""
    expected = record.read(run / "detections.jsonl")
    problems, parts_of = [], {}
    listed = lambda path: [line.removeprefix("./images/") for line in path.read_text(encoding="utf-8").splitlines()]
    coco = lambda path: [image["file_name"] for image in json.loads(path.read_text(encoding="utf-8"))["images"]]
    kinds = {"coco": ("coco_{}.json", coco), "datumaro": ("annotations/instances_{}.json", coco), "yolo": ("{}.txt", listed)}
    for kind, (pattern, pictures) in kinds.items():
        found = []
        for part in ("train", "val", "test"):
            path = root / pattern.format(part)
            for name in pictures(path) if path.exists() else []:
                found.append(name)
                source = expected[name][0]["source"] if name in expected else name
                if parts_of.setdefault(source, part) != part:
                    problems.append(f"{kind}: {source} is in {part} and in {parts_of[source]}")
        if sorted(found) != sorted(expected):
            problems.append(f"{kind}: {len(found)} pictures, not {len(expected)}")
    if len(set(parts_of.values())) != 3:
        problems.append(f"parts are {sorted(set(parts_of.values()))}")
    tests = sum(1 for line, _ in expected.values() if parts_of.get(line["source"]) == "test")
    if len(list((root / "nnunet/imagesTs").glob("*"))) != tests:
        problems.append(f"nnunet: imagesTs has not the {tests} pictures of the part test")
    row(variant, "no source in two parts", len(expected), wrong=len(problems))
    for problem in problems[:10]:
        print(f"{variant}: {problem}", flush=True)


def pictures_are(variant, root, given, links):
    """Stills below images/ are links to what was given, or copies of it."""
    problems, count = [], 0
    for original in given.rglob("*"):
        if original.suffix in (".png", ".jpg"):
            placed = root / "images" / original.relative_to(given)
            count += 1
            if placed.is_symlink() != links or not placed.is_file() or placed.read_bytes() != original.read_bytes():
                problems.append(str(placed))
    row(variant, "pictures are " + ("links" if links else "copies"), count, wrong=len(problems))
    if problems:
        print(f"{variant}: {problems[:10]}", flush=True)


def back(program, run, root, folder):
    """`convert` of each kind gives the boxes of the record, and its masks where the kind has them."""
    expected = record.read(run / "detections.jsonl")
    cvat = [p for p in sorted((root / "cvat").rglob("*.xml"))]
    kinds = {
        # What is read, as which kind, whether masks are compared (1: equal, 0.97: polygons, None: not compared).
        "coco": ([root / "coco.json"], "coco", 1.0),
        "datumaro": ([root / "annotations/instances_default.json"], "coco", 1.0),
        "yolo": ([root], "yolo", None),
        "cvat": (cvat, "cvat", record.NEAR),
        "labelme": ([root / "labelme"], "labelme", record.NEAR),
        "voc": ([root / "voc"], "voc", None),
        "labelstudio": ([root / "labelstudio.json"], "labelstudio", record.NEAR),
    }
    for kind, (inputs, stated, least) in kinds.items():
        judge = record.Judge(f"convert --from {stated}", True, 0.02)
        judge.least = least or 0.0
        missing = dict(expected)
        for number, given in enumerate(inputs):
            into = folder / f"{kind}-{number}"
            program("convert", given, "--from", stated, "--to", "coco", "--image-root", root / "images", "--output", into)
            data = json.loads((into / "coco.json").read_text(encoding="utf-8"))
            names = {c["id"]: c["name"] for c in data["categories"]}
            for image in data["images"]:
                if image["file_name"] not in missing:
                    judge.problems.append(f"{image['file_name']} is not of the record, or twice")
                    continue
                line, objects = missing.pop(image["file_name"])
                found = []
                for entry in data["annotations"]:
                    if entry["image_id"] == image["id"]:
                        x, y, w, h = entry["bbox"]
                        rle = entry.get("segmentation")
                        mask = record.decode(rle["counts"], line["width"], line["height"]) if rle and least else None
                        found.append((names[entry["category_id"]], [x, y, x + w, y + h], mask))
                judge.picture(image["file_name"], objects, found, boxes_only=least is None)
        judge.problems += [f"{name}: not read" for name, (_, objects) in missing.items() if objects]
        overlap = (f"{min(judge.ious):.4f}", f"{np.mean(judge.ious):.4f}") if judge.ious else ("", "")
        row(kind, judge.what, judge.pictures, judge.boxes, len(judge.problems), *overlap)
        for problem in judge.problems[:10]:
            print(f"{kind}, convert: {problem}", flush=True)


# The whole.


class Program:
    def __init__(self, path, folder):
        self.path, self.folder = path, folder

    def __call__(self, *arguments):
        command = [self.path, "--quiet", *map(str, arguments)]
        ran = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        if ran.returncode:
            sys.exit(f"{' '.join(command)}: exit code {ran.returncode}\n{ran.stdout}{ran.stderr}")


SEG = {
    "seg": [],
    "seg label map": ["--seg-type", "labelmap"],
    "seg frames": ["--seg-geometry", "frames"],
    "seg frames deflated": ["--seg-geometry", "frames", "--seg-deflated"],
    "seg label map frames deflated": ["--seg-type", "labelmap", "--seg-geometry", "frames", "--seg-deflated"],
}


def left_out(folder, part, judge, require):
    why = folder / part / "why"
    why = why.read_text().strip() if why.exists() else "not installed"
    row("", judge, wrong=int(part in require), state=f"left out: {why}")


def judge_segmentations(program, work, run, write):
    """DICOM Segmentations and NRRD of the run, and of sources made for it: cine grey and RGB, series, without geometry."""
    sources = work / "dicom"
    subprocess.run([sys.executable, HERE / "seg.py", "--sources", sources], check=True)
    # The record that was made for the sources, as if it were of a run.
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    about.pop("image_root", None)
    (sources / "run.json").write_text(json.dumps(about), encoding="utf-8")
    for variant, options in SEG.items():
        export = work / variant.replace(" ", "-")
        program("export", "--run", sources, "--to", "seg,nrrd", *options, "--output", export)
        ask(variant, "seg.py", sources, export)
    ask("seg of the run", "seg.py", run, run)
    ask("seg of the run, variant", "seg.py", run, write)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--require", default="", type=lambda text: text.split(","))
    args = parser.parse_args()
    work = args.folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    os.chdir(work)
    program = Program(args.program, work)

    say("the mixed folder, and a run with every kind but those of tracks")
    given, run, truth = mixed(program, work), work / "run", work / "run/detections.jsonl"
    program("pipeline", given, "--write", KINDS, "--images", "copy", "--confidence", "0.4", "--device", "cpu", "--output", run)
    other = ["--images", "link", "--masks", "polygon", *SPLIT, "--seg-type", "labelmap", "--seg-geometry", "frames", "--seg-deflated"]
    write = work / "run-variant"
    program("pipeline", given, "--write", KINDS, *other, "--confidence", "0.4", "--device", "cpu", "--output", write)

    say("exports of it, which are what the runs wrote")
    export = lambda name, *options: (program("export", "--run", run, *options, "--output", work / name), work / name)[1]
    same_bytes("default", run, export("export", "--to", KINDS, "--images", "copy"))
    split = export("export-variant", "--to", KINDS, *other)
    same_bytes("polygon, split, link, label map", write, split)
    pictures_are("--images copy", run, given, False)
    pictures_are("--images link", split, given, True)
    no_source_is_divided("split", run, split)
    rle = export("rle", "--to", "cvat,labelme,labelstudio,voc", "--masks", "rle")

    say("COCO, Datumaro, YOLO")
    ask("run lengths", "coco.py", run, truth)
    ask("polygon, split, link", "coco.py", split, truth, "--polygons")
    copied = export("copied", "--to", "coco,datumaro", "--images", "copy", "--masks", "polygon", *SPLIT)
    ask("polygon, split, copy", "coco.py", copied, truth, "--polygons")
    ultralytics = os.environ.get("JUDGES_ULTRALYTICS")
    if ultralytics:
        root = pathlib.Path(ultralytics)
        paths = {
            "LD_LIBRARY_PATH": (root / "libraries").read_text().strip(), "YOLO_CONFIG_DIR": str(root), "YOLO_OFFLINE": "true",
            "PYTHONPATH": f"{root / 'modules'}:{root / 'root/usr/lib/python3/dist-packages'}",
        }
        python = ("/usr/bin/python3",)
        ask("yolo", "yolo.py", run, truth, python=python, environment=paths)
        ask("yolo, split, link", "yolo.py", split, truth, python=python, environment=paths)
    else:
        left_out(args.folder, "ultralytics", "Ultralytics: YOLODataset", args.require)

    say("CVAT, VOC, labelme, Label Studio")
    ask("polygon", "cvat_voc.py", run, truth)
    ask("run lengths", "cvat_voc.py", rle, truth, "--rle")
    ask("polygon", "labelme_json.py", run, truth, "--pictures")
    ask("run lengths", "labelme_json.py", rle, truth, "--rle")
    ask("polygon", "labelstudio.py", run, truth)
    ask("run lengths", "labelstudio.py", rle, truth, "--rle")

    say("back by convert")
    (work / "back").mkdir()
    back(program, run, run, work / "back")

    say("tracks: MOT, MOTS, and their figures")
    tracked, tracks = work / "tracked", "mot,mots"
    clips = [given / "videos", given / "seq", given / "cine.dcm", HERE.parent.parent / "assets/phantom-demo.mp4"]
    program("pipeline", *clips, "--track", "--frames", "..9", "--write", tracks, "--device", "cpu", "--output", tracked)
    same_bytes("tracks", tracked, (program("export", "--run", tracked, "--to", tracks, "--output", work / "tracks"), work / "tracks")[1])
    ask("tracks", "mot.py", tracked, tracked / "detections.jsonl")
    ask("eval --tracks", "track_eval.py", args.program)

    say("DICOM Segmentation, NRRD")
    judge_segmentations(program, work, run, write)
    if not os.environ.get("CORNERSTONE"):
        left_out(args.folder, "npm", "cornerstone", args.require)

    say("OpenIGTLink")
    peer = os.environ.get("JUDGES_IGTL_PEER")
    if peer:
        ask("OpenIGTLink", "igtl.py", peer, args.program)
    else:
        row("", "pyigtl", state="left out: examples/igtl_peer is not beside the program")

    say("serve and the page of live")
    picture = sorted((work / "demo").rglob("*.png"))[3]
    program("pipeline", picture, "--write", "coco", "--confidence", "0.5", "--device", "cpu", "--output", work / "asked")
    ask("serve", "anylabeling.py", args.program, picture, work / "asked/detections.jsonl")
    browser = os.environ.get("CORNERSTONE")
    if browser:
        ask("live", "monitor.mjs", args.program, HERE.parent.parent / "assets/phantom-demo.mp4", browser, python=("node",))
    else:
        left_out(args.folder, "npm", "Chromium: the page of live", args.require)

    say("waiting for the last judges")
    rows = [row for rows_of in results for row in rows_of()]
    say("done")
    table = [["variant", "judge", "files", "objects", "wrong", "IoU least", "mean", ""], *rows]
    widths = [max(len(r[at]) for r in table) for at in range(7)]
    for r in table:
        print("  ".join(c.ljust(w) if at < 2 else c.rjust(w) for at, (c, w) in enumerate(zip(r, widths))) + f"  {r[7]}")
    failed = sum(1 for r in rows if r[4] != "0")
    print(f"{len(rows)} rows, {failed} wrong" + (f"; written: {work}" if failed else ""))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
