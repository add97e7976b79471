#!/usr/bin/env python3
"""timm's top-1 and top-5 of a model folder on a labelled image folder, for comparison with `eidolon evaluate --teacher-only`.

Usage: check_preprocessing.py MODEL IMAGES [--classes FILE]; needs scripts/references/requirements.txt. Class folders are
indices, or, with --classes, names of which the line in that file is the index.
"""

import argparse
import pathlib

import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config

from model_folder import load_model


def labelled_images(root, classes):
    index = {name: i for i, name in enumerate(classes.read_text().split())} if classes else {}
    files = sorted(p for p in root.glob("*/*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    return [(path, index[path.parent.name] if classes else int(path.parent.name)) for path in files]


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("images", type=pathlib.Path)
    parser.add_argument("--classes", type=pathlib.Path)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    model, config = load_model(arguments.model)
    transform = create_transform(**resolve_data_config(pretrained_cfg=config["pretrained_cfg"]))
    items, top1, top5 = labelled_images(arguments.images, arguments.classes), 0, 0
    for start in range(0, len(items), 32):
        paths, labels = zip(*items[start : start + 32])
        batch = torch.stack([transform(Image.open(path).convert("RGB")) for path in paths])
        hits = model(batch).topk(5).indices == torch.tensor(labels).view(-1, 1)
        top1, top5 = top1 + hits[:, 0].sum().item(), top5 + hits.sum().item()
    count = len(items)
    print(f"{config['architecture']}: top-1 {top1}/{count} ({top1 / count:.2%}), top-5 {top5}/{count} ({top5 / count:.2%})")


if __name__ == "__main__":
    main()
