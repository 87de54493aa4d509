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
import pathlib

import torch
from safetensors.torch import save_file


def shake(module, seed):
    """Random statistics, biases and heads, so that normalisations are not the identity and scores differ."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in list(module.named_parameters()) + list(module.named_buffers()):
        noise = torch.rand(tensor.shape, generator=generator) * 2 - 1
        if name.endswith("running_var"):
            tensor.data = 1 + 0.3 * noise
        elif name.endswith("running_mean"):
            tensor.data = 0.1 * noise
        elif name.endswith(("bn.weight", "norm.weight", "normalization.weight")) and tensor.dim() == 1:
            tensor.data = 1 + 0.2 * noise
        elif name.endswith(".bias") and tensor.dim() == 1:
            tensor.data = tensor.data + 0.05 * noise
        elif name.endswith("weight") and tensor.dim() > 1 and ("head" in name or "embed" in name or not tensor.any()):
            # Heads start at zero: every query would have the same score, and which are chosen would be a matter of chance.
            tensor.data = noise * (3 / tensor[0].numel()) ** 0.5


def dfine(args):
    from transformers import DFineConfig, DFineForObjectDetection

    config = DFineConfig.from_dict(json.loads((args.config / "config.json").read_text()))
    size = json.loads((args.config / "preprocessor_config.json").read_text())["size"]
    torch.manual_seed(args.seed)
    model = DFineForObjectDetection(config).eval()
    shake(model, args.seed)
    channels = config.backbone_config.num_channels
    pixels = torch.rand(args.batch, channels, size["height"], size["width"])
    with torch.inference_mode():
        out = model(pixel_values=pixels)
    model.save_pretrained(args.output / "model")
    (args.output / "model" / "preprocessor_config.json").write_text((args.config / "preprocessor_config.json").read_text())
    tensors = {"pixel_values": pixels, "logits": out.logits, "pred_boxes": out.pred_boxes}
    save_file({k: v.contiguous() for k, v in tensors.items()}, args.output / "reference.safetensors")


def mobile_sam(args):
    from mobile_sam import sam_model_registry

    torch.manual_seed(args.seed)
    sam = sam_model_registry["vit_t"](checkpoint=None).eval()
    shake(sam, args.seed)
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
