"""`eidolon export` on finished runs of the demo's teacher: folders that are whole, that say what they are, and that are the
student, read back by a reader of our own making and, where they are installed, by the official packages."""
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import unittest

import numpy
from safetensors.numpy import load_file

from program import ENVIRONMENT, SOURCE, ProgramTest

INT8 = ["--set", "quantization.recipe=int8"]
FAST = ["--set", "synthesis.method=gaussian", "--set", "finetuning.iterations=2"]
RECIPES = ["int8", "w4a8", "w4a16", "fp8", "mxfp8", "mxfp4", "nvfp4"]


def integers_of(tensors, node):
    """outputs x inputs"""
    codes = tensors[node["name"]]
    if node["storage"] == "int4":
        codes = numpy.stack([codes & 15, codes >> 4], -1).reshape(len(codes), -1).astype(numpy.int8)
        codes = numpy.where(codes > 7, codes - 16, codes)
    return codes.reshape(len(codes), -1)[:, :int(numpy.prod(node["shape"][1:]))]


def steps_of(tensors, node):
    """The scale of each integer, outputs x inputs."""
    scale = tensors[node["name"] + ".scale"].astype(numpy.float32).reshape(node["shape"][0], -1)
    inputs = int(numpy.prod(node["shape"][1:]))
    return numpy.repeat(scale, node["scale"].get("block", inputs), 1)[:, :inputs]


class Export(ProgramTest):
    def finished(self, recipe="int8", run="run"):
        self.prepared("run", *FAST, "--set", f"quantization.recipe={recipe}", run=run)

    def export(self, *targets, recipe="int8", out=None, run="run"):
        arguments = [word for target in targets for word in ("--target", target)] + (["--out", out] if out else [])
        return self.succeed("export", *FAST, "--set", f"quantization.recipe={recipe}", *arguments, ranks=0, run=run)

    def test_folders_are_whole_and_name_what_they_are(self):
        self.finished()
        self.export("packed", "onnx", "openvino", "tensorrt", "compressed-tensors", "torch")
        folders = sorted(path.name for path in (self.folder / "run" / "export").iterdir())
        self.assertEqual(folders, ["compressed-tensors", "onnx", "openvino", "packed", "tensorrt", "torch"])
        for name in folders:
            folder = self.folder / "run" / "export" / name
            sums = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
            self.assertEqual(sorted(sums), sorted(path.name for path in folder.iterdir() if path.name != "SHA256SUMS"))
            for file, digest in sums.items():
                self.assertEqual(hashlib.sha256((folder / file).read_bytes()).hexdigest(), digest, f"{name}/{file}")
            manifest = json.loads((folder / "manifest.json").read_text())
            self.assertEqual((manifest["format"], manifest["target"], manifest["recipe"], manifest["data_free"]),
                             ("eidolon student", name, "int8", True))
            self.assertEqual(manifest["teacher"]["architecture"]["classes"], 10)
            self.assertEqual(manifest["figures"]["student_id"], manifest["student"]["id"], "what `run` measured at its end")
            described = subprocess.run([os.environ["EIDOLON_BINARY"], "inspect", folder], capture_output=True, text=True)
            self.assertEqual(described.returncode, 0, described.stderr)
            self.assertIn("int8", described.stdout)

    def test_the_packed_integers_are_the_trained_weights_rounded(self):
        for recipe in ("int8", "w4a8", "w4a16"):
            with self.subTest(recipe):
                self.finished(recipe, run=recipe)
                self.export("packed", recipe=recipe, run=recipe)
                folder = self.folder / recipe / "export" / "packed"
                tensors, manifest = load_file(folder / "student.safetensors"), json.loads((folder / "manifest.json").read_text())
                student = self.final_student(recipe)
                stored = [node for node in manifest["nodes"] if node["role"] == "weight"]
                self.assertGreaterEqual(len(stored), 10)
                for node in stored:
                    codes, steps = integers_of(tensors, node), steps_of(tensors, node)
                    trained = student["student/" + node["name"]].reshape(codes.shape)
                    most = 2 ** (node["bits"] - 1)
                    inside = (codes > -most) & (codes < most - 1)
                    inside[:, node.get("float_channels", [])] = False
                    apart = numpy.abs(codes * steps - trained)[inside] / steps[inside]
                    self.assertLessEqual(float(apart.max()), 0.5001, node["name"])

    def test_the_same_student_gives_the_same_bytes(self):
        self.finished()
        digests = []
        for out in ("one", "two", "one"):
            self.export("packed", "onnx", "compressed-tensors", "torch", out=self.folder / out)
            digests.append({path.relative_to(self.folder / out): hashlib.sha256(path.read_bytes()).hexdigest()
                            for path in (self.folder / out).rglob("*") if path.is_file()})
        self.assertEqual(digests[0], digests[1])
        self.assertEqual(digests[0], digests[2], "in the place of a former export")

    def test_run_ends_with_the_exports_that_the_job_names(self):
        self.job.write_text(self.job.read_text() + 'export = ["onnx", "packed"]\n')
        self.succeed("run", *FAST, *INT8, ranks=2)
        self.assertEqual(sorted(path.name for path in (self.folder / "run" / "export").iterdir()), ["onnx", "packed"])

    def test_what_cannot_be_exported_is_refused_in_one_line_and_leaves_nothing(self):
        self.refused("there is no export target 'onyx'", "export", *INT8, "--target", "onyx")
        self.refused("there is no finished student", "export", *FAST, *INT8, "--target", "onnx")
        self.prepared("run", *FAST)  # a research student: companded, probabilities by rows
        self.refused("belongs to another student", "export", *FAST, *INT8, "--target", "onnx")
        self.refused("TensorRT cannot take this student", "export", *FAST, "--target", "onnx", "--target", "tensorrt")
        self.assertFalse((self.folder / "run" / "export").exists(), "nothing of the other target either")
        self.succeed("export", *FAST, "--target", "onnx")
        logarithmic = [*FAST, "--set", "quantization.attention=log2"]
        self.succeed("run", *logarithmic, run="log2")
        self.refused("'blocks.0.attn.probs', which is log2", "export", *logarithmic, "--target", "onnx", run="log2")

    def test_a_full_disk_leaves_nothing_half_written(self):
        self.finished()
        small = self.folder / "small"
        small.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(small)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
            self.skipTest("no right to mount a small file system")
        try:
            self.refused(str(small), "export", *FAST, *INT8, "--target", "onnx", "--out", small, code=70)
            self.assertEqual(list(small.iterdir()), [])
        finally:
            subprocess.run(["umount", str(small)], check=True)

    def test_official_packages_read_every_recipe(self):
        python = pathlib.Path(os.environ.get("EIDOLON_EXPORT_VENV", "")) / "bin" / "python"
        if not python.exists():
            self.skipTest("scripts/setup --export was not run")
        digits = self.folder / "digits"
        subprocess.run([sys.executable, SOURCE / "scripts" / "write_demo_images", digits], check=True,
                       capture_output=True)
        for recipe in RECIPES:
            with self.subTest(recipe):
                settings = [*FAST, "--set", f"quantization.recipe={recipe}", "--set", f"evaluation.images={digits}"]
                self.succeed("run", *settings, run=recipe)
                logits = self.folder / f"{recipe}.safetensors"
                self.succeed("evaluate", *settings, "--logits", logits, run=recipe, ranks=2)
                self.succeed("export", *settings, "--target", "onnx", run=recipe, ranks=0)
                check = subprocess.run([SOURCE / "scripts" / "check_export", self.folder / recipe / "export" / "onnx",
                                        "--logits", logits, "--images", digits, "--limit", "100"], capture_output=True, text=True,
                                       env=ENVIRONMENT)
                self.assertEqual(check.returncode, 0, check.stdout[-4000:] + check.stderr[-2000:])


class Logits(ProgramTest):
    def test_logits_are_those_of_all_images_in_their_order_whatever_the_ranks(self):
        digits = self.folder / "digits"
        subprocess.run([sys.executable, SOURCE / "scripts" / "write_demo_images", digits], check=True,
                       capture_output=True)
        settings = [*FAST, *INT8, "--set", f"evaluation.images={digits}"]
        self.succeed("run", *settings)
        (next(digits.glob("*/*.png"))).write_bytes(b"no picture")
        read = []
        for ranks in (1, 2):
            file = self.folder / f"{ranks}.safetensors"
            printed = json.loads(self.succeed("evaluate", *settings, "--json", "--logits", file, ranks=ranks).stdout)
            tensors = load_file(file)
            right = (tensors["student"].argmax(1) == tensors["labels"]).mean()
            self.assertAlmostEqual(right, printed["student"]["top1"], places=6)
            self.assertEqual(len(tensors["labels"]), printed["images"])
            read.append(tensors)
        self.assertEqual(sorted(read[0]), ["calibrated", "labels", "student", "teacher"])
        for name, values in read[0].items():
            numpy.testing.assert_allclose(values, read[1][name], rtol=1e-4, atol=1e-4, err_msg=name)
        self.refused("--logits", "evaluate", *FAST, *INT8, "--logits", self.folder / "x.safetensors")
        self.refused("there is no folder", "evaluate", *settings, "--logits", self.folder / "nowhere" / "x.safetensors")


if __name__ == "__main__":
    unittest.main()
