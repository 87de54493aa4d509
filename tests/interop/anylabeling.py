#!/usr/bin/env python3
"""Lets X-AnyLabeling's own client ask `ultramotion serve`, and compares the shapes that it makes with the record of a run.

    python3 tests/interop/anylabeling.py PROGRAM PICTURE RECORD

PICTURE is a file that RECORD (detections.jsonl of `pipeline --confidence 0.5 --device cpu` on it) has. The client's module
remote_server is run as it is published, its requests and its reading of answers; what it takes of Qt and of the program around
it (points, shapes, messages) is stood in for here, as no window is needed. Also asked are what a client must not be able to do.

Needs x-anylabeling-cvhub (pip install --no-deps), requests, numpy, OpenCV and pycocotools. Exits with 1 if anything differs.
"""

import base64
import importlib.metadata
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import types

import numpy as np
import requests

import record

KEY = "key-1"
# Outlines are simplified as the client's slider says.
NEAR = 0.95
MODULE = "anylabeling/services/auto_labeling/remote_server.py"


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __eq__(self, other):
        return (self.x, self.y) == (other.x, other.y)


class Shape:
    """What the client's shape does with points: four corners of a rectangle; the first point again closes a polygon."""

    def __init__(self, **fields):
        self.__dict__.update(fields, points=[], closed=False)

    def add_point(self, point):
        if self.shape_type == "rectangle":
            if len(self.points) < 4:
                self.points.append(point)
        elif self.points and point == self.points[0]:
            self.closed = True
        else:
            self.points.append(point)


class Model:
    def __init__(self, config, on_message):
        self._config = self.config = config
        self.on_message = on_message


class Result:
    def __init__(self, shapes, replace=True, description="", **_):
        self.shapes, self.replace, self.description = shapes, replace, description


def client_class():
    """The class RemoteServer of the installed package."""
    file = importlib.metadata.distribution("x-anylabeling-cvhub").locate_file(MODULE)

    def module(name, **names):
        made = types.ModuleType(name)
        made.__dict__.update(names, __path__=[])
        sys.modules[name] = made

    quiet = types.SimpleNamespace(**{level: lambda *_: None for level in ("debug", "info", "warning", "error")})
    translate = types.SimpleNamespace(translate=lambda _, text: text)
    for name in ("", ".services", ".services.auto_labeling", ".views", ".views.labeling", ".views.labeling.utils"):
        module("anylabeling" + name)
    module("PyQt6", QtCore=types.SimpleNamespace(QPointF=Point))
    module("PyQt6.QtCore", QCoreApplication=translate)
    module("PyQt6.QtWidgets", QApplication=None)
    module("anylabeling.views.labeling.shape", Shape=Shape)
    module("anylabeling.views.labeling.logger", logger=quiet)
    module("anylabeling.views.labeling.utils.opencv", qt_img_to_rgb_cv_img=None)
    module("anylabeling.services.auto_labeling.model", Model=Model)
    module("anylabeling.services.auto_labeling.types", AutoLabelingResult=Result)
    spec = importlib.util.spec_from_file_location("anylabeling.services.auto_labeling.remote_server", file)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded.RemoteServer


class Judged:
    def __init__(self):
        self.problems, self.objects, self.ious = [], 0, []

    def check(self, holds, what):
        if not holds:
            self.problems.append(what)


def grouped(shapes):
    """Objects of shapes: label, score and polygons, those of a group together."""
    found = {}
    for at, shape in enumerate(shapes):
        key = shape.group_id or f"alone {at}"
        polygon = [c for p in shape.points for c in (p.x, p.y)]
        found.setdefault(key, (shape.label, shape.score, []))[2].append(polygon)
    return list(found.values())


def compare_masks(judged, what, expected, shapes, size):
    left = grouped(shapes)
    judged.check(len(left) == len(expected), f"{what}: {len(left)} objects, not {len(expected)}")
    judged.check(all(s.closed and s.shape_type == "polygon" for s in shapes), f"{what}: not all are closed polygons")
    for label, score, mask in expected:
        same = [o for o in left if label in (None, o[0]) and (score is None or abs(o[1] - score) < 2e-3)]
        ious = [record.iou(mask, record.rasterise(o[2], *size)) for o in same]
        best = max(ious, default=0.0)
        judged.ious.append(best)
        judged.objects += 1
        judged.check(best >= NEAR, f"{what}: {label} {score}: IoU {best:.4f}")


def ask(judged, client, program, picture, line, objects):
    size = line["width"], line["height"]
    models = client.get_available_models()
    wanted = ["ultramotion-detect", "ultramotion-pipeline", "ultramotion-segment"]
    judged.check(sorted(models) == wanted, f"models: {sorted(models)}")
    judged.check(not any(m["capabilities"] for m in models.values()), "models with capabilities are not listed by the client")
    client.set_auto_labeling_conf(0.5)

    client.set_model_id("ultramotion-detect")
    judged.check(client.get_batch_processing_mode() == "default", "detect: works on many pictures")
    found = client.predict_shapes(object(), str(picture))
    boxes = [(o["label"], o["score"], o["box"]) for o in line["objects"]]
    judged.check(len(found.shapes) == len(boxes), f"detect: {len(found.shapes)} shapes, not {len(boxes)}")
    for label, score, box in boxes:
        near = [
            s for s in found.shapes
            if s.label == label and s.shape_type == "rectangle" and len(s.points) == 4
            and abs(s.score - score) < 2e-3
            and np.abs(np.subtract([s.points[0].x, s.points[0].y, s.points[2].x, s.points[2].y], box)).max() < 0.05
        ]
        judged.objects += 1
        judged.check(len(near) == 1, f"detect: {label} {box}: {len(near)} such shapes")

    client.set_model_id("ultramotion-pipeline")
    found = client.predict_shapes(object(), str(picture))
    expected = [(o["label"], o["score"], mask) for o, (_, _, mask) in zip(line["objects"], objects) if mask is not None]
    compare_masks(judged, "pipeline", expected, found.shapes, size)
    client.set_auto_labeling_filter_classes([boxes[0][0]])
    found = client.predict_shapes(object(), str(picture))
    judged.check({s.label for s in found.shapes} == {boxes[0][0]}, "pipeline: filter of classes")
    client.set_auto_labeling_filter_classes([])

    client.set_model_id("ultramotion-segment")
    judged.check(client.get_batch_processing_mode() is None, "segment: needs marks")
    at = next(i for i, (_, _, mask) in enumerate(objects) if mask is not None)
    box = line["objects"][at]["box"]
    client.set_auto_labeling_marks([{"type": "rectangle", "data": box, "label": 1}])
    found = client.predict_shapes(object(), str(picture))
    judged.check(found.replace is False and {s.label for s in found.shapes} == {"AUTOLABEL_OBJECT"}, "segment: to be named")
    compare_masks(judged, "segment", [(None, None, objects[at][2])], found.shapes, size)
    ys, xs = np.nonzero(objects[at][2])
    middle = np.argmin(np.hypot(xs - xs.mean(), ys - ys.mean()))
    inside, outside = [int(xs[middle]), int(ys[middle])], [int(box[0]), int(box[3]) - 1]
    marks = [{"type": "point", "data": inside, "label": 1}, {"type": "point", "data": outside, "label": 0}]
    client.set_auto_labeling_marks(marks)
    found = client.predict_shapes(object(), str(picture))
    points = [f"--point={inside[0]},{inside[1]},1", f"--point={outside[0]},{outside[1]},0"]
    compare_masks(judged, "segment, points", [(None, None, by_segment(program, picture, points))], found.shapes, size)


def by_segment(program, picture, prompts):
    """The mask that `ultramotion segment` makes."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--device", "cpu", "--write", "jsonl", "--output", f"{folder}/out"]
        subprocess.run([program, "--quiet", "segment", picture, *prompts, *options], check=True, stdout=subprocess.DEVNULL)
        (_, objects), = record.read(f"{folder}/out/detections.jsonl").values()
    return objects[0][2]


def refuse(judged, client, picture, url):
    """What must not work, and what the client's user then reads."""
    messages = []
    client.on_message = messages.append
    client.set_auto_labeling_marks([{"type": "point", "data": [-5, 3], "label": 1}])
    client.predict_shapes(object(), str(picture))
    judged.check("outside of the image" in " ".join(messages), f"a point outside: {messages}")
    client.set_model_id("other")
    client.predict_shapes(object(), str(picture))
    judged.check("404" in messages[-1] and "ultramotion-detect" in messages[-1], f"an unknown model: {messages[-1:]}")

    head = {"Token": KEY}
    asks = [
        ("no key", 401, dict(method="GET", url=f"{url}/v1/models")),
        ("a foreign host", 403, dict(method="GET", url=f"{url}/v1/models", headers=head | {"Host": "example.org"})),
        ("a foreign page", 403, dict(method="GET", url=f"{url}/v1/models", headers=head | {"Origin": "https://example.org"})),
        ("a form", 415, dict(method="POST", url=f"{url}/v1/predict", headers=head, data=b"{}")),
        ("no JSON", 400, dict(method="POST", url=f"{url}/v1/predict", headers=head | {"Content-Type": "application/json"}, data=b"{")),
        ("a path", 404, dict(method="GET", url=f"{url}/../../etc/passwd", headers=head)),
        ("a picture by its path", 422, dict(
            method="POST", url=f"{url}/v1/predict", headers=head,
            json={"model": "ultramotion-detect", "image": str(picture), "params": {}})),
        ("65 MiB", 413, dict(
            method="POST", url=f"{url}/v1/predict", headers=head | {"Content-Type": "application/json"}, data=b" " * (65 << 20))),
    ]
    for what, status, call in asks:
        try:
            answer = requests.request(timeout=60, **call)
        except requests.ConnectionError:
            # The server need not read what it has refused.
            judged.check(status == 413, f"{what}: no answer")
            continue
        judged.check(answer.status_code == status, f"{what}: {answer.status_code}, not {status}")
        judged.check(answer.json()["success"] is False and answer.json()["error"]["message"], f"{what}: no message")
    healthy = requests.get(f"{url}/health", timeout=60).json()
    judged.check(healthy["status"] == "healthy" and healthy["models_loaded"] == 3, f"health: {healthy}")
    info = requests.get(f"{url}/v1/models/ultramotion-detect/info", headers=head, timeout=60).json()
    judged.check(info["data"]["model_id"] == "ultramotion-detect", f"info: {info}")


def main():
    program, picture, path = sys.argv[1:]
    picture = pathlib.Path(picture)
    line, objects = next(iter(record.read(path).values()))
    judged = Judged()
    with tempfile.TemporaryDirectory() as folder:
        key = pathlib.Path(folder) / "key"
        key.write_text(KEY + "\n")
        command = [program, "--quiet", "--json", "serve", "--listen", "127.0.0.1:0", "--device", "cpu", "--api-key-file", key]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                url = json.loads(server.stdout.readline())["listening"]
                settings = {"remote_server_settings": {"server_url": url, "api_key": KEY}, "timeout": 300}
                client = client_class()(settings, lambda message: judged.check(False, f"the client says: {message}"))
                ask(judged, client, program, picture, line, objects)
                refuse(judged, client, picture, url)
                text = base64.b64encode(picture.read_bytes()).decode()
                bare = {"model": "ultramotion-detect", "image": text}
                answer = requests.post(f"{url}/v1/predict", headers={"Token": KEY}, json=bare, timeout=300).json()
                judged.check(answer["success"], f"base64 alone, without params: {answer}")
            finally:
                server.terminate()
        judged.check(server.returncode == 0, f"SIGTERM: exit code {server.returncode}")
    sys.exit(not record.say("X-AnyLabeling: remote_server", 1, judged.objects, judged.problems, judged.ious, len(judged.ious)))


if __name__ == "__main__":
    main()
