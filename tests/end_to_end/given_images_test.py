"""Photographs as the upper bound: they come in as shards, and what is made from them says so."""
import json
import subprocess
import sys
import unittest

import h5py

from program import BINARY, ENVIRONMENT, SOURCE, TEACHER, ProgramTest


class GivenImages(ProgramTest):
    def setUp(self):
        super().setUp()
        self.digits, self.shards = self.folder / "digits", self.folder / "shards"
        subprocess.run([sys.executable, SOURCE / "scripts" / "write_demo_images", self.digits], check=True, capture_output=True)
        subprocess.run([sys.executable, SOURCE / "scripts" / "real_images_to_shards.py", self.digits, TEACHER, self.shards, "--images", "16",
                        "--held-out", "8", "--unit-images", "8", "--rest", self.folder / "rest"], check=True, capture_output=True)
        self.given = ["--set", "synthesis.method=given", "--set", f"run.shards={self.shards}",
                      "--set", f"evaluation.images={self.folder / 'rest'}"]

    def test_a_student_of_real_images_is_never_called_data_free(self):
        result = json.loads(self.succeed("run", *self.given, "--json", ranks=2).stdout)
        self.assertIs(result["data_free"], False)
        look = [BINARY, "status", self.folder / "run", "--json", "--prometheus", self.folder / "eidolon.prom"]
        said = subprocess.run(look, capture_output=True, check=True, env=ENVIRONMENT).stdout
        self.assertIs(json.loads(said)["data_free"], False)
        self.assertRegex((self.folder / "eidolon.prom").read_text(), r"\neidolon_data_free\{.*\} 0\n")
        for checkpoint in self.files("checkpoints/step-*.h5"):
            with h5py.File(checkpoint) as file:
                self.assertEqual(file.attrs["data_free"], "false")
        self.assertIs(json.loads(self.succeed("run", "--set", f"evaluation.images={self.folder / 'rest'}", "--json",
                                              run="synthetic").stdout)["data_free"], True)

    def test_images_are_not_evaluated_on(self):
        taken = len(list(self.digits.glob("*/*"))) - len(list((self.folder / "rest").glob("*/*")))
        self.assertEqual(taken, 24)

    def test_what_is_missing_is_refused_by_name(self):
        self.refused("images-00000024-00000031.h5 is missing", "run", *self.given, "--set", "synthesis.images=24")
        self.refused("set run.shards", "run", "--set", "synthesis.method=given", run="other")
        with h5py.File(sorted(self.shards.iterdir())[0], "r+") as file:
            file.attrs["identity"] = "{}"
        self.refused("damaged", "run", *self.given, run="third")


if __name__ == "__main__":
    unittest.main()
