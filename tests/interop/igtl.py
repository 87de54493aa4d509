"""Exchanges messages of OpenIGTLink with `examples/igtl_peer`, by pyigtl as server and as client, and on a bare socket.

Needs: pip install pyigtl==0.3.4 crcmod numpy pillow

    python3 tests/interop/igtl.py PEER [PROGRAM]

The peer sends back what it receives: pixels (8 and 16 bits, with and without sign, 1 and 3 components), matrices, strings, points
and metadata must come back as they were, and on a bare socket every byte with its CRC. With PROGRAM, the peer runs its models on a
phantom, and the mask that pyigtl receives must be the one that PROGRAM writes. Exit code 1 if anything differs.
"""

import json
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np
import pyigtl
from PIL import Image
from pyigtl.messages import CRC64, MessageBase

PATIENCE = 30.0
# For the models, which an unoptimised build is slow with.
LONG_PATIENCE = 180.0


def say(what, messages, objects, problems):
    """In the form that judges.py makes its table of."""
    print(f"{what}: {messages} files, {objects} objects, {len(problems)} wrong")
    for problem in problems[:10]:
        print("  ", problem)
    return not problems


class Peer:
    """The example, until the block ends."""

    def __init__(self, *command):
        self.command = [str(part) for part in command]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return self

    def address(self):
        """Of the next line that it prints."""
        host, port = self.process.stdout.readline().split()[-1].rsplit(":", 1)
        return host, int(port)

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(LONG_PATIENCE)


def matrix(seed):
    """A matrix of directions, spacing and origin that 32 bits hold exactly."""
    found = np.eye(4, dtype=np.float32)
    found[:3] = np.random.default_rng(seed).integers(-64, 64, (3, 4)) / np.float32(8)
    found[:3, :3] += np.diag([16, 32, 64]).astype(np.float32)
    return found


def messages(large=(480, 640)):
    """Of every kind that pyigtl has, each of a device of its own; `large` are rows and columns of a colour picture. pyigtl ends a
    connection that does not take a message within 10 ms, so that it is not as large as it might be."""
    random = np.random.default_rng(1)
    made = []
    kinds = {"u8": (np.uint8, 0, 256), "u16": (np.uint16, 0, 65536), "i16": (np.int16, -32768, 32768)}
    for name, (kind, low, high) in kinds.items():
        for components in (1, 3):
            for depth in (1, 3):
                shape = (depth, 37, 53) + ((components,) if components > 1 else ())
                picture = random.integers(low, high, shape).astype(kind)
                system = "ras" if depth == 1 else "lps"
                device = f"{name}-{components}-{depth}"
                made.append(pyigtl.ImageMessage(picture, matrix(len(made)), system, 1700000000.5, device))
    picture = random.integers(0, 256, (1, *large, 3), np.uint8)
    made.append(pyigtl.ImageMessage(picture, matrix(7), "ras", 1700000000.25, "large"))
    made.append(pyigtl.TransformMessage(matrix(8), 1700000001.125, "ProbeToTracker"))
    made.append(pyigtl.StringMessage("a text", 1700000002, "Text"))
    made.append(pyigtl.StringMessage("x" * 65535, 1700000002, "LongText"))
    points = [[1.5, -2.25, 3.0], [0.0, 0.5, -0.125]]
    made.append(pyigtl.PointMessage(points, ["one", "two"], [[1, 2, 3, 4], [255, 0, 0, 255]], [2.0, 0.5], ["G", "H"], ["u8-1-1", ""], 1700000003, "Points"))
    for message in made[::2]:
        message.header_version = 2
        message.metadata = {"score": "0.5", "class": "bone", "empty": ""}
    return made


def differences(sent, found):
    """What of a message did not come back."""
    if found is None:
        return [f"{sent.device_name}: nothing came back"]
    what = []
    if found.message_type != sent.message_type or abs(found.timestamp - sent.timestamp) > 1e-6:
        what.append("type or time")
    if found.metadata != sent.metadata and found.header_version > 1:
        what.append(f"metadata {found.metadata}")
    if isinstance(sent, pyigtl.ImageMessage):
        if found.image.shape != sent.image.shape or not np.array_equal(found.image, sent.image):
            what.append("pixels")
        if found.image.dtype.newbyteorder("=") != sent.image.dtype.newbyteorder("="):
            what.append("type of values")
        if not np.allclose(found.ijk_to_world_matrix, sent.ijk_to_world_matrix, atol=1e-4):
            what.append(f"matrix {found.ijk_to_world_matrix.tolist()}")
        if found.world_coordinate_system != sent.world_coordinate_system:
            what.append("coordinate system")
    elif isinstance(sent, pyigtl.TransformMessage):
        if not np.array_equal(found.matrix, sent.matrix):
            what.append("matrix")
    elif isinstance(sent, pyigtl.StringMessage):
        if found.string != sent.string:
            what.append("text")
    elif isinstance(sent, pyigtl.PointMessage):
        for name in ("names", "groups", "owners"):
            if getattr(found, name) != getattr(sent, name):
                what.append(name)
        for name in ("positions", "rgba_colors", "diameters"):
            if not np.array_equal(np.array(getattr(found, name)), np.array(getattr(sent, name))):
                what.append(name)
    return [f"{sent.device_name}: {part} differs" for part in what]


def exchange(link, what):
    """Sends each message by pyigtl and compares what comes back."""
    problems, made = [], messages()
    waited = time.monotonic() + PATIENCE
    while not link.is_connected():
        if time.monotonic() > waited:
            return say(what, 0, 0, ["no connection"])
        time.sleep(0.01)
    for message in made:
        link.send_message(message)
        problems += differences(message, link.wait_for_message(message.device_name, PATIENCE))
    return say(what, len(made), len(made), problems)


def receive(stream):
    """The bytes of one message, of which the CRC must be right."""
    header = stream.read(MessageBase.IGTL_HEADER_SIZE)
    size, crc = struct.unpack(">QQ", header[42:58])
    body = stream.read(size)
    return header, body, crc == CRC64(body)


def big_endian(data):
    """An IMAGE of header version 1 and 16 bits with its pixels in big endian, which pyigtl does not send."""
    body = bytearray(data[58:])
    body[4] = 1
    body[72:] = np.frombuffer(bytes(body[72:]), "<u2").astype(">u2").tobytes()
    return data[:50] + struct.pack(">Q", CRC64(bytes(body))) + bytes(body)


def bare(address):
    """Every message is sent back byte for byte; big-endian pixels come back in little endian."""
    problems, count = [], 0
    with socket.create_connection(address, PATIENCE) as link, link.makefile("rb") as stream:

        def there_and_back(message, data, expected):
            link.sendall(data)
            header, body, right = receive(stream)
            if not right:
                problems.append(f"{message.device_name}: wrong CRC")
            if header + body != expected:
                problems.append(f"{message.device_name}: bytes differ")

        # Once a header of version 2 was sent, all that comes back has one.
        for version in (1, 2):
            for message in messages((1080, 1920)):
                message.header_version = version
                message.metadata = message.metadata if version == 2 else {}
                data = message.pack()
                there_and_back(message, data, data)
                count += 1
                if version == 1 and message.device_name.startswith(("u16", "i16")):
                    there_and_back(message, big_endian(data), data)
                    count += 1
    return say("bare socket, bytes and CRC", count, count, problems)


def masks(peer, program):
    """What the models find in a phantom reaches pyigtl as the program writes it."""
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        run = lambda *arguments: subprocess.run([program, "--quiet", *map(str, arguments)], check=True, capture_output=True)
        run("phantom", "--seed", "40", "--sequences", "1", "--frames", "1", "--size", "320x288", "--write", "png", "--output", folder / "phantom")
        picture = next((folder / "phantom").rglob("frames/*.png"))
        run("pipeline", picture, "--write", "masks", "--device", "cpu", "--output", folder / "run")
        line = json.loads((folder / "run/detections.jsonl").read_text().splitlines()[0])
        expected = np.asarray(Image.open(next((folder / "run/masks").rglob("*.png"))))
        pixels = np.asarray(Image.open(picture).convert("L"))[np.newaxis]
    with Peer(peer, "live", "127.0.0.1:0", "127.0.0.1:0") as peer:
        source = pyigtl.OpenIGTLinkClient(*peer.address())
        viewer = pyigtl.OpenIGTLinkClient(*peer.address())
        hello = pyigtl.StringMessage("hello", device_name="Viewer")
        hello.header_version = 2
        viewer.send_message(hello)
        place = matrix(3)
        found = None
        for _ in range(20):
            source.send_message(pyigtl.ImageMessage(pixels, place, "ras", device_name="Image_Reference"))
            found = viewer.wait_for_message("Mask_Image", LONG_PATIENCE)
            if found is not None and found.metadata:
                break
        points = viewer.wait_for_message("Centroids_Image", PATIENCE)
        classes = viewer.wait_for_message("Classes", PATIENCE)
        source.send_message(pyigtl.TransformMessage(matrix(4), device_name="ProbeToTracker"))
        passed = viewer.wait_for_message("ProbeToTracker", PATIENCE)
        source.stop()
        viewer.stop()
    if found is None:
        return say("masks", 0, 0, ["no mask came"])
    if not np.array_equal(found.image[0], expected):
        problems.append(f"the mask differs in {int((found.image[0] != expected).sum())} pixels")
    if not np.allclose(found.ijk_to_world_matrix, place, atol=1e-3):
        problems.append(f"matrix {found.ijk_to_world_matrix.tolist()}")
    objects = json.loads(found.metadata.get("objects", "[]"))
    if [o["name"] for o in objects] != [o["label"] for o in line["objects"]]:
        problems.append(f"objects {objects}")
    if len(points.positions) != len(objects):
        problems.append(f"{len(points.positions)} centroids")
    # A centroid is the mean of the middles of its pixels: pixel (0, 0) has its middle at the matrix's origin.
    for number, label in enumerate(o["value"] for o in objects):
        rows, columns = np.nonzero(found.image[0] == label)
        if sum(o["value"] == label for o in objects) == 1:
            middle = place @ [columns.mean(), rows.mean(), 0, 1]
            if not np.allclose(middle[:3], points.positions[number], atol=1e-2):
                problems.append(f"centroid {points.positions[number]}, not {middle[:3]}")
    if not json.loads(classes.string)["classes"]:
        problems.append("no classes")
    if passed is None or not np.array_equal(passed.matrix, matrix(4)):
        problems.append("the transform was not passed through")
    return say("masks, points, classes, transform", 4, len(objects), problems)


def main():
    peer = sys.argv[1]
    right = True
    with Peer(peer, "echo", "serve", "127.0.0.1:0") as process:
        address = process.address()
        client = pyigtl.OpenIGTLinkClient(*address)
        right &= exchange(client, "pyigtl as client")
        client.stop()
        right &= bare(address)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = pyigtl.OpenIGTLinkServer(port=port)
    with Peer(peer, "echo", "connect", f"127.0.0.1:{port}"):
        right &= exchange(server, "pyigtl as server")
        server.communication_thread_stop_requested = True
    if len(sys.argv) > 2:
        right &= masks(peer, sys.argv[2])
    sys.stdout.flush()
    sys.exit(not right)


if __name__ == "__main__":
    main()
