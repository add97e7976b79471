"""Exports for other libraries, read by these libraries: compressed-tensors and transformers."""
import functools
import os
import pathlib
import subprocess
import unittest

from program import SOURCE, TEACHER, ProgramTest

HERE = pathlib.Path(__file__).resolve().parent
UNTRAINED = ["--set", "synthesis.method=gaussian", "--set", "finetuning.method=none"]
SETTINGS = {"int8": ["quantization.float_channels=0"], "w4a8": ["quantization.float_channels=0"], "w4a16": [], "fp8": [],
            "mxfp8": [], "mxfp4": [], "nvfp4": []}


@functools.cache
def reader():
    """The Python with the runtimes that scripts/setup makes, if it has these packages."""
    python = pathlib.Path(os.environ.get("EIDOLON_EXPORT_VENV", ""), "bin", "python")
    check = [python, "-c", "import compressed_tensors, transformers"]
    return python if python.is_file() and subprocess.run(check, capture_output=True).returncode == 0 else None


class LibraryFolders(ProgramTest):
    def setUp(self):
        if reader() is None:
            self.skipTest("compressed-tensors and transformers are not installed; scripts/setup --export does")
        super().setUp()

    def exported(self, recipe, *settings):
        """The folder with the exports of a calibrated student."""
        chosen = [*UNTRAINED, "--set", f"quantization.recipe={recipe}"]
        for setting in (*SETTINGS[recipe], *settings):
            chosen += ["--set", setting]
        for stage in ("synthesize", "finetune"):
            self.succeed(stage, *chosen, run=recipe)
        targets = [word for target in ("packed", "compressed-tensors", "torch") for word in ("--target", target)]
        self.succeed("export", *chosen, *targets, run=recipe)
        return self.folder / recipe / "export"

    def read(self, script, *folders):
        result = subprocess.run([reader(), HERE / script, *folders], capture_output=True, text=True, timeout=300,
                                env={**os.environ, "HF_HUB_OFFLINE": "1"})
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def test_the_package_decompresses_to_the_values_of_the_packed_folder(self):
        for recipe in SETTINGS:
            with self.subTest(recipe):
                folder = self.exported(recipe)
                self.assertIn("weights agree", self.read("read_compressed.py", folder / "compressed-tensors", folder / "packed"))

    def test_transformers_loads_a_teacher_of_its_own_as_both(self):
        twin = SOURCE / "tests" / "data" / "model" / "tiny_random_hf"
        self.job.write_text(self.job.read_text().replace(str(TEACHER), str(twin)))
        for recipe, settings in {"int8": [], "fp8": [], "w4a16": ["quantization.int4_scales=channel"]}.items():
            with self.subTest(recipe):
                folder = self.exported(recipe, *settings)
                self.assertIn("KL", self.read("load_with_transformers.py", folder / "compressed-tensors", folder / "torch"))


if __name__ == "__main__":
    unittest.main()
