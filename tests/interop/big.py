#!/usr/bin/env python3
"""Times and measures exports of a record of many frames, kills each half way, and makes it again.

    python3 tests/interop/big.py PROGRAM RUN FOLDER [--frames N] [--kinds KIND,...] [--records stills,cine] [--no-kill]

RUN is a small run with masks. Its frames with objects are repeated as those of N stills (10,000) in a hundred folders, and of
one DICOM cine of N frames; the pictures and both records are made in FOLDER, where they are not there. For each record and
kind: seconds and those of processors, the peak of resident memory, and whether an export that is killed (SIGKILL) half way and
done again with --resume has the same bytes and leaves no other file. Exits with 1 if one needs 60 s of processors or 500 MB,
or differs.

Needs pydicom, pillow and numpy.
"""

import argparse
import hashlib
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pydicom
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

KINDS = "coco,datumaro,yolo,masks,instances,nnunet,cvat,labelme,voc,labelstudio,seg,nrrd,csv,mot,mots,report"
SECONDS, MEGABYTES = 60, 500


def write_cine(path, size, frames):
    d, meta = pydicom.Dataset(), pydicom.dataset.FileMetaDataset()
    d.file_meta = meta
    meta.MediaStorageSOPClassUID = d.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = generate_uid(entropy_srcs=["big"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.StudyInstanceUID, d.SeriesInstanceUID = generate_uid(entropy_srcs=["study"]), generate_uid(entropy_srcs=["series"])
    d.Modality, d.PatientID, d.PatientName, d.StudyDate, d.StudyTime = "US", "P", "P", "20260102", "101112"
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 8, 8, 7, 0
    (d.Columns, d.Rows), d.NumberOfFrames = size, frames
    d.FrameTime, d.FrameIncrementPointer = 40, 0x00181063
    d.save_as(path, enforce_file_format=True)
    # A ramp that moves: few bytes a frame would not be those of a picture, and noise would only measure PNG. It is the last
    # attribute, in explicit little endian, and too large to be held.
    ramp = (np.arange(size[1])[:, None] + np.arange(size[0])) % 256
    with open(path, "ab") as file:
        file.write(bytes.fromhex("e07f1000") + b"OB\0\0" + (frames * size[0] * size[1]).to_bytes(4, "little"))
        for n in range(frames):
            file.write(((ramp + n) % 256).astype(np.uint8).tobytes())


def write_run(about, root, lines):
    root.mkdir(parents=True)
    (root / "run.json").write_text(json.dumps(about), encoding="utf-8")
    with open(root / "detections.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def records(run, folder, count):
    """Makes the folders of two runs: `cine`, and `stills`."""
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    about.pop("image_root", None)
    lines = [json.loads(line) for line in open(run / "detections.jsonl", encoding="utf-8")]
    size = max(((line["width"], line["height"]) for line in lines if line["objects"]), default=None)
    lines = [line for line in lines if line["objects"] and (line["width"], line["height"]) == size]
    cine = folder / "cine.dcm"
    write_cine(cine, size, count)
    same = {"width": size[0], "height": size[1]}
    # Each object has the track of its place in the frame.
    tracked = [[{**o, "track_id": at + 1, "visibility": "visible"} for at, o in enumerate(line["objects"])] for line in lines]
    repeated = [tracked[n % len(lines)] for n in range(count)]
    write_run(about, folder / "cine", (
        {"source": "cine", "source_index": 0, "kind": "dicom", "path": str(cine), "image": f"cine/{n:06}.png", "frame": n,
         "timestamp": n * 0.04, **same, "objects": objects}
        for n, objects in enumerate(repeated)
    ))
    stills = folder / "in"
    Image.fromarray(((np.arange(size[1])[:, None] * 2 + np.arange(size[0])) % 256).astype(np.uint8)).save(folder / "still.png")
    for n in range(count):
        path = stills / f"{n % 100:02}" / f"{n:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(folder / "still.png", path)
    about["image_root"] = str(stills)
    names = [f"{n % 100:02}/{n:05}" for n in range(count)]
    order = sorted(range(count), key=lambda n: names[n])
    write_run(about, folder / "stills", (
        {"source": names[n], "source_index": at, "kind": "image", "path": str(stills / f"{names[n]}.png"),
         "image": f"{names[n]}.png", "frame": 0, "timestamp": None, **same, "objects": repeated[n]}
        for at, n in enumerate(order)
    ))


def digest(root):
    """A digest of all names and bytes but those of export.json; links count as what they lead to."""
    whole = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if not p.is_dir()):
        if path.name != "export.json":
            whole.update(path.relative_to(root).as_posix().encode() + b"\0")
            whole.update(os.readlink(path).encode() if path.is_symlink() else hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def export(command, killed_after=None):
    """Seconds, those of processors, megabytes, and the exit code of the export, which is killed after so many seconds."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        # Not ru_maxrss, which counts this process before it became the other.
        try:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")))
        except (OSError, ValueError, TypeError):
            pass
        if killed_after is not None and time.monotonic() - started >= killed_after:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.02)
    seconds, error = time.monotonic() - started, process.stderr.read().decode()
    if process.returncode and killed_after is None:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}\n{error}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = used.ru_utime + used.ru_stime
    spent, export.before = used - export.before, used
    return seconds, spent, peak / 1024, process.returncode


export.before = 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--kinds", default=KINDS)
    parser.add_argument("--records", default="stills,cine")
    parser.add_argument("--no-kill", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    folder, wrong = args.folder.resolve(), 0
    if not (folder / "stills/detections.jsonl").exists():
        records(args.run, folder, args.frames)
    for name in args.records.split(","):
        run = folder / name
        for kind in args.kinds.split(","):
            # Stills are no series and no sequences.
            if name == "stills" and kind in ("seg", "mot", "mots"):
                continue
            out = folder / "out"
            command = [args.program, "--quiet", "export", "--run", str(run), "--to", kind, "--output", str(out)]
            seconds, spent, megabytes, _ = export(command)
            unbroken, said = digest(out), ""
            if not args.no_kill:
                shutil.rmtree(out)
                *_, code = export(command, seconds / 2)
                export([*command, "--resume"])
                same = digest(out) == unbroken
                said = ", ".join(["killed" if code == -signal.SIGKILL else "ended before it was killed", "same bytes" if same else "DIFFERS"])
                wrong += not same
            bad = spent >= SECONDS or megabytes >= MEGABYTES
            wrong += bad
            print(f"{name:7} {kind:12} {seconds:6.1f} s, {spent:5.1f} s of processors, {megabytes:4.0f} MB  {said}{'  TOO MUCH' if bad else ''}", flush=True)
            shutil.rmtree(out)
    print(f"{wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
