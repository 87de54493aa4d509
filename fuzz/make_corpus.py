#!/usr/bin/env python3
"""Writes the small valid files of `corpus/`, from the fixtures of the tests and by hand. Standard library alone.

Run it here. Files called `found-…` are inputs that once made a parser fail; it leaves them alone.
"""

import base64
import json
import struct
import zipfile
import zlib
from pathlib import Path

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "tests/fixtures"
MEDIA = FIXTURES / "media"


def put(target, name, data):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def copies(target, folder, names, before=b""):
    for name in names.split():
        put(target, name, before + (folder / name).read_bytes())


def element(tag, vr, value):
    """An element in explicit VR, little endian."""
    group, number = divmod(tag, 1 << 16)
    if vr in (b"OB", b"OW", b"SQ", b"UN"):
        head = struct.pack("<HH2sHI", group, number, vr, 0, len(value))
    else:
        head = struct.pack("<HH2sH", group, number, vr, len(value))
    return head + value


def item(value):
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def us(number):
    return struct.pack("<H", number)


def data_set(photometric=b"MONOCHROME2 ", columns=4, rows=3, more=b""):
    return b"".join(
        [
            element(0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.3.1\0"),
            element(0x00080060, b"CS", b"US"),
            element(0x00181063, b"DS", b"40"),
            element(0x00186011, b"SQ", item(element(0x00186024, b"US", us(3)))),
            element(0x00280002, b"US", us(1)),
            element(0x00280004, b"CS", photometric),
            element(0x00280008, b"IS", b"2 "),
            element(0x00280010, b"US", us(rows)),
            element(0x00280011, b"US", us(columns)),
            element(0x00280100, b"US", us(8)),
            element(0x00280101, b"US", us(8)),
            element(0x00280102, b"US", us(7)),
            element(0x00280103, b"US", us(0)),
            more,
        ]
    )


def dicom_file(syntax, body):
    return bytes(128) + b"DICM" + element(0x00020010, b"UI", syntax) + body


def rle_frame(*planes):
    offsets, at = [], 64
    for plane in planes:
        offsets.append(at)
        at += len(plane)
    header = struct.pack("<16I", len(planes), *offsets, *([0] * (15 - len(planes))))
    return header + b"".join(planes)


def dicom():
    pixels = element(0x7FE00010, b"OB", bytes(range(24)))
    sequence = struct.pack("<HH2sHI", 0x0018, 0x6011, b"SQ", 0, 0xFFFFFFFF)
    sequence += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + element(0x00186024, b"US", us(3))
    sequence += struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + END
    put("dicom_elements", "explicit", b"\x01" + data_set() + sequence + pixels)
    implicit = struct.pack("<HHI", 0x0028, 0x0010, 2) + us(3) + struct.pack("<HHI", 0x0040, 0x0275, 0xFFFFFFFF)
    put("dicom_elements", "implicit", b"\x00" + implicit + item(struct.pack("<HHI", 0x0040, 0x0007, 2) + b"ab") + END)
    put("dicom_elements", "big_endian", b"\x03" + struct.pack(">HH2sHH", 0x0028, 0x0010, b"US", 2, 3))

    packed = rle_frame(b"\x0b" + bytes(range(12)))
    head = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    frames = item(b"") + item(packed) + item(packed) + END
    table = item(struct.pack("<II", 0, 8 + len(packed))) + item(packed) + item(packed) + END
    put("dicom_fragments", "rle", b"\x01\x02" + frames)
    put("dicom_fragments", "rle_with_table", b"\x01\x02" + table)
    jpeg = (FIXTURES / "dicom/baseline-8.jpg").read_bytes()
    jpeg += b"\0" * (len(jpeg) % 2)
    put("dicom_fragments", "jpeg_in_parts", b"\x00\x01" + item(b"") + item(jpeg[:200]) + item(jpeg[200:]) + END)
    put("dicom_rle", "grey", b"\x04\x03\x04" + packed)
    put("dicom_rle", "colour", b"\x02\x02\x01" + rle_frame(*[b"\xfd" + bytes([i]) for i in range(3)]))
    put("dicom_rle", "wide", b"\x02\x01\x02" + rle_frame(b"\x01\x01\x02", b"\xff\x03"))

    put("dicom_tables", "table", b"\x00" + struct.pack("<3H", 4, 0, 16) + struct.pack("<4H", 0, 9, 99, 999))
    put("dicom_tables", "bytes", b"\x01" + struct.pack("<3H", 4, 0xFFFE, 8) + bytes([1, 2, 3, 4]))
    segments = struct.pack("<9H", 0, 2, 10, 20, 1, 5, 60, 2, 1) + struct.pack("<2H", 0, 0)
    put("dicom_tables", "segmented", b"\x02" + struct.pack("<3H", 9, 0, 16) + segments)

    palette = b"".join(
        element(0x00281101 + i, b"US", struct.pack("<3H", 24, 0, 8)) for i in range(3)
    ) + b"".join(element(0x00281201 + i, b"OW", bytes(range(i, i + 24))) for i in range(3))
    window = element(0x00281050, b"DS", b"12") + element(0x00281051, b"DS", b"20")
    put("dicom_file", "native", dicom_file(b"1.2.840.10008.1.2.1\0", data_set(more=window) + pixels))
    put("dicom_file", "palette", dicom_file(b"1.2.840.10008.1.2.1\0", data_set(b"PALETTE COLOR ", more=palette) + pixels))
    put("dicom_file", "rle", dicom_file(b"1.2.840.10008.1.2.5\0", data_set() + head + frames))
    copies("dicom_jpeg_header", FIXTURES / "dicom", "baseline-ybr-420.jpg extended-12.jpg lossless-8-sv1.jpg ls-8-near-2.jls")


def annotations():
    gt = {
        "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 6}],
        "categories": [{"id": 1, "name": "bone"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 3], "area": 12, "iscrowd": 0,
             "segmentation": {"size": [6, 8], "counts": "73300000a0"}},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2], "area": 4, "iscrowd": 0,
             "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]},
        ],
    }
    found = [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 3], "score": 0.9},
             {"image_id": 1, "category_id": 1, "bbox": [0, 0, 2.5, 2], "score": 0.4}]
    video = gt | {
        "videos": [{"id": 7, "name": "clip", "file_name": "clip.mp4"}],
        "images": [gt["images"][0] | {"video_id": 7, "frame_id": 0}],
    }
    line = {"source": "clip", "source_index": 0, "kind": "video", "path": "clip.mp4", "frame": 0, "timestamp": 0.0,
            "width": 8, "height": 6, "source_info": {"frame_rate": 25.0},
            "objects": [{"box": [1.0, 1.0, 5.0, 4.0], "score": 0.5, "class": 0, "label": "bone", "area": 12,
                         "mask": {"size": [6, 8], "counts": "73300000a0"}, "mask_score": 0.75}]}
    second = {k: v for k, v in line.items() if k != "source_info"} | {"frame": 1, "timestamp": 0.04, "objects": []}
    lines = "".join(json.dumps(l, separators=(",", ":")) + "\n" for l in (line, second))
    state = {"source": 0, "name": "clip", "frames": 2, "errors": {"count": 0, "first": []}}
    put("boxes", "coco.json", json.dumps(video))
    put("boxes", "results.json", json.dumps(found))
    put("boxes", "detections.jsonl", lines)
    put("record", "whole", lines)
    put("record", "cut", lines[:-20])
    put("record", "ended", lines.encode() + b"\0" + json.dumps(state, separators=(",", ":")).encode() + b"\n")
    put("evaluation", "boxes", json.dumps(gt).encode() + b"\0" + json.dumps(found).encode())
    put("evaluation", "masks", json.dumps(gt).encode() + b"\0" + json.dumps(gt).encode())
    tracks = video | {"annotations": [a | {"track_id": a["id"]} for a in gt["annotations"]]}
    tracked = lines.replace('"mask_score"', '"track_id":4,"mask_score"')
    mot = "1,1,1,1,4,3,1,1,1.0\n1,2,0,0,2,2,0,8,0.5\n3,1,1,1,4,3,1,1,1.0\n"
    mots = "1 1 2 6 8 73300000a0\n1 10000 10 6 8 73300000a0\n"
    put("track_evaluation", "coco-and-record", json.dumps(tracks).encode() + b"\0" + tracked.encode())
    put("track_evaluation", "coco", json.dumps(tracks).encode() + b"\0" + json.dumps(tracks).encode())
    put("track_evaluation", "mot", mot.encode() + b"\0" + mot.replace(",", " ").encode())
    put("track_evaluation", "mots", mots.encode() + b"\0" + mots.encode())
    put("track_text", "mot", mot)
    put("track_text", "mots", mots)
    put("coco_counts", "runs", "73300000a0")
    put("coco_counts", "long", "0ofoo1M2N_ooo3")


def grey16(rows):
    """A PNG of numbers of 16 bits."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 16, 0, 0, 0, 0)
    lines = b"".join(b"\0" + struct.pack(f">{len(row)}H", *row) for row in rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def tracks():
    put("annotations_mot", "results", "1,7,10.5,4,20,16,0.5,1,1\n3,7,11,4.25,20,16,0.25,2,0.5\n3,-1,0,0,1,1,0.1,-1,-1,-1\n")
    put("annotations_mot", "truth", "1,7,10,4,20,16,1,1,1\r\n1,8,0,0,3,4,0,8,0.25\r\n")
    # 64 x 48 pixels: 300 outside, 4 inside, the rest outside; the second row is a region to be ignored.
    put("annotations_mots", "text", "1 1007 1 48 64 \\94`f2\n2 10000 10 48 64 \\94`f2\n")
    put("annotations_mots", "picture.png", grey16([[0, 1007, 1007, 0], [2003, 2003, 0, 0], [0, 0, 0, 7]]))


def models():
    configs = json.loads((FIXTURES / "dfine/configs.json").read_text())
    for name in ("n", "s-grey"):
        config = configs[name].get("config", configs[name])
        put("config", name, json.dumps(config))
    put("config", "preprocessor", json.dumps({"model_type": "d_fine"}) + "\0" + json.dumps({"size": {"height": 320, "width": 320}}))
    put("labels", "lines", "bone\nneedle # tip\n")
    put("labels", "list.json", '["bone", {"id": 2, "name": "needle"}]')
    put("labels", "data.yaml", "names:\n  0: &a bone\n  1: needle\nnc: 2\n")
    copies("checkpoint", FIXTURES / "checkpoints",
           "bare.pt legacy.pth plain.safetensors hostile_offset.pth hostile_overlap.safetensors sparse.pth")
    for name in ("bare.pt", "views.pth", "hostile_doubling.pth", "hostile_expanded.pth"):
        with zipfile.ZipFile(FIXTURES / "checkpoints" / name) as archive:
            entry = next(n for n in archive.namelist() if n.endswith("data.pkl"))
            put("pickle", name, archive.read(entry))


def requests():
    marks = [{"type": "point", "data": [1, 2], "label": 0}, {"type": "rectangle", "data": [0, 0, 5.5, 4], "label": 1}]
    params = {"conf_threshold": 0.5, "iou_threshold": 0, "epsilon_factor": 0.001, "marks": marks, "filter_classes": ["a"]}
    picture = lambda name: base64.b64encode((MEDIA / name).read_bytes()).decode()
    marked = {"model": "m", "image": "data:image/png;base64," + picture("gray8.png"), "params": params}
    put("http_predict", "marks", json.dumps(marked))
    put("http_predict", "alone", json.dumps({"image": picture("orientation6.jpg"), "model": "ä", "params": None}))


def media():
    copies("image_tiff", MEDIA, "pages.tif float.tif")
    copies("image_tiff", MEDIA / "tiff", "fax_g4.tif grey12.tif jpeg_ycbcr.tif grey_alpha.tif")
    copies("image_animation", MEDIA, "animated.png animated.webp animated_gray.png")
    copies("image_jpeg", MEDIA, "cmyk.jpg orientation6.jpg")
    copies("image_jpeg", MEDIA / "cases", "no_eoi_but_padding.jpg 3zero_before_c4.jpg")
    copies("video_ending", MEDIA, "one_frame.mp4 ends_fragments.mp4 ends_live.mkv vp9.webm ends.ivf ends.obu ends.flv ends.ogv ends.wmv")
    put("video_ending", "ends.gif", (MEDIA / "ends.gif").read_bytes()[:2000])
    put("video_ending", "ends.mxf", (MEDIA / "ends.mxf").read_bytes()[:2000])
    put("video_ending", "uncompressed.y4m", b"YUV4MPEG2 W4 H2 F25:1 C420\n" + b"FRAME\n" + bytes(12))
    put("video_ending", "mjpeg.avi", (MEDIA / "mjpeg.avi").read_bytes()[:1000])
    for codec, name in enumerate(("own_sets.mp4", "hevc.mp4", "mjpeg.mov")):
        clip = (MEDIA / "parts" / name).read_bytes()
        kind = (b"avcC", b"hvcC", b"fiel")[codec]
        at = clip.index(kind) + 4
        configuration = clip[at : at - 8 + struct.unpack(">I", clip[at - 8 : at - 4])[0]]
        sample = clip[clip.index(b"mdat") + 4 :][:1200]
        put("video_key_sample", name, struct.pack("<BH", codec, len(configuration)) + configuration + sample)
    put("video_transport", "plain", struct.pack("<H", 376) + (MEDIA / "ends.ts").read_bytes())
    put("video_transport", "with_times", struct.pack("<H", 384) + (MEDIA / "ends.m2ts").read_bytes())
    put("video_transport", "joined", struct.pack("<H", 940) + (MEDIA / "joined_h264.ts").read_bytes()[:188 * 30])
    put("input_list", "lines", "\ufeffa.png\r\n# no\nb c/d.mp4\n")
    put("input_list", "nul", b"a\nb.png\0caf\xe9.png\0")


def crc64(data):
    value = 0
    for byte in data:
        value ^= byte << 56
        for _ in range(8):
            value = (value << 1) ^ (0x142F0E1EBA9EA3693 if value >> 63 else 0)
    return value


def igtl_message(version, kind, body):
    return struct.pack(">H12s20sIIQQ", version, kind, b"Device", 1700000000, 1 << 31, len(body), crc64(body)) + body


def igtl():
    image = struct.pack(">HBBBB3H12f6H", 1, 1, 5, 1, 2, 2, 2, 1, 0.5, 0, 0, 0, 0.25, 0, 0, 0, 1, 1, 2, 3, 0, 0, 0, 2, 2, 1)
    colour = struct.pack(">HBBBB3H12f6H", 1, 3, 3, 2, 1, 4, 2, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 2, 1, 1)
    status = struct.pack(">Hq20s", 1, -2, b"OK") + b"ready\0"
    point = struct.pack(">64s32s4B4f20s", b"P", b"G", 255, 128, 0, 255, 1.5, -2.5, 3.5, 2, b"Image")
    keys = struct.pack(">HHHI", 1, 4, 106, 3) + "nameé1".encode()
    extended = struct.pack(">HHII", 12, 10, 7, 1)
    longer = struct.pack(">HHII", 15, 10, 7, 1) + b"abc"
    put("igtl_messages", "image", igtl_message(1, b"IMAGE", image + struct.pack(">4H", 0, 1, 4660, 65535)))
    put("igtl_messages", "part", igtl_message(1, b"IMAGE", colour + b"abcdef"))
    put("igtl_messages", "status_2", igtl_message(2, b"STATUS", longer + status + keys))
    put("igtl_messages", "image_2", igtl_message(2, b"IMAGE", extended + colour + b"abcdef" + keys))
    put("igtl_messages", "several", b"".join([
        igtl_message(1, b"TRANSFORM", struct.pack(">12f", *range(12))),
        igtl_message(1, b"GET_CAPABIL", b""),
        igtl_message(1, b"CAPABILITY", b"IMAGE".ljust(12, b"\0")),
        igtl_message(1, b"STRING", struct.pack(">HH", 3, 2) + b"ab"),
        igtl_message(1, b"QTDATA", bytes(50)),
        igtl_message(2, b"POINT", extended + point + keys),
    ]))


dicom()
annotations()
tracks()
models()
requests()
media()
igtl()
