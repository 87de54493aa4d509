#!/usr/bin/env python3
"""Judges DICOM Segmentation and NRRD of a run: other software must read them back to the masks of the record.

    tests/interop/seg.py RUN EXPORT      RUN has detections.jsonl, EXPORT has seg/ or nrrd/ or both (may be RUN itself)
    tests/interop/seg.py --sources DIR   writes DICOM sources to try: cine grey and RGB, series with and without geometry,
                                         and DIR/detections.jsonl with masks of two classes that overlap, and frames without

Needs: pip install numpy pydicom highdicom dicom3tools dcmqi slicerio pynrrd pycocotools pillow
Every source with masks must have its files; each is checked with

- dciodvfy -new (dicom3tools): no error, no warning
- pydicom: frame references, geometry of the source, pixels
- highdicom: pixels by source frame or source instance
- segimage2itkimage (dcmqi), where frames have a geometry: pixels and places of slices
- @cornerstonejs/adapters in Chromium, where frames have a geometry, which it insists on: with CORNERSTONE=DIR, a folder of
  npm install @cornerstonejs/adapters @cornerstonejs/core @babel/runtime esbuild events url
- slicerio (.seg.nrrd), pynrrd (.seq.nrrd)

Prints a line a file and one a judge; exits 1 if one differs.
"""
import base64
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import warnings

import numpy as np

import record

BIN = pathlib.Path(sys.executable).parent


class Wrong(Exception):
    """A file that is not what the record says."""


def need(right, what):
    if not right:
        raise Wrong(what)


# The record.


class Source:
    def __init__(self, line):
        self.name, self.kind, self.path = line["source"], line["kind"], line["path"]
        self.shape = (line["height"], line["width"])
        self.frames = []  # (number, file, [(label, track or rank, mask)])

    def add(self, line):
        from pycocotools import mask as coco

        found = []
        for rank, o in enumerate(line["objects"]):
            if "mask" in o:
                pixels = coco.decode({"size": o["mask"]["size"], "counts": o["mask"]["counts"].encode()}).astype(bool)
                if pixels.any():
                    found.append((o["label"], o.get("track_id", rank), pixels))
        self.frames.append((line["frame"], line.get("file"), found))

    def names(self):
        return {label for _, _, found in self.frames for label, _, _ in found}

    def mask(self, at, name):
        """The pixels of a segment, which is a class or a class with the number of a track, in the frame at place `at`."""
        pixels = np.zeros(self.shape, bool)
        for label, track, mask in self.frames[at][2]:
            if name in (label, f"{label} {track}"):
                pixels |= mask
        return pixels

    def label_map(self, at, numbers):
        """Numbers of segments, of which the first object has the pixels that several share."""
        pixels = np.zeros(self.shape, int)
        for label, track, mask in reversed(self.frames[at][2]):
            pixels[mask] = numbers.get(f"{label} {track}", numbers.get(label))
        return pixels


def read_sources(run):
    sources = {}
    for line in open(run / "detections.jsonl", encoding="utf-8"):
        line = json.loads(line)
        sources.setdefault(line["source"], Source(line)).add(line)
    return sources.values()


# DICOM.


def item(data_set, *path):
    for name in path:
        data_set = data_set[name][0]
    return data_set


def place(header, number):
    """(orientation, position, spacing) of a frame, of its functional groups or the header; none where nothing is stated."""
    if number and "PerFrameFunctionalGroupsSequence" in header:
        shared = item(header, "SharedFunctionalGroupsSequence")
        group = header.PerFrameFunctionalGroupsSequence[number - 1]
        orientation = item(shared, "PlaneOrientationSequence").ImageOrientationPatient
        position = item(group, "PlanePositionSequence").ImagePositionPatient
        spacing = item(shared, "PixelMeasuresSequence").PixelSpacing
    elif not number and "ImagePositionPatient" in header:
        orientation, position, spacing = header.ImageOrientationPatient, header.ImagePositionPatient, header.PixelSpacing
    else:
        return None
    return [[float(v) for v in values] for values in (orientation, position, spacing)]


def dciodvfy(seg, path, folder):
    if seg.file_meta.TransferSyntaxUID.is_deflated:
        # dciodvfy of the wheel does not inflate.
        seg.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        path = folder / "inflated.dcm"
        seg.save_as(path)
    out = subprocess.run([BIN / "dciodvfy", "-new", path], capture_output=True, text=True)
    said = [line for line in (out.stdout + out.stderr).splitlines() if line.startswith(("Error", "Warning"))]
    need(not said, "dciodvfy: " + "; ".join(said))


def frames_of(seg, pixels):
    """(segment number or none, source instance, source frame number or none, pixels, functional groups) of each frame."""
    for n, group in enumerate(seg.PerFrameFunctionalGroupsSequence):
        image = item(group, "DerivationImageSequence", "SourceImageSequence")
        segment = None
        if "SegmentIdentificationSequence" in group:
            segment = item(group, "SegmentIdentificationSequence").ReferencedSegmentNumber
        yield segment, image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber"), pixels[n], group


def check_pixels(source, seg, headers):
    """Each frame is the mask of the source frame that it refers to, and no mask is left out."""
    names = {s.SegmentNumber: s.SegmentLabel for s in seg.SegmentSequence}
    need(sorted(names) == list(range(1, len(names) + 1)), f"segment numbers {sorted(names)}")
    places = {(str(h.SOPInstanceUID), number): at for at, (h, number) in enumerate(headers)}
    pixels = seg.pixel_array.reshape(-1, *source.shape)
    seen = set()
    for segment, instance, number, found, group in frames_of(seg, pixels):
        at = places[(str(instance), number)]
        if segment is None:
            numbers = {name: n for n, name in names.items()}
            expected = source.label_map(at, numbers)
        else:
            expected = source.mask(at, names[segment])
        need((found == expected).all(), f"frame {at} of segment {segment}: {(found != expected).sum()} pixels differ")
        need((segment, at) not in seen, f"frame {at} of segment {segment} is there twice")
        seen.add((segment, at))
        if "FrameOfReferenceUID" in headers[at][0] and place(*headers[at]):
            position = item(group, "PlanePositionSequence").ImagePositionPatient
            need(np.allclose(position, place(*headers[at])[1]), f"frame {at} is at {position}")
            need(seg.FrameOfReferenceUID == headers[at][0].FrameOfReferenceUID, "Frame of Reference")
    for at in range(len(source.frames)):
        for number, name in names.items():
            there = seg.SegmentationType == "LABELMAP" or (number, at) in seen
            need(there or not source.mask(at, name).any(), f"frame {at} of {name} is missing")
        if seg.SegmentationType == "LABELMAP":
            need((None, at) in seen or not source.frames[at][2], f"frame {at} is missing")
    return names


def check_highdicom(source, path, names, headers):
    import highdicom

    seg = highdicom.seg.segread(path)
    label_map = seg.segmentation_type.value == "LABELMAP"
    uids = [h.SOPInstanceUID for h, _ in headers]
    numbers = [number for _, number in headers]
    options = {"assert_missing_frames_are_empty": True, "ignore_spatial_locations": True}
    if label_map:
        options["combine_segments"] = True
    if numbers[0] is None:
        found = seg.get_pixels_by_source_instance(uids, **options)
    else:
        found = seg.get_pixels_by_source_frame(uids[0], numbers, **options)
    for at in range(len(source.frames)):
        if label_map:
            expected = source.label_map(at, {name: n for n, name in names.items()})
            need((found[at] == expected).all(), f"highdicom: frame {at} differs")
            continue
        for number, name in names.items():
            need((found[at, ..., number - 1] == source.mask(at, name)).all(), f"highdicom: frame {at} of {name} differs")
    return "highdicom"


def check_dcmqi(source, path, seg, names, folder):
    import nrrd

    positions = [
        tuple(item(group, "PlanePositionSequence").ImagePositionPatient)
        for group in seg.PerFrameFunctionalGroupsSequence
    ]
    if len(set(positions)) != len(source.frames):
        return "dcmqi not asked: frames share their places"
    out = folder / "dcmqi"
    out.mkdir()
    program = [BIN / "segimage2itkimage", "--inputDICOM", path, "--outputDirectory", out, "--prefix", "s", "-t", "nrrd"]
    ran = subprocess.run(program, capture_output=True, text=True)
    need(ran.returncode == 0, "dcmqi: " + (ran.stderr or ran.stdout).strip()[-300:])
    label_map = seg.SegmentationType == "LABELMAP"
    for number, name in names.items():
        files = sorted(out.glob("*.nrrd")) if label_map else [out / f"s-{number}.nrrd"]
        volume, header = nrrd.read(str(files[0]))
        need(volume.shape[2] == len(source.frames), f"dcmqi: {volume.shape[2]} slices of {len(source.frames)}")
        step = np.linalg.norm(header["space directions"][2])
        places = np.array(sorted(set(positions)))
        if len(places) > 1:
            expected = np.linalg.norm(places[-1] - places[0]) / (len(places) - 1)
            need(abs(step - expected) < 1e-3, f"dcmqi: slices are {step} mm apart, not {expected}")
        for at in range(len(source.frames)):
            if label_map:
                expected = source.label_map(at, {n: k for k, n in names.items()}) == number
                found = volume[:, :, at].T == number
            else:
                expected, found = source.mask(at, name), volume[:, :, at].T > 0
            need((found == expected).all(), f"dcmqi: frame {at} of {name} differs")
    return "dcmqi"


@functools.cache
def cornerstone_bundle():
    """The page's script; none where CORNERSTONE does not name a folder of npm."""
    folder = os.environ.get("CORNERSTONE")
    if not folder:
        return None
    modules = pathlib.Path(folder).absolute() / "node_modules"
    script = pathlib.Path(__file__).with_name("cornerstone.mjs")
    program = [modules / ".bin" / "esbuild", script, "--bundle", "--format=iife", "--define:global=globalThis"]
    options = {"capture_output": True, "text": True, "env": os.environ | {"NODE_PATH": str(modules)}}
    built = subprocess.run(program, **options)
    need(built.returncode == 0, f"esbuild: {built.stderr[:500]}")
    return built.stdout


def check_cornerstone(source, path, seg, names, headers, folder):
    bundle = cornerstone_bundle()
    if bundle is None:
        return "cornerstone not asked: CORNERSTONE is not set"
    if seg.BitsAllocated == 1 and -(-seg.NumberOfFrames * seg.Rows * seg.Columns // 8) % 2:
        # 5.14 takes the byte that makes the length even for a fault.
        return "cornerstone not asked: it refuses packed bits of an odd number of bytes"
    images = []
    for header, number in headers:
        orientation, position, spacing = place(header, number) or (None, None, None)
        images.append({
            "id": f"wadouri:{header.SOPInstanceUID}" + (f"?frame={number}" if number else ""),
            "instance": header.SOPInstanceUID, "series": header.SeriesInstanceUID, "modality": header.Modality,
            "reference": header.get("FrameOfReferenceUID"), "shape": source.shape,
            "frames": len(headers) if number else 1,
            "orientation": orientation, "position": position, "spacing": spacing,
        })
    job = {"seg": base64.b64encode(path.read_bytes()).decode(), "images": images}
    page, script = folder / "page.html", bundle.replace("</script", "<\\/script")
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><body><script>globalThis.job = {json.dumps(job)};</script>'
        f"<script>{script}</script>",
        encoding="utf-8",
    )
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    need(browser, "cornerstone: no Chromium")
    ran = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
         "--virtual-time-budget=60000", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=180,
    )
    need("RESULT{" in ran.stdout, f"cornerstone: no result: {ran.stderr[-300:]}")
    text = ran.stdout.split("RESULT", 1)[1].split("END", 1)[0]
    result = json.loads(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    need("error" not in result, f"cornerstone: {result.get('error')}")
    maps = np.array([
        [np.frombuffer(base64.b64decode(m), np.uint8).reshape(source.shape) for m in one] for one in result["maps"]
    ])
    label_map = seg.SegmentationType == "LABELMAP"
    for at in range(len(source.frames)):
        if label_map:
            expected = source.label_map(at, {name: n for n, name in names.items()})
            need((maps[0, at] == expected).all(), f"cornerstone: frame {at} differs")
            continue
        for number, name in names.items():
            found = (maps[:, at] == number).any(0)
            need((found == source.mask(at, name)).all(), f"cornerstone: frame {at} of {name} differs")
    return "cornerstone"


def source_headers(source):
    """The header and, of a multi-frame file, the frame number of each frame."""
    import pydicom

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    read, headers = {}, []
    for number, file, _ in source.frames:
        path = file or source.path
        if path not in read:
            read[path] = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        stated = str(read[path].get("NumberOfFrames") or 1)
        many = stated != "1" or file is None and (number > 0 or len(source.frames) > 1)
        headers.append((read[path], number + 1 if many else None))
    return headers


def check_tracks(source, seg, path):
    """A segment a track of the record, each with numbers that no other has; highdicom finds it by them."""
    import highdicom

    tracks = {f"{label} {track}" for _, _, found in source.frames for label, track, _ in found}
    ids = {s.TrackingID: str(s.TrackingUID) for s in seg.SegmentSequence}
    need(ids.keys() == tracks, f"tracks {sorted(ids)}, the record has {sorted(tracks)}")
    need(len(set(ids.values())) == len(ids), "a tracking UID is there twice")
    need(all(s.SegmentLabel == s.TrackingID for s in seg.SegmentSequence), "labels are not the tracking IDs")
    read = highdicom.seg.segread(str(path))
    for segment in seg.SegmentSequence:
        found = read.get_segment_numbers(tracking_id=segment.TrackingID)
        need(found == [segment.SegmentNumber], f"highdicom finds {found} by {segment.TrackingID}")
        found = read.get_segment_numbers(tracking_uid=segment.TrackingUID)
        need(found == [segment.SegmentNumber], f"highdicom finds {found} by its UID")


def check_seg(source, path):
    """pydicom"""
    import pydicom

    headers = source_headers(source)
    seg = pydicom.dcmread(path)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        first = headers[0][0]
        for keyword in ("StudyInstanceUID",):
            need(seg[keyword].value == first[keyword].value, keyword)
        need(item(seg, "ReferencedSeriesSequence").SeriesInstanceUID == first.SeriesInstanceUID, "referenced series")
        names = check_pixels(source, seg, headers)
        tracked = all("TrackingID" in s for s in seg.SegmentSequence)
        need(tracked or set(names.values()) == source.names(), f"segments {names}, classes {source.names()}")
        if tracked:
            check_tracks(source, seg, path)
        judges = ["pydicom", check_highdicom(source, path, names, headers)]
        if "FrameOfReferenceUID" in seg:
            judges.append(check_dcmqi(source, path, seg, names, folder))
            judges.append(check_cornerstone(source, path, seg, names, headers, folder))
        dciodvfy(seg, path, folder)
        return judges + ["dciodvfy"]


# NRRD.


def check_seg_nrrd(source, path):
    """slicerio"""
    import slicerio

    read = slicerio.read_segmentation(str(path))
    voxels = read["voxels"]
    for segment in read["segments"]:
        layer = voxels[segment["layer"]] if voxels.ndim == 4 else voxels
        need(layer.shape == (*source.shape[::-1], len(source.frames)), f"{layer.shape} voxels")
        inside = layer == segment["labelValue"]
        for at in range(len(source.frames)):
            need((inside[:, :, at].T == source.mask(at, segment["name"])).all(), f"frame {at} of {segment['name']} differs")
        places = np.argwhere(inside)
        extent = np.stack([places.min(0), places.max(0)], 1).ravel().tolist()
        need(segment["extent"] == extent, f"extent {segment['extent']}, {extent} is right")
        need("terminology" in segment and segment["color"], "terminology and colour")
    names = {s["name"] for s in read["segments"]}
    need(names == source.names() or not names & source.names(), f"segments {names}, classes {source.names()}")
    if source.kind == "dicom":
        check_places(source, read["ijkToLPS"], not path.with_name(path.name.replace(".seg.", ".seq.")).exists())
    return ["slicerio"]


def check_places(source, matrix, is_volume):
    places = [place(*header) for header in source_headers(source)]
    if not is_volume or not all(places):
        return
    for at, (orientation, position, spacing) in enumerate(places):
        need(np.allclose((matrix @ [0, 0, at, 1])[:3], position, atol=1e-3), f"place of frame {at}")
        row, column = np.reshape(orientation, (2, 3))
        need(np.allclose(matrix[:3, 0], row * spacing[1]) and np.allclose(matrix[:3, 1], column * spacing[0]), "axes")


def check_seq_nrrd(source, path):
    """pynrrd"""
    import nrrd

    voxels, header = nrrd.read(str(path))
    need(voxels.shape == (*source.shape[::-1], 1, len(source.frames)), f"{voxels.shape} voxels")
    need(header["DataNodeClassName"] == "vtkMRMLLabelMapVolumeNode", "DataNodeClassName")
    need(len(header["axis 3 index values"].split()) == len(source.frames), "index values")
    numbers = {value: int(key.split()[1]) for key, value in header.items() if key.startswith("label ")}
    for at in range(len(source.frames)):
        need((voxels[:, :, 0, at].T == source.label_map(at, numbers)).all(), f"frame {at} differs")
    return ["pynrrd"]


class Tally:
    """What each judge read: files, masks of the record in them, what was wrong."""

    def __init__(self):
        self.judges = {}

    def add(self, judge, masks, problem=None):
        files = self.judges.setdefault(judge, [0, 0, []])
        files[0] += 1
        files[1] += masks
        if problem:
            files[2].append(problem)

    def report(self):
        return [
            record.say(f"{judge}: {KIND_OF.get(judge, 'DICOM Segmentation')}", files, masks, wrong, [] if wrong else [1.0])
            for judge, (files, masks, wrong) in self.judges.items()
        ]


KIND_OF = {"slicerio": ".seg.nrrd", "pynrrd": ".seq.nrrd"}
JUDGES = ("highdicom", "dcmqi", "cornerstone", "dciodvfy")


def check(run, export):
    tally = Tally()
    for source in read_sources(run):
        expected = []
        if source.names():
            if (export / "nrrd").is_dir():
                expected.append((export / "nrrd" / f"{source.name}.seg.nrrd", check_seg_nrrd))
                seq = export / "nrrd" / f"{source.name}.seq.nrrd"
                if seq.exists():
                    expected.append((seq, check_seq_nrrd))
            if (export / "seg").is_dir() and source.kind == "dicom":
                expected.append((export / "seg" / f"{source.name}.dcm", check_seg))
        elif (export / "seg" / f"{source.name}.dcm").exists():
            tally.add("pydicom", 0, f"{source.name}: has an object and no masks")
        masks = sum(len(found) for _, _, found in source.frames)
        for path, how in expected:
            name = path.relative_to(export)
            try:
                judges = how(source, path)
                print(f"{name}: {', '.join(judges)}")
                for judge in judges:
                    if " " not in judge:
                        tally.add(judge, masks)
            except Exception as error:  # whatever other software raises
                judge = next((j for j in JUDGES if str(error).startswith(j)), how.__doc__)
                tally.add(judge, masks, f"{name}: {type(error).__name__}: {error}")
    good = tally.report()
    return bool(good) and all(good)


# Sources to try.


def picture(size, t):
    """A dark field with a bright moving surface over a shadow, a dark disc and speckle."""
    rng = np.random.default_rng(t)
    width, height = size
    y, x = np.mgrid[:height, :width]
    grey = 70 + 35 * rng.standard_normal((height, width))
    surface = height * (0.45 + 0.05 * np.sin(x / 30 + t / 4))
    grey = np.where(y > surface, 18, grey)
    grey = np.where(abs(y - surface) < 4, 235, grey)
    disc = np.hypot(x - width * (0.3 + 0.02 * t), y - height * 0.22) < height * 0.1
    return np.clip(np.where(disc, 6, grey), 0, 255).astype(np.uint8)


def write_sources(out):
    import io

    import pydicom
    from PIL import Image
    from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

    def data_set(name, instance, sop_class, modality):
        uid = lambda *parts: generate_uid(entropy_srcs=[str(part) for part in parts])
        d, meta = pydicom.Dataset(), pydicom.dataset.FileMetaDataset()
        meta.MediaStorageSOPClassUID = d.SOPClassUID = sop_class
        meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = uid(name, instance)
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        d.file_meta = meta
        d.SpecificCharacterSet = "ISO_IR 192"
        d.StudyInstanceUID, d.SeriesInstanceUID, d.Modality = uid(name, "study"), uid(name, "series"), modality
        d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = "Ünal^Ayşe", "P 1", "19700101", "F"
        d.StudyDate, d.StudyTime, d.StudyID, d.AccessionNumber = "20260102", "101112.5", "7", "A1"
        d.ContentDate, d.ContentTime, d.SeriesNumber, d.InstanceNumber = "20260102", "101113", 4, instance + 1
        d.ImageType, d.SamplesPerPixel, d.PhotometricInterpretation = ["ORIGINAL", "PRIMARY"], 1, "MONOCHROME2"
        d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 8, 8, 7, 0
        d.FrameOfReferenceUID = uid(name, "reference")
        return d

    def cine(name, size, count, colour):
        d = data_set(name, 0, "1.2.840.10008.5.1.4.1.1.3.1", "US")
        del d.FrameOfReferenceUID
        frames = [picture(size, t) for t in range(count)]
        (d.Columns, d.Rows), d.NumberOfFrames = size, count
        d.FrameTime, d.FrameIncrementPointer = 40, 0x00181063
        d.PixelData = np.stack(frames).tobytes() + b"\0" * (count * size[0] * size[1] % 2)
        if colour:
            d.SamplesPerPixel, d.PhotometricInterpretation, d.PlanarConfiguration = 3, "YBR_FULL_422", 0
            d.LossyImageCompression, d.LossyImageCompressionMethod = "01", "ISO_10918_1"
            d.LossyImageCompressionRatio = 10
            d.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
            files = [io.BytesIO() for _ in frames]
            for frame, file in zip(frames, files):
                Image.fromarray(np.stack([frame] * 3, -1)).save(file, "JPEG", quality=92, subsampling="4:2:2")
            d.PixelData = pydicom.encaps.encapsulate([file.getvalue() for file in files])
        d["PixelData"].VR = "OB"
        if colour:
            d["PixelData"].is_undefined_length = True
        d.save_as(out / f"{name}.dcm", enforce_file_format=True)

    def series(name, sop_class, modality, count, geometry):
        (out / name).mkdir()
        for n in range(count):
            d = data_set(name, n, sop_class, modality)
            frame = picture((320, 240), n)
            d.Rows, d.Columns = frame.shape
            geometry(d, n)
            d.PixelData = frame.tobytes()
            d["PixelData"].VR = "OW"
            d.save_as(out / name / f"{count - n:03}.dcm", enforce_file_format=True)

    def enhanced(name, size, count):
        def group(**values):
            made = pydicom.Dataset()
            for keyword, value in values.items():
                setattr(made, keyword, value)
            return made

        d = data_set(name, 0, "1.2.840.10008.5.1.4.1.1.2.1", "CT")
        (d.Columns, d.Rows), d.NumberOfFrames = size, count
        d.SharedFunctionalGroupsSequence = [group(
            PixelMeasuresSequence=[group(PixelSpacing=[0.7, 0.6], SliceThickness=3)],
            PlaneOrientationSequence=[group(ImageOrientationPatient=[0, 1, 0, 0, 0, -1])],
        )]
        d.PerFrameFunctionalGroupsSequence = [
            group(PlanePositionSequence=[group(ImagePositionPatient=[4.5 - 3 * n, -20, 33])]) for n in range(count)
        ]
        d.PixelData = np.stack([picture(size, n) for n in range(count)]).tobytes()
        d["PixelData"].VR = "OB"
        d.save_as(out / f"{name}.dcm", enforce_file_format=True)

    def oblique(d, n):
        d.ImageOrientationPatient, d.PixelSpacing, d.SliceThickness = [1, 0, 0, 0, 0.8, 0.6], [0.4, 0.3], 2
        d.ImagePositionPatient = [-60.25, -50.5 - 0.6 * 2.5 * n, 10 + 0.8 * 2.5 * n]

    def phases(d, n):
        d.ImageOrientationPatient, d.PixelSpacing, d.SliceThickness = [1, 0, 0, 0, 1, 0], [0.5, 0.5], 5
        d.ImagePositionPatient = [0, 0, 10 * (n // 3)]

    def none(d, _):
        del d.FrameOfReferenceUID

    def found(name, kind_of, size, files):
        """A bone that moves, a cyst over it and a needle, each with frames that it is not in; rectangles and discs."""
        from pycocotools import mask as coco

        width, height = size
        y, x = np.mgrid[:height, :width]
        for n, file in enumerate(files):
            shapes = []
            if n % 4 != 2 or len(files) == 1:
                disc = np.hypot(x - width * 0.4 - 3 * n, y - height * 0.5) < height * 0.15
                shapes.append((1, "cyst", disc))
                shapes.append((0, "bone", (abs(y - height * 0.55) < 6) & (x > 5 + n)))
                shapes.append((0, "bone", (abs(y - height * 0.1) < 2) & (x < width / 2)))
            if n % 3 == 1:
                shapes.append((3, "needle", abs(x * 0.5 + y - height * 0.8) < 2))
            objects = []
            for rank, (number, label, mask) in enumerate(shapes):
                rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
                left, top, w, h = coco.toBbox(rle).tolist()
                objects.append({
                    "box": [left, top, left + w, top + h], "score": 0.9 - rank / 10, "class": number, "label": label,
                    "area": int(mask.sum()), "mask": {"size": [height, width], "counts": rle["counts"].decode()},
                    "mask_score": 0.9,
                })
            path = out / name if kind_of == "series" else out / f"{name}.dcm"
            line = {"source": name, "source_index": len(indices), "kind": "dicom", "path": str(path)}
            if kind_of == "series":
                line["file"] = str(path / file)
            line |= {"frame": n, "timestamp": None, "width": width, "height": height, "objects": objects}
            lines.append(line)
        indices.append(name)

    lines, indices = [], []
    out = out.absolute()
    out.mkdir(parents=True)
    cine("grey cine ü", (203, 151), 12, False)
    cine("rgb cine", (256, 192), 8, True)
    series("ct", "1.2.840.10008.5.1.4.1.1.2", "CT", 8, oblique)
    series("mr cine", "1.2.840.10008.5.1.4.1.1.4", "MR", 6, phases)
    series("plain us", "1.2.840.10008.5.1.4.1.1.6.1", "US", 5, none)
    series("lone", "1.2.840.10008.5.1.4.1.1.2", "CT", 1, oblique)
    found("grey cine ü", "cine", (203, 151), [None] * 12)
    enhanced("enhanced ct", (160, 120), 7)
    found("enhanced ct", "cine", (160, 120), [None] * 7)
    found("rgb cine", "cine", (256, 192), [None] * 8)
    for name, count in [("ct", 8), ("mr cine", 6), ("plain us", 5), ("lone", 1)]:
        found(name, "series", (320, 240), [f"{count - n:03}.dcm" for n in range(count)])
    with open(out / "detections.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    match sys.argv[1:]:
        case ["--sources", folder]:
            write_sources(pathlib.Path(folder))
        case [run, export] if not run.startswith("-"):
            sys.exit(0 if check(pathlib.Path(run), pathlib.Path(export)) else 1)
        case _:
            sys.exit(__doc__)
