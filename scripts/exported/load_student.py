"""Loads this folder with timm or transformers, rounds the inputs of its layers as the student does, and prints top-1.

    python load_student.py IMAGES [CLASSES]

IMAGES has a folder of pictures for each class. CLASSES lists the names of these folders, one a line, in the order of the
logits; without it the names are the indices."""
import json
import math
import pathlib
import sys

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file

HERE = pathlib.Path(__file__).resolve().parent
PICTURES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png"}


def read(name):
    return json.loads((HERE / name).read_text())


def nearest(x, values):
    """Of magnitudes in ascending order, the even one of two that are equally near; the last for all that exceed it."""
    values = torch.tensor(values)
    between = (values[1:] + values[:-1]) / 2
    lower, upper = torch.bucketize(x.abs(), between), torch.bucketize(x.abs(), between, right=True)
    return values[torch.where(lower % 2 == 0, lower, upper)].copysign(x)


def rounded_in_blocks(x, q):
    padded = torch.nn.functional.pad(x, (0, -x.shape[-1] % q["block"]))
    blocks, top = padded.unflatten(-1, (-1, q["block"])), q["values"][-1]
    largest = blocks.abs().amax(-1, keepdim=True).clamp_min(2.0**-126)
    if q["stored"] == "e8m0":
        exponent = torch.frexp(largest).exponent - 1 - math.floor(math.log2(top))
        scale = torch.exp2(exponent.clamp_min(-126).float())
    else:
        scale = (largest / (q["factor"] * top)).clamp(2.0**-9, 448).to(torch.float8_e4m3fn).float() * q["factor"]
    return (nearest(blocks / scale, q["values"]) * scale).flatten(-2)[..., : x.shape[-1]]


def rounded(x, q):
    if "block" in q:
        return rounded_in_blocks(x, q)
    if "values" in q:
        return nearest(x / q["step"], q["values"]) * q["step"]
    lowest, highest = q["lowest"] - q["zero_point"], q["highest"] - q["zero_point"]
    if "companding" not in q:
        return (x / q["step"]).round().clamp(lowest, highest) * q["step"]
    index = (torch.log2((x / q["step"]).abs() + 1) * q["companding"]).copysign(x).round().clamp(lowest, highest)
    return ((torch.exp2(index.abs() / q["companding"]) - 1) * q["step"]).copysign(index)


def rounding_hook(q):
    def hook(_, arguments):
        y = rounded(arguments[0], q)
        beside = q.get("float_channels", [])
        y[..., beside] = arguments[0][..., beside]
        return (y, *arguments[1:])

    return hook


def load_model():
    """Weights alone: the network as timm or transformers know it."""
    config = read("config.json")
    if "architecture" not in config:
        from transformers import AutoModelForImageClassification

        return AutoModelForImageClassification.from_pretrained(HERE).eval()
    import timm

    arguments = {"num_classes": config["num_classes"], **(config.get("model_args") or {})}
    model = timm.create_model(config["architecture"], **arguments)
    model.load_state_dict(load_file(HERE / "model.safetensors"), strict=True)
    return model.eval()


def load_student():
    """With the rounding of its layers' inputs. Layers are found by their weights, since transformers renames them."""
    model, weights, activations = load_model(), load_file(HERE / "model.safetensors"), read("activations.json")
    linear = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    layers = {module.weight.detach().numpy().tobytes(): module for module in linear}
    for name, q in activations["inputs"].items():
        layers[weights[name + ".weight"].numpy().tobytes()].register_forward_pre_hook(rounding_hook(q))
    if activations["left_out"]:
        print(f"{len(activations['left_out'])} values inside attention stay float here, which the student rounds",
              file=sys.stderr)
    return model


def resized_sides(width, height, facts):
    side = math.floor(facts["image_size"] / facts["crop_pct"])
    if facts["resize"] == "both sides":
        return side, side
    if facts["resize"] == "longer side":
        ratio = max(width, height) / side
        return round(width / ratio), round(height / ratio)
    return (side, int(side * height / width)) if width <= height else (int(side * width / height), side)


def prepared(path, facts):
    """1 x C x S x S, as the program prepares a photograph."""
    side, grey = facts["image_size"], len(facts["mean"]) == 1
    image = Image.open(path).convert("L" if grey else "RGB")
    image = image.resize(resized_sides(*image.size, facts), Image.Resampling[facts["interpolation"].upper()])
    fill = tuple(min(max(round(255 * value), 0), 255) for value in facts["mean"])
    canvas = Image.new(image.mode, [max(edge, side) for edge in image.size], fill[0] if grey else fill)
    canvas.paste(image, [max(side - edge, 0) // 2 for edge in image.size])
    halves = [(edge - side) / 2 for edge in canvas.size]
    left, top = (round(half) if facts["crop_offset"] == "to even" else math.floor(half) for half in halves)
    pixels = numpy.asarray(canvas.crop((left, top, left + side, top + side)), dtype=numpy.float32) / 255
    tensor = torch.from_numpy(pixels.reshape(side, side, -1)).permute(2, 0, 1)[None]
    mean, std = (torch.tensor(facts[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
    return (tensor - mean) / std


@torch.no_grad()
def main(images, classes=None):
    model, facts, right, count = load_student(), read("manifest.json")["preprocessing"], 0, 0
    order = pathlib.Path(classes).read_text(encoding="utf-8-sig").split() if classes else None
    for folder in sorted(path for path in pathlib.Path(images).iterdir() if path.is_dir()):
        label = order.index(folder.name) if order else int(folder.name)
        for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES):
            answer = model(prepared(path, facts))
            right += int((answer if torch.is_tensor(answer) else answer.logits).argmax() == label)
            count += 1
    print(f"top-1 {right / count:.4f} ({right} of {count})")


if __name__ == "__main__":
    main(*sys.argv[1:])
