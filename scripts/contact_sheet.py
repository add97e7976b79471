"""A grid of images from shards, as one PNG; called by scripts/contact_sheet."""

import argparse
import pathlib
import sys

import h5py
import numpy
from PIL import Image

GAP = 2  # pixels between images


def shard_files(path):
    if not path.is_dir():
        return [path]
    folder = path / "shards" if (path / "shards").is_dir() else path
    return sorted(folder.glob("images-*.h5"))


def images_of(files, most):
    """uint8 N x H x W x 3, the first `most` of all files in order; grey images in all three channels, a fourth is left out."""
    tiles = []
    for file in files:
        if len(tiles) >= most:
            break
        with h5py.File(file) as shard:
            for image in shard["images"][: most - len(tiles)]:
                colours = numpy.repeat(image[:1], 3, axis=0) if len(image) < 3 else image[:3]
                tiles.append(colours.transpose(1, 2, 0))
    return tiles


def grid(tiles, columns):
    height, width, _ = tiles[0].shape
    rows = -(-len(tiles) // columns)
    sheet = numpy.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, numpy.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // columns * (height + GAP), place % columns * (width + GAP)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def main():
    parser = argparse.ArgumentParser(prog="contact_sheet", description=__doc__)
    parser.add_argument("sources", nargs="+", type=pathlib.Path, metavar="SHARD_OR_RUN_DIR")
    parser.add_argument("out", type=pathlib.Path, metavar="OUT.png")
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--images", type=int, default=64, help="at most so many (default: %(default)s)")
    given = parser.parse_args()
    if given.columns < 1 or given.images < 1:
        parser.error("--columns and --images are 1 at least")

    try:
        tiles = images_of([file for source in given.sources for file in shard_files(source)], given.images)
    except (OSError, KeyError) as error:
        sys.exit(f"error: no image shard: {error}")
    if not tiles:
        sys.exit(f"error: {given.sources[0]} holds no image shards")
    if len({tile.shape for tile in tiles}) > 1:
        sys.exit("error: the shards hold images of different sizes; show them on sheets of their own")
    Image.fromarray(grid(tiles, min(given.columns, len(tiles)))).save(given.out, format="png")
    print(f"{len(tiles)} images in {given.out}")


if __name__ == "__main__":
    main()
