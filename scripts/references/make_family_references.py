#!/usr/bin/env python3
"""Small random models of every family, with what the libraries compute on them: tests/data/model/families.

    make_family_references.py tests/data/model/families [NAME ...]

Needs scripts/references/requirements.txt. A folder (all are made, or the named ones) holds a model as its library saves
it and

    reference.safetensors
        images   2 x 3 x S x S, normalised
        tokens   what the encoder gives behind its last norm, in the library's own layout: B x N x D; Swin of timm and
                 torchvision B x H x W x C; SAM (behind the neck), ViTDet and what CNNs pool B x C x H x W
        pooled   what the head multiplies (of timm's distilled models the mean of two tokens); absent without a pooling
        logits   absent for headless models; of CLIP the projected image, not normalised
        maps.N   of backbones the map of stage N, B x C x H x W, in place of the others

Where timm knows the names (timm_*, openai_clip, meta_dinov2, official_swin), config.json states every argument of the
model's class that JSON can hold; the architecture's name implies the others (norms and their epsilon, the kind of MLP,
blocks). What timm and transformers can load, they have loaded from the folder before they computed the reference.
timm_mobilenetv2 and timm_tf_efficientnet_lite are not loaded: their names fix their widths.

Weights are float16. References are what exactly these numbers give in float64, stored in float32. Printed are sizes,
the largest absolute value of each output, and how far float32 is from float64 (relative to the largest value). Norms,
layer scales and statistics are far from their initial values, so that nothing cancels, and no head is 64 wide.
"""

import argparse
import pathlib
import warnings

import torch

import families_of_others
import families_of_timm
import families_of_transformers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    known = families_of_timm.families() | families_of_transformers.families() | families_of_others.families()
    for name in arguments.names or known:
        known[name](arguments.out / name)
    stored = sum(file.stat().st_size for file in arguments.out.rglob("*") if file.is_file())
    print(f"{len(list(arguments.out.iterdir()))} folders, {stored} bytes")


if __name__ == "__main__":
    main()
