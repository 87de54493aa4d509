#!/usr/bin/env python3
"""Writes a randomly initialised checkpoint by the reference implementation, and what it computes, for `ultramotion models verify`.

    pip install torch transformers safetensors timm mobilesam-mirror
    python tools/reference.py dfine --config DIR_WITH_CONFIG_JSON --seed 5 --output OUT   # OUT/model/, OUT/reference.safetensors
    python tools/reference.py mobile-sam --seed 5 --output OUT                            # OUT/mobile_sam.pt, OUT/reference.safetensors
    ultramotion models verify --detector OUT/model --reference OUT/reference.safetensors

`ultramotion models init dfine-n --output DIR` writes a config.json of each size.
"""

import argparse
import json
import math
import pathlib
import re
import sys

import torch
from safetensors.torch import save_file


def gain(name):
    """Keeps activations from fading or growing with depth, and heads from giving every query the same score."""
    if any(part in name for part in ("class_embed", "enc_score_head", "query_pos_head")) or re.search(r"bbox_embed\.\d+\.layers\.2\.", name):
        return 4.0
    if "attention_weights" in name or "lqe_layers" in name:
        return 2.0
    return 1.3 if "backbone" in name else 1.0


@torch.no_grad()
def draw(module, seed):
    """Random weights and statistics for every tensor that training would change."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point() or name.endswith(("num_points_scale", "decoder.up", "decoder.reg_scale", "gaussian_matrix")):
            continue
        noise = torch.rand(tensor.shape, generator=generator) * 2 - 1
        if name.endswith(("running_var", "lab.scale")) or (name.endswith("weight") and tensor.dim() == 1):
            tensor.copy_(1 + 0.2 * noise)
        elif name.endswith("sampling_offsets.bias"):
            tensor.copy_(2 * noise)
        elif tensor.dim() < 2:
            tensor.copy_(0.1 * noise)
        else:
            tensor.copy_(noise * gain(name) * math.sqrt(3 / tensor[0].numel()))


def dfine(args):
    from transformers import DFineConfig, DFineForObjectDetection

    config = DFineConfig.from_dict(json.loads((args.config / "config.json").read_text()))
    size = json.loads((args.config / "preprocessor_config.json").read_text())["size"]
    model = DFineForObjectDetection(config).eval()
    draw(model, args.seed)
    torch.manual_seed(args.seed)
    channels = config.backbone_config.num_channels
    pixels = torch.rand(args.batch, channels, size["height"], size["width"])
    with torch.inference_mode():
        out = model(pixel_values=pixels)
    scores = out.enc_outputs_class.max(-1).values.sort(-1, descending=True).values
    gap = float((scores[:, config.num_queries - 1] - scores[:, config.num_queries]).min())
    if gap < 2e-5:
        sys.exit(f"seed {args.seed}: the scores that decide what becomes a query differ by {gap:.1e} only; choose another seed")
    model.save_pretrained(args.output / "model")
    (args.output / "model" / "preprocessor_config.json").write_text((args.config / "preprocessor_config.json").read_text())
    tensors = {"pixel_values": pixels, "logits": out.logits, "pred_boxes": out.pred_boxes}
    save_file({k: v.contiguous() for k, v in tensors.items()}, args.output / "reference.safetensors")


def mobile_sam(args):
    from mobile_sam import sam_model_registry

    torch.manual_seed(args.seed)
    sam = sam_model_registry["vit_t"](checkpoint=None)
    draw(sam, args.seed)
    sam.eval()  # now, not before: it caches the attention biases
    torch.save(sam.state_dict(), args.output / "mobile_sam.pt")
    pixels = torch.randn(1, 3, 1024, 1024)
    corner = torch.rand(args.batch, 2) * 500
    boxes = torch.cat([corner, corner + 50 + torch.rand(args.batch, 2) * 400], 1)
    with torch.inference_mode():
        embeddings = sam.image_encoder(pixels)
        sparse, dense = sam.prompt_encoder(points=None, boxes=boxes, masks=None)
        masks, iou = sam.mask_decoder(
            image_embeddings=embeddings,
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
    tensors = {"pixel_values": pixels, "image_embeddings": embeddings, "boxes": boxes, "low_res_masks": masks, "iou_predictions": iou}
    save_file({k: v.contiguous() for k, v in tensors.items()}, args.output / "reference.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=["dfine", "mobile-sam"])
    parser.add_argument("--config", type=pathlib.Path, help="folder with config.json and preprocessor_config.json of a D-FINE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=2, help="images for a detector, boxes for a segmenter")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    dfine(args) if args.model == "dfine" else mobile_sam(args)


if __name__ == "__main__":
    main()
