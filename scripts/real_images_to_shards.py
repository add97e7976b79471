"""Writes image shards from a folder of photographs; see the head of scripts/real_images_to_shards."""
import argparse
import hashlib
import json
import math
import os
import pathlib
import random

import h5py
import numpy
from PIL import Image

from photographs import prepared, preprocessing

BLOCK = 512  # bytes of the seal in front of the HDF5 part (docs/reference/files.md)


def parse():
    parser = argparse.ArgumentParser(description="see the head of scripts/real_images_to_shards")
    parser.add_argument("images_folder", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--held-out", type=int, default=16)
    parser.add_argument("--unit-images", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rest", type=pathlib.Path)
    return parser.parse_args()


def choose(options):
    """As many images as whole units need, from as many classes as possible; and those left over."""
    files = sorted(path for path in options.images_folder.glob("*/*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    count = math.ceil((options.images + options.held_out) / options.unit_images) * options.unit_images
    if len(files) < count:
        raise SystemExit(f"{options.images_folder} holds {len(files)} images, {count} are needed")
    draw = random.Random(options.seed)
    draw.shuffle(files)
    turn = {}  # how many of its class came before
    ranked = []
    for path in files:
        ranked.append((turn.get(path.parent.name, 0), len(ranked), path))
        turn[path.parent.name] = turn.get(path.parent.name, 0) + 1
    ordered = [path for _, _, path in sorted(ranked)]
    return ordered[:count], ordered[count:]


def write_sealed(path, images, first, attributes):
    part = path.with_suffix(".part")
    with h5py.File(part, "w", userblock_size=BLOCK, libver=("v110", "v110")) as file:
        file.create_dataset("images", data=images, chunks=(1, *images.shape[1:]))
        file["global_index"] = numpy.arange(first, first + len(images))
        file.attrs.update(attributes)
    body = part.read_bytes()[BLOCK:]
    lines = f"eidolon image shard\nsha256 {hashlib.sha256(body).hexdigest()}\n"
    block = lines + f"seal {hashlib.sha256(lines.encode()).hexdigest()}\n"
    with part.open("r+b") as file:
        file.write(block.encode().ljust(BLOCK, b"\0"))
    os.replace(part, path)


def main():
    options = parse()
    taken, left = choose(options)
    preparation = preprocessing(options.model)
    mode = "L" if len(preparation["mean"]) == 1 else "RGB"
    images = numpy.stack([prepared(Image.open(path).convert(mode), preparation) for path in taken])
    given = {"given": hashlib.sha256(images.tobytes()).hexdigest(), "side": preparation["image_size"]}
    facts = json.dumps(given, sort_keys=True, separators=(",", ":"))
    attributes = {"synthesis_id": hashlib.sha256(facts.encode()).hexdigest(), "identity": facts, "layout": "NCHW", "channels": mode,
                  "method": "given", "data_free": "false"}
    options.out.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(images), options.unit_images):
        unit = images[first:first + options.unit_images]
        write_sealed(options.out / f"images-{first:08d}-{first + len(unit) - 1:08d}.h5", unit, first, attributes)
    if options.rest:
        for path in left:
            link = options.rest / path.parent.name / path.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())
    print(f"{len(images)} photographs in {options.out}" + (f", {len(left)} left in {options.rest}" if options.rest else ""))


if __name__ == "__main__":
    main()
