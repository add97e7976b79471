"""A plain vision transformer in PyTorch, with timm's names: what the program's own is compared with."""
import json

import torch
from safetensors.torch import load_file
from torch.nn import functional


def outputs(folder, images):
    """Tokens behind the embedding and behind each block, and the logits; images are uint8 N x C x S x S."""
    facts = json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    prepared, heads = facts["pretrained_cfg"], facts["model_args"]["num_heads"]
    mean, std = (torch.tensor(prepared[name]).view(1, -1, 1, 1) for name in ("mean", "std"))

    def layer(name, x):
        return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, x):
        return functional.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-6)

    patch = weights["patch_embed.proj.weight"]
    pixels = (torch.as_tensor(images).float() / 255 - mean) / std
    x = functional.conv2d(pixels, patch, weights["patch_embed.proj.bias"], patch.shape[-1]).flatten(2).transpose(1, 2)
    x = torch.cat([weights["cls_token"].expand(len(x), -1, -1), x], 1) + weights["pos_embed"]
    behind = [x]
    for block in range(facts["model_args"]["depth"]):
        name = f"blocks.{block}"
        parts = layer(f"{name}.attn.qkv", norm(f"{name}.norm1", x)).unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        x = x + layer(f"{name}.attn.proj", mixed)
        x = x + layer(f"{name}.mlp.fc2", functional.gelu(layer(f"{name}.mlp.fc1", norm(f"{name}.norm2", x))))
        behind.append(x)
    return behind, layer("head", norm("norm", x)[:, 0])
