"""What scripts/check_export measures of a file's answers and speed, and the limits by which it judges."""

import unittest
import unittest.mock

from exported_folder import FolderTest, reference, write_sums
from onnx_vit import BLOCKS, FACTS, MISSING, Vit

if not MISSING:
    import numpy
    import onnx

    from export_check import answers
    from export_check.limits import convolutional, limits_of


@unittest.skipIf(MISSING, MISSING)
class Figures(unittest.TestCase):
    def test_divergence_is_that_of_the_definition(self):
        p, q = numpy.array([0.7, 0.2, 0.1]), numpy.array([0.5, 0.25, 0.25])
        expected = sum(p * numpy.log(p / q))
        found = answers.divergences(numpy.log(p)[None] + 5, numpy.log(q)[None] - 3)
        self.assertAlmostEqual(found[0], expected, places=12)

    def test_a_logit_that_is_no_number_gives_no_divergence_of_zero(self):
        self.assertTrue(numpy.isnan(answers.divergences(numpy.zeros((1, 2)), numpy.array([[0, numpy.nan]]))[0]))

    def test_errors_are_the_standard_errors(self):
        self.assertAlmostEqual(answers.mean(numpy.array([1.0, 2.0, 4.0])).error, (7 / 3 / 3) ** 0.5)
        self.assertAlmostEqual(
            answers.share(numpy.array([True, True, False, True])).error, (0.75 * 0.25 / 4) ** 0.5
        )

    def test_files_of_convolutional_networks_are_held_against_their_students_own_error(self):
        limits = limits_of("int8", False, {"top1": 0.1})
        loosened = convolutional(limits, 0.01, {"top1": 0.1})
        self.assertEqual(loosened["kl"], 0.02)
        self.assertAlmostEqual(loosened["teacher_kl"], 0.0015 + 0.0125)
        self.assertEqual(loosened["top1"], 0.1)
        self.assertFalse({"agreement", "runtimes_agreement"} & loosened.keys())
        self.assertEqual(convolutional(limits, 0.0001, {})["kl"], limits["kl"])


class Folders(FolderTest):
    def test_every_figure_is_in_the_report(self):
        self.export("int8", "int8")
        names = {check["name"] for check in self.check()[1]["checks"]}
        for runtime in ("onnxruntime", "OpenVINO"):
            self.assertLessEqual(
                {
                    f"{runtime}: top-1",
                    f"teacher || {runtime}: KL",
                    f"teacher, {runtime}: agreement",
                    f"program's student || {runtime}: KL",
                    f"program's student, {runtime}: agreement",
                    f"{runtime}: normalised || bytes: KL",
                    f"{runtime}: batches of 1, 2, 7, 16: KL",
                },
                names,
            )

    def test_a_file_that_is_not_the_programs_student_fails(self):
        self.export("int8", "int8")
        self.write_logits(numpy.roll(reference(Vit("int8").model(), self.images), 1, axis=1))
        status, facts, _ = self.check()
        self.assertEqual(status, 1)
        self.assertIn("model.onnx: program's student || onnxruntime: KL", facts["failed"])
        self.assertIn("model.onnx: program's student, onnxruntime: agreement", facts["failed"])

    def test_wrong_constants_of_the_bytes_are_found(self):
        self.export("int8", "int8")
        with unittest.mock.patch.dict(FACTS, mean=[0.1, 0.1, 0.1]):
            onnx.save(Vit("int8", True).model(), self.folder / "model_bytes.onnx")
        write_sums(self.folder)
        status, facts, _ = self.check()
        self.assertEqual(status, 1)
        self.assertIn("model.onnx and model_bytes.onnx: onnxruntime: normalised || bytes: KL", facts["failed"])

    def test_limits_are_options(self):
        self.export("int8", "int8")
        self.write_logits(numpy.roll(reference(Vit("int8").model(), self.images), 1, axis=1))
        loose = ("--kl", "none", "--agreement", "none", "--top1", "none")
        self.assertEqual(self.check()[0], 1)
        self.assertEqual(self.check(*loose)[0], 0)
        self.assertEqual(
            self.check(*loose, "--teacher-kl", "1e-9")[1]["failed"],
            [f"{file}: teacher || onnxruntime: KL" for file in ("model.onnx", "model_bytes.onnx")],
        )

    def test_speed_is_measured_against_a_float_file(self):
        self.export("int8", "int8")
        onnx.save(Vit("float").model(), self.root / "float.onnx")
        status, facts, _ = self.check(
            "--speed", "--float-model", self.root / "float.onnx", "--rounds", "6", "--ort-speed-1", "1e9"
        )
        self.assertEqual(status, 1)
        self.assertEqual(
            facts["failed"],
            [f"{file}: onnxruntime, batch 1: speed over float32" for file in ("model.onnx", "model_bytes.onnx")],
        )
        self.assertGreater(self.value(facts, "model.onnx", "OpenVINO, batch 16: speed over float32"), 0)
        self.assertLess(self.value(facts, "float.onnx", "program's teacher || onnxruntime: KL"), 1e-8)

    def test_the_main_figures_are_rows_of_a_markdown_table(self):
        self.export("int8", "int8")
        header, line, *rows = self.check("--markdown-header")[2].splitlines()
        self.assertEqual(line, "|---" * header.count(" | ") + "|---|")
        self.assertEqual([row.split(" | ")[0] for row in rows], ["| model.onnx", "| model_bytes.onnx"])
        self.assertEqual({row.count(" | ") for row in rows}, {header.count(" | ")})
        self.assertIn(f" | {4 * BLOCKS + 1} MatMulIntegerToFloat, 1 float Conv of the image | ", rows[0])
        self.assertEqual(self.check("--markdown")[2].splitlines(), rows)

if __name__ == "__main__":
    unittest.main()
