#!/usr/bin/env python3
"""Writes a D-FINE under transformers' names (model.safetensors) under the names of its authors' code, as D-FINE-seg starts training from.

    pip install torch safetensors numpy
    python tools/loop_weights.py assets/models/dfine-n-phantom/model.safetensors start.pt

Query, key and value projections become one tensor, as torch.nn.MultiheadAttention keeps them; numbers become float32. The file is
{"model": tensors}: D-FINE-seg takes it as train.pretrained_model_path, and `ultramotion --detector` runs it as it is.
"""

import argparse
import re
import sys

import torch
from safetensors.torch import load_file

# Of each pair, a name's part as transformers writes it and as the authors' code does. Applied one after the other.
PARTS = [
    (r"^(class_embed|bbox_embed)\.", r"model.decoder.\1."),
    (r"^model\.backbone\.model\.embedder\.", "backbone.stem."),
    (r"^model\.backbone\.model\.encoder\.stages\.", "backbone.stages."),
    (r"^(backbone\..*)\.convolution\.", r"\1.conv."),
    (r"^(backbone\..*)\.normalization\.", r"\1.bn."),
    (r"^model\.(encoder|decoder)_input_proj\.(\d+)\.0\.", r"\1.input_proj.\2.conv."),
    (r"^model\.(encoder|decoder)_input_proj\.(\d+)\.1\.", r"\1.input_proj.\2.norm."),
    (r"^model\.encoder\.(?:aifi|encoder)\.", "encoder.encoder."),
    (r"^model\.encoder\.lateral_convs\.", "encoder.lateral_convs."),
    (r"^model\.encoder\.downsample_convs\.(\d+)\.conv([12])\.", r"encoder.downsample_convs.\1.0.cv\2."),
    (r"^model\.encoder\.(fpn|pan)_blocks\.(\d+)\.conv([14])\.", r"encoder.\1_blocks.\2.cv\3."),
    (r"^model\.encoder\.(fpn|pan)_blocks\.(\d+)\.csp_rep1\.", r"encoder.\1_blocks.\2.cv2.0."),
    (r"^model\.encoder\.(fpn|pan)_blocks\.(\d+)\.csp_rep2\.", r"encoder.\1_blocks.\2.cv3.0."),
    (r"^model\.encoder\.(fpn|pan)_blocks\.(\d+)\.conv([23])\.", r"encoder.\1_blocks.\2.cv\3.1."),
    (r"^model\.decoder\.layers\.", "decoder.decoder.layers."),
    (r"^model\.decoder\.lqe_layers\.", "decoder.decoder.lqe_layers."),
    (r"^model\.decoder\.class_embed\.", "decoder.dec_score_head."),
    (r"^model\.decoder\.bbox_embed\.", "decoder.dec_bbox_head."),
    (r"^model\.decoder\.(pre_bbox_head|query_pos_head|up|reg_scale)", r"decoder.\1"),
    (r"^model\.enc_output\.0\.", "decoder.enc_output.proj."),
    (r"^model\.enc_output\.1\.", "decoder.enc_output.norm."),
    (r"^model\.(enc_score_head|enc_bbox_head|denoising_class_embed)\.", r"decoder.\1."),
    (r"\.encoder_attn\.", ".cross_attn."),
    (r"\.self_attn\.o_proj\.", ".self_attn.out_proj."),
    (r"\.(?:mlp\.layers\.0|fc1)\.", ".linear1."),
    (r"\.(?:mlp\.layers\.1|fc2)\.", ".linear2."),
    (r"\.self_attn_layer_norm\.", ".norm1."),
]
# What the last normalisation of a layer is called in either part.
LAST_NORM = {"encoder.encoder.": ".norm2.", "decoder.decoder.": ".norm3."}
PROJECTIONS = ("q_proj", "k_proj", "v_proj")


def authors_name(name: str) -> str:
    """The authors' name of a tensor with one of transformers' names."""
    for pattern, replacement in PARTS:
        name = re.sub(pattern, replacement, name)
    for start, norm in LAST_NORM.items():
        if name.startswith(start):
            name = name.replace(".final_layer_norm.", norm)
    return name


def authors_tensors(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """All tensors under the authors' names, as float32; raises KeyError for a name that has no place."""
    renamed = {authors_name(name): tensor.float() for name, tensor in tensors.items()}
    for name in [n for n in renamed if f".{PROJECTIONS[0]}." in n]:
        parts = [renamed.pop(name.replace(PROJECTIONS[0], part)) for part in PROJECTIONS]
        start, kind = name.split(f"{PROJECTIONS[0]}.")
        renamed[f"{start}in_proj_{kind}"] = torch.cat(parts)
    strange = sorted(name for name in renamed if not name.startswith(("backbone.", "encoder.", "decoder.")))
    if strange:
        raise KeyError(f"no place in the authors' code: {', '.join(strange)}")
    return renamed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="model.safetensors of a D-FINE, as transformers or `ultramotion models init` writes it")
    parser.add_argument("target", help="the .pt file to write")
    args = parser.parse_args()
    try:
        tensors = authors_tensors(load_file(args.source))
    except (OSError, KeyError) as error:
        print(f"{args.source}: {error}", file=sys.stderr)
        return 1
    torch.save({"model": tensors}, args.target)
    print(f"{args.target}: {len(tensors)} tensors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
