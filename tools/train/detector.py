#!/usr/bin/env python3
"""Trains the default detector, a D-FINE-N of four classes, from random weights on phantom sequences made on the spot.

    python tools/train/detector.py --ultramotion target/release/ultramotion --output OUT

OUT gets config.json and preprocessor_config.json, as `ultramotion models init` writes them, and model.safetensors (fp16), which
`ultramotion --detector OUT` reads. The model is transformers' D-FINE; the losses are those of the D-FINE paper (varifocal, L1, GIoU, fine-grained localisation; denoising queries), written for a fixed number of
objects so that the device never waits for the host but for one assignment a step.
"""

import argparse
import copy
import json
import math
import pathlib
import subprocess
import time

import torch
import torch.nn.functional as F
import transformers.models.d_fine.modeling_d_fine as d_fine
from safetensors.torch import save_file
from scipy.optimize import linear_sum_assignment
from transformers import DFineConfig, DFineForObjectDetection

from phantom_data import CLASSES, SLOTS, alter, follow, narrowed, prepared, textures, tight_boxes, uniform

SIZE = 640
GROUPS = 6  # denoising groups, each a noisy and a wrong copy of every slot
WEIGHTS = {"class": 1.0, "box": 5.0, "giou": 2.0, "local": 0.15}


def views(data, index, plain):
    """Matrices [B, 2, 3] from a SIZE square to frame pixels: the whole frame stretched where `plain`, else cropped, turned and mirrored."""
    batch, device = len(index), data.device
    extent = data.sizes[index]
    zoom = torch.exp(uniform((batch, 1), -0.9, 0.35, device)) * torch.exp(uniform((batch, 2), -0.18, 0.18, device))
    zoom = torch.where(plain[:, None], 1.0, zoom)
    angle = uniform((batch,), -0.2, 0.2, device) * (torch.rand(batch, device=device) < 0.4) * ~plain
    flip = torch.where(torch.rand(batch, device=device) < 0.5, -1.0, 1.0)
    middle = torch.where(plain[:, None], 0.5, 0.5 + uniform((batch, 2), -0.5, 0.5, device) * (1 - zoom).abs())
    scale = extent * zoom / SIZE
    cos, sin = angle.cos(), angle.sin()
    linear = torch.stack([torch.stack([flip * cos, -sin], -1), torch.stack([flip * sin, cos], -1)], 1) * scale[:, :, None]
    shift = extent * middle - linear.sum(-1) * SIZE / 2
    return torch.cat([linear, shift[:, :, None]], 2)


@torch.no_grad()
def draw_batch(data, batch, plain_share, generator):
    """Pictures [B, 3, SIZE, SIZE] and targets: classes [B, SLOTS], boxes cxcywh in 0..1 [B, SLOTS, 4], valid [B, SLOTS]."""
    index = torch.randint(len(data), (batch,), generator=generator).to(data.device)
    plain = torch.rand(batch, device=data.device) < plain_share
    pictures, inside, masks = data.warp(index, views(data, index, plain), SIZE, SIZE)
    pictures = alter(pictures, inside)
    foreign = torch.rand(batch, device=data.device) < 0.04
    pictures = torch.where(foreign[:, None, None, None], textures(batch, SIZE, data.device), pictures)
    boxes, areas = tight_boxes(masks)
    valid = (areas >= 24) & ~foreign[:, None]
    boxes = boxes / SIZE
    centred = torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], -1)
    # A slot without an object holds a box that is harmless in every formula.
    centred = torch.where(valid[..., None], centred, torch.tensor([0.5, 0.5, 0.2, 0.2], device=data.device))
    return pictures, {"classes": data.classes[index].clamp(min=0), "boxes": centred, "valid": valid}


def denoising_queries(targets, num_classes, class_embed, label_noise=0.5, box_noise=1.0):
    """Contrastive denoising groups of GROUPS · 2 · SLOTS queries; padded slots are left out of the losses."""
    classes, boxes = (targets[k].repeat(1, *([2 * GROUPS] + [1] * (targets[k].dim() - 2))) for k in ("classes", "boxes"))
    batch, count = classes.shape
    device = classes.device
    wrong = (torch.arange(count, device=device) // SLOTS % 2 == 1)[None, :, None]
    other = torch.randint(0, num_classes, classes.shape, device=device)
    classes = torch.where(torch.rand(batch, count, device=device) < label_noise * 0.5, other, classes)
    corners = torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1)
    part = torch.rand(batch, count, 4, device=device) + wrong
    sign = torch.randint(0, 2, (batch, count, 4), device=device) * 2 - 1
    corners = (corners + sign * part * (boxes[..., 2:] / 2).repeat(1, 1, 2) * box_noise).clamp(0, 1)
    noisy = torch.cat([(corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]], -1)
    return class_embed(classes), torch.special.logit(noisy, eps=1e-5)


def denoising_mask(queries, device):
    """0 where a query may look, −inf where not: groups see themselves and the matching queries, these do not see the groups."""
    count = GROUPS * 2 * SLOTS
    group = torch.arange(count + queries, device=device) // (2 * SLOTS)
    group[count:] = GROUPS
    allowed = (group[:, None] == group[None]) | ((group[:, None] < GROUPS) & (group[None] == GROUPS))
    return torch.zeros(allowed.shape, device=device).masked_fill(~allowed, -torch.inf)


def raised(value):
    """The same structure in fp32."""
    if torch.is_tensor(value):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, (list, tuple)):
        return type(value)(raised(v) for v in value)
    for key in value.keys() if hasattr(value, "keys") else ():
        value[key] = raised(value[key])
    return value


def install(model, mask):
    """Puts the fixed-size denoising into transformers' model; backbone and encoder compute in bf16, all that follows in fp32."""

    def group(targets, num_classes, num_queries, class_embed, **_):
        queries, boxes = denoising_queries(targets, num_classes, class_embed)
        return queries, boxes, mask, {"dn_num_split": [GROUPS * 2 * SLOTS, num_queries]}

    d_fine.get_contrastive_denoising_training_group = group

    def lowered(inner):
        def forward(*args, **kwargs):
            with torch.autocast(mask.device.type, torch.bfloat16):
                return raised(inner(*args, **kwargs))

        return forward

    for part in (model.model.backbone, model.model.encoder):
        part.forward = lowered(part.forward)


def corners_of(boxes):
    return torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1)


def iou_and_giou(a, b):
    """Of boxes cxcywh that broadcast."""
    a, b = corners_of(a), corners_of(b)
    inner = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    area = lambda box: (box[..., 2:] - box[..., :2]).clamp(min=0).prod(-1)
    union = area(a) + area(b) - inner
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    iou = inner / union.clamp(min=1e-9)
    return iou, iou - (hull - union) / hull.clamp(min=1e-9)


@torch.no_grad()
def assign(logits, boxes, targets):
    """Query of each slot [L, B, SLOTS] at minimum cost, for stacked logits [L, B, Q, K] and boxes [L, B, Q, 4]."""
    layers, batch, queries, _ = logits.shape
    index = targets["classes"][None, :, None].expand(layers, batch, queries, SLOTS)
    p = logits.float().sigmoid().gather(-1, index)
    cost = 0.25 * (1 - p) ** 2 * -(p + 1e-8).log() - 0.75 * p**2 * -(1 - p + 1e-8).log()
    wanted = targets["boxes"][None, :, None]
    given = boxes[:, :, :, None]
    cost = 2 * cost + 5 * (given - wanted).abs().sum(-1) - 2 * iou_and_giou(given, wanted)[1]
    cost = cost.nan_to_num(1e6, 1e6, 1e6).cpu().numpy()
    valid = targets["valid"].cpu().numpy()
    chosen = torch.zeros(layers, batch, SLOTS, dtype=torch.long)
    for b in range(batch):
        slots = valid[b].nonzero()[0]
        for layer in range(layers if len(slots) else 0):
            rows, columns = linear_sum_assignment(cost[layer, b][:, slots])
            chosen[layer, b, slots[columns]] = torch.from_numpy(rows)
    return chosen.to(logits.device)


def class_and_box_loss(logits, boxes, chosen, targets, number, ignore=None):
    """Varifocal, L1 and GIoU losses, and the IoU of the chosen queries [B, SLOTS·n]."""
    pick = lambda t: t.gather(1, chosen[..., None].expand(-1, -1, t.shape[-1]))
    matched = pick(boxes)
    valid = targets["valid"].float()
    iou, giou = iou_and_giou(matched, targets["boxes"])
    score = torch.zeros_like(logits)
    rows = torch.arange(len(logits), device=logits.device)[:, None].expand_as(chosen)
    score.index_put_((rows, chosen, targets["classes"]), iou.detach().clamp(min=0) * valid, accumulate=True)
    positive = torch.zeros_like(logits)
    positive.index_put_((rows, chosen, targets["classes"]), valid, accumulate=True)
    weight = 0.75 * logits.detach().sigmoid() ** 2 * (1 - positive) + score
    if ignore is not None:
        weight = weight * ~ignore[..., None]
    loss = WEIGHTS["class"] * F.binary_cross_entropy_with_logits(logits, score, weight, reduction="sum")
    loss = loss + WEIGHTS["box"] * ((matched - targets["boxes"]).abs().sum(-1) * valid).sum()
    loss = loss + WEIGHTS["giou"] * ((1 - giou) * valid).sum()
    return loss / number, iou.detach()


def local_loss(corners, reference, chosen, targets, iou, number, bins, project, reg_scale):
    """Fine-grained localisation: the distributions of the four edges against the two bins around the true distance."""
    pick = lambda t: t.gather(1, chosen[..., None].expand(-1, -1, t.shape[-1]))
    reference, wanted = pick(reference), corners_of(targets["boxes"])
    unit = reference[..., 2:].clamp(min=1e-6) / reg_scale
    distance = torch.cat([(reference[..., :2] - wanted[..., :2]) / unit, (wanted[..., 2:] - reference[..., :2]) / unit], -1) - 0.5 * reg_scale
    left = (torch.searchsorted(project, distance.contiguous(), right=True) - 1).clamp(0, bins - 1)
    share = ((distance - project[left]) / (project[left + 1] - project[left])).clamp(0, 1)
    logs = F.log_softmax(pick(corners).unflatten(-1, (4, bins + 1)), -1)
    at = lambda i: -logs.gather(-1, i[..., None])[..., 0]
    loss = (at(left) * (1 - share) + at(left + 1) * share) * (iou * targets["valid"])[..., None]
    return WEIGHTS["local"] * loss.sum() / number


def criterion(model, out, targets):
    """The sum of all losses over the encoder's choice and every decoder layer, for matching and denoising queries."""
    decoder, noisy = model.model.decoder, GROUPS * 2 * SLOTS
    project = d_fine.weighting_function(decoder.max_num_bins, decoder.up, decoder.reg_scale)
    shape = (decoder.max_num_bins, project, decoder.reg_scale)
    logits, boxes = out.intermediate_logits.float(), out.intermediate_reference_points.float().clamp(0, 1)
    logits, boxes = logits.transpose(0, 1), boxes.transpose(0, 1)  # [pre-head, layers …]
    corners, reference = out.intermediate_predicted_corners.transpose(0, 1), out.initial_reference_points.transpose(0, 1)
    number = targets["valid"].sum().clamp(min=1).float()
    all_logits = torch.cat([logits[:, :, noisy:], out.enc_topk_logits.float()[None]])
    all_boxes = torch.cat([boxes[:, :, noisy:], out.enc_topk_bboxes.float()[None]])
    chosen = assign(all_logits, all_boxes, targets)
    total, quality = 0.0, None
    for layer in range(len(all_logits)):
        loss, iou = class_and_box_loss(all_logits[layer], all_boxes[layer], chosen[layer], targets, number)
        total = total + loss
        if 1 <= layer < len(logits):
            args = (corners[layer - 1][:, noisy:], reference[layer - 1][:, noisy:], chosen[layer])
            total, quality = total + local_loss(*args, targets, iou, number, *shape), iou
    wide = {k: v.repeat(1, *([GROUPS] + [1] * (v.dim() - 2))) for k, v in targets.items()}
    places = torch.arange(noisy, device=number.device).view(GROUPS, 2, SLOTS)[:, 0].reshape(1, -1).expand(len(targets["valid"]), -1)
    padded = (~targets["valid"]).repeat(1, 2 * GROUPS)
    for layer in range(len(logits)):
        loss, iou = class_and_box_loss(logits[layer][:, :noisy], boxes[layer][:, :noisy], places, wide, number * GROUPS, padded)
        total = total + loss
        if layer >= 1:
            args = (corners[layer - 1][:, :noisy], reference[layer - 1][:, :noisy], places)
            total = total + local_loss(*args, wide, iou, number * GROUPS, *shape)
    return total, (quality * targets["valid"]).sum() / number


def parameter_groups(model, decay):
    plain = [p for n, p in model.named_parameters() if p.requires_grad and (p.dim() < 2 or "embed" in n and "bbox" not in n)]
    known = {id(p) for p in plain}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
    return [{"params": rest, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]


def save(model, output):
    training_only = ("denoising_class_embed.weight", "num_batches_tracked")
    state = {k: narrowed(v) for k, v in model.state_dict().items() if not k.endswith(training_only)}
    save_file(state, output / "model.safetensors.part", metadata={"format": "pt"})
    (output / "model.safetensors.part").rename(output / "model.safetensors")


def untrained(ultramotion, output, device):
    """A model of the configuration that `ultramotion models init` writes into `output`; its weights are drawn here, for training."""
    subprocess.run([ultramotion, "models", "init", "dfine-n", "--classes", ",".join(CLASSES), "--output", output], check=True)
    values = json.loads((output / "config.json").read_text())
    values.update(freeze_backbone_batch_norms=False, num_denoising=100, use_pretrained_backbone=False)
    config = DFineConfig.from_dict(values)
    assert [config.id2label[i] for i in range(len(CLASSES))] == CLASSES, config.id2label
    return DFineForObjectDetection(config).to(device)


def train(args):
    torch.manual_seed(args.seed)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    device = torch.device(args.device)
    started = time.time()
    data = prepared(args, device)
    print(f"{len(data)} frames after {time.time() - started:.0f} s", flush=True)
    model = untrained(args.ultramotion, args.output, device).train()
    model = model.to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).eval()
    install(model, denoising_mask(model.config.num_queries, device))
    optimizer = torch.optim.AdamW(parameter_groups(model, 1e-4), lr=args.lr, fused=device.type == "cuda")
    rate = lambda step: min(1, step / args.warm_up) * (0.02 + 0.98 * min(1, 0.5 + 0.5 * math.cos(math.pi * max(0, step / args.steps - 0.3) / 0.7)))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    generator = torch.Generator().manual_seed(args.seed)
    shown, sums = time.time(), [0.0, 0.0]
    for step in range(1, args.steps + 1):
        pictures, targets = draw_batch(data, args.batch, 0.25 if step < 0.85 * args.steps else 0.6, generator)
        out = model.model(pictures.contiguous(memory_format=torch.channels_last), labels=targets)
        loss, quality = criterion(model, out, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        optimizer.step()
        schedule.step()
        follow(average, model, min(0.9993, 1 - 1 / (step + 1) ** 0.8))
        sums = [sums[0] + loss.detach(), sums[1] + quality.detach()]
        if step % args.log_every == 0:
            now = time.time()
            figures = [float(s) / args.log_every for s in sums]
            print(f"step {step} loss {figures[0]:.3f} IoU {figures[1]:.3f} {args.log_every / (now - shown):.2f} steps/s {now - started:.0f} s", flush=True)
            shown, sums = now, [0.0, 0.0]
        if step % args.save_every == 0 or step == args.steps:
            save(average, args.output)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ultramotion", required=True, help="the program, for its phantom command")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("out/phantom"), help="where sequences are made and kept")
    parser.add_argument("--first-seed", type=int, default=100_000, help="of the training sequences; seeds below are for tests")
    parser.add_argument("--sequences", type=int, default=3600)
    parser.add_argument("--steps", type=int, default=3758)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=8e-4)
    parser.add_argument("--clip", type=float, default=0.5)
    parser.add_argument("--warm-up", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--log-every", type=int, default=100)
    parser.add_argument("--save-every", type=int, default=1000)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
