#!/usr/bin/env python3
"""Measures on loopback how long `ultramotion live` takes from a frame's arrival to the message that a client has in hand.

    tests/live/latency.py PROGRAM [--seconds 30] [--rate 30] [--size 1920x1080] [--grey] [--clip CLIP | --raw FILE] [--stream] [-- OPTIONS OF LIVE]

A sender of its own gives frames at a steady rate, a receiver of its own takes the masks; each is a process. Without --stream the frames go
as IMAGE of OpenIGTLink to --igtl-listen; with it FFmpeg's program sends CLIP, which it codes as H.264 first, as MPEG-TS by UDP to --input.
Pictures are those of CLIP (by FFmpeg's program), those of FILE (bytes of pictures of that size one after the other), or of a pattern in
which nothing is found. Needs Python 3.8 alone, and `ffmpeg`
for --clip.

Times are those of one clock. A mask states when its frame arrived: when the program had the last byte of it (by OpenIGTLink), or of its
last packet (--stream). "received" is from then until this client has the last byte of the mask; "round trip" from the moment when the
sender had handed over the last byte of the frame, which with --stream only FFmpeg knows.
"""

import argparse
import bisect
import json
import multiprocessing
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

HEADER = struct.Struct(">H12s20sQQQ")
IMAGE = struct.Struct(">HBBBB3H12f3H3H")
POLYNOMIAL = 0x42F0E1EBA9EA3693
PICTURES = 8


def crc_table():
    table = []
    for byte in range(256):
        value = byte << 56
        for _ in range(8):
            value = (value << 1) ^ (POLYNOMIAL if value >> 63 else 0)
            value &= 0xFFFFFFFFFFFFFFFF
        table.append(value)
    return table


def crc64(data, table=crc_table()):
    crc = 0
    for byte in data:
        crc = ((crc << 8) & 0xFFFFFFFFFFFFFFFF) ^ table[(crc >> 56) ^ byte]
    return crc


def stamp(seconds):
    whole = int(seconds)
    return whole << 32 | int((seconds - whole) * (1 << 32)) & 0xFFFFFFFF


def seconds_of(value):
    return (value >> 32) + (value & 0xFFFFFFFF) / (1 << 32)


def image_message(pixels, width, height, components):
    """Header without time, and body, of an IMAGE of 8 bits with pixels of 1 mm."""
    matrix = [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
    body = IMAGE.pack(1, components, 3, 1, 1, width, height, 1, *matrix, 0, 0, 0, width, height, 1) + pixels
    return crc64(body), body


def pictures(args, components):
    """Pictures as bytes: of the clip, or a pattern."""
    width, height = args.size
    size = width * height * components
    if args.raw:
        with open(args.raw, "rb") as file:
            raw = file.read()
        return [raw[at : at + size] for at in range(0, len(raw) - size + 1, size)]
    if not args.clip:
        row = bytes(x * 255 // width for x in range(width) for _ in range(components))
        return [row * height]
    pixel = "gray" if components == 1 else "rgb24"
    command = ["ffmpeg", "-v", "error", "-i", args.clip, "-vf", f"scale={width}:{height}", "-frames:v", str(PICTURES)]
    command += ["-f", "rawvideo", "-pix_fmt", pixel, "-"]
    raw = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return [raw[at : at + size] for at in range(0, len(raw) - size + 1, size)]


def connect(port, patience=60):
    until = time.monotonic() + patience
    while True:
        try:
            stream = socket.create_connection(("127.0.0.1", port))
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return stream
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def send_images(port, messages, rate, count, results):
    """Sends `count` images at `rate`; gives the moments at which each was handed over, and the greatest delay of a sending."""
    stream = connect(port)
    sent, late, start = [], 0.0, time.monotonic() + 0.2
    try:
        for number in range(count):
            due = start + number / rate
            time.sleep(max(0.0, due - time.monotonic()))
            late = max(late, time.monotonic() - due)
            crc, body = messages[number % len(messages)]
            head = HEADER.pack(1, b"IMAGE", b"Frame", stamp(time.time()), len(body), crc)
            stream.sendall(head)
            stream.sendall(body)
            sent.append(time.time())
        time.sleep(0.5)
    except (BrokenPipeError, ConnectionResetError):
        pass
    results.put(("sent", sent, late))


def read_exactly(stream, view):
    while len(view):
        got = stream.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]


def receive(port, wanted, results):
    """Reads all messages until the connection ends; gives (arrival, received) of each mask."""
    stream = connect(port)
    buffer, masks, others = bytearray(1 << 24), [], 0
    head = bytearray(HEADER.size)
    try:
        while True:
            read_exactly(stream, memoryview(head))
            _, _, device, time_stamp, size, _ = HEADER.unpack(head)
            if size > len(buffer):
                buffer = bytearray(size)
            read_exactly(stream, memoryview(buffer)[:size])
            now = time.time()
            if device.rstrip(b"\0") == wanted:
                masks.append((seconds_of(time_stamp), now))
            else:
                others += 1
    except (EOFError, ConnectionResetError):
        pass
    results.put(("received", masks, others))


def quantiles(milliseconds):
    values = sorted(milliseconds)
    if not values:
        return {"count": 0}

    def at(q):
        return round(values[round((len(values) - 1) * q)], 3)

    return {"count": len(values), "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0)}


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def coded(args, folder):
    """The clip as H.264 in MPEG-TS at the requested size and rate, without pictures out of order, or as it is."""
    path = os.path.join(folder, "clip.ts")
    if args.encoder == "copy":
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", args.clip, "-c:v", "copy", "-an", path], check=True)
        return path
    width, height = args.size
    command = ["ffmpeg", "-v", "error", "-y", "-stream_loop", "9", "-i", args.clip, "-vf", f"scale={width}:{height}"]
    command += ["-r", str(args.rate), "-c:v", args.encoder, "-pix_fmt", "yuv420p", "-g", str(args.rate), "-bf", "0", "-an", path]
    subprocess.run(command, check=True)
    return path


def drain(program, found):
    """Lines of the program's standard output: frames are counted, all else is kept."""
    for line in program.stdout:
        try:
            event = json.loads(line)
        except ValueError:
            print(line.rstrip(), file=sys.stderr)
            continue
        if event.get("type") == "frame":
            found["frames"] += 1
            found["objects"] += len(event["objects"])
        elif event.get("type") == "summary":
            found["summary"] = event
        elif event.get("type") in ("error", "disconnected"):
            print(line.rstrip(), file=sys.stderr)


def arguments():
    own, rest = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, rest = own[:at], own[at + 1 :]
    parser = argparse.ArgumentParser(description="Latency of ultramotion live on loopback, by OpenIGTLink.")
    parser.add_argument("program")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=float, default=30)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--device", default="Mask_Image", help="the messages that are timed; Boxes_Image with --no-segmenter")
    parser.add_argument("--grey", action="store_true", help="pictures of one component")
    parser.add_argument("--clip", help="where the pictures are from")
    parser.add_argument("--raw", help="pictures of that size, one after the other, without headers")
    parser.add_argument("--stream", action="store_true", help="H.264 in MPEG-TS by UDP instead of OpenIGTLink")
    parser.add_argument("--encoder", default="libx264", help="FFmpeg's encoder for --stream; copy takes CLIP as it is")
    parser.add_argument("--start", type=float, default=120, help="seconds that the models may take to load")
    args = parser.parse_args(own)
    args.size = tuple(int(side) for side in args.size.split("x"))
    if args.stream and not args.clip:
        parser.error("--stream needs --clip")
    return args, rest


def main():
    args, rest = arguments()
    results = multiprocessing.Queue()
    out_port = free_port()
    count = int(args.seconds * args.rate)
    with tempfile.TemporaryDirectory() as folder:
        if args.stream:
            in_port = free_port(socket.SOCK_DGRAM)
            source = ["--input", f"udp://127.0.0.1:{in_port}", "--timeout", "30s"]
            clip = coded(args, folder)
        else:
            in_port = free_port()
            source = ["--igtl-listen", str(in_port)]
            components = 1 if args.grey else 3
            size = (*args.size, components)
            messages = [image_message(pixels, *size) for pixels in pictures(args, components)]
        command = [args.program, "live", *source, "--igtl-serve", str(out_port), "--json", *rest]
        if args.stream:
            command += ["--duration", f"{args.seconds}s"]
            send = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "mpegts"]
            sending = subprocess.Popen([*send, f"udp://127.0.0.1:{in_port}?pkt_size=1316"])
        program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        found = {"frames": 0, "objects": 0, "summary": None}
        reading = threading.Thread(target=drain, args=(program, found))
        reading.start()
        # It serves once its models are loaded.
        connect(out_port, args.start).close()
        receiving = multiprocessing.Process(target=receive, args=(out_port, args.device.encode(), results))
        receiving.start()
        if not args.stream:
            sending = multiprocessing.Process(target=send_images, args=(in_port, messages, args.rate, count, results))
            sending.start()
        gathered = {}
        while len(gathered) < (1 if args.stream else 2):
            kind, values, more = results.get()
            gathered[kind] = (values, more)
            if kind == "sent":
                program.send_signal(signal.SIGINT)
        program.wait()
        reading.join()
        receiving.join()
        if args.stream:
            sending.terminate()
        sending.wait() if args.stream else sending.join()
    report(args, gathered, found)


def report(args, gathered, found):
    masks, others = gathered["received"]
    # The first pictures find models that have not worked on one of this size.
    masks = masks[min(int(args.rate), len(masks) // 10) :]
    shown = {
        "size": "x".join(map(str, args.size)),
        "rate": args.rate,
        "input": "H.264 in MPEG-TS by UDP" if args.stream else "IMAGE of OpenIGTLink",
        "results_received": len(masks),
        "other_messages": others,
        "objects_a_frame": round(found["objects"] / max(1, found["frames"]), 2),
        "received_ms": quantiles((received - arrival) * 1e3 for arrival, received in masks),
        "longest_gap_ms": round(max((b[1] - a[1] for a, b in zip(masks, masks[1:])), default=0) * 1e3, 1),
    }
    if "sent" in gathered:
        sent, late = gathered["sent"]
        shown["images_sent"] = len(sent)
        shown["sender_late_ms"] = round(late * 1e3, 3)
        trips = []
        for arrival, received in masks:
            # The image that had been handed over when it arrived; the sender notes it a little later than the kernel has it.
            at = bisect.bisect_right(sent, arrival + 0.3 / args.rate) - 1
            if at >= 0:
                trips.append((received - sent[at]) * 1e3)
        shown["round_trip_ms"] = quantiles(trips)
    summary = found["summary"] or {}
    shown["program"] = {key: summary.get(key) for key in ("figures", "latency", "frames_per_second", "seconds")}
    print(json.dumps(shown, indent=2))


if __name__ == "__main__":
    main()
