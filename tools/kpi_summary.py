#!/usr/bin/env python3
"""Frames a second, latency and memory of a run, from its KPI lines (`ultramotion pipeline --kpi run.jsonl`).

    python tools/kpi_summary.py run.jsonl [--skip 100]

The first frames, during which models are prepared, are left out. "window_ms" is how long ten frames took that all came from one source, and
"window_at_change_ms" ten of which the first came from one source and the last from the next; "device_memory_mb" of the frames after the
first source's alone is "device_memory_later_mb".
"""

import argparse
import json
import statistics


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(q * (len(ordered) - 1)))]


WINDOW = 10


def windows(frames):
    """Times in ms of ten frames one after the other: those of one source, and those across a change."""
    within, across = [], []
    for first, last in zip(frames, frames[WINDOW:]):
        (within if first["source"] == last["source"] else across).append((last["ts"] - first["ts"]) * 1e3)
    return {"window_ms": within, "window_at_change_ms": across}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--skip", type=int, default=100)
    args = parser.parse_args()
    with open(args.file, encoding="utf-8") as lines:
        events = [json.loads(line) for line in lines]
    frames = [event for event in events if event["event"] == "frame"][args.skip :]
    if len(frames) < 2:
        raise SystemExit(f"{args.file}: has {len(frames)} frames after the first {args.skip}; two are needed")
    summary = {"frames": len(frames), "per_second": round((len(frames) - 1) / max(frames[-1]["ts"] - frames[0]["ts"], 1e-3), 1)}
    for key in ("latency_ms", "submit_ms", "decode_ms", "preprocess_ms", "forward_ms", "select_ms", "segment_decode_ms", "masks_ms"):
        values = [frame[key] for frame in frames if key in frame]
        if values:
            summary[key] = {"median": quantile(values, 0.5), "p99": quantile(values, 0.99)}
    memory = [frame["device_memory_mb"] for frame in frames if "device_memory_mb" in frame]
    if memory:
        summary["device_memory_mb"] = {"first": memory[0], "last": memory[-1], "most": max(memory)}
    times = windows(frames)
    if times["window_at_change_ms"]:
        for key, values in times.items():
            summary[key] = {"median": quantile(values, 0.5), "p99": quantile(values, 0.99), "most": max(values)}
            summary[key] = {name: round(value, 2) for name, value in summary[key].items()}
        later = [frame["device_memory_mb"] for frame in frames if frame["source"] != frames[0]["source"] and "device_memory_mb" in frame]
        if later:
            summary["device_memory_later_mb"] = {"first": later[0], "last": later[-1], "most": max(later)}
    summary["objects"] = round(statistics.mean(frame["objects"] for frame in frames), 2)
    summary["other_events"] = sorted({event["event"] for event in events} - {"frame", "source-began", "source-ended"})
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
