"""Model folders as timm and transformers write them: what their fields ask for is done, or refused by name."""
import json
import math
import shutil
import subprocess
import sys
import unittest

import h5py
import numpy
import torch
from PIL import Image
from safetensors.numpy import load_file

from program import BINARY, ENVIRONMENT, SOURCE, ProgramTest

sys.path.insert(0, str(SOURCE / "scripts"))
from photographs import prepared  # noqa: E402

DATA = SOURCE / "tests" / "data"
MODELS = DATA / "model"
SIDE = 32


def centre(image, side):
    left, top = ((edge - side) // 2 for edge in image.size)
    return image.crop((left, top, left + side, top + side))


def shorter_to(image, side, resample):
    width, height = image.size
    sides = (side, side * height // width) if width < height else (side * width // height, side)
    return image.resize(sides, resample)


def both_to(image, side, resample):
    return image.resize((side, side), resample)


def bordered(image, side, colour):
    """The longer side to `side`, in a square of this colour."""
    width, height = image.size
    small = image.resize((round(width * side / max(image.size)), round(height * side / max(image.size))), Image.Resampling.BICUBIC)
    square = Image.new("RGB", (side, side), colour)
    square.paste(small, ((side - small.width) // 2, (side - small.height) // 2))
    return square


def normalised(image, mean=0.5, std=0.5):
    pixels = torch.from_numpy(numpy.array(image)).permute(2, 0, 1).double() / 255
    return (pixels - mean) / std


class Model:
    """The committed small model in plain torch: two blocks of width 24 with two heads, exact GELU."""

    def __init__(self):
        weights = load_file(MODELS / "tiny_random" / "model.safetensors")
        self.weights = {name: torch.from_numpy(value).double() for name, value in weights.items()}

    def linear(self, x, name):
        return torch.nn.functional.linear(x, self.weights[name + ".weight"], self.weights[name + ".bias"])

    def norm(self, x, name):
        return torch.nn.functional.layer_norm(x, (24,), self.weights[name + ".weight"], self.weights[name + ".bias"], 1e-6)

    def attention(self, x, name):
        q, k, v = self.linear(x, name + ".qkv").view(-1, 3, 2, 12).permute(1, 2, 0, 3)
        mixed = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(12), dim=-1) @ v
        return self.linear(mixed.transpose(0, 1).reshape(-1, 24), name + ".proj")

    def predict(self, image):
        w = self.weights
        x = torch.nn.functional.conv2d(image[None], w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=8)[0]
        x = torch.cat([w["cls_token"][0], x.flatten(1).T]) + w["pos_embed"][0]
        for block in ("blocks.0", "blocks.1"):
            x = x + self.attention(self.norm(x, block + ".norm1"), block + ".attn")
            hidden = torch.nn.functional.gelu(self.linear(self.norm(x, block + ".norm2"), block + ".mlp.fc1"))
            x = x + self.linear(hidden, block + ".mlp.fc2")
        return int(self.linear(self.norm(x[:1], "norm"), "head").argmax())


def photograph(generator):
    """Smooth colours on 2:1 or 1:2, so that what is cut off and what is squashed matters."""
    width, height = (96, 48) if generator.random() < 0.5 else (48, 96)
    coarse = generator.integers(0, 256, (4, 4, 3), dtype=numpy.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


class ModelFolder(ProgramTest):
    def model_folder(self, form, config=None, processor=None):
        """A copy of the committed model, its JSON changed: a dictionary is merged, None removes."""
        folder = self.folder / "model"
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(MODELS / form, folder)
        for name, changes in (("config.json", config), ("preprocessor_config.json", processor)):
            if changes:
                fields = json.loads((folder / name).read_text())
                for key, value in changes.items():
                    fields[key] = {**fields[key], **value} if isinstance(value, dict) and key in ("model_args", "pretrained_cfg") else value
                (folder / name).write_text(json.dumps(fields))
        return folder

    def images_that_tell(self, right, other):
        """A labelled folder of pictures that the model sees as another class if they are prepared the other way."""
        model, generator = Model(), numpy.random.default_rng(5)
        images, chosen = self.folder / "images", 0
        if images.exists():
            shutil.rmtree(images)
        for tried in range(4000):
            image = photograph(generator)
            label = model.predict(right(image))
            if label == model.predict(other(image)):
                continue
            (images / str(label)).mkdir(parents=True, exist_ok=True)
            image.save(images / str(label) / f"{tried}.png")
            chosen += 1
            if chosen == 12:
                return images
        self.fail(f"only {chosen} of 4000 pictures tell the two apart")

    def evaluated(self, folder, images, ranks=1):
        result = self.succeed("evaluate", "--teacher-only", "--json", "--set", f"teacher.weights={folder}", "--set",
                              f"evaluation.images={images}", ranks=ranks)
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        return json.loads(result.stdout)

    def all_right(self, folder, right, other, ranks=1):
        result = self.evaluated(folder, self.images_that_tell(right, other), ranks=ranks)
        self.assertEqual((result["images"], result["teacher"]["top1"]), (12, 1.0))

    def centre_cut(self, resample):
        return lambda image: normalised(centre(shorter_to(image, SIDE, resample), SIDE))

    def test_hugging_face_squashes_to_height_and_width_on_every_rank(self):
        bilinear = Image.Resampling.BILINEAR
        self.all_right(self.model_folder("tiny_random_hf"), lambda image: normalised(both_to(image, SIDE, bilinear)),
                       self.centre_cut(bilinear), ranks=2)

    def test_hugging_face_shortest_edge_keeps_the_aspect_and_cuts_the_centre(self):
        processor = {"size": {"shortest_edge": 41}, "do_center_crop": True, "crop_size": {"height": SIDE, "width": SIDE}, "resample": 3}
        bicubic = Image.Resampling.BICUBIC
        self.all_right(self.model_folder("tiny_random_hf", processor=processor),
                       lambda image: normalised(centre(shorter_to(image, 41, bicubic), SIDE)), self.centre_cut(bicubic))

    def test_what_is_not_normalised_or_rescaled_otherwise_is_seen_so(self):
        squashed = lambda image: both_to(image, SIDE, Image.Resampling.BILINEAR)
        usual = lambda image: normalised(squashed(image))
        self.all_right(self.model_folder("tiny_random_hf", processor={"do_normalize": False}),
                       lambda image: normalised(squashed(image), 0.0, 1.0), usual)
        self.all_right(self.model_folder("tiny_random_hf", processor={"rescale_factor": 1 / 127.5, "image_mean": [0.2, 0.4, 0.6]}),
                       lambda image: (2 * normalised(squashed(image), 0, 1) - torch.tensor([0.2, 0.4, 0.6]).view(3, 1, 1)) / 0.5, usual)

    def test_crop_modes_of_timm(self):
        bicubic = Image.Resampling.BICUBIC
        cut = lambda image: normalised(centre(both_to(image, 40, bicubic), SIDE))
        self.all_right(self.model_folder("tiny_random", {"pretrained_cfg": {"crop_mode": "squash", "crop_pct": 0.8}}), cut,
                       self.centre_cut(bicubic))
        self.all_right(self.model_folder("tiny_random", {"pretrained_cfg": {"crop_mode": "border"}}),
                       lambda image: normalised(bordered(image, SIDE, (128, 128, 128))), self.centre_cut(bicubic))

    def test_what_is_not_built_is_refused_and_leaves_nothing_behind(self):
        cases = [("tiny_random_hf", {"hidden_act": "mish"}, 'hidden_act "mish" is not built'),
                 ("tiny_random_hf", {"problem_type": "multi_label_classification"}, 'problem_type is "multi_label_classification"'),
                 ("tiny_random_hf", {"rope_theta": 100}, "rope_theta 100 is of a rotation"),
                 ("tiny_random", {"model_args": {"act_layer": "mish"}}, 'model_args.act_layer "mish" is not built'),
                 ("tiny_random", {"model_args": {"num_heads": None}}, 'add "model_args": {"num_heads": ...} to config.json'),
                 ("tiny_random", {"pretrained_cfg": {"input_size": [3, 32, 64]}}, "is not a square")]
        for form, config, message in cases:
            folder = self.model_folder(form, config)
            for stage in ("run", "evaluate"):
                self.refused(message, stage, "--set", f"teacher.weights={folder}", ranks=2 if stage == "run" else 1)
                left = [path for path in (self.folder / "run").rglob("*") if path.is_file()]
                self.assertEqual(left, [], message)

    def test_weights_of_other_forms_are_named(self):
        folder = self.model_folder("tiny_random")
        (folder / "reference.safetensors").unlink()
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        self.refused("has no model.safetensors, but pytorch_model.bin; only safetensors is read", "run", "--set",
                     f"teacher.weights={folder}")
        folder = self.model_folder("tiny_random_hf")
        (folder / "preprocessor_config.json").unlink()
        self.refused("neither preprocessor_config.json nor processor_config.json", "run", "--set", f"teacher.weights={folder}")

    def test_what_was_read_from_a_folder_is_shown(self):
        folder = self.model_folder("tiny_random", {"pretrained_cfg": {"crop_mode": "squash"}})
        result = subprocess.run([BINARY, "inspect", folder], capture_output=True, text=True, env=ENVIRONMENT)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn('"resize":"both sides"', result.stdout)
        self.assertIn('"heads":2', result.stdout)
        folder = self.model_folder("tiny_random_hf", {"hidden_act": "mish"})
        result = subprocess.run([BINARY, "inspect", folder], capture_output=True, text=True, env=ENVIRONMENT)
        self.assertEqual(result.returncode, 64)


class PhotographsAsShards(ProgramTest):
    def test_python_prepares_as_the_real_processors_do(self):
        folder = DATA / "evaluation"
        lines = [line.split() for line in (folder / "processors" / "index.txt").read_text().splitlines()]
        self.assertGreaterEqual(len(lines), 60)
        sides = {"shorter": "shorter side", "longer": "longer side", "both": "both sides"}
        for _, source, library, size, crop_pct, name, side, target in lines:
            facts = {"image_size": int(size), "crop_pct": float(crop_pct), "interpolation": name, "resize": sides[side],
                     "crop_offset": "to even" if library == "timm" else "down", "mean": [0.485, 0.456, 0.406]}
            expected = numpy.moveaxis(numpy.asarray(Image.open(folder / target)), 2, 0)
            numpy.testing.assert_array_equal(prepared(Image.open(folder / source), facts), expected, target)

    def test_shards_hold_what_the_teachers_own_processor_shows(self):
        generator, files = numpy.random.default_rng(3), []
        for number in range(8):
            files.append(self.folder / "images" / str(number % 2) / f"{number}.png")
            files[-1].parent.mkdir(parents=True, exist_ok=True)
            photograph(generator).save(files[-1])
        subprocess.run([sys.executable, SOURCE / "scripts" / "real_images_to_shards.py", self.folder / "images",
                        MODELS / "tiny_random_hf", self.folder / "shards", "--images", "4", "--held-out", "4", "--unit-images", "8"],
                       check=True, capture_output=True, env=ENVIRONMENT)
        with h5py.File(next((self.folder / "shards").glob("*.h5"))) as shard:
            stored = {image.tobytes() for image in shard["images"][()]}
        squashed = {numpy.moveaxis(numpy.asarray(both_to(Image.open(path), SIDE, Image.Resampling.BILINEAR)), 2, 0).tobytes()
                    for path in files}
        self.assertEqual(stored, squashed)

    def test_a_folder_that_the_program_refuses_is_refused(self):
        folder = self.folder / "model"
        shutil.copytree(MODELS / "tiny_random_hf", folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "hidden_act": "mish"}))
        result = subprocess.run([sys.executable, SOURCE / "scripts" / "real_images_to_shards.py", DATA / "evaluation", folder,
                                 self.folder / "shards", "--images", "0", "--held-out", "0"], capture_output=True, text=True,
                                env=ENVIRONMENT)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn('hidden_act "mish" is not built', result.stderr)


if __name__ == "__main__":
    unittest.main()
