"""scripts/check_export on folders that are damaged or packed, and on calls that cannot be followed."""

import unittest

from exported_folder import FolderTest, write_manifest, write_sums
from onnx_vit import MISSING

if not MISSING:
    import numpy
    from safetensors.numpy import save_file


class Folders(FolderTest):
    def test_an_altered_file_is_named(self):
        self.export("int8", "int8")
        (self.folder / "manifest.json").write_text((self.folder / "manifest.json").read_text() + " ")
        (self.folder / "more").write_text("")
        status, facts, table = self.check()
        self.assertEqual((status, facts["failed"]), (1, ["SHA256SUMS: lists every file as it is"]))
        self.assertIn("manifest.json differs", table)
        self.assertIn("more is not listed", table)

    def test_a_packed_folder_is_checked(self):
        save_file({"head.weight": numpy.zeros((2, 3), numpy.int8)}, self.folder / "student.safetensors")
        write_manifest(self.folder, "int8", None)
        write_sums(self.folder)
        self.assertEqual(self.call(self.folder)[0], 0)
        (self.folder / "student.safetensors").write_bytes(b"damaged")
        status, out, _ = self.call(self.folder)
        self.assertEqual(status, 1)
        self.assertIn("student.safetensors differs", out)

    def test_a_manifest_without_its_fields_fails(self):
        (self.folder / "manifest.json").write_text("{}")
        write_sums(self.folder)
        status, out, _ = self.call(self.folder)
        self.assertEqual(status, 1)
        self.assertIn("manifest.json: has its fields", out)

    def test_a_damaged_model_fails(self):
        self.export("int8", "int8")
        (self.folder / "model.onnx").write_bytes((self.folder / "model.onnx").read_bytes()[:1000])
        status, facts, _ = self.check()
        self.assertEqual(status, 1)
        self.assertIn("model.onnx: is an ONNX file", facts["failed"])

    def test_calls_that_cannot_be_followed(self):
        self.export("int8", "int8")
        logits = self.root / "logits.safetensors"
        calls = {
            "is not there": [self.root / "absent"],
            "go together": [self.folder, "--logits", logits],
            "manifest.json": [self.pictures],
            "required": [],
            "unrecognized": [self.folder, "--fast"],
            "cannot be read": [self.folder, "--logits", logits, "--images", self.folder],
            "not a file of eidolon evaluate": [
                self.folder,
                "--logits",
                self.folder / "model.onnx",
                "--images",
                self.pictures,
            ],
        }
        for text, words in calls.items():
            with self.subTest(text):
                status, _, err = self.call(*words)
                self.assertEqual(status, 64)
                self.assertIn(text, err)

if __name__ == "__main__":
    unittest.main()
