"""Trains small teachers far from those on which the defaults were tuned; see the head of scripts/train_far_teachers.

vit_textures             from scratch, colour, 64 px: patches of scikit-image's pictures; the class is the picture, and
                         test patches are cut from a part of it that training does not see
vit_glyphs               from scratch, one channel, 48 px: digits and capitals in many fonts; the test has others
vit_tiny_tinyimagenet200 ViT-Tiny fine-tuned on 600 images of Tiny-ImageNet's 200 classes, with Hugging Face's
                         names; its head starts from the rows of ImageNet's head for these classes
deit_tiny_cifar10        DeiT-Tiny fine-tuned on 600 images of CIFAR-10
vit_tiny_solar_cells     ViT-Tiny fine-tuned on electroluminescence images of solar cells (the ELPV data set,
                         CC BY-NC-SA 4.0): mono- or polycrystalline, functional or defective

Seeded, on one core each. Test images decide nothing: they are looked at once, after the last step.
"""
import argparse
import concurrent.futures
import json
import math
import multiprocessing
import os
import pathlib
import random
import shutil
import string
import time

import numpy
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from safetensors.torch import load_file, save_file
from torch import nn

from photographs import prepared

SOURCE = pathlib.Path(__file__).resolve().parent.parent
DATA = pathlib.Path(os.environ.get("EIDOLON_DATA", SOURCE.parent / "shared"))
PACKAGES = pathlib.Path(os.environ.get("EIDOLON_FAR_PACKAGES", ""))
OWN_IMAGES = 256  # unlabelled images of the domain
LABEL_SMOOTHING, WEIGHT_DECAY = 0.1, 0.05
HALF, IMAGENET = ([0.5] * 3, [0.5] * 3), ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class VisionTransformer(nn.Module):
    """timm's, with its names: pre-norm, class token, exact GELU, LayerNorm eps 1e-6."""

    def __init__(self, side, patch, channels, width, depth, heads, classes):
        super().__init__()
        self.shape = {"img_size": side, "patch_size": patch, "in_chans": channels, "embed_dim": width, "depth": depth,
                      "num_heads": heads, "num_classes": classes}
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(channels, width, patch, stride=patch)})
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + (side // patch) ** 2, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02 if module is self.head else module.in_features**-0.5)
                nn.init.zeros_(module.bias)

    def features(self, x):
        x = self.patch_embed["proj"](x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 0]

    def forward(self, x):
        return self.head(self.features(x))


def uniform(shape, low, high):
    return torch.empty(shape).uniform_(low, high)


def warped(x, degrees, scale, shift, shear=0.0, mirror=False):
    """Each image turned, sheared, enlarged by a factor from the range `scale`, and shifted by a share of its side."""
    count = len(x)
    angle, size = uniform(count, -degrees, degrees) * math.pi / 180, 1 / uniform(count, *scale)
    cos, sin, lean = angle.cos() * size, angle.sin() * size, uniform(count, -shear, shear)
    flip = 1 - 2 * (torch.rand(count) < 0.5).float() if mirror else torch.ones(count)
    move = uniform((count, 2), -2 * shift, 2 * shift)  # in half sides
    across = torch.stack([flip * cos, lean * cos - sin, move[:, 0]], 1)
    down = torch.stack([flip * sin, cos + lean * sin, move[:, 1]], 1)
    grid = F.affine_grid(torch.stack([across, down], 1), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def toned(x, strength):
    """Contrast, brightness and colour of images in [0,1] changed."""
    gain = uniform((len(x), 1, 1, 1), 1 - strength, 1 + strength)
    offset = uniform((len(x), 1, 1, 1), -strength, strength) / 2
    colour = uniform((len(x), x.shape[1], 1, 1), 1 - strength / 2, 1 + strength / 2)
    return (((x - 0.5) * gain + 0.5 + offset) * colour).clamp(0, 1)


def printed(x):
    """White glyphs on black become ink on paper, distorted and noisy: so they are for training and in the test."""
    x = warped(x, degrees=8, scale=(0.9, 1.25), shift=0.06, shear=0.15)
    blurred = F.avg_pool2d(x, 3, stride=1, padding=1)
    x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x, blurred)
    ink, paper = uniform((len(x), 1, 1, 1), 0.0, 0.3), uniform((len(x), 1, 1, 1), 0.7, 1.0)
    dark = torch.rand(len(x), 1, 1, 1) < 0.2  # light ink on dark paper
    ink, paper = torch.where(dark, paper, ink), torch.where(dark, ink, paper)
    x = paper + (ink - paper) * x
    return (x + uniform((len(x), 1, 1, 1), 0.0, 0.06) * torch.randn_like(x)).clamp(0, 1)


def tensor(images):
    """Pictures as arrays of bytes, channels first, in one tensor."""
    return torch.from_numpy(numpy.stack(images))


def normalized(x, statistics):
    mean, std = (torch.tensor(values[: x.shape[1]]).view(1, -1, 1, 1) for values in statistics)
    return (x - mean) / std


def train(name, model, images, labels, statistics, augment, steps, rate, batch, bfloat16=False):
    """AdamW with a linear warm-up and a cosine to zero; images are bytes, and `augment` changes them in [0,1]."""
    matrices = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim != 2]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups)
    warm_up, order, start, total = steps // 20 + 1, torch.empty(0, dtype=torch.long), time.monotonic(), 0.0
    for step in range(steps):
        while len(order) < batch:
            order = torch.cat([order, torch.randperm(len(images))])
        chosen, order = order[:batch], order[batch:]
        done = (step - warm_up) / (steps - warm_up)
        share = (step + 1) / warm_up if step < warm_up else (1 + math.cos(math.pi * done)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate * share
        inputs = normalized(augment(images[chosen].float() / 255), statistics)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = model(inputs)
        loss = F.cross_entropy(logits.float(), labels[chosen], label_smoothing=LABEL_SMOOTHING)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item()
        if (step + 1) % max(steps // 10, 1) == 0:
            mean, total = total / max(steps // 10, 1), 0.0
            print(f"{name}  step {step + 1}/{steps}  loss {mean:.3f}  {time.monotonic() - start:.0f} s", flush=True)


@torch.no_grad()
def in_batches(function, images, statistics):
    return torch.cat([function(normalized(part.float() / 255, statistics)) for part in images.split(50)])


def train_head(model, images, labels, statistics):
    """Fits the new head alone, so that what was learned before is not shaken by a random one."""
    features = in_batches(model.features, images, statistics)
    optimizer = torch.optim.Adam(model.head.parameters(), lr=2e-3)
    for _ in range(200):
        loss = F.cross_entropy(model.head(features), labels, label_smoothing=LABEL_SMOOTHING)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def accuracy(model, folder, classes, facts, statistics):
    """Of the written test images, read as the program reads them."""
    mode = "L" if model.shape["in_chans"] == 1 else "RGB"
    images, labels = [], []
    for label, name in enumerate(classes):
        for path in sorted((folder / name).iterdir()):
            images.append(prepared(Image.open(path).convert(mode), facts))
            labels.append(label)
    logits = in_batches(model, tensor(images), statistics)
    return (logits.argmax(1) == torch.tensor(labels)).double().mean().item(), len(labels)


def timm_config(model, architecture, statistics, classes):
    channels, side = model.shape["in_chans"], model.shape["img_size"]
    return {
        "architecture": architecture,
        "num_classes": len(classes),
        "num_features": model.shape["embed_dim"],
        "global_pool": "token",
        "label_names": classes,
        "model_args": model.shape,
        "pretrained_cfg": {
            "num_classes": len(classes),
            "input_size": [channels, side, side],
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": statistics[0][:channels],
            "std": statistics[1][:channels],
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        },
    }


def hugging_face_config(model, classes):
    shape = model.shape
    return {
        "architectures": ["ViTForImageClassification"],
        "model_type": "vit",
        "hidden_size": shape["embed_dim"],
        "num_hidden_layers": shape["depth"],
        "num_attention_heads": shape["num_heads"],
        "intermediate_size": 4 * shape["embed_dim"],
        "image_size": shape["img_size"],
        "patch_size": shape["patch_size"],
        "num_channels": shape["in_chans"],
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "layer_norm_eps": 1e-6,
        "qkv_bias": True,
        "initializer_range": 0.02,
        "id2label": {str(index): name for index, name in enumerate(classes)},
        "label2id": {name: index for index, name in enumerate(classes)},
    }


def hugging_face_weights(weights):
    """timm's names to those of ViTForImageClassification; query, key and value apart."""
    names = {"cls_token": "embeddings.cls_token", "pos_embed": "embeddings.position_embeddings", "norm": "layernorm",
             "patch_embed.proj": "embeddings.patch_embeddings.projection", "norm1": "layernorm_before",
             "norm2": "layernorm_after", "attn.proj": "attention.output.dense", "mlp.fc1": "intermediate.dense",
             "mlp.fc2": "output.dense"}
    result = {}
    for name, value in weights.items():
        stem, _, kind = name.rpartition(".")
        if not stem:
            result["vit." + names[kind]] = value
            continue
        front, inner = "vit.", stem
        if stem.startswith("blocks."):
            _, block, inner = stem.split(".", 2)
            front = f"vit.encoder.layer.{block}."
        if inner == "attn.qkv":
            for part, third in zip(("query", "key", "value"), value.chunk(3)):
                result[f"{front}attention.attention.{part}.{kind}"] = third.contiguous()
        else:
            result[f"classifier.{kind}" if inner == "head" else f"{front}{names[inner]}.{kind}"] = value
    return result


def write_model(folder, model, config, hugging_face=None, dtype=torch.float32):
    """`hugging_face`: preprocessor_config.json; without it the names are timm's."""
    folder.mkdir(parents=True)
    weights = {name: parameter.detach().to(dtype).contiguous() for name, parameter in model.named_parameters()}
    if hugging_face:
        weights = hugging_face_weights(weights)
        (folder / "preprocessor_config.json").write_text(json.dumps(hugging_face, indent=2) + "\n")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def write_images(folder, images):
    """`images`: arrays of bytes, channels first."""
    folder.mkdir(parents=True)
    for index, image in enumerate(images):
        picture = image[0] if len(image) == 1 else numpy.moveaxis(image, 0, 2)
        Image.fromarray(numpy.ascontiguousarray(picture)).save(folder / f"{index:04d}.png")


def copy_images(folder, files):
    folder.mkdir(parents=True)
    for path in files:
        shutil.copyfile(path, folder / f"{path.parent.name}_{path.name}")


def facts_of(model, resize="shorter side"):
    return {"image_size": model.shape["img_size"], "crop_pct": 1.0, "resize": resize, "interpolation": "bicubic",
            "mean": [0.5] * model.shape["in_chans"], "crop_offset": "to even"}


def from_scratch(name, folder, model, images, labels, tests, classes, augment, steps, rate, batch=64):
    """`tests`: for each class, arrays of bytes."""
    for label, of_class in enumerate(tests):
        write_images(folder / "test" / classes[label], of_class)
    train(name, model, images, labels, HALF, augment, steps=steps, rate=rate, batch=batch)
    architecture = f"{name}_patch8_{model.shape['img_size']}"
    write_model(folder / "model", model, timm_config(model, architecture, HALF, classes))
    return accuracy(model, folder / "test", classes, facts_of(model), HALF)


def bytes_of(x):
    return list((x * 255).round().byte().numpy())


TEXTURE_SIDE = 64
# Of the longer side of a picture the first three fifths are for training and the last three tenths for the test.
TEXTURES = ("brick.png", "cell.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png",
            "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "page.png", "retina.jpg", "text.png")


def texture_patches(picture, count, draw):
    """Squares of 48 to 96 pixels from random places that are not flat, resized to one side."""
    patches = []
    while len(patches) < count:
        side = draw.randint(48, 96)
        left, top = draw.randint(0, picture.width - side), draw.randint(0, picture.height - side)
        patch = picture.crop((left, top, left + side, top + side))
        if numpy.asarray(patch.convert("L")).std() < 1.5:  # the black around a retina
            continue
        pixels = numpy.asarray(patch.resize((TEXTURE_SIDE, TEXTURE_SIDE), Image.Resampling.BICUBIC))
        patches.append(numpy.moveaxis(pixels, 2, 0))
    return patches


def vit_textures(folder):
    draw = random.Random(1)
    classes = sorted(name.partition(".")[0] for name in TEXTURES)
    images, labels, tests = [], [], []
    for label, name in enumerate(sorted(TEXTURES)):
        picture = Image.open(PACKAGES / "skimage" / "data" / name).convert("RGB")
        if picture.height > picture.width:
            picture = picture.transpose(Image.Transpose.ROTATE_90)
        ends = round(0.6 * picture.width), round(0.7 * picture.width)
        images += texture_patches(picture.crop((0, 0, ends[0], picture.height)), 400, draw)
        labels += [label] * 400
        of_class = tensor(texture_patches(picture.crop((ends[1], 0, picture.width, picture.height)), 40, draw))
        tests.append(bytes_of(toned(of_class.float() / 255, 0.3)))
    images = tensor(images)
    own = images[torch.randperm(len(images))[:OWN_IMAGES]].float() / 255
    write_images(folder / "own" / "images", bytes_of(toned(own, 0.3)))
    model = VisionTransformer(TEXTURE_SIDE, 8, 3, 96, 6, 3, len(classes))
    augment = lambda x: toned(warped(x, degrees=10, scale=(0.8, 1.3), shift=0.1, mirror=True), 0.4)  # noqa: E731
    return classes, from_scratch("vit_textures", folder, model, images, torch.tensor(labels), tests, classes, augment,
                                 steps=600, rate=1e-3)


GLYPH_SIDE = 48
GLYPHS = string.digits + string.ascii_uppercase
TRAINING_FONTS = ("trdg/fonts/latin/Lato-*.ttf", "trdg/fonts/latin/OpenSans-*.ttf", "trdg/fonts/latin/Raleway-*.ttf",
                  "trdg/fonts/latin/Roboto*.ttf", "trdg/fonts/latin/Walkway_*.ttf", "trdg/fonts/latin/Pacifico.ttf",
                  "trdg/fonts/latin/Amatic*.ttf", "trdg/fonts/latin/BEBAS___.ttf", "trdg/fonts/latin/AllerDisplay.ttf",
                  "matplotlib/mpl-data/fonts/ttf/DejaVuSans*.ttf", "matplotlib/mpl-data/fonts/ttf/STIXGeneral*.ttf",
                  "matplotlib/mpl-data/fonts/ttf/cmtt10.ttf", "matplotlib/mpl-data/fonts/ttf/cmss10.ttf")
TEST_FONTS = ("trdg/fonts/latin/Aller_*.ttf", "trdg/fonts/latin/Caviar*.ttf", "trdg/fonts/latin/DroidSans*.ttf",
              "trdg/fonts/latin/Sansation-*.ttf", "matplotlib/mpl-data/fonts/ttf/DejaVuSerif*.ttf",
              "matplotlib/mpl-data/fonts/ttf/cmr10.ttf", "matplotlib/mpl-data/fonts/ttf/cmb10.ttf")
WITHOUT_LETTERS = ("DejaVuSansDisplay", "DejaVuSerifDisplay")


def fonts(patterns):
    files = [path for pattern in patterns for path in sorted(PACKAGES.glob(pattern))]
    return [ImageFont.truetype(path, 36) for path in files if path.stem not in WITHOUT_LETTERS]


def drawn(font, glyph):
    """White on black, in the middle."""
    picture = Image.new("L", (GLYPH_SIDE, GLYPH_SIDE))
    left, top, right, bottom = font.getbbox(glyph)
    place = (GLYPH_SIDE - left - right) / 2, (GLYPH_SIDE - top - bottom) / 2
    ImageDraw.Draw(picture).text(place, glyph, font=font, fill=255)
    return numpy.asarray(picture)[None]


def vit_glyphs(folder):
    training, test = fonts(TRAINING_FONTS), fonts(TEST_FONTS)
    images = tensor([drawn(font, glyph) for font in training for glyph in GLYPHS])
    labels = torch.arange(len(GLYPHS)).repeat(len(training))
    print(f"vit_glyphs  {len(training)} fonts for training, {len(test)} for the test")
    own = images[torch.randperm(len(images))[:OWN_IMAGES]]
    write_images(folder / "own" / "images", bytes_of(printed(own.float() / 255)))
    tests = []
    for glyph in GLYPHS:
        of_class = tensor([drawn(font, glyph) for font in test])
        tests.append(bytes_of(printed(of_class.float() / 255)))
    model = VisionTransformer(GLYPH_SIDE, 8, 1, 112, 6, 4, len(GLYPHS))
    return list(GLYPHS), from_scratch("vit_glyphs", folder, model, images, labels, tests, list(GLYPHS), printed,
                                      steps=2000, rate=1.5e-3, batch=32)


def pretrained(name, classes, known=None):
    """A tiny ViT that knows 1,000 classes, with a new head; `known`: which of those its classes are, for a start."""
    model = VisionTransformer(224, 16, 3, 192, 12, 3, classes)
    weights = load_file(DATA / "models" / name / "model.safetensors")
    for key in ("head.weight", "head.bias"):
        weights[key] = weights[key][known] if known else torch.zeros_like(model.get_parameter(key))
    model.load_state_dict(weights)
    return model


def fine_tuned(name, folder, model, files, test_files, classes, statistics, resize, steps, rate):
    """`files` and `test_files`: for each class, paths of pictures."""
    for label, of_class in enumerate(test_files):
        copy_images(folder / "test" / classes[label], of_class)
    facts = facts_of(model, resize)
    images = tensor([prepared(Image.open(path).convert("RGB"), facts) for of_class in files for path in of_class])
    labels = torch.tensor([label for label, of_class in enumerate(files) for _ in of_class])
    paths = [path for of_class in files for path in of_class]
    copy_images(folder / "own" / "images", [paths[i] for i in torch.randperm(len(paths))[:OWN_IMAGES].tolist()])
    if not model.head.weight.any():
        every = math.ceil(len(images) / 600)  # enough for a start
        train_head(model, images[::every], labels[::every], statistics)
    augment = lambda x: toned(warped(x, degrees=0, scale=(1.0, 1.3), shift=0.06, mirror=True), 0.1)  # noqa: E731
    train(name, model, images, labels, statistics, augment, steps=steps, rate=rate, batch=24, bfloat16=True)
    return accuracy(model, folder / "test", classes, facts, statistics)


def three_of_five(root, classes):
    """Paths for training and for the test, for each class, drawn by chance."""
    draw, training, test = random.Random(1), [], []
    for name in classes:
        files = sorted(path for path in (root / name).iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
        draw.shuffle(files)
        cut = round(len(files) * 3 / 5)
        training.append(sorted(files[:cut]))
        test.append(sorted(files[cut:]))
    return training, test


def vit_tiny_tinyimagenet200(folder):
    root = DATA / "tinyimagenet_val1000"
    classes = (root / "classes.txt").read_text().split()
    imagenet = (DATA / "imagenet_wnids.txt").read_text().split()
    training, test = three_of_five(root, classes)
    model = pretrained("vit_tiny_patch16_224", len(classes), [imagenet.index(name) for name in classes])
    reached = fine_tuned("vit_tiny_tinyimagenet200", folder, model, training, test, classes, HALF, "both sides",
                         steps=125, rate=5e-5)
    side = {"height": 224, "width": 224}
    processor = {"image_processor_type": "ViTImageProcessor", "do_resize": True, "size": side, "resample": 3,
                 "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": HALF[0],
                 "image_std": HALF[1]}
    write_model(folder / "model", model, hugging_face_config(model, classes), processor, torch.float16)
    return classes, reached


def vit_tiny_solar_cells(folder):
    root = PACKAGES / "elpv_dataset" / "data"
    classes = ["mono_defective", "mono_functional", "poly_defective", "poly_functional"]
    of_class = {name: [] for name in classes}
    for line in (root / "labels.csv").read_text().splitlines():
        path, probability, kind = line.split()
        of_class[f"{kind}_{'defective' if float(probability) > 0.5 else 'functional'}"].append(root / path)
    draw, training, test = random.Random(1), [], []
    for name in classes:
        draw.shuffle(of_class[name])
        test.append(sorted(of_class[name][:100]))
        training.append(sorted(of_class[name][100:]))
    model = pretrained("vit_tiny_patch16_224", len(classes))
    reached = fine_tuned("vit_tiny_solar_cells", folder, model, training, test, classes, HALF, "shorter side",
                         steps=120, rate=1e-4)
    write_model(folder / "model", model, timm_config(model, "vit_tiny_patch16_224", HALF, classes), dtype=torch.float16)
    return classes, reached


def deit_tiny_cifar10(folder):
    classes = (DATA / "cifar10_classes.txt").read_text().split()
    training, test = three_of_five(DATA / "cifar10_test1000", classes)
    model = pretrained("deit_tiny_patch16_224", len(classes))
    reached = fine_tuned("deit_tiny_cifar10", folder, model, training, test, classes, IMAGENET, "shorter side",
                         steps=125, rate=5e-5)
    write_model(folder / "model", model, timm_config(model, "deit_tiny_patch16_224", IMAGENET, classes), dtype=torch.float16)
    return classes, reached


# Each with what it needs of EIDOLON_DATA.
TEACHERS = {
    vit_textures: (),
    vit_tiny_tinyimagenet200: ("models/vit_tiny_patch16_224", "tinyimagenet_val1000", "imagenet_wnids.txt"),
    vit_glyphs: (),
    deit_tiny_cifar10: ("models/deit_tiny_patch16_224", "cifar10_test1000", "cifar10_classes.txt"),
    vit_tiny_solar_cells: ("models/vit_tiny_patch16_224",),
}


def make(teacher, out):
    """In a process of its own. The folder gets its name when all is in it."""
    start, name = time.monotonic(), teacher.__name__
    torch.set_num_threads(1)  # the result then depends on no thread count
    torch.manual_seed(1)
    part = out / f"{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    classes, (reached, count) = teacher(part)
    (part / "classes.txt").write_text("\n".join(classes) + "\n")
    seconds = round(time.monotonic() - start)
    (part / "accuracy.json").write_text(json.dumps({"top1": reached, "test_images": count, "seconds": seconds}) + "\n")
    part.rename(out / name)
    return f"{name}: {reached:.4f} of {count} test images, {seconds} s"


def main():
    names = [teacher.__name__ for teacher in TEACHERS]
    parser = argparse.ArgumentParser(prog="train_far_teachers", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path, nargs="?", default=SOURCE / "data_out" / "teachers")
    parser.add_argument("--only", action="append", choices=names, help="a teacher to train; all if absent")
    parser.add_argument("--jobs", type=int, default=2, help="teachers trained at the same time, one core each")
    options = parser.parse_args()
    wanted = []
    for teacher, needed in TEACHERS.items():
        name = teacher.__name__
        missing = [DATA / path for path in needed if not (DATA / path).exists()]
        if options.only and name not in options.only:
            continue
        if (options.out / name).exists():
            print(f"{name}: there already")
        elif missing:
            print(f"{name}: skipped, {missing[0]} is missing (EIDOLON_DATA)")
        else:
            wanted.append(teacher)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(options.jobs, mp_context=context) as pool:
        for line in concurrent.futures.as_completed([pool.submit(make, teacher, options.out) for teacher in wanted]):
            print(line.result(), flush=True)


if __name__ == "__main__":
    main()
