"""What scripts/check_export finds of the kernels in which runtimes run a file, and of the formats that they lack."""

import unittest
import unittest.mock

from exported_folder import FolderTest, reference
from onnx_vit import BLOCKS, CLASSES, MISSING, Vit

if not MISSING:
    import numpy

    from export_check import running


class Runtimes(FolderTest):
    def test_integer_files_hold_and_run_in_integer_kernels(self):
        self.export("int8", "int8")
        status, facts, table = self.check()
        self.assertEqual((status, facts["failed"]), (0, []), table)
        linears = 4 * BLOCKS + 1
        for file in ("model.onnx", "model_bytes.onnx"):
            kinds = self.value(facts, file, "products with constant weights")
            self.assertEqual(kinds, {"float Conv of the image": 1, "integer": linears})
            self.assertEqual(
                self.value(facts, file, "kernels of onnxruntime")["counts"],
                {"MatMulIntegerToFloat": linears, "float Conv of the image": 1},
            )
            self.assertEqual(self.value(facts, file, "kernels of OpenVINO")["integer"], linears)
        self.assertLessEqual(max(map(len, table.splitlines())), 100)

    def test_float_beside_integers_are_the_image_and_few_outlier_channels_alone(self):
        kernels = ["  model.onnx: products with constant weights", "  model.onnx: kernels of onnxruntime"]
        for settings, failed in (
            ({"outliers": 8}, []),
            ({"outliers": 9}, kernels),
            ({"broken": "float product"}, kernels),
        ):
            with self.subTest(**settings):
                self.export_one("int8", "int8", **settings)
                status, out, _ = self.call(self.folder)
                self.assertEqual([line for line in out.splitlines() if line in kernels], failed, out)
                self.assertEqual(status, 1 if failed else 0)
                if not failed:
                    self.assertIn(f"{4 * BLOCKS + 1} float side path", " ".join(out.split()))

    def test_a_product_that_falls_back_to_float_is_found(self):
        """onnxruntime makes a Gemm of a product and its bias at rank 2, before it looks for quantized ones."""
        self.export_one("int8", "int8", broken="head of rank 2")
        status, out, _ = self.call(self.folder)
        self.assertEqual(status, 1)
        self.assertIn("  model.onnx: kernels of onnxruntime", out)
        self.assertIn(f"{4 * BLOCKS} MatMulIntegerToFloat", out)

    def test_weight_only_files_are_checked_exactly(self):
        self.export("int4", "w4a16")
        status, facts, table = self.check()
        self.assertEqual((status, facts["failed"]), (0, []), table)
        self.assertEqual(self.value(facts, "model.onnx", "kernels of onnxruntime")["weights"], 4 * BLOCKS + 1)
        exact = self.value(facts, "model.onnx", "program's student || onnxruntime: KL")
        rounded = self.value(facts, "model.onnx", "program's student || onnxruntime at level 4, its default: KL")
        self.assertLess(exact, 1e-8)
        self.assertGreater(rounded, exact)
        self.assertIn("qdq_matmulnbits_accuracy_level=0", table)

    def test_kernels_of_int4_weights_and_int8_inputs_are_reported(self):
        self.export("w4a8", "w4a8")
        status, facts, table = self.check()
        self.assertEqual((status, facts["failed"]), (0, []), table)
        kinds = self.value(facts, "model.onnx", "products with constant weights")
        self.assertEqual(kinds["int4 x int8"], 4 * BLOCKS + 1)
        judged = {check["name"] for check in facts["checks"] if check["holds"] is not None}
        self.assertFalse(judged & {"kernels of onnxruntime", "kernels of OpenVINO"})
        self.assertIn("program's student || onnxruntime: KL", judged)

    def test_fp8_files_are_checked(self):
        self.export("fp8", "fp8")
        status, facts, table = self.check()
        self.assertEqual((status, facts["failed"]), (0, []), table)

    def test_what_onnxruntime_lacks_is_judged_in_openvino(self):
        self.export("fp4", "nvfp4")
        status, facts, table = self.check()
        self.assertEqual((status, facts["failed"]), (0, []), table)
        self.assertIn("NOT_IMPLEMENTED", table)
        self.assertLess(self.value(facts, "model.onnx", "program's student || OpenVINO: KL"), 1e-6)
        self.assertLess(self.value(facts, "model.onnx", "program's student || onnx.reference: KL"), 1e-6)
        self.write_logits(numpy.roll(reference(Vit("fp4").model(), self.images), 1, axis=1))
        self.assertIn("model.onnx: program's student || OpenVINO: KL", self.check()[1]["failed"])

    def test_what_no_runtime_runs_needs_the_answers_of_the_reference(self):
        self.export("fp4", "nvfp4")
        nothing = numpy.full((16, CLASSES), numpy.nan)
        with unittest.mock.patch.object(running.OpenVino, "__call__", lambda *_: nothing):
            status, facts, table = self.check()
            self.assertEqual((status, facts["failed"]), (0, []), table)
            self.assertIn("OpenVINO runs it", table)
            self.write_logits(numpy.roll(reference(Vit("fp4").model(), self.images), 1, axis=1))
            failed = "program's student, onnx.reference: answers"
            self.assertEqual(self.check()[1]["failed"], [f"model.onnx: {failed}", f"model_bytes.onnx: {failed}"])

if __name__ == "__main__":
    unittest.main()
