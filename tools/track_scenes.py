"""Seeded scenes of many objects for trackers: ground truth and what a detector would make of it.

Used by track_peers.py. Each scene has one kind of motion:

    street  people of different depth that walk and pass each other
    sport   fast players that turn and brake
    dance   people of one size that change places again and again
    swarm   small things that move by more than their own size between frames
    handheld  a street seen by a camera that is carried

Objects further up in the picture are behind those further down and hidden by them. The detector misses objects (more so
hidden ones, and for several frames at a time), shrinks boxes to what is seen of an object, jitters (independently and
slowly), finds things that are not there (anywhere, and again and again at the same places), and finds some objects twice.
Scores fall with what is hidden.
"""

import numpy as np

KINDS = ["street", "sport", "dance", "swarm", "handheld"]
WIDTH, HEIGHT, RATE, FRAMES = 1920, 1080, 30.0, 240


def trajectories(kind, rng):
    """Centres and sizes [object, frame, (cx, cy, w, h)], and for each object its first and last frame."""
    count = int(rng.integers(30, 42))
    t = np.arange(FRAMES) / RATE
    boxes = np.zeros((count, FRAMES, 4))
    spans = []
    for i in range(count):
        if kind == "swarm":
            w, h = rng.uniform(14, 30, 2)
            speed, turn, wander = rng.uniform(100, 450), 2.0, 250
        elif kind == "sport":
            h = rng.uniform(90, 160)
            w, speed, turn, wander = h * rng.uniform(0.35, 0.6), rng.uniform(60, 420), 2.0, 300
        elif kind == "dance":
            h = rng.uniform(200, 260)
            w, speed, turn, wander = h * rng.uniform(0.35, 0.5), rng.uniform(30, 160), 1.0, 100
        else:
            h = rng.uniform(70, 300)
            w, speed, turn, wander = h * rng.uniform(0.3, 0.42), h * rng.uniform(0.1, 0.9), 0.3, 0.15 * h
        x, y = rng.uniform(0, WIDTH), rng.uniform(0.15 * HEIGHT, 0.9 * HEIGHT)
        if kind in ("street", "handheld"):
            y = 0.25 * HEIGHT + 0.55 * HEIGHT * (h - 70) / 230 + rng.normal(0, 20)
        angle = rng.uniform(0, 2 * np.pi)
        if kind in ("street", "handheld"):
            angle = rng.choice([0, np.pi]) + rng.normal(0, 0.15)
        v = speed * np.array([np.cos(angle), np.sin(angle)])
        p = np.array([x, y])
        anchor, size = p.copy(), 1.0
        phase, beat, reach = rng.uniform(0, 6.28), rng.uniform(0.25, 0.8), rng.uniform(80, 320)
        for f in range(FRAMES):
            v = v + rng.normal(0, wander, 2) / RATE**0.5 * (0.5 if kind == "street" else 1.0)
            norm = np.hypot(*v) + 1e-9
            v = v * (1 + (speed / norm - 1) * min(1.0, 1.5 / RATE))
            bend = rng.normal(0, turn) / RATE**0.5
            v = np.array([v[0] * np.cos(bend) - v[1] * np.sin(bend), v[0] * np.sin(bend) + v[1] * np.cos(bend)])
            p = p + v / RATE
            if kind in ("sport", "dance", "swarm"):
                for axis, limit in enumerate((WIDTH, HEIGHT)):
                    if not 0.03 * limit < p[axis] < 0.97 * limit:
                        v[axis] = abs(v[axis]) if p[axis] < limit / 2 else -abs(v[axis])
            shown = p.copy()
            if kind == "dance":
                shown[0] = anchor[0] + reach * np.sin(2 * np.pi * beat * t[f] + phase) + 0.3 * (p[0] - anchor[0])
                shown[1] = anchor[1] + 0.15 * reach * np.cos(2 * np.pi * beat * t[f] + phase)
            size = size * np.exp(rng.normal(0, 0.02) / RATE**0.5)
            breath = 1 + 0.12 * np.sin(2 * np.pi * 1.2 * t[f] + phase)
            boxes[i, f] = shown[0], shown[1], w * size * breath, h * size
        begin = 0 if rng.random() < 0.6 else int(rng.integers(0, FRAMES // 2))
        end = FRAMES if rng.random() < 0.6 else int(rng.integers(begin + FRAMES // 4, FRAMES + 1))
        spans.append((begin, end))
    if kind == "handheld":
        shake = np.cumsum(rng.normal(0, 1, (FRAMES, 2)), axis=0)
        sway = np.stack([180 * np.sin(2 * np.pi * 0.35 * t + rng.uniform(0, 6)),
                         60 * np.sin(2 * np.pi * 0.9 * t + rng.uniform(0, 6))], axis=1)
        boxes[:, :, :2] += sway + 2.5 * (shake - np.linspace(0, 1, FRAMES)[:, None] * shake[-1])
    return boxes, spans


def corners(boxes):
    half = boxes[..., 2:] / 2
    return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], axis=-1)


def visible_parts(boxes):
    """For each object (already back to front) the seen part of its area, and the box around what is seen."""
    n = len(boxes)
    u = (np.arange(12) + 0.5) / 12
    px = boxes[:, 0, None] + (boxes[:, 2] - boxes[:, 0])[:, None] * u
    py = boxes[:, 1, None] + (boxes[:, 3] - boxes[:, 1])[:, None] * u
    parts, seen = np.zeros(n), boxes.copy()
    for i in range(n):
        gx, gy = np.meshgrid(px[i], py[i])
        free = (gx > 0) & (gx < WIDTH) & (gy > 0) & (gy < HEIGHT)
        for j in range(i + 1, n):
            b = boxes[j]
            if b[0] < boxes[i, 2] and b[2] > boxes[i, 0] and b[1] < boxes[i, 3] and b[3] > boxes[i, 1]:
                cx, cy = (b[0] + b[2]) / 2, (b[1] + b[3]) / 2
                free &= ((gx - cx) / (b[2] - b[0])) ** 2 + ((gy - cy) / (b[3] - b[1])) ** 2 > 0.25
        parts[i] = free.mean()
        if parts[i] > 0:
            w, h = (boxes[i, 2] - boxes[i, 0]) / 24, (boxes[i, 3] - boxes[i, 1]) / 24
            seen[i] = [gx[free].min() - w, gy[free].min() - h, gx[free].max() + w, gy[free].max() + h]
    return parts, seen


def iou(a, b):
    """IoU of boxes [n, 4] with boxes [m, 4]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.clip(high - low, 0, None).prod(axis=2)
    area = lambda x: np.clip(x[:, 2:] - x[:, :2], 0, None).prod(axis=1)
    union = area(a)[:, None] + area(b)[None] - inter
    return np.where(union > 0, inter / np.where(union > 0, union, 1), 0.0)


def scene(seed):
    """Name, ground truth and detections: two lists, one item a frame: [(id, box)] and [(box, score)]."""
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    boxes, spans = trajectories(kind, rng)
    n = len(boxes)
    quality = rng.normal(0.82, 0.07, n)
    slow = np.zeros((n, 4))
    blind = np.zeros(n, int)
    clutter = [(rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(40, 120), rng.uniform(60, 200), rng.uniform(0.25, 0.65))
               for _ in range(4)]
    truth, found = [], []
    for f in range(FRAMES):
        alive = np.array([i for i in range(n) if spans[i][0] <= f < spans[i][1]], int)
        order = alive[np.argsort(boxes[alive, f, 1] + boxes[alive, f, 3] / 2, kind="stable")]
        full = corners(boxes[order, f])
        parts, seen = visible_parts(full)
        gt, dets = [], []
        for k, i in enumerate(order):
            slow[i] = 0.9 * slow[i] + rng.normal(0, 0.012, 4)
            inside = np.clip(full[k], 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
            if parts[k] > 0.05:
                gt.append((int(i) + 1, inside))
            if blind[i] > 0:
                blind[i] -= 1
                continue
            if rng.random() < 0.006:
                blind[i] = int(rng.integers(2, 12))
                continue
            chance = np.interp(parts[k], [0.1, 0.3, 0.6, 1.0], [0.0, 0.45, 0.85, 0.97])
            if rng.random() >= chance:
                continue
            part = rng.uniform(0.3, 1.0)
            box = part * np.clip(seen[k], 0, [WIDTH, HEIGHT, WIDTH, HEIGHT]) + (1 - part) * inside
            size = np.tile(box[2:] - box[:2], 2)
            noise = slow[i] + rng.normal(0, 0.03 + 0.04 * (1 - parts[k]), 4)
            score = quality[i] * (0.4 + 0.6 * parts[k] ** 0.7) + rng.normal(0, 0.07)
            dets.append((box + noise * size, score))
            if rng.random() < 0.03:
                dets.append((box + rng.normal(0, 0.1, 4) * size, score * rng.uniform(0.4, 0.95)))
        for _ in range(rng.poisson(0.8)):
            w, h = rng.uniform(30, 150), rng.uniform(50, 250)
            x, y = rng.uniform(0, WIDTH - w), rng.uniform(0, HEIGHT - h)
            dets.append((np.array([x, y, x + w, y + h]), 0.1 + 0.7 * rng.beta(1.5, 4)))
        for x, y, w, h, base in clutter:
            if rng.random() < 0.25:
                b = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
                dets.append((b + rng.normal(0, 4, 4), base + rng.normal(0, 0.08)))
        dets = [(np.clip(b, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT]), float(np.clip(s, 0, 0.99))) for b, s in dets]
        dets = [(b, s) for b, s in dets if s >= 0.1 and b[2] - b[0] >= 3 and b[3] - b[1] >= 3]
        dets.sort(key=lambda d: -d[1])
        kept = []
        for b, s in dets:
            if not kept or iou(np.array([b]), np.array([k for k, _ in kept])).max() <= 0.75:
                kept.append((b, s))
        truth.append(gt)
        found.append(kept)
    return f"{kind}-{seed}", truth, found
