#!/usr/bin/env python3
"""Compares `ultramotion extract` with pydicom on every file that pydicom bundles.

    pydicom_table.py PROGRAM [--output TABLE] [--only SUBSTRING]

PROGRAM is called as `PROGRAM extract --input FILE --output DIR [--stored-values]`. A file that pydicom turns into an
image must give the same pixels, exactly where nothing was lost in encoding, else within LOSSY_MEAN grey levels on
average; a DICOMDIR must give the images it refers to, or an error; any other file must give an error. Two rows a file: the 8-bit display, and the stored values.

Needs: pip install pydicom pylibjpeg[all] pyjpegls python-gdcm pillow numpy
Exit code 1 if a row is wrong.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import pydicom
import pydicom.data
from PIL import Image
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_windowing

LOSSY_MEAN = 2.0
# Lossy transfer syntaxes: JPEG baseline, extended; JPEG-LS near-lossless; JPEG 2000; HTJ2K.
LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203"}
# JPEG-LS near-lossless is defined bit for bit, so it is compared exactly.
FOLDERS = ("test_files", "charset_files", "palettes")


def frame_files(output, source):
    """The frames the program wrote for a file, in order: the one place that knows the layout."""
    root = output / "frames"
    return sorted(root.rglob("*.png")) if root.is_dir() else []


def files():
    root = pathlib.Path(pydicom.data.__file__).parent
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file():
                yield path.relative_to(root).as_posix(), path


def to_8_bits(x):
    return np.floor(np.clip(x, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def ratio(values, low, high):
    return (values - low) / (high - low) if high > low else np.zeros(values.shape)


def show(ds, arr):
    """The documented display rule (src/dicom/display.rs) on pydicom's pixel array."""
    photometric = ds.PhotometricInterpretation
    if photometric == "PALETTE COLOR":
        rgb = apply_color_lut(arr, ds)[..., :3]
        return (rgb >> 8).astype(np.uint8) if rgb.dtype == np.uint16 else rgb
    bits = int(ds.BitsStored) if "BitsStored" in ds else 8 * arr.dtype.itemsize
    if ds.SamplesPerPixel == 3:
        return arr.astype(np.uint8) if bits == 8 else to_8_bits(arr / (2.0**bits - 1))
    values = apply_modality_lut(arr, ds).astype(np.float64)
    if ds.get("VOILUTSequence"):
        item = ds.VOILUTSequence[0]
        entries, first, depth = item.LUTDescriptor[0] or 65536, item.LUTDescriptor[1], item.LUTDescriptor[2]
        table = item.LUTData
        table = np.frombuffer(table, "<u2") if isinstance(table, bytes) else np.asarray(table)
        index = np.clip(values - first, 0, entries - 1).astype(np.int64)
        shown = to_8_bits(table[index] / (2.0**depth - 1))
    elif ds.get("WindowCenter") is not None and ds.get("WindowWidth") is not None:
        # pydicom windows to the range of the stored bits after rescale.
        low, high = 0.0, 2.0**bits - 1
        if ds.PixelRepresentation == 1:
            low, high = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
        if "RescaleSlope" in ds and "RescaleIntercept" in ds:
            low, high = (v * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for v in (low, high))
        shown = to_8_bits(ratio(apply_windowing(values, ds), low, high))
    elif bits <= 8 and "ModalityLUTSequence" not in ds and arr.dtype.kind in "ui":
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if ds.PixelRepresentation == 1 else (0, 2**bits - 1)
        ends = [float(v) * float(ds.get("RescaleSlope", 1)) + float(ds.get("RescaleIntercept", 0)) for v in (low, high)]
        shown = to_8_bits(ratio(values, min(ends), max(ends)))
    else:
        shown = to_8_bits(ratio(values, values.min(), values.max()))
    return 255 - shown if photometric == "MONOCHROME1" else shown


def reference(path):
    """Stored values and display by pydicom, with what the table says of the file; raises if it is no image."""
    ds = pydicom.dcmread(path)
    about = (
        getattr(getattr(ds, "file_meta", None), "TransferSyntaxUID", "") or "-",
        ds.get("PhotometricInterpretation", "-"),
        f"{ds.get('BitsStored', '-')}/{ds.get('BitsAllocated', '-')}",
    )
    try:
        arr = ds.pixel_array
        shown = show(ds, arr)
    except Exception as e:
        return about, None, None, f"{type(e).__name__}: {e}".splitlines()[0]
    colour = ds.SamplesPerPixel == 3
    shown_frames = shown.reshape(-1, *shown.shape[-3 if shown.shape[-1] == 3 and (colour or ds.PhotometricInterpretation == "PALETTE COLOR") else -2 :])
    stored_frames = arr.reshape(-1, *arr.shape[-3 if colour else -2 :])
    return about, shown_frames, stored_frames, ""


def fits_16_bits(arr):
    if arr.dtype.kind == "f":
        return False
    return arr.min() >= -32768 and arr.max() <= (32767 if arr.dtype.kind == "i" else 65535)


def run(program, path, stored):
    """The frames the program gives for a file, or none and its message."""
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder) / "out"
        command = [program, "extract", "--input", str(path), "--output", str(output)]
        done = subprocess.run(command + ["--stored-values"] * stored, capture_output=True, text=True, errors="replace")
        if done.returncode < 0 or "panicked" in done.stderr:
            return "crash", None, done.stderr.strip()
        if done.returncode != 0:
            return "error", None, (done.stderr.strip().splitlines() or ["exit code %d" % done.returncode])[-1]
        return "image", [read_png(p) for p in frame_files(output, path)], ""


def read_png(path):
    """A PNG of 8 or 16 bits, grey or RGB; Pillow cannot read 16-bit RGB, so this decodes the few forms itself."""
    import struct
    import zlib

    data = path.read_bytes()
    at, idat = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            idat += body
        at += 12 + length
    channels = {0: 1, 2: 3}.get(colour)
    if channels is None or depth not in (8, 16):
        arr = np.asarray(Image.open(path).convert("RGB"))
        return arr
    step = channels * depth // 8
    raw, stride = zlib.decompress(idat), width * step
    rows, above = [], np.zeros(stride, np.uint8)
    for y in range(height):
        kind, row = raw[y * (stride + 1)], np.frombuffer(raw, np.uint8, stride, y * (stride + 1) + 1).copy()
        unfilter(kind, row, above, step)
        rows.append(row)
        above = row
    flat = np.concatenate(rows)
    flat = flat.view(">u2").astype(np.uint16) if depth == 16 else flat
    return flat.reshape((height, width) if channels == 1 else (height, width, 3))


def unfilter(kind, row, above, step):
    if kind == 2:
        row += above
    elif kind:
        r, a = row.tolist(), above.tolist()
        for i in range(len(r)):
            left, up, corner = (r[i - step] if i >= step else 0), a[i], (a[i - step] if i >= step else 0)
            if kind == 1:
                add = left
            elif kind == 3:
                add = (left + up) // 2
            else:
                p = left + up - corner
                d = (abs(p - left), abs(p - up), abs(p - corner))
                add = left if d[0] <= d[1] and d[0] <= d[2] else up if d[1] <= d[2] else corner
            r[i] = (r[i] + add) & 255
        row[:] = r


def compare(expected, got, lossy):
    if len(expected) != len(got):
        return None, None, f"WRONG: {len(got)} frames for {len(expected)}"
    worst, total = 0.0, 0.0
    for want, have in zip(expected, got):
        if want.shape != have.shape:
            return None, None, f"WRONG: shape {have.shape} for {want.shape}"
        difference = np.abs(want.astype(np.int64) - have.astype(np.int64))
        worst, total = max(worst, difference.max()), total + difference.mean()
    mean = total / len(expected)
    right = mean <= LOSSY_MEAN if lossy else worst == 0
    return worst, mean, "ok" if right else "WRONG"


def directory_row(program, name, path, stored):
    """A DICOMDIR is no image itself: it stands for the images it refers to, each of which must come out."""
    ds = pydicom.dcmread(path)
    listed = [r.ReferencedFileID for r in ds.get("DirectoryRecordSequence", []) if r.DirectoryRecordType == "IMAGE"]
    listed = [pathlib.Path(path).parent.joinpath(*([i] if isinstance(i, str) else i)) for i in listed]
    kind, got, message = run(program, path, stored)
    if listed and all(p.exists() for p in listed):
        # A damaged directory may be refused.
        verdict = "ok" if kind == "error" or (kind == "image" and len(got) == len(listed)) else "WRONG"
    else:
        verdict = "ok" if kind == "error" else "WRONG: an image"
    found = f"{len(got)} images" if kind == "image" else f"{kind} ({message[-100:]})"
    cells = [name, "stored" if stored else "display", ds.file_meta.TransferSyntaxUID, "-", "-/-", f"refers to {len(listed)} images", found, "-", "-", verdict]
    return [str(c).replace("|", "/") for c in cells]


def is_directory(path):
    try:
        return "DirectoryRecordSequence" in pydicom.dcmread(path, stop_before_pixels=True)
    except Exception:
        return False


def row(program, name, path, stored):
    if is_directory(path):
        return directory_row(program, name, path, stored)
    try:
        about, shown, values, why = reference(path)
    except Exception as e:
        about, shown, values, why = ("-", "-", "-"), None, None, f"{type(e).__name__}: {e}".splitlines()[0]
    expected = values if stored else shown
    if stored and expected is not None and not fits_16_bits(expected):
        expected, why = None, "values do not fit 16 bits"
    kind, got, message = run(program, path, stored)
    if stored and kind == "image" and expected is not None and expected.dtype.kind == "i":
        got = [g.view(np.int16) if g.dtype == np.uint16 else g for g in got]
    worst = mean = None
    if kind == "crash":
        verdict = "WRONG: crash"
    elif expected is None:
        verdict = "ok" if kind == "error" else "WRONG: an image"
    elif kind == "error":
        verdict = "WRONG: an error"
    else:
        worst, mean, verdict = compare(expected, got, about[0] in LOSSY)
    cells = [name, "stored" if stored else "display", *about, "image" if expected is not None else f"error ({why[:60]})"]
    cells += ["image" if kind == "image" else f"{kind} ({message[-100:]})"]
    cells += ["-" if worst is None else f"{worst:g}", "-" if mean is None else f"{mean:.4g}", verdict]
    return [str(c).replace("|", "/") for c in cells]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--output", type=pathlib.Path, help="also write the table here")
    parser.add_argument("--only", default="", help="only files whose name contains this")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    import logging

    logging.disable(logging.CRITICAL)
    header = ["file", "of", "transfer syntax", "photometric", "bits", "pydicom", "ours", "max diff", "mean diff", "verdict"]
    rows = [row(arguments.program, n, p, s) for n, p in files() if arguments.only in n for s in (False, True)]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rows])
    wrong = [r for r in rows if r[-1] != "ok"]
    summary = f"{len(rows)} rows, {sum(r[5] == 'image' for r in rows)} images, {len(wrong)} wrong"
    print(table, summary, sep="\n\n")
    if arguments.output:
        arguments.output.write_text(f"{table}\n\n{summary}\n")
    sys.exit(1 if wrong or not rows else 0)


if __name__ == "__main__":
    main()
