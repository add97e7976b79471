#!/usr/bin/env python3
"""What the real processors make of pictures that are not square: tests/data/evaluation/processors.

    make_processor_references.py tests/data/evaluation

Reads source_*.ppm there (make_image_references.py), runs timm's evaluation transform and transformers' PIL processors on them
without normalisation, and writes the pictures and index.txt, one line a case:

    processor SOURCE LIBRARY SIZE CROP_PCT FILTER RESIZED_SIDE TARGET

transformers' own default processors resize tensors by torchvision; how far that is from Pillow is printed.
"""

import pathlib
import sys

import numpy
import torch
from PIL import Image
from timm.data.transforms_factory import transforms_imagenet_eval
from transformers import CLIPImageProcessor, DeiTImageProcessor, ViTImageProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

SOURCES = ("25x37", "37x25", "21x50")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TIMM_MODES = {"center": "shorter", "squash": "both", "border": "longer"}
TIMM_SETTINGS = [(20, 0.9, "bicubic"), (17, 1.0, "bilinear"), (21, 0.875, "lanczos"), (20, 1.25, "bicubic"), (20, 0.9, "nearest")]
PIL_FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # the place is transformers' `resample`


def timm_pictures(image):
    for mode, side in TIMM_MODES.items():
        for size, crop_pct, name in TIMM_SETTINGS:
            transform = transforms_imagenet_eval(
                img_size=size, crop_pct=crop_pct, crop_mode=mode, interpolation=name, mean=MEAN, std=STD, normalize=False
            )
            yield ("timm", size, crop_pct, name, side), transform(image).numpy()


def share_of(crop, side):
    """crop / side, such that flooring crop / share gives the side back: what src/model/config.cpp stores."""
    share = crop / side
    while int(crop / share) < side:
        share = float(numpy.nextafter(share, 0))
    return share


def transformers_pictures(image):
    as_bytes = {"do_rescale": False, "do_normalize": False}
    square = lambda side: {"height": side, "width": side}
    cases = [(resample, (ViTImageProcessorPil, ViTImageProcessor), "both", 20, 20, {}) for resample in range(6)]
    cases += [(resample, (DeiTImageProcessorPil, DeiTImageProcessor), "both", 27, 20, {"crop_size": square(20)}) for resample in (2, 3)]
    cases += [(resample, (CLIPImageProcessorPil, CLIPImageProcessor), "shorter", side, 20, {"crop_size": square(20)})
              for resample in (2, 3) for side in (20, 23)]
    for resample, (pil, default), resized, side, size, more in cases:
        sides = {"shortest_edge": side} if resized == "shorter" else square(side)
        settings = dict(size=sides, resample=resample, **as_bytes, **more)
        picture = numpy.asarray(pil(**settings)(image)["pixel_values"][0])
        name = PIL_FILTERS[resample]
        if name not in ("box", "hamming"):  # which torchvision does not have for tensors
            other = numpy.asarray(default(**settings)(image)["pixel_values"][0], dtype=numpy.float64)
            largest = numpy.abs(picture - other).max()
            print(f"{name:8} {resized:7} {side} -> {size}: {default.__name__} differs from Pillow by at most {largest:.0f} of 255")
        yield ("transformers", size, share_of(size, side), name, resized), picture


def main():
    folder = pathlib.Path(sys.argv[1])
    out = folder / "processors"
    out.mkdir(exist_ok=True)
    lines = []
    for shape in SOURCES:
        image = Image.open(folder / f"source_{shape}.ppm")
        for facts, picture in [*timm_pictures(image), *transformers_pictures(image)]:
            assert picture.dtype == numpy.uint8 or (picture == picture.round()).all(), facts
            library, size, crop_pct, name, side = facts
            target = f"{shape}_{library}_{side}_{size}_{crop_pct:.4f}_{name}.ppm"
            Image.fromarray(numpy.moveaxis(picture.astype(numpy.uint8), 0, 2)).save(out / target)
            lines.append(f"processor source_{shape}.ppm {library} {size} {crop_pct!r} {name} {side} processors/{target}")
    (out / "index.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
