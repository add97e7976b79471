#!/usr/bin/env python3
"""Writes the heads of timm's plain vision transformers, which their names state and their weights do not.

    make_timm_names.py > src/model/timm_names.inc

Every model of timm's vision_transformer and deit modules is built on the meta device. A name is listed if its parameters are
those of src/model/architecture.cpp (class token with a position, LayerNorm, biases everywhere, no extra token), so that weights
under this name load. Names that timm has given up are listed with what they stood for.
"""

import re

import timm
import torch
from timm.models import _registry as registry

PLAIN = re.compile(
    r"cls_token|pos_embed|patch_embed\.proj\.(weight|bias)|norm\.(weight|bias)|head\.(weight|bias)|"
    r"blocks\.\d+\.(norm1|norm2|attn\.qkv|attn\.proj|mlp\.fc1|mlp\.fc2)\.(weight|bias)"
)
NEEDED = {"cls_token", "norm.weight", "head.weight", "blocks.0.attn.qkv.bias", "blocks.0.mlp.fc1.weight"}


def width_and_heads(name):
    """Of a plain model, else None. A plain model that computes something else than the program ends the script."""
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=10)
    names = set(model.state_dict())
    if not NEEDED <= names or not all(PLAIN.fullmatch(key) for key in names):
        return None
    if model.pos_embed.shape[1] != model.patch_embed.num_patches + 1:
        return None
    block = model.blocks[0]
    assert model.global_pool == "token" and type(block).__name__ == "Block", name
    assert isinstance(block.mlp.act, torch.nn.GELU) and block.mlp.act.approximate == "none", name
    assert block.norm1.eps == block.norm2.eps == model.norm.eps == 1e-6, name
    return model.pos_embed.shape[-1], block.attn.num_heads


def main():
    current = sorted({name for module in ("vision_transformer", "deit") for name in timm.list_models(module=module)})
    rows = {name: found for name in current if (found := width_and_heads(name))}
    for old, new in registry._deprecated_models.items():
        if new and new.split(".")[0] in rows:
            rows[old] = rows[new.split(".")[0]]
    print(f"// name, width, heads: of timm {timm.__version__}, by scripts/references/make_timm_names.py. Do not edit.")
    for name, (width, heads) in sorted(rows.items()):
        print(f'{{"{name}", {width}, {heads}}},')


if __name__ == "__main__":
    main()
