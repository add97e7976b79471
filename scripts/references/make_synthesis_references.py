#!/usr/bin/env python3
"""Makes the values that the tests of src/synthesis compare with, under tests/data/synthesis.

Usage: make_synthesis_references.py [--out tests/data/synthesis]; needs scripts/references/requirements.txt.

Each term by its definition, in float64: loops over pairs, kernels at every value.
B = 2 images; blocks are counted in the names. A name is FILE.TENSOR.

    entropy.mixed.N              B x 17 x 12     outputs of 2 heads, class token first
    entropy.kernel, .gaussian    B               the losses
    entropy.kernel_gradient.N    B x 17 x 12     of the kernel form's sum
    heads.query.N, heads.key.N   B x 3 x 10 x 4  3 heads, class token first
    heads.loss                   B
"""

import argparse
import itertools
import math
import pathlib

import numpy
import torch
from safetensors.numpy import save_file

BANDWIDTH, LEAST_DENSITY = 0.01, 1e-4


def patch_pairs(mixed, heads):
    """Cosine similarities of all pairs of different patches of one image (tokens x width)."""
    patches = mixed[1:].reshape(mixed.shape[0] - 1, heads, -1).mean(1)
    unit = patches / patches.norm(dim=1, keepdim=True)
    pairs = list(itertools.combinations(range(len(unit)), 2))
    return torch.stack([torch.dot(unit[i], unit[j]) for i, j in pairs])


def kernel_entropy(values):
    """The kernels stand at the values themselves; the integral is a fine sum."""
    at = torch.linspace(-1.1, 1.1, 22001, dtype=torch.float64)
    kernels = torch.exp(-((at[:, None] - values[None, :]) ** 2) / (2 * BANDWIDTH**2))
    density = kernels.mean(1) / (math.sqrt(2 * math.pi) * BANDWIDTH)
    return -(density * torch.log(density + LEAST_DENSITY)).sum() * (at[1] - at[0])


def gaussian_entropy(values):
    return 0.5 * torch.log(2 * math.pi * math.e * (values.var(unbiased=False) + 1e-8))


def entropy(generator):
    # A common direction, so that similarities spread as they do inside a model.
    blocks = [
        torch.randn(2, 17, 12, generator=generator).double()
        + torch.randn(2, 1, 12, generator=generator).double() * torch.rand(2, 17, 1, generator=generator).double() * 2
        for _ in range(2)
    ]
    blocks = [block.requires_grad_() for block in blocks]
    values = {}
    for name, function in ("kernel", kernel_entropy), ("gaussian", gaussian_entropy):
        losses = [-sum(function(patch_pairs(block[image], 2)) for block in blocks) for image in range(2)]
        values[name] = torch.stack(losses)
    gradients = torch.autograd.grad(values["kernel"].sum(), blocks)
    for index, (block, gradient) in enumerate(zip(blocks, gradients)):
        values[f"mixed.{index}"], values[f"kernel_gradient.{index}"] = block, gradient
    return values


def ssim(a, b):
    covariance = ((a - a.mean()) * (b - b.mean())).mean()
    luminance = (2 * a.mean() * b.mean() + 1e-4) / (a.mean() ** 2 + b.mean() ** 2 + 1e-4)
    return luminance * (2 * covariance + 9e-4) / (a.var() + b.var() + 9e-4)


def head_loss(blocks, image):
    terms = []
    for query, key in blocks:
        for patch in range(1, query.shape[2]):
            rows = [key[image, head, 1:] @ query[image, head, patch] for head in range(query.shape[1])]
            rows = [(row - row.min()) / (row.max() - row.min()) for row in rows]
            terms += [1 - ssim(a, b) ** 2 for a, b in itertools.combinations(rows, 2)]
    return numpy.mean(terms)


def heads(generator):
    blocks = [tuple(torch.randn(2, 3, 10, 4, generator=generator).double().numpy() for _ in range(2)) for _ in range(2)]
    values = {"loss": numpy.array([head_loss(blocks, image) for image in range(2)])}
    for index, (query, key) in enumerate(blocks):
        values[f"query.{index}"], values[f"key.{index}"] = query, key
    return values


def main():
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=root / "tests" / "data" / "synthesis")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    made_with = f"numpy {numpy.__version__}, torch {torch.__version__.split('+')[0]}"
    for make in entropy, heads:
        values = make(torch.Generator().manual_seed(7))
        arrays = {name: numpy.ascontiguousarray(torch.as_tensor(value).detach().numpy()) for name, value in values.items()}
        path = arguments.out / f"{make.__name__}.safetensors"
        save_file(arrays, path, metadata={"made_with": made_with})
        print(f"{path}  {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
