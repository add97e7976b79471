#!/usr/bin/env python3
"""How well images stand in for photographs, as the layers see them.

Usage: coverage.py MODEL PHOTOGRAPHS NAME=SET ...; needs scripts/references/requirements.txt. PHOTOGRAPHS and the sets are
folders of image shards, of which FOLDER:FIRST:COUNT takes a part; A+B joins two. For each kind of linear layer it prints, first,

    mean over blocks of (tr(S^-1 R) - d - ln det(S^-1 R)) / 2d,

the divergence, per dimension, of a normal law with second moments R (the layer's inputs on photographs) from one with S (on the
set); both have a hundredth of R's mean diagonal added. It is large where photographs use directions that the set leaves empty: there
nothing tells a reconstruction what to keep. 0 for the photographs themselves; other photographs show what the number of images costs.

Second, what a layer that was fitted to the set does on photographs, a reconstruction's task in closed form. Inputs x (with a 1 for the
bias) come with rounding errors e, N = E[e e^T]; the weights A = W S (S + N)^-1 are the least squares fit of A (x + e) to W x on the set.
Printed is the mean over blocks of

    E|A (x + e) - W x|^2 / E|W e|^2 = (tr((A - W) R (A - W)^T) + tr(A N A^T)) / tr(W N W^T)

on photographs: 1 is what untrained weights give, less is a gain. N is diagonal, NOISE times each channel's variance on photographs.
"""

import argparse
import pathlib

import h5py
import numpy
import torch

from model_folder import load_model

LAYERS = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
NOISE = 0.037  # of eight even steps on a normal law (J. Max, Quantizing for minimum distortion, 1960)


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
    """{layer: mean of (x, 1) (x, 1)^T over images and tokens}, float64."""
    sums, hooks = {}, []
    for name, module in model.named_modules():
        if name.endswith(LAYERS):
            def add(_, inputs, name=name):
                rows = torch.nn.functional.pad(inputs[0].flatten(0, -2), (0, 1), value=1.0).double()
                sums[name] = sums.get(name, 0) + rows.T @ rows
            hooks.append(module.register_forward_pre_hook(add))
    normal = [torch.tensor(config["pretrained_cfg"][name]).view(1, -1, 1, 1) for name in ("mean", "std")]
    for batch in images.split(16):
        model((batch / 255 - normal[0]) / normal[1])
    for hook in hooks:
        hook.remove()
    return {name: total / total[-1, -1] for name, total in sums.items()}


def divergence(reference, moments):
    reference, moments = reference[:-1, :-1], moments[:-1, :-1]
    size = len(reference)
    floor = reference.trace() / size * 0.01 * torch.eye(size, dtype=torch.float64)
    ratio = torch.linalg.solve(moments + floor, reference + floor)
    return (ratio.trace() - size - torch.linalg.slogdet(ratio).logabsdet).item() / (2 * size)


def fitted_error(weight, reference, moments):
    weight = torch.nn.functional.pad(weight.double(), (0, 1))
    noise = NOISE * (reference.diagonal() - reference[-1].square()).clamp(min=1e-9)  # of the 1 as good as none
    fitted = weight @ torch.linalg.solve(moments + noise.diag(), moments).T
    moved = fitted - weight
    error = ((moved @ reference) * moved).sum() + (fitted.square() @ noise).sum()
    return (error / (weight.square() @ noise).sum()).item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("photographs")
    parser.add_argument("sets", nargs="+")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, config = load_model(arguments.model)
    reference = second_moments(model, config, images_of(arguments.photographs))
    sets = [(name, images_of(which)) for name, _, which in (text.partition("=") for text in arguments.sets)]
    moments = [second_moments(model, config, images) for _, images in sets]
    weights = {key: model.get_submodule(key).weight.detach() for key in reference}
    for title, measure in (
        ("divergence", lambda key, of: divergence(reference[key], of[key])),
        ("error of a fit", lambda key, of: fitted_error(weights[key], reference[key], of[key])),
    ):
        print(f"| {title} | number | {' | '.join(LAYERS)} |\n|---|---|{'---|' * len(LAYERS)}")
        for (name, images), of in zip(sets, moments):
            figures = [[measure(key, of) for key in reference if key.endswith(layer)] for layer in LAYERS]
            print(f"| {name} | {len(images)} | {' | '.join(f'{sum(row) / len(row):.3f}' for row in figures)} |")
        print()


if __name__ == "__main__":
    main()
