#!/usr/bin/env python3
"""Times a model in PyTorch: f16 autocast as it is, and under torch.compile(mode="reduce-overhead"), which captures CUDA graphs.

    pip install torch transformers            # for a D-FINE
    pip install torch timm mobilesam-mirror   # for the MobileSAM encoder
    ultramotion models init dfine-s --output dfine-s
    python tools/bench_torch.py dfine-s --batch 8
    python tools/bench_torch.py mobile-sam

Compiling takes a minute or two. With --wait FILE the times are taken when that file appears, so that several peers can compile
beside each other and be timed one after the other; FILE.ready says that this one could begin. Prints one JSON object: milliseconds
are medians of one synchronised forward pass, without pre- and postprocessing.
"""

import argparse
import json
import pathlib
import statistics
import time

import torch

WARM_UP, RUNS = 5, 50


def model_and_input(name, batch):
    if name == "mobile-sam":
        from mobile_sam import sam_model_registry

        return sam_model_registry["vit_t"](checkpoint=None).image_encoder, torch.rand(batch, 3, 1024, 1024)
    from transformers import DFineForObjectDetection

    return DFineForObjectDetection.from_pretrained(name), torch.rand(batch, 3, 640, 640)


def median_ms(work):
    for _ in range(WARM_UP):
        work()
    times = []
    for _ in range(RUNS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
    return round(statistics.median(times), 3)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder of a D-FINE, or mobile-sam")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--wait", type=pathlib.Path)
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    model, x = model_and_input(args.model, args.batch)
    model, x = model.eval().cuda(), x.cuda()
    compiled = torch.compile(model, mode="reduce-overhead")
    with torch.inference_mode(), torch.autocast("cuda", dtype=torch.float16):
        start = time.perf_counter()
        for _ in range(WARM_UP):
            compiled(x)
        torch.cuda.synchronize()
        seconds = round(time.perf_counter() - start, 1)
        if args.wait:
            pathlib.Path(f"{args.wait}.ready").touch()
            while not args.wait.exists():
                time.sleep(0.05)
        times = {"autocast_ms": median_ms(lambda: model(x)), "compiled_ms": median_ms(lambda: compiled(x))}
    device = torch.cuda.get_device_name()
    print(json.dumps({"model": args.model, "batch": args.batch, **times, "compile_s": seconds, "torch": torch.__version__, "device": device}))


if __name__ == "__main__":
    main()
