"""scripts/check_export on folders as `eidolon export` writes them, around small vision transformers of random weights.

One file for each of TensorRT's rules breaks it. Skipped where the packages of scripts/setup --export are missing.
"""

import contextlib
import hashlib
import io
import json
import pathlib
import sys
import tempfile
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
try:
    import check_export
    import numpy
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from onnx.reference import ReferenceEvaluator
    from PIL import Image
    from safetensors.numpy import save_file

    from export_check import answers, running, tensorrt
    from export_check.limits import convolutional, limits_of

    MISSING = ""
except ImportError as error:
    MISSING = f"{error}: scripts/setup --export installs what scripts/check_export needs"

SIDE, PATCH, CHANNELS, WIDTH, HEADS, BLOCKS, CLASSES = 16, 4, 3, 64, 2, 2, 10
TOKENS = (SIDE // PATCH) ** 2 + 1
IMAGES = 20
FACTS = {
    "crop_offset": "to even",
    "crop_pct": 0.9,
    "image_size": SIDE,
    "interpolation": "bicubic",
    "mean": [0.5, 0.4, 0.3],
    "resize": "shorter side",
    "std": [0.2, 0.25, 0.3],
}


class Vit:
    """Builds a vision transformer as ONNX.

    scheme: float, int8, int4, w4a8, fp8 or fp4; broken: the rule that it breaks; outliers: channels kept float.
    """

    def __init__(self, scheme, takes_bytes=False, broken=None, block_size=64, outliers=0):
        self.scheme, self.takes_bytes, self.broken, self.block_size = scheme, takes_bytes, broken, block_size
        self.outliers = outliers
        self.random = numpy.random.default_rng(7)
        self.nodes, self.initializers = [], []

    def model(self):
        self.logits(self.body(self.tokens()))
        element = TensorProto.UINT8 if self.takes_bytes else TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "vit",
            [helper.make_tensor_value_info("image", element, ["batch", CHANNELS, SIDE, SIDE])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
            self.initializers,
        )
        opset = helper.make_opsetid("", 23 if self.scheme == "fp4" else 21)
        foreign = [helper.make_opsetid("com.microsoft", 1)] if self.broken == "domain" else []
        return helper.make_model(
            graph, opset_imports=[opset, *foreign], ir_version=helper.find_min_ir_version_for([opset])
        )

    def breaks(self, what):
        """Once: the first place that can be broken is."""
        if self.broken != what:
            return False
        self.broken = f"{what}, done"
        return True

    def constant(self, values, element=None):
        name = f"constant_{len(self.initializers)}"
        values = numpy.asarray(values)
        if element is None:
            tensor = numpy_helper.from_array(values, name)
        else:
            tensor = numpy_helper.from_array(values.astype(helper.tensor_dtype_to_np_dtype(element)), name)
        self.initializers.append(tensor)
        return name

    def drawn(self, *shape, deviation=1.0):
        return (deviation * self.random.standard_normal(shape)).astype(numpy.float32)

    def node(self, kind, *inputs, outputs=1, output=None, **attributes):
        names = [output] if output else [f"{kind}_{len(self.nodes)}_{place}" for place in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=names[0], **attributes))
        return names[0] if outputs == 1 else names

    def shape(self, *sides):
        return self.constant(numpy.array(sides, numpy.int64))

    def tokens(self):
        step = numpy.float32(2**-7)
        codes = numpy.round(self.drawn(WIDTH, CHANNELS, PATCH, PATCH, deviation=0.2) / step).clip(-128, 127)
        weights, bias = codes * step, self.drawn(WIDTH)
        image = "image"
        if self.takes_bytes:
            mean, deviation = (numpy.array(FACTS[name], numpy.float32) for name in ("mean", "std"))
            bias = bias - (weights.sum(axis=(2, 3)) * mean / deviation).sum(axis=1)
            weights = weights / (255 * deviation.reshape(1, -1, 1, 1))
            image = self.node("Cast", image, to=TensorProto.FLOAT)
            values = self.constant(weights)
        else:
            integers = self.node("Cast", self.constant(codes, TensorProto.INT8), to=TensorProto.FLOAT)
            values = self.node("Mul", integers, self.constant(step))
        patches = self.node("Conv", image, values, self.constant(bias), strides=[PATCH, PATCH])
        rows = self.node("Transpose", self.node("Reshape", patches, self.shape(0, WIDTH, -1)), perm=[0, 2, 1])
        padded = self.node("Pad", rows, self.shape(0, 1, 0, 0, 0, 0))
        return self.node("Add", padded, self.constant(self.drawn(TOKENS, WIDTH)))

    def body(self, x):
        for _ in range(BLOCKS):
            x = self.residual(x, self.attention(self.norm(x)))
            x = self.residual(x, self.perceptron(self.norm(x)))
        return x

    def residual(self, x, branch):
        if self.breaks("residual input"):
            branch = self.quantized(branch)
        total = self.node("Add", x, branch)
        return self.quantized(total) if self.breaks("residual output") else total

    def norm(self, x):
        scale, bias = self.constant(numpy.ones(WIDTH, numpy.float32)), self.constant(numpy.zeros(WIDTH, numpy.float32))
        if not self.breaks("layer norm"):
            return self.node("LayerNormalization", x, scale, bias, epsilon=1e-6)
        centred = self.node("Sub", x, self.node("ReduceMean", x, self.shape(-1)))
        square = self.node("ReduceMean", self.node("Mul", centred, centred), self.shape(-1))
        return self.node("Div", centred, self.node("Sqrt", square))

    def attention(self, x):
        size = WIDTH // HEADS
        qkv = self.node("Reshape", self.linear(x, WIDTH, 3 * WIDTH), self.shape(0, 0, 3, HEADS, size))
        parts = self.node("Split", self.node("Transpose", qkv, perm=[2, 0, 3, 1, 4]), outputs=3, axis=0, num_outputs=3)
        q, k, v = (self.node("Squeeze", part, self.shape(0)) for part in parts)
        scores = self.node("MatMul", q, self.node("Transpose", k, perm=[0, 1, 3, 2]))
        scaled = self.node("Mul", scores, self.constant(numpy.float32(size**-0.5)))
        mixed = self.node("MatMul", self.node("Softmax", scaled), v)
        joined = self.node("Reshape", self.node("Transpose", mixed, perm=[0, 2, 1, 3]), self.shape(0, 0, WIDTH))
        return self.linear(joined, WIDTH, WIDTH)

    def perceptron(self, x):
        return self.linear(self.gelu(self.linear(x, WIDTH, 2 * WIDTH)), 2 * WIDTH, WIDTH)

    def gelu(self, x):
        if self.breaks("domain"):
            return self.node("Gelu", x, domain="com.microsoft")
        if not self.breaks("gelu"):
            return self.node("Gelu", x)
        erf = self.node("Erf", self.node("Mul", x, self.constant(numpy.float32(2**-0.5))))
        half = self.node("Mul", x, self.constant(numpy.float32(0.5)))
        return self.node("Mul", half, self.node("Add", erf, self.constant(numpy.float32(1))))

    def logits(self, x):
        first = self.node("Slice", self.norm(x), self.shape(0), self.shape(1), self.shape(1))
        if self.breaks("head of rank 2"):
            head = self.linear(self.node("Squeeze", first, self.shape(1)), WIDTH, CLASSES, deviation=0.4)
            self.node("Identity", head, output="logits")
        else:
            self.node("Squeeze", self.linear(first, WIDTH, CLASSES, deviation=0.4), self.shape(1), output="logits")

    def linear(self, x, inputs, outputs, deviation=None):
        weights = self.drawn(inputs, outputs, deviation=deviation or inputs**-0.5)
        bias = self.drawn(outputs, deviation=0.1)
        if self.breaks("float product"):
            return self.node("Add", self.node("MatMul", x, self.constant(weights)), self.constant(bias))
        rounded = self.quantized(x) if self.scheme in {"int8", "w4a8", "fp8"} else x
        product = self.node("MatMul", rounded, self.weights(weights))
        if self.outliers:
            picked = self.node("Gather", x, self.shape(*range(self.outliers)), axis=-1)
            beside = self.node("MatMul", picked, self.constant(self.drawn(self.outliers, outputs)))
            product = self.node("Add", product, beside)
        return self.node("Add", product, self.bias(bias))

    def bias(self, values):
        if not self.breaks("bias"):
            return self.constant(values)
        scale = numpy.float32(2**-20)
        return self.node(
            "DequantizeLinear", self.constant(numpy.round(values / scale).astype(numpy.int32)), self.constant(scale)
        )

    def quantized(self, x):
        element = TensorProto.FLOAT8E4M3FN if self.scheme == "fp8" else TensorProto.INT8
        element = TensorProto.UINT8 if self.breaks("type") else element
        scale = numpy.float32(4 / (448 if self.scheme == "fp8" else 127))
        scale = -scale if self.breaks("scale") else scale
        zero = 3 if self.breaks("zero point") else 0
        if self.breaks("activation channels"):
            factors = (self.constant(numpy.full(WIDTH, scale)), self.constant(numpy.zeros(WIDTH), element))
            return self.node("DequantizeLinear", self.node("QuantizeLinear", x, *factors, axis=2), *factors, axis=2)
        factors = self.constant(scale), self.constant(zero, element)
        codes = self.node("QuantizeLinear", x, *factors)
        if self.breaks("outside"):
            return self.node("Mul", self.node("Cast", codes, to=TensorProto.FLOAT), self.constant(scale))
        return self.node("DequantizeLinear", codes, *factors)

    def weights(self, values):
        if self.scheme == "float":
            return self.constant(values)
        if self.scheme in {"int4", "w4a8", "fp4"}:
            return self.blocks(values)
        axis, over = (0, 1) if values.shape == (WIDTH, WIDTH) and self.breaks("weight axis") else (1, 0)
        whole = self.breaks("one scale")
        largest, element = (448, TensorProto.FLOAT8E4M3FN) if self.scheme == "fp8" else (127, TensorProto.INT8)
        scale = numpy.abs(values).max(axis=None if whole else over) / numpy.float32(largest)
        codes = values / (scale if whole else numpy.expand_dims(scale, over))
        codes = codes if self.scheme == "fp8" else numpy.round(codes)
        return self.node("DequantizeLinear", self.constant(codes, element), self.constant(scale), axis=axis)

    def blocks(self, values):
        """4 bits along K: INT4 with float scales, or FP4 in blocks of 16 whose scales are FP8."""
        size = 16 if self.scheme == "fp4" else self.block_size
        grouped = values.reshape(-1, size, values.shape[1])
        scale = numpy.abs(grouped).max(axis=1) / numpy.float32(6 if self.scheme == "fp4" else 7)
        codes = (grouped / scale[:, None]).reshape(values.shape)
        if self.scheme != "fp4":
            factors, element, codes = self.constant(scale), TensorProto.INT4, numpy.round(codes)
        else:
            whole = numpy.float32(scale.max() / 448)
            element = TensorProto.FLOAT4E2M1
            factors = self.node(
                "DequantizeLinear", self.constant(scale / whole, TensorProto.FLOAT8E4M3FN), self.constant(whole)
            )
        return self.node("DequantizeLinear", self.constant(codes, element), factors, axis=0, block_size=size)


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


@unittest.skipIf(MISSING, MISSING)
class Folders(unittest.TestCase):
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

    def test_an_altered_file_is_named(self):
        self.export("int8", "int8")
        (self.folder / "manifest.json").write_text((self.folder / "manifest.json").read_text() + " ")
        (self.folder / "more").write_text("")
        status, facts, table = self.check()
        self.assertEqual((status, facts["failed"]), (1, ["SHA256SUMS: lists every file as it is"]))
        self.assertIn("manifest.json differs", table)
        self.assertIn("more is not listed", table)

    def test_a_file_that_is_not_the_programs_student_fails(self):
        self.export("int8", "int8")
        self.write_logits(numpy.roll(reference(Vit("int8").model(), self.images), 1, axis=1))
        status, facts, _ = self.check()
        self.assertEqual(status, 1)
        self.assertIn("model.onnx: program's student || onnxruntime: KL", facts["failed"])
        self.assertIn("model.onnx: program's student, onnxruntime: agreement", facts["failed"])

    def test_files_of_convolutional_networks_are_held_against_their_students_own_error(self):
        limits = limits_of("int8", False, {"top1": 0.1})
        loosened = convolutional(limits, 0.01, {"top1": 0.1})
        self.assertEqual(loosened["kl"], 0.02)
        self.assertAlmostEqual(loosened["teacher_kl"], 0.0015 + 0.0125)
        self.assertEqual(loosened["top1"], 0.1)
        self.assertFalse({"agreement", "runtimes_agreement"} & loosened.keys())
        self.assertEqual(convolutional(limits, 0.0001, {})["kl"], limits["kl"])

    def test_wrong_constants_of_the_bytes_are_found(self):
        self.export("int8", "int8")
        with unittest.mock.patch.dict(FACTS, mean=[0.1, 0.1, 0.1]):
            onnx.save(Vit("int8", True).model(), self.folder / "model_bytes.onnx")
        write_sums(self.folder)
        status, facts, _ = self.check()
        self.assertEqual(status, 1)
        self.assertIn("model.onnx and model_bytes.onnx: onnxruntime: normalised || bytes: KL", facts["failed"])

    def export_one(self, recipe, *arguments, **settings):
        """A folder of one file, of no logits."""
        onnx.save(Vit(*arguments, **settings).model(), self.folder / "model.onnx")
        write_manifest(self.folder, recipe, [{"file": "model.onnx", "input": "normalised"}])
        write_sums(self.folder)

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

    def test_rules_count_for_tensorrt_only(self):
        self.export_one("int8", "int8", broken="zero point")
        self.assertEqual(self.call(self.folder)[0], 0)
        self.assertEqual(self.call(self.folder, "--rules", "tensorrt")[0], 1)
        status, out, _ = self.call(self.folder / "model.onnx", "--rules", "tensorrt")
        self.assertEqual(status, 1)
        self.assertIn("zero point: QuantizeLinear", out)
        self.folder.rename(self.folder.with_name("tensorrt"))
        self.assertEqual(self.call(self.folder.with_name("tensorrt"))[0], 1)

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
