"""Every family's graph in the hands of onnx's checker and of onnxruntime: it computes what the network itself does."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

try:
    import numpy as np
    import onnx
    import onnxruntime
    from safetensors.numpy import load_file
    MISSING = ""
except ImportError as error:
    MISSING = f"{error}; install the packages of scripts/export_requirements.txt"

FAMILIES = pathlib.Path(os.environ["EIDOLON_SOURCE_DIR"]) / "tests" / "data" / "model" / "families"


@unittest.skipIf(MISSING, MISSING)
class Families(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="eidolon-onnx-")
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.folder = pathlib.Path(cls.temporary.name)
        subprocess.run([os.environ["EIDOLON_ONNX_EXAMPLES"], str(cls.folder), str(FAMILIES)], check=True, timeout=240)

    def errors(self, kind):
        """{family and output: largest error, relative to the largest value}."""
        found = {}
        for path in sorted(self.folder.glob(f"*-{kind}.onnx")):
            onnx.checker.check_model(str(path), full_check=True)
            expected = load_file(path.with_suffix(".safetensors"))
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            names = [output.name for output in session.get_outputs()]
            for name, values in zip(names, session.run(names, {"image": expected["images"]})):
                self.assertEqual(values.shape, expected[name].shape, path.name)
                found[f"{path.stem} {name}"] = np.abs(values - expected[name]).max() / np.abs(expected[name]).max()
        return found

    def test_float32_graphs_compute_what_the_networks_do(self):
        found = self.errors("float32")
        self.assertGreater(len(found), 40)
        for name, error in found.items():
            with self.subTest(name):
                self.assertLess(error, 1e-4)

    def test_int8_graphs_compute_what_the_students_do(self):
        # An integer kernel and a float one may round a value to neighbouring integers: one step in 255 here and there. The random
        # MobileNets are deep and 4 channels wide, and make of one step a hundred: of them float32 says that the graph is right.
        found = {name: error for name, error in self.errors("int8").items() if not re.search("mobilenet|efficientnet", name)}
        self.assertGreater(len(found), 40)
        for name, error in found.items():
            with self.subTest(name):
                self.assertLess(error, 0.05)

    def test_graphs_with_low_rank_factors_compute_what_the_students_do(self):
        found = self.errors("low_rank")
        self.assertGreaterEqual(len(found), 3)
        for name, error in found.items():
            with self.subTest(name):
                self.assertLess(error, 0.05)

    def test_graphs_of_maps_without_zero_points_compute_what_the_students_do(self):
        found = self.errors("shifted")
        self.assertGreater(len(found), 6)
        for name in found:
            model = onnx.load(self.folder / f"{name.split()[0]}.onnx")
            unsigned = [tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.UINT8]
            self.assertEqual(unsigned, [], name)
        for name in (name for name in found if "resnet" in name):
            with self.subTest(name):
                self.assertLess(found[name], 0.05)


if __name__ == "__main__":
    unittest.main()
