#!/usr/bin/env python3
"""Writes what the reference implementation computes, for `ultramotion models verify`: with a checkpoint of yours, or with random weights.

    pip install torch transformers safetensors timm mobilesam-mirror pillow

A checkpoint of yours:

    python tools/reference.py dfine --checkpoint FOLDER --output OUT           # saved by transformers (save_pretrained), or a hub id
    python tools/reference.py dfine --checkpoint best.pth --repository D-FINE --yaml D-FINE/configs/dfine/custom/MY.yml --output OUT
    python tools/reference.py dfine --checkpoint model.pt --output OUT         # by D-FINE-seg (pip install dfine-seg)
    python tools/reference.py mobile-sam --checkpoint my_sam.pt --output OUT   # a state_dict, with or without a prefix
    ultramotion models verify --detector FOLDER --reference OUT/reference.safetensors

The second needs a clone of the authors' code (github.com/Peterande/D-FINE). `--image FILE` takes a picture instead of noise.

Random weights, to compare the implementations themselves:

    python tools/reference.py dfine --config DIR_WITH_CONFIG_JSON --seed 5 --output OUT   # OUT/model/, OUT/reference.safetensors
    python tools/reference.py mobile-sam --seed 5 --output OUT                            # OUT/mobile_sam.pt, OUT/reference.safetensors

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


def read_image(path, width, height, channels):
    """A picture as the detector gets it: stretched, in 0..1."""
    import numpy
    from PIL import Image

    picture = Image.open(path).convert("L" if channels == 1 else "RGB").resize((width, height), Image.BILINEAR)
    values = torch.from_numpy(numpy.asarray(picture, dtype="float32") / 255)
    return values.reshape(height, width, channels).permute(2, 0, 1)[None].contiguous()


def input_of(args, width, height, channels):
    if args.image:
        return read_image(args.image, width, height, channels)
    torch.manual_seed(args.seed)
    return torch.rand(args.batch, channels, height, width)


def from_transformers(args):
    """A folder or hub id that transformers reads: a function from pixels to logits and boxes, and the size of its input."""
    from transformers import AutoImageProcessor, DFineForObjectDetection

    model = DFineForObjectDetection.from_pretrained(args.checkpoint).eval()
    size = AutoImageProcessor.from_pretrained(args.checkpoint).size

    def run(pixels):
        out = model(pixel_values=pixels)
        return out.logits, out.pred_boxes

    return run, size["width"], size["height"], model.config.backbone_config.num_channels


def from_authors(args):
    """A .pth of the authors' training with the configuration it was trained by."""
    sys.path.insert(0, str(args.repository.resolve()))
    from src.core import YAMLConfig

    config = YAMLConfig(str(args.yaml), resume=str(args.checkpoint))
    if "HGNetv2" in config.yaml_cfg:
        config.yaml_cfg["HGNetv2"]["pretrained"] = False
    checkpoint = torch.load(args.checkpoint, map_location="cpu", weights_only=False)
    state = checkpoint["ema"]["module"] if "ema" in checkpoint else checkpoint["model"]
    config.model.load_state_dict(state)
    model = config.model.deploy()
    height, width = config.yaml_cfg["eval_spatial_size"]

    def run(pixels):
        out = model(pixels)
        return out["pred_logits"], out["pred_boxes"]

    return run, width, height, state["backbone.stem.stem1.conv.weight"].shape[1]


def from_dfine_seg(args):
    """A model.pt of D-FINE-seg, which says its size itself."""
    from dfine_seg.api import load_model

    loaded = load_model(str(args.checkpoint), device="cpu")
    height, width = loaded.input_size

    def run(pixels):
        out = loaded.model.float()(pixels)
        return out["pred_logits"], out["pred_boxes"]

    return run, width, height, loaded.channels


def own_dfine(args):
    if args.repository:
        run, width, height, channels = from_authors(args)
    elif args.checkpoint.suffix in (".pt", ".pth") and args.checkpoint.is_file():
        run, width, height, channels = from_dfine_seg(args)
    else:
        run, width, height, channels = from_transformers(args)
    pixels = input_of(args, width, height, channels)
    with torch.inference_mode():
        logits, boxes = run(pixels)
    write(args, {"pixel_values": pixels, "logits": logits.float(), "pred_boxes": boxes.float()})


def write(args, tensors):
    save_file({k: v.contiguous() for k, v in tensors.items()}, args.output / "reference.safetensors")


def dfine(args):
    if args.checkpoint:
        return own_dfine(args)
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
    write(args, {"pixel_values": pixels, "logits": out.logits, "pred_boxes": out.pred_boxes})


def own_sam(path):
    """The state_dict of a checkpoint, without what a training wrapper put before its names. All of the model's tensors must be there."""
    state = torch.load(path, map_location="cpu", weights_only=False)
    for key in ("model", "model_state_dict", "state_dict"):
        state = state.get(key, state)
    mark = "image_encoder.patch_embed.seq.0.c.weight"
    prefix = next((name[: -len(mark)] for name in state if name.endswith(mark)), None)
    if prefix is None:
        sys.exit(f"{path}: not a MobileSAM checkpoint: no tensor's name ends in {mark}")
    return {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}


def sam_image(path, sam):
    """A picture as the segmenter gets it: its longest side 1024, normalised, padded at right and bottom."""
    import numpy
    from PIL import Image

    picture = Image.open(path).convert("RGB")
    scale = 1024 / max(picture.size)
    picture = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.BILINEAR)
    return sam.preprocess(torch.from_numpy(numpy.array(picture)).permute(2, 0, 1)[None].float())


def mobile_sam(args):
    from mobile_sam import sam_model_registry

    torch.manual_seed(args.seed)
    sam = sam_model_registry["vit_t"](checkpoint=None)
    if args.checkpoint:
        missing = sam.load_state_dict(own_sam(args.checkpoint), strict=False).missing_keys
        if any(not name.endswith("attention_bias_idxs") for name in missing):
            sys.exit(f"{args.checkpoint}: tensors are missing: {', '.join(missing)}")
    else:
        draw(sam, args.seed)
        torch.save(sam.state_dict(), args.output / "mobile_sam.pt")
    sam.eval()  # now, not before: it caches the attention biases
    pixels = sam_image(args.image, sam) if args.image else torch.randn(1, 3, 1024, 1024)
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
    write(args, {"pixel_values": pixels, "image_embeddings": embeddings, "boxes": boxes, "low_res_masks": masks, "iou_predictions": iou})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=["dfine", "mobile-sam"])
    parser.add_argument("--checkpoint", type=pathlib.Path, help="a checkpoint of yours; without it weights are random")
    parser.add_argument("--repository", type=pathlib.Path, help="clone of the authors' D-FINE, for a .pth of theirs")
    parser.add_argument("--yaml", type=pathlib.Path, help="configuration that this .pth was trained by")
    parser.add_argument("--image", type=pathlib.Path, help="a picture instead of noise")
    parser.add_argument("--config", type=pathlib.Path, help="folder with config.json and preprocessor_config.json of a D-FINE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=2, help="images for a detector, boxes for a segmenter")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    args = parser.parse_args()
    if args.model == "dfine" and not (args.checkpoint or args.config):
        parser.error("give a --checkpoint of yours, or a --config for random weights")
    if (args.repository is None) != (args.yaml is None):
        parser.error("--repository and --yaml belong together")
    args.output.mkdir(parents=True, exist_ok=True)
    dfine(args) if args.model == "dfine" else mobile_sam(args)


if __name__ == "__main__":
    main()
