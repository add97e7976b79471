"""Forward pass and input gradient of one view, in PyTorch, beside the program's own figures: scripts/on_gpu's part "speed".

The same shapes, batch and precision as tests/benchmarks, with timm's models, frozen parameters and fused attention, eager and
compiled. The program's iteration also draws views and takes its losses of them; the peer's loss is the cross entropy alone.
"""
import time

import timm
import torch

BATCH = 64


def views_per_second(step, seconds=2.0):
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for _ in range(10):
            step()
        torch.cuda.synchronize()
        count += 10 * BATCH
    return count / (time.perf_counter() - start)


def measure(name, dtype, compiled):
    model = timm.create_model(name).cuda().to(dtype).eval().requires_grad_(False)
    run = torch.compile(model) if compiled else model
    pixels = torch.randn(BATCH, 3, 224, 224, device="cuda")
    labels = torch.randint(0, 1000, (BATCH,), device="cuda")

    def step():
        x = pixels.to(dtype).requires_grad_(True)
        torch.nn.functional.cross_entropy(run(x).float(), labels).backward()

    rate = views_per_second(step)
    print(f"peer {name:<32} {str(dtype)[6:]:<9} {'compiled' if compiled else 'eager':<9} {rate:10.1f} views/s", flush=True)


if __name__ == "__main__":
    torch.backends.cuda.matmul.allow_tf32 = False
    for model in ("deit_tiny_patch16_224", "deit_base_patch16_224", "swin_tiny_patch4_window7_224"):
        for precision in (torch.float32, torch.bfloat16):
            measure(model, precision, compiled=False)
    for model in ("deit_tiny_patch16_224", "deit_base_patch16_224"):
        measure(model, torch.bfloat16, compiled=True)
