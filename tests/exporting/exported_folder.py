"""Folders as `eidolon export` writes them, and calls of scripts/check_export on them."""

import contextlib
import hashlib
import io
import json
import pathlib
import tempfile
import unittest

from onnx_vit import CLASSES, FACTS, MISSING, Vit

if not MISSING:
    import check_export
    import numpy
    import onnx
    from onnx.reference import ReferenceEvaluator
    from PIL import Image
    from safetensors.numpy import save_file

    from export_check import answers

IMAGES = 20


def write_images(folder):
    """Smooth coloured pictures of several sizes, as PNG; their names."""
    random = numpy.random.default_rng(3)
    names = []
    for place in range(IMAGES):
        small = Image.fromarray(random.integers(0, 256, (4, 4, 3), numpy.uint8))
        names.append(f"n{place % 4}/{place:02}.png")
        (folder / names[-1]).parent.mkdir(parents=True, exist_ok=True)
        small.resize((20 + place % 3, 18), Image.Resampling.BICUBIC).save(folder / names[-1])
    return names


def write_sums(folder):
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def write_manifest(folder, recipe, models):
    fields = {
        "format": "eidolon export 1",
        "recipe": recipe,
        "data_free": True,
        "teacher": {"architecture": {"family": "vit"}},
        "preprocessing": FACTS,
    }
    (folder / "manifest.json").write_text(json.dumps(fields | ({"models": models} if models else {})))


def reference(model, images):
    return ReferenceEvaluator(model).run(None, {"image": images})[0]


@unittest.skipIf(MISSING, MISSING)
class FolderTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)
        self.folder, self.pictures = self.root / "run" / "export" / "onnx", self.root / "pictures"
        self.folder.mkdir(parents=True)
        self.names = write_images(self.pictures)
        self.bytes = answers.photographs(self.pictures, self.names, FACTS)
        self.images = answers.normalised(self.bytes, FACTS)

    def export(self, scheme, recipe):
        """Writes the folder, and the logits file as the ONNX project's own evaluator computes it."""
        entries = []
        for name, kind in (("model.onnx", "normalised"), ("model_bytes.onnx", "bytes")):
            onnx.save(Vit(scheme, kind == "bytes").model(), self.folder / name)
            entries.append({"file": name, "input": kind})
        write_manifest(self.folder, recipe, entries)
        write_sums(self.folder)
        self.write_logits(reference(Vit(scheme).model(), self.images))

    def export_one(self, recipe, *arguments, **settings):
        """A folder of one file, of no logits."""
        onnx.save(Vit(*arguments, **settings).model(), self.folder / "model.onnx")
        write_manifest(self.folder, recipe, [{"file": "model.onnx", "input": "normalised"}])
        write_sums(self.folder)

    def write_logits(self, student):
        teacher = reference(Vit("float").model(), self.images)
        labels = teacher.argmax(axis=1).astype(numpy.int64)
        labels[0] = (labels[0] + 1) % CLASSES
        save_file(
            {"teacher": teacher, "student": student, "labels": labels},
            self.root / "logits.safetensors",
            {"images": json.dumps(self.names)},
        )

    def call(self, *words):
        """(exit status, standard output, standard error) of a call."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = check_export.main([str(word) for word in words])
        return status, out.getvalue(), err.getvalue()

    def check(self, *words):
        """(exit status, facts, table) of a check with images."""
        status, out, err = self.call(
            self.folder,
            "--logits",
            self.root / "logits.safetensors",
            "--images",
            self.pictures,
            "--json",
            self.root / "facts.json",
            *words,
        )
        self.assertEqual(err, "")
        return status, json.loads((self.root / "facts.json").read_text()), out

    def value(self, facts, file, name):
        (found,) = (check["value"] for check in facts["checks"] if (check["file"], check["name"]) == (file, name))
        return found
