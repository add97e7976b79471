"""TensorRT's rules, as scripts/check_export knows them. One file for each rule breaks it."""

import unittest

from exported_folder import FolderTest
from onnx_vit import MISSING, Vit

if not MISSING:
    import numpy
    from onnx import TensorProto, helper, numpy_helper

    from export_check import tensorrt


def one_product(kind, attributes, shape, axis):
    """A model of one product, whose weights have scales along an axis."""
    initializers = [
        numpy_helper.from_array(numpy.ones(shape, numpy.int8), "codes"),
        numpy_helper.from_array(numpy.ones(shape[axis], numpy.float32), "scales"),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "scales"], ["weights"], axis=axis),
        helper.make_node(kind, ["x", "weights"], ["y"], **attributes),
    ]
    rank = ["batch", 8, 1, 1][: len(shape)]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, rank) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "product", values[:1], values[1:], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@unittest.skipIf(MISSING, MISSING)
class Rules(unittest.TestCase):
    def broken(self, *arguments, **settings):
        return {finding.split(": ")[0] for finding in tensorrt.findings(Vit(*arguments, **settings).model())}

    def test_symmetric_files_keep_all_rules(self):
        for scheme in ("float", "int8", "int4", "fp8", "fp4"):
            for takes_bytes in (False, True):
                with self.subTest(scheme=scheme, takes_bytes=takes_bytes):
                    self.assertEqual(tensorrt.findings(Vit(scheme, takes_bytes).model()), [])

    def test_each_broken_rule_is_found_and_no_other(self):
        rules = {
            "zero point": {"zero point"},
            "scale": {"scale"},
            "type": {"type"},
            "outside": {"type"},
            "activation channels": {"granularity"},
            "one scale": {"granularity"},
            "weight axis": {"granularity"},
            "residual input": {"residual add"},
            "residual output": {"residual add"},
            "layer norm": {"layer norm"},
            "gelu": {"gelu"},
            "bias": {"bias", "type"},
            "domain": {"domain"},
        }
        for what, expected in rules.items():
            with self.subTest(what):
                self.assertEqual(self.broken("int8", broken=what), expected)

    def test_blocks_that_tensorrt_does_not_have_are_found(self):
        self.assertEqual(self.broken("int4", block_size=32), {"granularity"})

    def test_output_channels_are_found_in_every_form_of_a_product(self):
        """(operator, its attributes, shape of the weights, axis of their output channels)"""
        forms = [
            ("MatMul", {}, (8, 8), 1),
            ("Gemm", {}, (8, 8), 1),
            ("Gemm", {"transB": 1}, (8, 8), 0),
            ("Conv", {}, (8, 8, 1, 1), 0),
        ]
        for kind, attributes, shape, channels in forms:
            for axis in (0, 1):
                with self.subTest(kind=kind, axis=axis, **attributes):
                    findings = tensorrt.findings(one_product(kind, attributes, shape, axis))
                    expected = set() if axis == channels else {"granularity"}
                    self.assertEqual({finding.split(": ")[0] for finding in findings}, expected)

    def test_the_node_is_named(self):
        (finding,) = tensorrt.findings(Vit("int8", broken="gelu").model())
        self.assertTrue(finding.startswith("gelu: Erf_"), finding)


class Folders(FolderTest):
    def test_rules_count_for_tensorrt_only(self):
        self.export_one("int8", "int8", broken="zero point")
        self.assertEqual(self.call(self.folder)[0], 0)
        self.assertEqual(self.call(self.folder, "--rules", "tensorrt")[0], 1)
        status, out, _ = self.call(self.folder / "model.onnx", "--rules", "tensorrt")
        self.assertEqual(status, 1)
        self.assertIn("zero point: QuantizeLinear", out)
        self.folder.rename(self.folder.with_name("tensorrt"))
        self.assertEqual(self.call(self.folder.with_name("tensorrt"))[0], 1)

if __name__ == "__main__":
    unittest.main()
