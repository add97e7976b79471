"""The peer of scripts/benchmark: forward pass and input gradient of DeiT-Tiny's shapes in eager PyTorch.

Frozen parameters, fused attention, cross entropy; the threads of OMP_NUM_THREADS. The program's iteration also draws its views
and takes its losses of them.
"""
import os
import time

import torch
from torch.nn import functional

WIDTH, HEADS, DEPTH, TOKENS, IMAGES = 192, 3, 12, 197, 28  # at a time; an iteration of the benchmark has 56 views


def tensors(dtype):
    def of(*shape):
        return torch.randn(shape, generator=generator).mul_(0.02).to(dtype)

    generator = torch.Generator().manual_seed(0)
    block = {"qkv": (3 * WIDTH, WIDTH), "proj": (WIDTH, WIDTH), "fc1": (4 * WIDTH, WIDTH), "fc2": (WIDTH, 4 * WIDTH)}
    blocks = [{name: (of(*shape), of(shape[0])) for name, shape in block.items()} for _ in range(DEPTH)]
    return of(WIDTH, 3, 16, 16), of(1, 1, WIDTH), of(1, TOKENS, WIDTH), blocks, (of(1000, WIDTH), of(1000))


def logits(network, pixels):
    patch, class_token, position, blocks, head = network
    x = functional.conv2d(pixels, patch, None, 16).flatten(2).transpose(1, 2)
    x = torch.cat([class_token.expand(len(x), -1, -1), x], 1) + position
    for block in blocks:
        parts = functional.linear(functional.layer_norm(x, (WIDTH,)), *block["qkv"]).unflatten(-1, (3, HEADS, -1))
        mixed = functional.scaled_dot_product_attention(*parts.permute(2, 0, 3, 1, 4).unbind()).transpose(1, 2).flatten(2)
        x = x + functional.linear(mixed, *block["proj"])
        inner = functional.gelu(functional.linear(functional.layer_norm(x, (WIDTH,)), *block["fc1"]))
        x = x + functional.linear(inner, *block["fc2"])
    return functional.linear(functional.layer_norm(x, (WIDTH,))[:, 0], *head)


def views_per_second(dtype, seconds=10.0):
    network, labels = tensors(dtype), torch.arange(IMAGES)
    pixels = torch.randn(IMAGES, 3, 224, 224, generator=torch.Generator().manual_seed(1))

    def step():
        x = pixels.clone().requires_grad_(True)
        functional.cross_entropy(logits(network, x.to(dtype)).float(), labels).backward()

    step()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        step()
        count += IMAGES
    return count / (time.perf_counter() - start)


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    for precision in (torch.float32, torch.bfloat16):
        print(f"peer, eager PyTorch: synthesis/{str(precision)[6:]:<9} {views_per_second(precision):8.2f} views/s", flush=True)
