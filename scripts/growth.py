"""Rehearses jobs that differ in one size; see scripts/growth."""
import argparse
import csv
import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile

import torch
from safetensors.torch import save_file

SOURCE = pathlib.Path(__file__).resolve().parent.parent
ITERATIONS = 10000  # so many that minutes have digits enough

JOB = """
[teacher]
weights = "{teacher}"
[synthesis]
method = "sardfq"
images = {images}
held_out_images = 16
iterations = {iterations}
precision = "fp32"
[finetuning]
method = "{method}"
batch = {batch}
iterations = {iterations}
precision = "fp32"
[run]
threads = 1
device = "cpu"
"""

WIDTHS = {"Tiny": 192, "Small": 384, "Base": 768}
DEPTH, PATCH, CLASSES = 12, 16, 1000
USUAL = {"images": 256, "batch": 32, "side": 224, "size": "Tiny", "method": "blockwise"}
PLACES = [("images", [32, 64, 128, 256, 512, 1024]), ("batch", [8, 16, 32, 64, 128]), ("side", [224, 288, 384]),
          ("size", ["Tiny", "Small", "Base"])]
COLUMNS = ["axis", "place", "tokens", "synthesis_ms", "training_ms", "peak_mb", "cache_mb", "repeats"]


def write_vit(folder, size, side):
    """A plain vision transformer in timm's form, with random weights: only its shape matters here."""
    width = WIDTHS[size]
    torch.manual_seed(0)
    random = lambda *shape: torch.randn(*shape) * 0.02
    tokens = 1 + (side // PATCH) ** 2
    weights = {"cls_token": random(1, 1, width), "pos_embed": random(1, tokens, width),
               "patch_embed.proj.weight": random(width, 3, PATCH, PATCH), "patch_embed.proj.bias": torch.zeros(width)}
    products = {"attn.qkv": (3 * width, width), "attn.proj": (width, width), "mlp.fc1": (4 * width, width),
                "mlp.fc2": (width, 4 * width)}
    for block in range(DEPTH):
        for name, shape in products.items():
            weights[f"blocks.{block}.{name}.weight"] = random(*shape)
            weights[f"blocks.{block}.{name}.bias"] = torch.zeros(shape[0])
    for norm in ["norm"] + [f"blocks.{block}.norm{number}" for block in range(DEPTH) for number in (1, 2)]:
        weights[norm + ".weight"], weights[norm + ".bias"] = torch.ones(width), torch.zeros(width)
    weights["head.weight"], weights["head.bias"] = random(CLASSES, width), torch.zeros(CLASSES)
    folder.mkdir()
    save_file(weights, str(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps({
        "architecture": f"vit_{size.lower()}_patch{PATCH}_{side}", "num_classes": CLASSES,
        "model_args": {"num_heads": width // 64},
        "pretrained_cfg": {"input_size": [3, side, side], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 0.9,
                           "interpolation": "bicubic", "num_classes": CLASSES}}))
    return tokens


def rehearse(folder, sizes):
    """Milliseconds for one image in an iteration of synthesis and in a training step of the whole network, and megabytes."""
    job = folder / "job.toml"
    job.write_text(JOB.format(teacher=folder / "teacher", iterations=ITERATIONS, **sizes))
    result = subprocess.run([os.environ["EIDOLON_BINARY"], "run", job, "--dry-run", "--run-dir", folder / "run"],
                            capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"error: the rehearsal of {sizes} failed:\n{result.stderr}")

    def number(pattern):
        found = re.search(pattern, result.stdout)
        return float(found.group(1)) if found else 0

    minutes = lambda stage: 60e3 * number(stage + r" +([\d.]+) min") / ITERATIONS
    return {"synthesis_ms": minutes("synthesis") / (sizes["images"] + 16), "training_ms": minutes("fine-tuning") / sizes["batch"],
            "peak_mb": number(r"memory +(\d+) MB"), "cache_mb": number(r"caches +(\d+) MB")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="?", type=pathlib.Path, default=SOURCE / "docs" / "lab" / "growth.csv")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    rows = list(csv.DictReader(options.rows.open())) if options.rows.exists() else []
    there = {(row["axis"], row["place"]) for row in rows}
    for axis, places in PLACES:
        for place in places:
            if (axis, str(place)) in there:
                continue
            # Reconstruction holds one section's activations at a time, so its batch hardly shows; distillation's does.
            sizes = USUAL | {axis: place} | ({"method": "distill"} if axis == "batch" else {})
            with tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name)
                tokens = write_vit(folder / "teacher", sizes["size"], sizes["side"])
                measured = [rehearse(folder, sizes) for _ in range(options.repeat)]
            middle = {key: f"{float(f'{statistics.median(each[key] for each in measured):.4g}'):g}" for key in measured[0]}
            rows.append({"axis": axis, "place": str(place), "tokens": tokens, "repeats": options.repeat} | middle)
            print(axis, place, middle, flush=True)
            with options.rows.open("w", newline="") as file:
                table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                table.writeheader()
                table.writerows(rows)


if __name__ == "__main__":
    main()
