"""Vision transformers of random weights as ONNX, in the forms in which `eidolon export` writes them.

MISSING says why there are none, where the packages of scripts/setup --export are missing.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
try:
    import check_export  # noqa: F401 (it needs all those packages)
    import numpy
    from onnx import TensorProto, helper, numpy_helper

    MISSING = ""
except ImportError as error:
    MISSING = f"{error}: scripts/setup --export installs what scripts/check_export needs"

SIDE, PATCH, CHANNELS, WIDTH, HEADS, BLOCKS, CLASSES = 16, 4, 3, 64, 2, 2, 10
TOKENS = (SIDE // PATCH) ** 2 + 1
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
