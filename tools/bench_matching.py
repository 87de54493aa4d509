#!/usr/bin/env python3
"""Times what the assignment kernel replaces: copying a batch of costs from the GPU and solving each by scipy.

    pip install torch scipy
    python tools/bench_matching.py

Costs are those of `cargo test --release --features cuda --test gpu_matching -- --ignored --nocapture bench`, which prints
its times under the same names; equal total costs show that both solved the same problems.
"""

import json
import statistics
import time

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

BATCH, QUERIES, CLASSES, TARGETS = 32, 300, 80, 100
WARM_UP, RUNS = 3, 20


def mix(value):
    z = value + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def draws(seed, count):
    with np.errstate(over="ignore"):
        return mix((np.uint64(seed) << np.uint64(32)) + np.arange(count, dtype=np.uint64))


def units(seed, *shape):
    values = (draws(seed, int(np.prod(shape))) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
    return torch.from_numpy(values.reshape(shape))


def boxes(seed, count):
    b = units(seed, BATCH, count, 4)
    b[..., 2:] = 0.05 + 0.4 * b[..., 2:]
    return b


def corners(b):
    centre, extent = b[..., :2], b[..., 2:]
    return torch.cat([centre - 0.5 * extent, centre + 0.5 * extent], -1)


def detection_cost(logits, predicted, classes, targets):
    p = logits.sigmoid()
    focal = 0.25 * (1 - p) ** 2 * -(p + 1e-8).log() - 0.75 * p**2 * -(1 - p + 1e-8).log()
    of_class = focal.gather(2, classes[:, None].expand(-1, QUERIES, -1))
    l1 = (predicted[:, :, None] - targets[:, None]).abs().sum(-1)
    a, b = corners(predicted)[:, :, None], corners(targets)[:, None]
    area = lambda c: (c[..., 2:] - c[..., :2]).clamp(min=0).prod(-1)  # noqa: E731
    common = area(torch.cat([torch.maximum(a, b)[..., :2], torch.minimum(a, b)[..., 2:]], -1))
    hull = area(torch.cat([torch.minimum(a, b)[..., :2], torch.maximum(a, b)[..., 2:]], -1))
    union = area(a) + area(b) - common
    giou = common / union - (hull - union) / hull
    return (2 * of_class + 5 * l1 - 2 * giou).contiguous()


def solve(costs):
    return [linear_sum_assignment(c) for c in costs.cpu().numpy()]


def times(work):
    for _ in range(WARM_UP):
        work()
    taken = []
    for _ in range(RUNS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        result = work()
        torch.cuda.synchronize()
        taken.append((time.perf_counter() - start) * 1e3)
    return taken, result


def report(name, taken, total):
    taken.sort()
    print(json.dumps({"name": name, "median_ms": round(statistics.median(taken), 4), "total_cost": round(total, 4)}), flush=True)


def total(costs, pairs):
    return float(sum(c.astype(np.float64)[r, k].sum() for c, (r, k) in zip(costs.cpu().numpy(), pairs)))


def main():
    uniform = units(1, BATCH, QUERIES, TARGETS).cuda()
    taken, pairs = times(lambda: solve(uniform))
    report("assignment, uniform costs", taken, total(uniform, pairs))

    logits = (8 * units(11, BATCH, QUERIES, CLASSES) - 6).cuda()
    classes = torch.from_numpy((draws(13, BATCH * TARGETS) % np.uint64(CLASSES)).astype(np.int64).reshape(BATCH, TARGETS)).cuda()
    scene = (logits, boxes(12, QUERIES).cuda(), classes, boxes(14, TARGETS).cuda())
    taken, costs = times(lambda: detection_cost(*scene))
    report("detection cost", taken, float(costs.sum()))
    taken, pairs = times(lambda: solve(costs))
    report("assignment, detection costs", taken, total(costs, pairs))
    taken, pairs = times(lambda: solve(detection_cost(*scene)))
    report("detection cost and assignment", taken, total(costs, pairs))

    product = torch.outer(torch.arange(1.0, QUERIES + 1), torch.arange(1.0, TARGETS + 1)).expand(BATCH, -1, -1).contiguous().cuda()
    taken, pairs = times(lambda: solve(product))
    report("assignment, product costs", taken, total(product, pairs))


if __name__ == "__main__":
    main()
