#!/usr/bin/env python3
"""Trains the default segmenter, a MobileSAM, from random weights on phantom sequences made on the spot.

    python tools/train/segmenter.py --ultramotion target/release/ultramotion --output OUT

OUT gets mobile_sam.safetensors (fp16), which `ultramotion --segmenter OUT/mobile_sam.safetensors` reads. The model is that of
mobilesam-mirror. First 512 × 512 tiles at the scale of the 1024 × 1024 frame, where four times as many steps fit into the time, then whole
frames. Prompts are boxes (with the errors a detector makes), points, or both; losses are SAM's: focal, dice and the error of the predicted IoU.
"""

import argparse
import copy
import math
import pathlib
import time

import torch
import torch.nn.functional as F
from mobile_sam import sam_model_registry
from safetensors.torch import save_file

from phantom_data import alter, follow, narrowed, prepared, tight_boxes, uniform

FRAME = 1024
TILE = 512
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
PROMPTS = 3  # a picture


def set_side(sam, side):
    """Makes the model work on squares of `side` pixels: no weight depends on it."""
    encoder = sam.image_encoder
    patches = side // 4
    for number, layer in enumerate(encoder.layers):
        resolution = (patches // 2 ** min(number, 2),) * 2
        for part in layer.modules():
            if hasattr(part, "input_resolution"):
                part.input_resolution = resolution
    grid = side // 16
    sam.prompt_encoder.image_embedding_size = (grid, grid)
    sam.prompt_encoder.input_image_size = (side, side)


def embed(encoder, pictures):
    """Image embeddings [B, 256, side / 16, side / 16]; the encoder's own forward fixes the side to 1024."""
    x = encoder.patch_embed(pictures)
    for layer in encoder.layers:
        x = layer(x)
    side = pictures.shape[-1] // 16
    return encoder.neck(x.view(len(x), side, side, -1).permute(0, 3, 1, 2))


def decode(sam, embeddings, points, boxes):
    """All four masks [B·N, 4, side / 4, side / 4] and their predicted IoU for N prompts a picture; SAM's decoder takes one picture at a time."""
    decoder, prompts = sam.mask_decoder, sam.prompt_encoder
    count = (points[0] if points is not None else boxes).shape[0]
    sparse, dense = prompts(points=points, boxes=boxes, masks=None)
    fixed = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])[None].expand(count, -1, -1)
    source = embeddings.repeat_interleave(count // len(embeddings), 0) + dense
    place = prompts.get_dense_pe().expand(count, -1, -1, -1)
    tokens, source = decoder.transformer(source, place, torch.cat([fixed, sparse], 1))
    side = embeddings.shape[-1]
    up = decoder.output_upscaling(source.transpose(1, 2).reshape(count, 256, side, side))
    kernels = torch.stack([mlp(tokens[:, 1 + i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)], 1)
    masks = torch.einsum("bkc,bchw->bkhw", kernels.float(), up.float())
    return masks, decoder.iou_prediction_head(tokens[:, 0]).float()


def views(data, index, side, plain):
    """Matrices [B, 2, 3] from a `side` square to frame pixels: the longest side to FRAME where `plain`, else a crop around a place in the frame."""
    batch, device = len(index), data.device
    extent = data.sizes[index]
    fit = extent.amax(1, keepdim=True) / FRAME
    zoom = torch.exp(uniform((batch, 1), -0.7, 0.3, device)) * torch.exp(uniform((batch, 2), -0.15, 0.15, device))
    scale = fit * torch.where(plain[:, None], 1.0, zoom)
    angle = uniform((batch,), -0.3, 0.3, device) * (torch.rand(batch, device=device) < 0.5) * ~plain
    flip = torch.where(torch.rand(batch, device=device) < 0.5, -1.0, 1.0)
    cos, sin = angle.cos(), angle.sin()
    linear = torch.stack([torch.stack([flip * cos, -sin], -1), torch.stack([flip * sin, cos], -1)], 1) * scale[:, :, None]
    # Plain: the frame in the upper left corner, as in use. Else a random place of it in the middle.
    corner = torch.stack([torch.where(flip < 0, extent[:, 0], torch.zeros_like(flip)), torch.zeros_like(flip)], 1)
    middle = extent * uniform((batch, 2), 0.15, 0.85, device)
    shift = torch.where(plain[:, None], corner, middle - linear.sum(-1) * side / 2)
    return torch.cat([linear, shift[:, :, None]], 2)


def jittered(boxes, side):
    """Boxes [B, N, 4] with the errors of a detector."""
    extent = (boxes[..., 2:] - boxes[..., :2]).repeat(1, 1, 2)
    some = (torch.rand_like(boxes[..., :1]) < 0.8).float()
    noise = torch.randn_like(boxes) * (0.03 * extent + 1.5) + torch.randn_like(boxes) * 0.06 * extent * (torch.rand_like(boxes[..., :1]) < 0.25)
    limit = 0.15 * extent + 4
    return (boxes + some * noise.clamp(-limit, limit)).clamp(0, side)


@torch.no_grad()
def draw_batch(data, index, side, plain):
    """Pictures as the encoder takes them, and for PROMPTS objects each: boxes, a point inside, masks at half the side, whether there is one."""
    pictures, inside, masks = data.warp(index, views(data, index, side, plain), side, side // 2)
    # Around a plain frame is SAM's padding, zero after normalisation.
    altered = alter(pictures, inside)
    mean, std = (torch.tensor(v, device=data.device).view(1, 3, 1, 1) for v in (MEAN, STD))
    pixels = (altered * 255 - mean) / std
    pixels = torch.where(plain[:, None, None, None] & ~inside, torch.zeros_like(pixels), pixels)
    boxes, areas = tight_boxes(masks)
    weight = (areas >= 40).float()
    chosen = torch.multinomial(weight + 1e-6, PROMPTS, replacement=True)
    pick = lambda t: t.gather(1, chosen.view(*chosen.shape, *([1] * (t.dim() - 2))).expand(-1, -1, *t.shape[2:]))
    masks, boxes, valid = pick(masks), pick(boxes) * 2, weight.gather(1, chosen)
    spot = (masks.flatten(2) * torch.rand(masks.shape[0], PROMPTS, masks.shape[2] * masks.shape[3], device=data.device)).argmax(-1)
    points = torch.stack([spot % masks.shape[3], spot // masks.shape[3]], -1).float() * 2 + 1
    return pixels, jittered(boxes, side), points, masks, valid


def losses(masks, quality, wanted, valid, several):
    """SAM's losses [B·N]; with `several` the best of the three masks counts, else the single one."""
    candidates = slice(1, 4) if several else slice(0, 1)
    masks, quality = masks[:, candidates], quality[:, candidates]
    masks = F.interpolate(masks, size=wanted.shape[-2:], mode="bilinear", align_corners=False)
    wanted = wanted[:, None].float().expand_as(masks)
    p = masks.sigmoid()
    crossed = F.binary_cross_entropy_with_logits(masks, wanted, reduction="none")
    focal = (crossed * (1 - (p * wanted + (1 - p) * (1 - wanted))) ** 2).mean((2, 3))
    dice = 1 - (2 * (p * wanted).sum((2, 3)) + 1) / (p.sum((2, 3)) + wanted.sum((2, 3)) + 1)
    with torch.no_grad():
        hard = masks > 0
        iou = (hard & (wanted > 0)).sum((2, 3)) / (hard | (wanted > 0)).sum((2, 3)).clamp(min=1)
    total = 20 * focal + dice
    best = total.argmin(1, keepdim=True)
    loss = total.gather(1, best)[:, 0] + ((quality - iou) ** 2).mean(1)
    number = valid.sum().clamp(min=1)
    return (loss * valid).sum() / number, (iou.gather(1, best)[:, 0] * valid).sum() / number


def save(sam, output):
    output.mkdir(parents=True, exist_ok=True)
    state = {k: narrowed(v) for k, v in sam.state_dict().items() if not k.endswith("num_batches_tracked")}
    # The classifier of the pretraining is not part of the segmenter.
    state = {k: v for k, v in state.items() if not k.startswith(("image_encoder.norm_head.", "image_encoder.head."))}
    save_file(state, output / "mobile_sam.safetensors.part", metadata={"format": "pt"})
    (output / "mobile_sam.safetensors.part").rename(output / "mobile_sam.safetensors")


def train(args):
    torch.manual_seed(args.seed)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    device = torch.device(args.device)
    started = time.time()
    data = prepared(args, device)
    occupied = (data.classes >= 0).any(1).nonzero()[:, 0].cpu()
    print(f"{len(data)} frames, {len(occupied)} with objects, after {time.time() - started:.0f} s", flush=True)
    sam = sam_model_registry["vit_t"](checkpoint=None).to(device).train()
    average = copy.deepcopy(sam)
    trained = [p for n, p in sam.named_parameters() if not n.startswith(("image_encoder.norm_head.", "image_encoder.head."))]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": 0.02},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=args.lr, fused=device.type == "cuda")
    steps = args.tile_steps + args.frame_steps
    rate = lambda step: min(1, step / args.warm_up) * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * step / steps)))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    generator = torch.Generator().manual_seed(args.seed)
    shown, sums = time.time(), [0.0, 0.0]
    for step in range(1, steps + 1):
        tiles = step <= args.tile_steps
        side, batch = (TILE, args.tile_batch) if tiles else (FRAME, args.frame_batch)
        if step in (1, args.tile_steps + 1):
            set_side(sam, side)
        index = occupied[torch.randint(len(occupied), (batch,), generator=generator)].to(device)
        plain = (torch.rand(batch, device=device) < 0.5) & (not tiles)
        pixels, boxes, points, wanted, valid = draw_batch(data, index, side, plain)
        with torch.autocast(device.type, torch.bfloat16):
            embeddings = embed(sam.image_encoder, pixels)
            # Of eight steps five prompt with boxes, one with a point, one with both, one with a box for three candidates.
            kind = step % 8
            spot = (points.reshape(-1, 1, 2), torch.ones(batch * PROMPTS, 1, device=device)) if kind >= 6 else None
            masks, quality = decode(sam, embeddings, spot, boxes.reshape(-1, 4) if kind != 6 else None)
        loss, iou = losses(masks, quality, wanted.flatten(0, 1), valid.flatten(), kind in (5, 6))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        follow(average, sam, min(0.999, 1 - 1 / (step + 1) ** 0.8))
        sums = [sums[0] + loss.detach(), sums[1] + iou]
        if step % args.log_every == 0:
            now = time.time()
            figures = [float(s) / args.log_every for s in sums]
            print(f"step {step} loss {figures[0]:.3f} IoU {figures[1]:.3f} {args.log_every / (now - shown):.2f} steps/s {now - started:.0f} s", flush=True)
            shown, sums = now, [0.0, 0.0]
        if step % args.save_every == 0 or step == steps:
            save(average, args.output)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ultramotion", required=True, help="the program, for its phantom command")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("out/phantom"), help="where sequences are made and kept")
    parser.add_argument("--first-seed", type=int, default=100_000, help="of the training sequences; seeds below are for tests")
    parser.add_argument("--sequences", type=int, default=3600)
    parser.add_argument("--tile-steps", type=int, default=3016)
    parser.add_argument("--frame-steps", type=int, default=2203)
    parser.add_argument("--tile-batch", type=int, default=32)
    parser.add_argument("--frame-batch", type=int, default=12)
    parser.add_argument("--lr", type=float, default=8e-4)
    parser.add_argument("--warm-up", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--log-every", type=int, default=100)
    parser.add_argument("--save-every", type=int, default=1000)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
