#!/usr/bin/env python3
"""Folders as timm and transformers save them, with many settings: does the program see every picture as the library does?

Usage: check_model_folders.py [build/eidolon]; needs scripts/references/requirements.txt. Each row makes a small random model,
saves it with the library, labels 24 pictures of several shapes by what the library's own default processor and model predict,
and prints the top-1 of `eidolon evaluate --teacher-only`, which must be 1.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config
from timm.models._hub import save_for_hf
from transformers import AutoImageProcessor, CLIPImageProcessor, DeiTImageProcessor, ViTConfig, ViTForImageClassification
from transformers import ViTImageProcessor

SHAPES = [(96, 48), (48, 96), (70, 50), (33, 81)]
PROCESSORS = {
    "both sides": lambda: ViTImageProcessor(size={"height": 32, "width": 32}),
    "bicubic, size a number": lambda: ViTImageProcessor(size=32, resample=3),
    "nearest": lambda: ViTImageProcessor(size=32, resample=0),
    "not normalised": lambda: ViTImageProcessor(size=32, do_normalize=False),
    "not rescaled": lambda: ViTImageProcessor(size=32, do_rescale=False, image_mean=[100.0, 110, 120], image_std=[60.0, 61, 62]),
    "another factor": lambda: ViTImageProcessor(size=32, rescale_factor=1 / 127.5, image_mean=1.0, image_std=1.0),
    "DeiT's": lambda: DeiTImageProcessor(size=40, crop_size=32),
    "CLIP's": lambda: CLIPImageProcessor(size={"shortest_edge": 37}, crop_size=32),
    "shortest edge": lambda: ViTImageProcessor(size={"shortest_edge": 32}, do_center_crop=True, crop_size=32),
}
TIMM = {
    "as it is": {},
    "squash": {"crop_mode": "squash", "crop_pct": 0.8},
    "border, lanczos": {"crop_mode": "border", "interpolation": "lanczos"},
    "other mean and std": {"interpolation": "bilinear", "crop_pct": 1.0, "mean": (0.0, 0.1, 0.2), "std": (1.0, 1.0, 0.5)},
}


def pictures():
    generator = numpy.random.default_rng(1)
    draw = lambda: Image.fromarray(generator.integers(0, 256, (4, 4, 3), dtype=numpy.uint8))
    return [draw().resize(SHAPES[number % len(SHAPES)], Image.Resampling.BICUBIC) for number in range(24)]


@torch.no_grad()
def spread_out(model, bias, prepare):
    """Moves random weights far enough, and the bias so that no class wins every picture."""
    for parameter in model.eval().parameters():
        parameter.add_(0.08 * torch.randn_like(parameter))
    outputs = [model(prepare(picture)) for picture in pictures()]
    bias -= torch.cat([getattr(output, "logits", output) for output in outputs]).mean(0)


@torch.no_grad()
def check(program, work, name, folder, model, prepare):
    images, classes = work / "images", set()
    shutil.rmtree(images, ignore_errors=True)
    for number, picture in enumerate(pictures()):
        output = model(prepare(picture))
        label = int(getattr(output, "logits", output).argmax())
        classes.add(label)
        (images / str(label)).mkdir(parents=True, exist_ok=True)
        picture.save(images / str(label) / f"{number}.png")
    job = work / "job.toml"
    job.write_text(f'[teacher]\nweights = "{folder}"\n[evaluation]\nimages = "{images}"\n')
    command = [program, "evaluate", job, "--teacher-only", "--json", "--run-dir", work / "run"]
    result = subprocess.run(command, capture_output=True, text=True)
    shutil.rmtree(work / "run", ignore_errors=True)
    top1 = json.loads(result.stdout)["teacher"]["top1"] if result.returncode == 0 else result.stderr.strip()
    print(f"{name:40} {len(classes)} classes seen, top-1 {top1}", flush=True)
    return top1 == 1.0


def hugging_face(program, work):
    for name, make in PROCESSORS.items():
        config = ViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=32,
                           patch_size=8, num_labels=7, layer_norm_eps=1e-3)
        folder = work / "hugging_face"
        for shard in ({}, {"max_shard_size": "20KB"}) if name == "both sides" else ({},):
            shutil.rmtree(folder, ignore_errors=True)
            make().save_pretrained(folder)
            processor = AutoImageProcessor.from_pretrained(folder)
            prepare = lambda picture: processor(picture, return_tensors="pt")["pixel_values"].float()
            model = ViTForImageClassification(config)
            spread_out(model, model.classifier.bias, prepare)
            model.save_pretrained(folder, **shard)
            loaded = ViTForImageClassification.from_pretrained(folder).eval()
            yield check(program, work, f"transformers, {name}{', in several files' if shard else ''}", folder, loaded, prepare)


def of_timm(program, work):
    for name, settings in TIMM.items():
        data, folder = {"input_size": (3, 32, 32), **settings}, work / "timm"
        shutil.rmtree(folder, ignore_errors=True)
        model = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=48, num_heads=4, depth=2, num_classes=6)
        transform = create_transform(**resolve_model_data_config(model, args=data))
        spread_out(model, model.head.bias, lambda picture: transform(picture)[None])
        save_for_hf(model, folder, safe_serialization=True, data_config=data)
        loaded = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        read = create_transform(**resolve_model_data_config(loaded))
        yield check(program, work, f"timm, {name}", folder, loaded, lambda picture: read(picture)[None])


def main():
    torch.manual_seed(0)
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else root / "build" / "eidolon").resolve()
    with tempfile.TemporaryDirectory() as work:
        results = [*hugging_face(program, pathlib.Path(work)), *of_timm(program, pathlib.Path(work))]
    sys.exit(0 if all(results) else f"{results.count(False)} of {len(results)} folders are seen otherwise")


if __name__ == "__main__":
    main()
