#!/usr/bin/env python3
"""Reference pictures for tests/evaluation, made from formulas and decoded, resized and cropped by Pillow.

    make_image_references.py fixtures tests/data/evaluation
        writes small pictures, what Pillow makes of them (PPM and PGM) and index.txt, which names the cases
    make_image_references.py crops OUTPUT SIZE CROP_PCT FILTER IMAGE...
        writes the evaluation crops of any images as raw RGB bytes, one after another

The numbers depend on Pillow 12.0.0 and its libjpeg-turbo 3.1; newer versions are expected to give the same bytes.
"""

import math
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

FILTERS = {name: Image.Resampling[name.upper()] for name in ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")}
HEIGHT, WIDTH = 25, 37  # odd, and no multiple of a JPEG block


def picture(height=HEIGHT, width=WIDTH):
    """uint8 H x W x 3: waves of rising frequency, a saturated checkerboard corner (clipping) and a diagonal edge."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    waves = [np.sin(x * x / 90 + y / 7), np.cos(y * y / 70 - x / 9), np.sin((x + y) / 5) * np.cos(x / 11)]
    image = np.stack([128 + 120 * wave for wave in waves], axis=2)
    image[(x > y + width / 3)] *= 0.35
    corner = (y < height / 3) & (x < width / 3)
    image[corner] = (255 * ((x + y) % 2))[corner][:, None]
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def png_bytes(samples, depth, colour_type, interlaced=False):
    """A PNG of H x W x C samples, for the kinds that Pillow does not write (16-bit colour, Adam7 interlacing)."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    height, width = samples.shape[:2]
    sample_type = ">u2" if depth == 16 else np.uint8
    adam7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    passes = adam7 if interlaced else [(0, 0, 1, 1)]
    rows = b""
    for top, left, down, right in passes:
        part = samples[top::down, left::right]
        if part.size:
            rows += b"".join(b"\0" + row.astype(sample_type).tobytes() for row in part)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def write_pngs(folder, rgb):
    image = Image.fromarray(rgb)
    alpha = Image.fromarray(rgb[:, :, 1][::-1].copy())
    grey = image.convert("L")
    image.save(folder / "rgb.png")
    grey.save(folder / "grey.png")
    grey.point(lambda v: v // 64).save(folder / "grey_2bit.png", bits=2)
    image.convert("1").save(folder / "black_white.png")
    Image.merge("LA", (grey, alpha)).save(folder / "grey_alpha.png")
    image.putalpha(alpha)
    image.save(folder / "rgba.png")
    palette = Image.fromarray(rgb).quantize(13)
    palette.save(folder / "palette_4bit.png")
    palette.save(folder / "palette_transparent.png", transparency=3)
    Image.fromarray(rgb).quantize(200).save(folder / "palette_8bit.png")
    wide = rgb.astype(np.uint16) * 257 - 100 * (rgb > 0)
    (folder / "rgb_16bit.png").write_bytes(png_bytes(wide, 16, 2))
    (folder / "rgba_16bit.png").write_bytes(png_bytes(np.dstack([wide, wide[:, :, :1]]), 16, 6))
    (folder / "grey_16bit.png").write_bytes(png_bytes(rgb[:, :, :1].astype(np.uint16) * 2, 16, 0))  # half of it above 255
    (folder / "rgb_interlaced.png").write_bytes(png_bytes(rgb, 8, 2, interlaced=True))


def write_jpegs(folder, rgb):
    image = Image.fromarray(rgb)
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        image.save(folder / f"rgb_{subsampling.replace(':', '')}.jpg", quality=80, subsampling=subsampling)
    image.save(folder / "rgb_progressive.jpg", quality=70, progressive=True)
    image.save(folder / "rgb_restart.jpg", quality=75, restart_marker_blocks=2)
    image.save(folder / "rgb_not_ycc.jpg", quality=75, keep_rgb=True)
    image.convert("L").save(folder / "grey.jpg", quality=75)
    rotated = Image.Exif()
    rotated[0x0112] = 6  # orientation: to be turned a quarter, which neither PIL's convert nor timm does
    image.save(folder / "exif_rotated.jpg", quality=75, exif=rotated)
    ink = Image.fromarray(np.dstack([255 - rgb, rgb[::-1, :, :1] // 3]), "CMYK")
    ink.save(folder / "cmyk.jpg", quality=85)
    data = bytearray((folder / "cmyk.jpg").read_bytes())
    data[data.index(b"Adobe") + 11] = 2  # the colour transform: the same samples, now read as YCCK
    (folder / "ycck.jpg").write_bytes(data)


def write_decoded(folder, index):
    for source in sorted([*folder.glob("*.png"), *folder.glob("*.jpg")]):
        for mode, channels, suffix in (("RGB", 3, "ppm"), ("L", 1, "pgm")):
            if channels == 1 and source.stem not in ("rgb", "grey_alpha", "palette_8bit", "cmyk", "rgb_420"):
                continue
            target = f"decoded_{source.name.replace('.', '_')}.{suffix}"
            Image.open(source).convert(mode).save(folder / target)
            index.append(f"decode {source.name} {channels} {target}")


def write_resized(folder, index):
    Image.fromarray(picture()).save(folder / "source.ppm")
    Image.fromarray(picture()).convert("L").save(folder / "source.pgm")
    sizes = [(47, 59), (9, 13), (1, 1), (3, 50), (50, 7), (HEIGHT, 20), (20, WIDTH), (HEIGHT, WIDTH), (24, 36)]
    for source, name in [(suffix, name) for suffix in ("ppm", "pgm") for name in FILTERS]:
        for height, width in sizes if source == "ppm" else sizes[:2]:
            target = f"resized_{height}x{width}_{name}.{source}"
            Image.open(folder / f"source.{source}").resize((width, height), FILTERS[name]).save(folder / target)
            index.append(f"resize source.{source} {name} {target}")


def write_nearest(folder, index):
    """Sides at which adding up steps lands on another sample than multiplying them."""
    for source, target in [((3, 84), (3, 63)), ((3, 34), (3, 85)), ((96, 3), (72, 3)), ((30, 3), (75, 3))]:
        names = [f"nearest_{height}x{width}.ppm" for height, width in (source, target)]
        names[1] = names[1].replace(".ppm", f"_of_{source[0]}x{source[1]}.ppm")
        Image.fromarray(picture(*source)).save(folder / names[0])
        Image.open(folder / names[0]).resize(target[::-1], FILTERS["nearest"]).save(folder / names[1])
        index.append(f"nearest {names[0]} nearest {names[1]}")


def evaluation_crop(image, size, crop_pct, resampling):
    """timm's evaluation transform on a PIL image: torchvision's Resize(floor(size / crop_pct)), then CenterCrop(size)."""
    shorter = math.floor(size / crop_pct)
    width, height = image.size
    if width <= height:
        width, height = shorter, int(shorter * height / width)
    else:
        width, height = int(shorter * width / height), shorter
    image = image.resize((width, height), resampling)
    if width < size or height < size:
        padded = Image.new(image.mode, (max(width, size), max(height, size)))
        padded.paste(image, (max(0, (size - width) // 2), max(0, (size - height) // 2)))
        image, (width, height) = padded, padded.size
    left, top = int(round((width - size) / 2.0)), int(round((height - size) / 2.0))
    return image.crop((left, top, left + size, top + size))


def write_crops(folder, index):
    shapes = [(25, 37), (37, 25), (26, 26), (23, 40), (21, 50)]
    settings = [(20, 0.9, "bicubic"), (21, 0.875, "bilinear"), (17, 1.0, "bicubic"), (20, 1.25, "bilinear")]
    for height, width in shapes:
        source = f"source_{height}x{width}.ppm"
        Image.fromarray(picture(height, width)).save(folder / source)
        for size, crop_pct, name in settings:
            target = f"crop_{height}x{width}_{size}_{crop_pct}_{name}.ppm"
            evaluation_crop(Image.open(folder / source), size, crop_pct, FILTERS[name]).save(folder / target)
            index.append(f"crop {source} {size} {crop_pct} {name} {target}")


def write_fixtures(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.is_file():  # the folder of make_processor_references.py stays
            old.unlink()
    index = []
    write_pngs(folder, picture())
    write_jpegs(folder, picture())
    write_decoded(folder, index)
    write_resized(folder, index)
    write_nearest(folder, index)
    write_crops(folder, index)
    (folder / "index.txt").write_text("\n".join(index) + "\n")


def write_raw_crops(output, size, crop_pct, name, images):
    with open(output, "wb") as stream:
        for path in images:
            crop = evaluation_crop(Image.open(path).convert("RGB"), int(size), float(crop_pct), FILTERS[name])
            stream.write(crop.tobytes())


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "fixtures":
        write_fixtures(Path(sys.argv[2]))
    elif len(sys.argv) > 6 and sys.argv[1] == "crops":
        write_raw_crops(*sys.argv[2:6], sys.argv[6:])
    else:
        sys.exit(__doc__)
