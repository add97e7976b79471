#!/usr/bin/env python3
"""Makes tests/data/finetuning/adaround.safetensors, which tests/finetuning/adaround_test.cpp compares with.

Usage: make_adaround_reference.py [--out tests/data/finetuning]; needs torch and safetensors.

AdaRound (Nagel et al., ICML 2020, arXiv 2004.10568) by PyTorch's autograd, written from equations 22 to 24, in float64:

    weight           6 x 5   some of them beyond the grid
    scale, zero_point  6     one per row; codes 0..15
    variable         6 x 5   V, some where the rectified sigmoid is clamped
    upstream         6 x 5   gradient with respect to the soft weight
    soft             6 x 5   s clamp(floor(w / s) + h(V), -z, 15 - z)
    variable_gradient, scale_gradient   of sum(upstream * soft)
    beta, penalty, penalty_gradient     sum of 1 - |2 h(V) - 1|^beta for beta = 20, 7.5 and 2 (3; 3; 3 x 6 x 5)
    start            6 x 5   V that makes the soft weight the weight itself
"""

import argparse
import pathlib

import torch
from safetensors.torch import save_file

ZETA, GAMMA, LEVELS = 1.1, -0.1, 15


def rectified_sigmoid(variable):
    return torch.clip(torch.sigmoid(variable) * (ZETA - GAMMA) + GAMMA, 0, 1)


def main():
    parser = argparse.ArgumentParser()
    default = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "finetuning"
    parser.add_argument("--out", type=pathlib.Path, default=default)
    out = parser.parse_args().out

    generator = torch.Generator().manual_seed(20)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)
    scale = 0.05 + 0.1 * torch.rand(6, generator=generator, dtype=torch.float64)
    zero_point = torch.tensor([8.0, 7, 5, 8, 10, 0], dtype=torch.float64)
    weight, variable, upstream = 0.4 * draw(6, 5), 2 * draw(6, 5), draw(6, 5)
    column = scale[:, None].clone().requires_grad_()
    below = torch.floor(weight / scale[:, None])

    leaf = variable.clone().requires_grad_()
    lowest, highest = -zero_point[:, None], LEVELS - zero_point[:, None]
    soft = column * torch.maximum(torch.minimum(below + rectified_sigmoid(leaf), highest), lowest)
    variable_gradient, scale_gradient = torch.autograd.grad((upstream * soft).sum(), [leaf, column])

    betas, penalties, gradients = [20.0, 7.5, 2.0], [], []
    for beta in betas:
        leaf = variable.clone().requires_grad_()
        penalty = (1 - (2 * rectified_sigmoid(leaf) - 1).abs().pow(beta)).sum()
        penalties.append(penalty.detach())
        gradients.append(torch.autograd.grad(penalty, leaf)[0])

    fraction = weight / scale[:, None] - below
    tensors = {
        "weight": weight,
        "scale": scale,
        "zero_point": zero_point,
        "variable": variable,
        "upstream": upstream,
        "soft": soft.detach(),
        "variable_gradient": variable_gradient,
        "scale_gradient": scale_gradient[:, 0],
        "beta": torch.tensor(betas, dtype=torch.float64),
        "penalty": torch.stack(penalties),
        "penalty_gradient": torch.stack(gradients),
        "start": -torch.log((ZETA - GAMMA) / (fraction - GAMMA) - 1),
    }
    out.mkdir(parents=True, exist_ok=True)
    version = torch.__version__.split("+")[0]
    save_file({name: t.contiguous() for name, t in tensors.items()}, out / "adaround.safetensors", metadata={"made_with": f"torch {version}"})


if __name__ == "__main__":
    main()
