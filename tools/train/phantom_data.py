"""Phantom sequences as training data: made by `ultramotion phantom`, held on the device, warped and altered there.

Every frame lies in the upper left corner of a CANVAS × CANVAS square. Objects are bits of a second square: bit k of a pixel says
that object k of the frame covers it, so objects may overlap and boxes stay exact under any warp.
"""

import json
import os
import pathlib
import subprocess
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F

CANVAS = 640
SLOTS = 8  # bits of a byte; a phantom frame holds at most five objects
CLASSES = ["bone", "cyst", "vessel", "needle"]
FRAMES = 8  # of a sequence, a second apart
# Share of the sequences, size of their screen, targets they may show.
MIX = [
    (0.42, "512x512", "bone,cyst,vessel,needle"),
    (0.08, "640x480", "bone,cyst,vessel,needle"),
    (0.08, "448x600", "bone,cyst,vessel,needle"),
    (0.06, "512x512", "needle,vessel"),
    (0.14, "422x558", "bone"),
    (0.10, "512x512", "bone"),
    (0.06, "512x512", "cyst"),
    (0.06, "512x512", "none"),
]


def generate(ultramotion, folder, first_seed, sequences):
    """Runs `ultramotion phantom` on every core; returns the folders of the sequences, in order of their seeds."""
    jobs, seed = [], first_seed
    for number, (share, size, targets) in enumerate(MIX):
        count = round(share * sequences)
        for start in range(0, count, 8):
            some = min(8, count - start)
            jobs.append((pathlib.Path(folder) / f"{number}-{seed}", seed, some, size, targets))
            seed += some

    def run(job):
        target, seed, some, size, targets = job
        if not (target / "done").exists():
            command = [ultramotion, "phantom", "--output", target, "--overwrite", "--seed", seed, "--sequences", some, "--frames", FRAMES]
            command += ["--frame-rate", 1, "--size", size, "--targets", targets, "--write", "png", "--quiet"]
            subprocess.run([str(part) for part in command], check=True, env={**os.environ, "RAYON_NUM_THREADS": "1"})
            (target / "done").touch()
        return sorted(path.parent for path in target.glob("**/coco.json"))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [folder for folders in pool.map(run, jobs) for folder in folders]


def decode_rle(counts, height, width):
    """Mask [height, width] of COCO's run lengths as text: five bits a character, differences to the run before last, column by column."""
    runs, position, text = [], 0, counts.encode()
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            code = text[position] - 48
            value |= (code & 0x1F) << shift
            more = bool(code & 0x20)
            position, shift = position + 1, shift + 5
            if not more and code & 0x10:
                value |= -1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    flat = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    return flat.reshape(width, height).T


def read_sequence(job):
    """Writes the frames of one sequence into their places of the arrays on disk; returns what is not pixels."""
    import cv2

    folder, store, first, total = job
    images = np.memmap(store / "images.u8", np.uint8, "r+", shape=(total, CANVAS, CANVAS))
    bits = np.memmap(store / "bits.u8", np.uint8, "r+", shape=(total, CANVAS, CANVAS))
    truth = json.loads((folder / "coco.json").read_text())
    rows = []
    for number, image in enumerate(truth["images"]):
        pixels = cv2.imread(str(folder / image["file_name"]), cv2.IMREAD_GRAYSCALE)
        height, width = pixels.shape
        images[first + number] = np.pad(pixels, ((0, CANVAS - height), (0, CANVAS - width)), mode="edge")
        classes, field = np.full(SLOTS, -1), np.zeros((height, width), np.uint8)
        objects = [a for a in truth["annotations"] if a["image_id"] == image["id"]]
        for slot, a in enumerate(objects[:SLOTS]):
            classes[slot] = CLASSES.index(next(c["name"] for c in truth["categories"] if c["id"] == a["category_id"]))
            field |= decode_rle(a["segmentation"]["counts"], height, width) << slot
        bits[first + number, :height, :width] = field
        rows.append((width, height, classes))
    return rows


class PhantomData:
    """Frames on the device. images, bits: u8 [N, 1, CANVAS, CANVAS]; sizes: f32 [N, 2] (width, height); classes: i64 [N, SLOTS], −1 for none."""

    def __init__(self, folders, store, device):
        store, total = pathlib.Path(store), len(folders) * FRAMES
        # Written last: with it the store is whole, and the other script reads what this one made.
        index = store / "index.npz"
        if not index.exists():
            store.mkdir(parents=True, exist_ok=True)
            for name in ("images.u8", "bits.u8"):
                np.memmap(store / name, np.uint8, "w+", shape=(total, CANVAS, CANVAS))
            with ProcessPoolExecutor(os.cpu_count()) as pool:
                jobs = [(folder, store, n * FRAMES, total) for n, folder in enumerate(folders)]
                rows = [row for rows in pool.map(read_sequence, jobs, chunksize=8) for row in rows]
            np.savez(index, sizes=np.array([[w, h] for w, h, _ in rows], np.float32), classes=np.stack([c for _, _, c in rows]))
        rows = np.load(index)
        load = lambda name: torch.from_numpy(np.memmap(store / name, np.uint8, "r+", shape=(total, 1, CANVAS, CANVAS))).to(device)
        self.images, self.bits = load("images.u8"), load("bits.u8")
        self.sizes, self.classes = torch.from_numpy(rows["sizes"]).to(device), torch.from_numpy(rows["classes"]).to(device)
        self.device = device

    def __len__(self):
        return len(self.images)

    def warp(self, index, matrix, size, mask_size):
        """Frames seen through `matrix` [B, 2, 3], which takes a position of the output (pixels of a `size` square) to one of the frame.

        Returns pictures [B, 1, size, size] in 0..1, whether a pixel lies in the frame, and masks bool [B, SLOTS, mask_size, mask_size].
        """
        source = positions(matrix, size, size)
        pictures = F.grid_sample(self.images[index].float() / 255, source * 2 / CANVAS - 1, mode="bilinear", padding_mode="border", align_corners=False)
        inside = ((source >= 0) & (source < self.sizes[index][:, None, None])).all(-1)[:, None]
        source = positions(matrix, size, mask_size)
        within = ((source >= 0) & (source < self.sizes[index][:, None, None])).all(-1)
        bits = F.grid_sample(self.bits[index].float(), source * 2 / CANVAS - 1, mode="nearest", padding_mode="border", align_corners=False)
        bits = bits[:, 0].to(torch.uint8) * within
        masks = (bits[:, None] >> torch.arange(SLOTS, device=self.device, dtype=torch.uint8)[:, None, None]) & 1
        return pictures, inside, masks.bool() & (self.classes[index] >= 0)[:, :, None, None]


def prepared(args, device):
    """The sequences that `args` ask for, made and read unless an earlier run did both. Other seeds or numbers are another folder."""
    folder = args.data / f"{args.first_seed}-{args.sequences}"
    return PhantomData(generate(args.ultramotion, folder, args.first_seed, args.sequences), folder / "store", device)


def positions(matrix, size, samples):
    """Where `samples` × `samples` pixel centres of a `size` square come from: [B, samples, samples, 2]."""
    centres = (torch.arange(samples, device=matrix.device) + 0.5) * (size / samples)
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    return torch.einsum("bij,hwj->bhwi", matrix, torch.stack([x, y, torch.ones_like(x)], -1))


def tight_boxes(masks):
    """Boxes [B, SLOTS, 4] (x0, y0, x1, y1 in mask pixels, right and lower edge exclusive) and areas [B, SLOTS]."""
    size = masks.shape[-1]
    columns, rows = masks.any(2), masks.any(3)
    first = lambda line: line.float().argmax(-1)
    last = lambda line: size - line.flip(-1).float().argmax(-1)
    return torch.stack([first(columns), first(rows), last(columns), last(rows)], -1).float(), masks.sum((2, 3))


def uniform(shape, low, high, device):
    return torch.rand(shape, device=device) * (high - low) + low


def textures(batch, size, device):
    """Pictures [B, 3, size, size] that are not ultrasound: coloured noise at several scales, stripes, blocks."""
    out = uniform((batch, 3, 1, 1), 0, 1, device).expand(-1, -1, size, size).clone()
    for cells in (3, 9, 40, 160):
        noise = F.interpolate(torch.rand(batch, 3, cells, cells, device=device), size=(size, size), mode="bilinear", align_corners=False)
        noise = torch.where(torch.rand(batch, 1, 1, 1, device=device) < 0.5, noise.mean(1, keepdim=True), noise)
        weight = uniform((batch, 1, 1, 1), 0, 1, device) * (torch.rand(batch, 1, 1, 1, device=device) < 0.6)
        hard = torch.rand(batch, 1, 1, 1, device=device) < 0.3
        out = out + weight * (torch.where(hard, (noise > 0.6).float(), noise) - 0.5)
    ramp = torch.arange(size, device=device) / size
    direction = uniform((batch, 2, 1, 1, 1), -1, 1, device)
    phase = direction[:, 0] * ramp[None, None, :, None] + direction[:, 1] * ramp[None, None, None, :]
    stripes = torch.sin(phase * uniform((batch, 1, 1, 1), 5, 300, device))
    out = out + stripes * uniform((batch, 1, 1, 1), 0, 0.5, device) * (torch.rand(batch, 1, 1, 1, device=device) < 0.3)
    for _ in range(4):
        low, extent = uniform((batch, 2), -0.2, 1, device), uniform((batch, 2), 0.02, 0.6, device)
        across = (ramp[None] > low[:, :1]) & (ramp[None] < low[:, :1] + extent[:, :1])
        down = (ramp[None] > low[:, 1:]) & (ramp[None] < low[:, 1:] + extent[:, 1:])
        block = down[:, None, :, None] & across[:, None, None, :] & (torch.rand(batch, 1, 1, 1, device=device) < 0.5)
        out = torch.where(block, 0.4 * out + 0.6 * uniform((batch, 3, 1, 1), 0, 1, device), out)
    return out.clamp(0, 1)


def blur(pictures, sigma):
    """Gaussian blur, its own sigma [B] in pixels for each picture."""
    batch, channels = pictures.shape[:2]
    offsets = torch.arange(-4, 5, device=pictures.device).float()
    kernel = torch.exp(-0.5 * (offsets / sigma[:, None].clamp(min=0.05)) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)[:, None]
    flat = F.pad(pictures.reshape(1, batch * channels, *pictures.shape[2:]), (4, 4, 4, 4), mode="replicate")
    flat = F.conv2d(flat, kernel[:, :, :, None], groups=batch * channels)
    return F.conv2d(flat, kernel[:, :, None, :], groups=batch * channels).view_as(pictures)


def alter(pictures, inside):
    """Gain, contrast, time gain, resolution, noise, tint and what lies around the frame: [B, 1, S, S] in 0..1 to [B, 3, S, S] in 0..1."""
    batch, size, device = len(pictures), pictures.shape[-1], pictures.device
    some = lambda chance: (torch.rand(batch, 1, 1, 1, device=device) < chance).float()
    spread = lambda low, high: uniform((batch, 1, 1, 1), low, high, device)
    x = pictures.clamp(1e-4, 1) ** torch.exp(spread(-0.5, 0.5) * some(0.7))
    x = x * (1 + spread(-0.35, 0.6) * some(0.6)) + spread(-0.12, 0.08) * some(0.4)
    curve = F.interpolate(torch.rand(batch, 1, 5, 3, device=device), size=(size, size), mode="bilinear", align_corners=True)
    x = x * (1 + (curve - 0.5) * spread(0, 1.2) * some(0.4))
    contrast = x + x * (1 - x) * (2 * x - 1) * spread(-0.8, 1.2)
    x = torch.where(some(0.3) > 0, contrast, x).clamp(0, 1)
    x = blur(x, (spread(0.05, 1.0) + spread(0, 1.2) * some(0.3)).view(-1))
    cells = int(torch.randint(64, 400, ()))
    grain = F.interpolate(torch.randn(batch, 1, cells, cells, device=device), size=(size, size), mode="bilinear", align_corners=False)
    x = x * (1 + grain * spread(0, 0.25) * some(0.4)) + torch.randn_like(x) * spread(0, 0.05) * some(0.5)
    coarse = F.interpolate(F.interpolate(x, scale_factor=0.5, mode="area"), size=(size, size), mode="bilinear", align_corners=False)
    x = torch.where(some(0.15) > 0, coarse, x).clamp(0, 1)
    x = (x * (1 + uniform((batch, 3, 1, 1), -0.12, 0.12, device) * some(0.2))).clamp(0, 1).expand(-1, 3, -1, -1)
    around = torch.where(some(0.25) > 0, textures(batch, size, device), spread(0, 0.25) * some(0.3))
    return torch.where(inside, x, around)


@torch.no_grad()
def follow(average, model, decay):
    """Exponential moving average of weights and statistics."""
    for mean, value in zip(average.state_dict().values(), model.state_dict().values()):
        if mean.is_floating_point():
            mean.lerp_(value.to(mean.dtype), 1 - decay)
        else:
            mean.copy_(value)


def narrowed(tensor):
    """As it is stored: matrices and kernels in fp16, vectors (biases, norms, statistics, whose range is wide) in fp32."""
    tensor = tensor.detach().cpu()
    if not tensor.is_floating_point():
        return tensor.clone().contiguous()
    return (tensor.half() if tensor.dim() > 1 else tensor.float()).clone().contiguous()
