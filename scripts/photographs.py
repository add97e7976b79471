"""Photographs as a teacher sees them: the preprocessing that the program read from the model folder, done by Pillow."""
import json
import math
import os
import pathlib
import subprocess

import numpy
from PIL import Image


def preprocessing(model):
    """What `eidolon inspect MODEL` says; a model folder that the program refuses is refused here in its words."""
    source = pathlib.Path(__file__).resolve().parent.parent
    program = pathlib.Path(os.environ.get("EIDOLON_BINARY", source / "build" / "eidolon"))
    if not program.is_file():
        raise SystemExit(f"{program} is missing; scripts/build makes it")
    result = subprocess.run([program, "inspect", model], capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(result.stderr.strip())
    mark = "  preprocessing = "
    return json.loads(next(line for line in result.stdout.splitlines() if line.startswith(mark))[len(mark):])


def resized_sides(width, height, side, resize):
    """Of the whole picture; as src/evaluation/image_transform.cpp has them."""
    if resize == "both sides":
        return side, side
    if resize == "longer side":
        ratio = max(width / side, height / side)
        return round(width / ratio), round(height / ratio)
    assert resize == "shorter side", resize
    if width <= height:
        return side, int(side * height / width)
    return int(side * width / height), side


def prepared(image, facts):
    """A PIL image, resized and cut from the centre: uint8, channels x side x side."""
    side = facts["image_size"]
    resized_side = math.floor(side / facts["crop_pct"])
    sides = resized_sides(*image.size, resized_side, facts["resize"])
    image = image.resize(sides, Image.Resampling[facts["interpolation"].upper()])
    border = 0
    if facts["resize"] == "longer side":
        border = tuple(min(max(round(255 * value), 0), 255) for value in facts["mean"])
        border = border[0] if len(border) == 1 else border
    canvas = Image.new(image.mode, [max(edge, side) for edge in image.size], border)
    canvas.paste(image, [max(side - edge, 0) // 2 for edge in image.size])
    half = {"to even": lambda rest: round(rest / 2), "down": lambda rest: rest // 2}[facts["crop_offset"]]
    left, top = (half(edge - side) for edge in canvas.size)
    cut = numpy.asarray(canvas.crop((left, top, left + side, top + side)))
    return numpy.moveaxis(cut.reshape(side, side, -1), 2, 0)
