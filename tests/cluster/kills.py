#!/usr/bin/env python3
"""Kills shards at random moments, merges them, and compares the bytes with those of an unbroken run of all inputs.

    tests/cluster/kills.py PROGRAM [--kills 100] [--shards 7] [--seed 1] [--command detect] [--frames 28] [--by frames=5] [--folder DIR]

Inputs are pictures and short videos cut from the bundled clip. Shards work several at a time, some of them twice at once, and are killed
(SIGKILL) until the number of kills is reached; those that end by themselves do not count. Merges are killed too. Where all shards are
complete before, they are merged and compared, and it goes on in a new folder. Needs Python's own library alone.
"""
import argparse, os, random, shutil, signal, subprocess, sys, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*words, codes=(0,)):
    done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode not in codes:
        sys.exit(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stderr}")
    return done


def inputs(program, folder, frames):
    """Pictures, two videos, and a file that is broken."""
    clip = ROOT / "assets/phantom-demo.mp4"
    run(program, "extract", clip, "--frames", f"..{frames}", "--output", folder / "cut", "--quiet")
    pictures = sorted((folder / "cut").rglob("frames/**/*.png"))
    for at, picture in enumerate(pictures):
        target = folder / "in" / f"part{at % 3}" / f"{chr(97 + at // 26)}{chr(97 + at % 26)}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        picture.rename(target)
    shutil.rmtree(folder / "cut")
    for seed in (3, 4):
        made = folder / f"phantom{seed}"
        run(program, "phantom", "--seed", seed, "--frames", 9, "--size", "256x256", "--write", "mp4", "--output", made, "--quiet")
        clip = next(made.rglob("*.mp4"))
        clip.rename(folder / "in" / f"clip{seed}.mp4")
        shutil.rmtree(made)
    (folder / "in/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return folder / "in"


def contents(folder):
    """All files of a run by path, but for its times and its shards."""
    files = {}
    for path in folder.rglob("*"):
        below = path.relative_to(folder)
        if path.is_file() and below.parts[0] != "shards" and below.name != "run.json":
            files[str(below)] = path.read_bytes()
    return files


class Shards:
    def __init__(self, arguments, output, count, dice):
        self.arguments, self.output, self.count, self.dice = arguments, output, count, dice
        self.program = arguments[0]

    def start(self, number):
        words = [*self.arguments, "--output", self.output, "--shard", f"{number}/{self.count}", "--quiet"]
        return subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def missing(self):
        if not (self.output / "shards/plan.json").exists():
            return list(range(1, self.count + 1))
        text = run(self.program, "merge", self.output, "--missing", codes=(0, 1)).stdout.strip()
        numbers = []
        for part in filter(None, text.split(",")):
            first, _, last = part.partition("-")
            numbers += range(int(first), int(last or first) + 1)
        return numbers

    def kill_some(self, took, most):
        """Starts a few shards and kills them; returns how many died of it, and how many were kept out."""
        killed = kept_out = 0
        missing = self.missing()
        numbers = self.dice.sample(missing, min(len(missing), 3, most))
        # One of them twice at once: one of the two must be kept out.
        twice = numbers[:1] if len(numbers) < most and self.dice.random() < 0.3 else []
        started = [self.start(number) for number in numbers + twice]
        end = time.monotonic() + took
        for child in started:
            time.sleep(max(0.0, min(self.dice.uniform(0, took), end - time.monotonic())))
            child.send_signal(signal.SIGKILL)
        for child in started:
            said = child.stderr.read().decode()
            code = child.wait()
            killed += code == -signal.SIGKILL
            kept_out += "is being written by" in said
            known = ("is being written by", "broken.png")
            other = [line for line in said.splitlines() if line and not any(word in line for word in known)]
            if code not in (0, 2, -signal.SIGKILL) or other:
                sys.exit(f"exit code {code}: {said}")
        return killed, kept_out

    def finish(self):
        for number in self.missing():
            child = self.start(number)
            said = child.stderr.read().decode()
            if child.wait() not in (0, 2):
                sys.exit(f"shard {number}: {said}")
        if self.missing():
            sys.exit(f"shards {self.missing()} are not complete")

    def merge(self, kills):
        for _ in range(kills):
            child = subprocess.Popen([str(self.program), "merge", str(self.output)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(self.dice.uniform(0, 0.1))
            child.kill()
            child.wait()
        run(self.program, "merge", self.output, codes=(0, 2))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=lambda text: Path(text).resolve())
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--shards", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--command", default="detect", choices=["extract", "detect", "pipeline"])
    parser.add_argument("--frames", type=int, default=28)
    parser.add_argument("--by", default="source")
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    dice = random.Random(args.seed)
    folder = Path(tempfile.mkdtemp(prefix="kills-", dir=args.folder))
    try:
        source = inputs(args.program, folder, args.frames)
        kinds = "jsonl,coco,yolo,csv,report"
        kinds += {"extract": ",frames", "detect": ",overlay", "pipeline": ",masks,instances,overlay"}[args.command]
        if args.by != "source":
            kinds = kinds.replace(",overlay", "")
        arguments = [args.program, args.command, source, "--write", kinds, "--split", "0.5,0.5"]
        begun = time.monotonic()
        run(*arguments, "--output", folder / "whole", "--quiet", codes=(2,))
        whole = time.monotonic() - begun
        expected = contents(folder / "whole")
        sharded = [*arguments, "--shard-by", args.by]
        # What a shard takes: its start, and its part of the work.
        took = 1.2 * whole / args.shards + 0.3
        killed = kept_out = rounds = 0
        while killed < args.kills:
            shards = Shards(sharded, folder / f"round{rounds}", args.shards, dice)
            while killed < args.kills and shards.missing():
                died, out = shards.kill_some(took, args.kills - killed)
                killed, kept_out = killed + died, kept_out + out
            shards.finish()
            shards.merge(3)
            found = contents(shards.output)
            if found.keys() != expected.keys():
                sys.exit(f"other files: {sorted(found.keys() ^ expected.keys())[:9]}")
            other = [path for path in expected if found[path] != expected[path]]
            if other:
                sys.exit(f"{shards.output}: {len(other)} files differ: {other[:9]}")
            rounds += 1
            shutil.rmtree(shards.output)
        lines = expected["detections.jsonl"].count(b"\n")
        print(
            f"{args.command}: {killed} kills of {args.shards} shards by {args.by}, {kept_out} kept out by another, {rounds} merges: "
            f"{len(expected)} files ({lines} frames) equal to those of an unbroken run, {time.monotonic() - begun:.0f} s"
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
