"""What the ONNX writer writes, in the hands of others: onnx's checker and reference implementation, onnxruntime, OpenVINO.

Expected values are worked out with numpy and ml_dtypes, from the formulas of onnx_examples.h.
"""
import os
import pathlib
import subprocess
import tempfile
import unittest

try:
    import ml_dtypes
    import numpy as np
    import onnx
    import onnxruntime
    import openvino
    from onnx import numpy_helper
    from onnx.reference import ReferenceEvaluator
    from safetensors.numpy import load_file
    MISSING = ""
except ImportError as error:
    MISSING = f"{error}; install the packages of scripts/export_requirements.txt"

BATCH = 6


def pattern(sizes, step, count, lowest):
    return ((np.arange(np.prod(sizes, dtype=np.int64)) * step + 3) % count + lowest).reshape(sizes)


def scales(sizes):
    return np.exp2(pattern(sizes, 1, 3, -5)).astype(np.float32)


def expected_logits(x):
    first = pattern((32, 16), 7, 255, -127) * scales((16,))
    second = pattern((16, 8), 5, 16, -8) * np.repeat(scales((2, 8)), 8, axis=0)
    third = pattern((8, 5), 11, 120, 0).astype(np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float64) * 0.5
    y = x.astype(np.float64) @ first + 0.25
    y = np.where(y < 0, 0.125 * y, y) @ second
    y = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3))) + scales((8,))
    return (y @ third).T


def expected_types():
    small, size = pattern((3, 5), 5, 16, 0), pattern((3, 5), 17, 120, 0).astype(np.uint8)
    third = small.astype(np.float32) / np.float32(3)
    # 4-bit bit patterns of E2M1: a sign, and eight magnitudes.
    e2m1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
    return {
        "float32": third, "uint8": size, "int8": small - 8, "int32": small - 70000, "int64": small - 8, "boolean": small > 7,
        "float16": third.astype(np.float16), "bfloat16": third.astype(ml_dtypes.bfloat16),
        "float8e4m3fn": size.view(ml_dtypes.float8_e4m3fn), "float8e5m2": size.view(ml_dtypes.float8_e5m2),
        "uint4": small, "int4": small - 8, "float4e2m1": e2m1[small], "float8e8m0": np.exp2(small + 120 - 127.0),
    }


def run_reference(path, x):
    return ReferenceEvaluator(path).run(None, {"x": x})[0]


def run_onnxruntime(path, x):
    options = onnxruntime.SessionOptions()
    # Level 4, the default, rounds what is multiplied with integer weights to int8.
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def run_openvino(path, x):
    # By default it may compute in bfloat16, and round what is multiplied with integer weights.
    exact = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
    return openvino.Core().compile_model(path, "CPU", exact)(x)[0]


@unittest.skipIf(MISSING, MISSING)
class WrittenModels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="eidolon-onnx-")
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.folder = pathlib.Path(cls.temporary.name)
        subprocess.run([os.environ["EIDOLON_ONNX_EXAMPLES"], str(cls.folder)], check=True, timeout=60)
        cls.x = np.random.default_rng(7).standard_normal((BATCH, 32)).astype(np.float32)

    def test_are_sound_to_the_checker(self):
        for name in ("quantized", "types", "quantized_beside", "types_beside"):
            with self.subTest(name):
                onnx.checker.check_model(str(self.folder / f"{name}.onnx"), full_check=True)

    def test_state_what_they_are_of(self):
        model = onnx.load(self.folder / "quantized.onnx")
        producer = (model.producer_name, model.producer_version, model.doc_string)
        self.assertEqual(producer, ("eidolon", "1.2.3", "three products"))
        self.assertEqual({entry.key: entry.value for entry in model.metadata_props}, {"model": "ünïcode", "bits": "8"})
        sizes = model.graph.input[0].type.tensor_type.shape.dim
        self.assertEqual([size.dim_param or size.dim_value for size in sizes], ["batch", 32])

    def test_have_the_lowest_version_of_the_file_format(self):
        for opset, version in ((21, 10), (22, 10), (23, 11), (24, 12)):
            self.assertEqual(onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)]), version)

    def test_hold_the_values_of_every_type(self):
        for name in ("types", "types_beside"):
            model = onnx.load(self.folder / f"{name}.onnx")
            stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
            run = ReferenceEvaluator(str(self.folder / f"{name}.onnx"))
            cast = dict(zip(run.output_names, run.run(None, {})))
            for kind, values in expected_types().items():
                with self.subTest(f"{name}, {kind}"):
                    np.testing.assert_array_equal(stored[kind].astype(np.float64), values.astype(np.float64))
                    np.testing.assert_array_equal(cast[f"of {kind}"].astype(np.float64), values.astype(np.float64))

    def test_keep_their_weights_beside_at_aligned_places(self):
        model = onnx.load(self.folder / "quantized_beside.onnx", load_external_data=False)
        end = 0
        for tensor in model.graph.initializer:
            place = {entry.key: entry.value for entry in tensor.external_data}
            self.assertEqual(place["location"], "quantized_beside.onnx.data")
            self.assertEqual(int(place["offset"]) % 65536, 0)
            self.assertGreaterEqual(int(place["offset"]), end)
            end = int(place["offset"]) + int(place["length"])
        self.assertEqual((self.folder / "quantized_beside.onnx.data").stat().st_size, end)
        loaded, whole = (onnx.load(self.folder / f"{name}.onnx").graph for name in ("quantized_beside", "quantized"))
        self.assertEqual([tensor.raw_data for tensor in loaded.initializer], [tensor.raw_data for tensor in whole.initializer])

    def test_compute_what_the_formulas_say(self):
        expected = expected_logits(self.x)
        tolerance = 1e-5 * np.abs(expected).max()
        for name in ("quantized", "quantized_beside"):
            path = str(self.folder / f"{name}.onnx")
            for run in (run_reference, run_onnxruntime, run_openvino):
                with self.subTest(f"{name}, {run.__name__}"):
                    values = run(path, self.x)
                    self.assertEqual(values.shape, (5, BATCH))
                    np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance)

    def test_round_in_blocks_as_the_program_does(self):
        for name in ("mxfp8", "mxfp4", "nvfp4"):
            expected = load_file(self.folder / f"{name}.safetensors")
            runtimes = [run_reference, run_openvino]
            if name == "mxfp8":  # onnxruntime has no FP4 on CPUs
                runtimes.append(run_onnxruntime)
            for run in runtimes:
                with self.subTest(f"{name}, {run.__name__}"):
                    values = run(str(self.folder / f"{name}.onnx"), expected["x"])
                    apart = np.abs(values - expected["y"]) > 0
                    # OpenVINO's cast to E4M3 rounds twice, by way of float16: next to a middle it may take the other neighbour.
                    twice = name == "mxfp8" and run is run_openvino
                    self.assertLess(apart.mean(), 0.01 if twice else 1e-12)
                    steps = np.abs(values[apart] / expected["y"][apart] - 1)
                    self.assertLess(steps.max(initial=0), 0.13)


if __name__ == "__main__":
    unittest.main()
