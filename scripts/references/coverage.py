#!/usr/bin/env python3
"""How well images stand in for photographs, as the layers see them.

Usage: coverage.py MODEL PHOTOGRAPHS NAME=SET ...; needs scripts/references/requirements.txt. PHOTOGRAPHS and the sets are
folders of image shards, of which FOLDER:FIRST:COUNT takes a part; A+B joins two. For each kind of linear layer it prints

    mean over blocks of (tr(S^-1 R) - d - ln det(S^-1 R)) / 2d,

the divergence, per dimension, of a normal law with second moments R (the layer's inputs on photographs) from one with S (on the
set); both have a hundredth of R's mean diagonal added. It is large where photographs use directions that the set leaves empty: there
nothing tells a reconstruction what to keep. 0 for the photographs themselves; other photographs show what the number of images costs.
"""

import argparse
import pathlib

import h5py
import numpy
import torch

from model_folder import load_model

LAYERS = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")


def images_of(text):
    """uint8 N x C x S x S of a set."""
    parts = []
    for part in text.split("+"):
        folder, _, bounds = part.partition(":")
        first, _, count = bounds.partition(":")
        stored = []
        for path in sorted(pathlib.Path(folder).glob("*.h5")):
            with h5py.File(path) as shard:
                stored.append(shard["images"][:])
        begin = int(first or 0)
        parts.append(numpy.concatenate(stored)[begin : begin + int(count) if count else None])
    return torch.from_numpy(numpy.concatenate(parts))


@torch.no_grad()
def second_moments(model, config, images):
    """{layer: mean of x x^T over images and tokens}, float64."""
    sums, hooks = {}, []
    for name, module in model.named_modules():
        if name.endswith(LAYERS):
            def add(_, inputs, name=name):
                rows = inputs[0].flatten(0, -2).double()
                sums[name] = sums.get(name, 0) + rows.T @ rows
            hooks.append(module.register_forward_pre_hook(add))
    normal = [torch.tensor(config["pretrained_cfg"][name]).view(1, -1, 1, 1) for name in ("mean", "std")]
    for batch in images.split(16):
        model((batch / 255 - normal[0]) / normal[1])
    for hook in hooks:
        hook.remove()
    return {name: total / len(images) for name, total in sums.items()}


def divergence(reference, moments):
    size = len(reference)
    floor = reference.trace() / size * 0.01 * torch.eye(size, dtype=torch.float64)
    ratio = torch.linalg.solve(moments + floor, reference + floor)
    return (ratio.trace() - size - torch.linalg.slogdet(ratio).logabsdet).item() / (2 * size)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("photographs")
    parser.add_argument("sets", nargs="+")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, config = load_model(arguments.model)
    reference = second_moments(model, config, images_of(arguments.photographs))
    print(f"| images | number | {' | '.join(LAYERS)} |\n|---|---|{'---|' * len(LAYERS)}")
    for text in arguments.sets:
        name, _, which = text.partition("=")
        images = images_of(which)
        moments = second_moments(model, config, images)
        figures = [[divergence(reference[key], moments[key]) for key in reference if key.endswith(layer)] for layer in LAYERS]
        print(f"| {name} | {len(images)} | {' | '.join(f'{sum(row) / len(row):.3f}' for row in figures)} |", flush=True)


if __name__ == "__main__":
    main()
