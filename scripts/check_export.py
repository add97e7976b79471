"""Checks a folder that `eidolon export` wrote, by the official packages; see the head of scripts/check_export.

Three layers: the graph (what is constant, what is quantized, TensorRT's rules), the runtimes (answers, kernels, time),
and the checks of a folder, which fill a Report.
"""

import argparse
import collections
import contextlib
import dataclasses
import hashlib
import itertools
import json
import math
import pathlib
import re
import statistics
import sys
import tempfile
import textwrap
import time

import numpy
import onnx
import onnx.reference
import onnxruntime
import openvino
from onnx import TensorProto
from PIL import Image
from safetensors import SafetensorError, safe_open

from photographs import prepared

BATCH = 16
BATCHES = (1, 2, 7, 16)
REFERENCE_IMAGES = 2  # for onnx.reference, which takes seconds for one
ROUNDS = 30

# What export itself must keep, by recipe; agreement and sizes are shares.
LIMITS = {
    "int8": {
        "program_kl": 0.0015,
        "program_agreement": 0.99,
        "program_top1": 0.005,
        "runtimes_kl": 0.0015,
        "runtimes_agreement": 0.99,
        "inputs_kl": 0.0015,
        "inputs_agreement": 0.99,
        "batches_kl": 0.0015,
    },
    "w4": {"program_kl": 0.0005, "inputs_kl": 0.0005, "batches_kl": 0.0005},
    "fp8": {"program_kl": 0.001, "inputs_kl": 0.001, "batches_kl": 0.001},
}
# With --acceptance also what DeiT-Tiny's and ViT-Tiny's students keep (the laxer of both) on a CPU with AVX512-VNNI.
ACCEPTANCE = {
    "int8": {
        "size": 0.27,
        "teacher_kl": 0.008,
        "teacher_top1": 0.006,
        "ort_speed_1": 1.8,
        "ort_speed_16": 1.7,
        "openvino_speed_1": 1.95,
        "openvino_speed_16": 2.1,
        "bf16_speed": 1.1,
    },
    "w4": {"size": 0.165, "teacher_kl": 0.026, "teacher_top1": 0.012, "ort_speed_1": 0.9, "ort_speed_16": 0.9},
    "fp8": {"size": 0.28, "teacher_kl": 0.008, "teacher_top1": 0.006},
}
LIMIT_TEXTS = {
    "program_kl": "most KL of the program's student and the file in onnxruntime, in nats",
    "program_agreement": "least share of images on which both answer the same",
    "program_top1": "most difference of their top-1, as a share",
    "runtimes_kl": "most KL of the file in onnxruntime and in OpenVINO",
    "runtimes_agreement": "least share of images on which both runtimes answer the same",
    "inputs_kl": "most KL of the file that takes normalised images and the one that takes bytes",
    "inputs_agreement": "least share of images on which both answer the same",
    "batches_kl": f"most KL of batches of {', '.join(map(str, BATCHES[1:]))} and single images",
    "size": "most size of a file, as a share of the float32 parameters",
    "teacher_kl": "most KL of the teacher and the file",
    "teacher_top1": "most top-1 lost against the teacher, as a share",
    "ort_speed_1": "least speed-up over float32 in onnxruntime, one image at a time",
    "ort_speed_16": "the same, 16 images at a time",
    "openvino_speed_1": "least speed-up over float32 in OpenVINO, one image at a time",
    "openvino_speed_16": "the same, 16 images at a time",
    "bf16_speed": "least speed-up over bfloat16 in OpenVINO",
}


class BadUsage(Exception):
    """The call cannot be followed; exit status 64."""


# --- the graph ---

MOVES = {"Flatten", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
FOLDED = {"Cast", "DequantizeLinear", "Identity", "Reshape", "Transpose"}  # of constants, evaluated here
PRODUCTS = {"Conv", "FusedConv", "FusedGemm", "FusedMatMul", "Gemm", "MatMul", "NhwcFusedConv"}
INT8 = {TensorProto.INT8, TensorProto.UINT8}
INT4 = {TensorProto.INT4, TensorProto.UINT4}
FP8 = {TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E4M3FNUZ, TensorProto.FLOAT8E5M2, TensorProto.FLOAT8E5M2FNUZ}
FP4 = {TensorProto.FLOAT4E2M1}
LOW = INT8 | INT4 | FP8 | FP4 | {TensorProto.INT16, TensorProto.UINT16, TensorProto.INT2, TensorProto.UINT2}


def type_name(element):
    return TensorProto.DataType.Name(element).lower()


def label(node):
    return node.name or f"{node.op_type} of {node.output[0]}"


def attribute(node, name, default=None):
    return next((onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def input_of(node, place):
    """The name of an input; empty where the node leaves it out."""
    return node.input[place] if place < len(node.input) else ""


class Graph:
    """Look-ups in the main graph of a model: who makes a value, who uses it, its type, whether it is constant."""

    def __init__(self, model):
        self.model = model
        self.nodes = list(model.graph.node)
        self.initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self.inputs = {value.name: value for value in model.graph.input}
        self.makers = {name: node for node in self.nodes for name in node.output if name}
        self.users = collections.defaultdict(list)
        for node in self.nodes:
            for name in node.input:
                self.users[name].append(node)
        self.types = {name: tensor.data_type for name, tensor in self.initializers.items()}
        self.types.update(self._inferred_types())
        self.types.update(
            {node.output[0]: self._codes_type(node) for node in self.nodes if node.op_type == "QuantizeLinear"}
        )

    def _inferred_types(self):
        values = list(self.model.graph.input)
        with contextlib.suppress(onnx.shape_inference.InferenceError):  # the checker reports it
            inferred = onnx.shape_inference.infer_shapes(self.model)
            values = itertools.chain(inferred.graph.input, inferred.graph.value_info, inferred.graph.output)
        return {value.name: value.type.tensor_type.elem_type for value in values}

    def _codes_type(self, node):
        """What a QuantizeLinear makes; inference does not say it behind operators of other domains."""
        zero_point = input_of(node, 2)
        return self.type(zero_point) if zero_point else attribute(node, "output_dtype", 0) or TensorProto.UINT8

    def type(self, name):
        return self.types.get(name, TensorProto.UNDEFINED)

    def maker(self, name):
        return self.makers.get(name)

    def made_by(self, name, *kinds):
        """The node that makes the value if it is one of these kinds."""
        node = self.makers.get(name)
        return node if node is not None and node.op_type in kinds else None

    def is_constant(self, name):
        """Whether nothing but constants goes into it, however it is cast, moved or (de)quantized."""
        if name in self.initializers:
            return True
        node = self.makers.get(name)
        if node is None or node.op_type not in FOLDED | MOVES | {"Constant", "QuantizeLinear"}:
            return False
        return all(self.is_constant(each) for each in node.input if each)

    def constant(self, name):
        """Its values; None if it is not constant, or not of the kinds that are evaluated here."""
        if name in self.initializers:
            return onnx.numpy_helper.to_array(self.initializers[name])
        node = self.makers.get(name)
        if node is None:
            return None
        if node.op_type == "Constant":
            return onnx.numpy_helper.to_array(attribute(node, "value"))
        feeds = {each: self.constant(each) for each in node.input if each}
        if node.op_type not in FOLDED or any(value is None for value in feeds.values()):
            return None
        versions = {entry.domain: entry.version for entry in self.model.opset_import}
        return onnx.reference.ReferenceEvaluator(node, opsets=versions).run(None, feeds)[0]

    def dequantized(self, name):
        """The DequantizeLinear that a value comes from, past nodes that only move values; None if there is none."""
        node = self.makers.get(name)
        while node is not None and node.op_type in MOVES | {"Cast"}:
            node = self.makers.get(node.input[0])
        return node if node is not None and node.op_type == "DequantizeLinear" else None


@dataclasses.dataclass
class Product:
    """A product with constant weights.

    kind: "float", "integer" (both factors 8-bit), "weights" (only they are integers), "fp8", "fp4" (their type).
    """

    node: onnx.NodeProto
    kind: str


def weight_place(graph, node):
    """Which input of a product holds its constant weights; None if neither does."""
    places = (1, 0) if node.op_type in {"MatMul", "FusedMatMul"} else (1,)
    return next((place for place in places if graph.is_constant(node.input[place])), None)


def kind_of(graph, weights, others):
    dequantized = graph.dequantized(weights)
    if dequantized is None:
        return "float"
    element = graph.type(dequantized.input[0])
    if element in FP8 | FP4:
        return "fp8" if element in FP8 else "fp4"
    other = graph.dequantized(others)
    both = other is not None and {element, graph.type(other.input[0])} <= INT8
    return "integer" if both else "weights"


def products(graph):
    """Every product with constant weights."""
    found = []
    for node in graph.nodes:
        place = weight_place(graph, node) if node.op_type in PRODUCTS else None
        if place is not None:
            found.append(Product(node, kind_of(graph, node.input[place], node.input[1 - place])))
    return found


def is_weight_only(graph):
    return any(product.kind == "weights" for product in products(graph))


def types_in(graph):
    return set(graph.types.values())


# --- TensorRT's rules ---

OF_TENSORRT = {"", "ai.onnx", "trt", "trt.plugins"}  # domains
ACTIVATIONS = {TensorProto.INT8, TensorProto.FLOAT8E4M3FN}
WEIGHTS = ACTIVATIONS | {TensorProto.INT4, TensorProto.FLOAT4E2M1}
BLOCK_SIZES = {TensorProto.INT4: (64, 128), TensorProto.FLOAT4E2M1: (16,), TensorProto.FLOAT8E4M3FN: (32,)}


@dataclasses.dataclass
class Finding:
    rule: str
    node: str
    text: str

    def __str__(self):
        return f"{self.rule}: {self.node}: {self.text}"


def tensorrt_findings(model):
    """Where a model breaks TensorRT's rules for explicit quantization. They are read in documents, not tried."""
    graph = Graph(model)
    rules = (
        zero_points,
        scales,
        types,
        granularities,
        residual_adds,
        decomposed_norms,
        decomposed_gelus,
        biases,
        domains,
    )
    return [finding for rule in rules for finding in rule(graph)]


def quantizers(graph):
    """(node, whether of weights) of each QuantizeLinear and DequantizeLinear."""
    for node in graph.nodes:
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            yield node, graph.is_constant(node.input[0])


def is_dynamic(graph, node):
    """Whether TensorRT's own operators for dynamic quantization make what is dequantized."""
    maker = graph.maker(node.input[0])
    return maker is not None and maker.domain.startswith("trt")


def codes_type(graph, node):
    return graph.type(node.input[0] if node.op_type == "DequantizeLinear" else node.output[0])


def zero_points(graph):
    for node, _ in quantizers(graph):
        name = input_of(node, 2)
        if not name:
            continue
        values = graph.constant(name)
        if values is None:
            yield Finding("zero point", label(node), "is not constant")
        elif numpy.any(values.astype(numpy.float32) != 0):
            yield Finding("zero point", label(node), "is not zero")


def scales(graph):
    for node, _ in quantizers(graph):
        values = graph.constant(node.input[1])
        if values is None:
            if not is_dynamic(graph, node):
                yield Finding("scale", label(node), "is not constant")
            continue
        numbers = values.astype(numpy.float64)
        if not numpy.all(numpy.isfinite(numbers) & (numbers > 0)):
            yield Finding("scale", label(node), "is not positive and finite everywhere")


def types(graph):
    for node, of_weights in quantizers(graph):
        element = codes_type(graph, node)
        if element not in (WEIGHTS if of_weights or is_dynamic(graph, node) else ACTIVATIONS):
            yield Finding("type", label(node), f"{type_name(element)} {'weights' if of_weights else 'activations'}")
    for node in graph.nodes:
        yield from types_outside(graph, node)


def types_outside(graph, node):
    """Quantized types that another node than QuantizeLinear and DequantizeLinear takes or makes."""
    if node.op_type in {"QuantizeLinear", "DequantizeLinear", "Constant"} or node.domain.startswith("trt"):
        return
    if node.op_type == "Cast" and node.input[0] in graph.inputs and graph.type(node.input[0]) == TensorProto.UINT8:
        return  # an image of bytes
    if all(graph.is_constant(name) for name in node.input if name):
        return
    for name in itertools.chain(node.input, node.output):
        if graph.type(name) in LOW:
            yield Finding("type", label(node), f"{node.op_type} takes or makes {type_name(graph.type(name))}")
            return


def granularities(graph):
    for node, of_weights in quantizers(graph):
        scale = graph.constant(node.input[1])
        if scale is None:
            continue  # reported by the rule of scales, or dynamic
        if not of_weights:
            if scale.size != 1 or attribute(node, "block_size", 0):
                yield Finding("granularity", label(node), "activations have more than one scale")
        elif not is_bias(graph, node) and not is_scale(graph, node):
            yield from weight_granularity(graph, node, scale)


def weight_granularity(graph, node, scale):
    block, element = attribute(node, "block_size", 0), codes_type(graph, node)
    values = graph.constant(node.input[0])
    shape = values.shape if values is not None else ()
    axis = attribute(node, "axis", 1) % max(len(shape), 1)
    channel, summed = axes_of_product(graph, node.output[0], len(shape))
    if block:
        if block not in BLOCK_SIZES.get(element, ()):
            yield Finding("granularity", label(node), f"blocks of {block} {type_name(element)} weights")
        if summed is not None and axis != summed:
            yield Finding(
                "granularity", label(node), f"blocks lie along axis {axis}, the product sums over axis {summed}"
            )
    elif element in INT4 | FP4:
        yield Finding("granularity", label(node), f"{type_name(element)} weights without blocks")
    elif scale.size == 1:
        yield Finding("granularity", label(node), "weights have one scale for all channels")
    elif channel is not None and axis != channel:
        yield Finding(
            "granularity", label(node), f"scales lie along axis {axis}, the output channels along axis {channel}"
        )


def axes_of_product(graph, name, rank):
    """(axis of the output channels, axis that is summed over) of weights in the product that takes them.

    None where it is not one of the known forms.
    """
    axes = list(range(rank))  # of the weights as the product sees them, named as in `name`
    users = graph.users[name]
    while len(users) == 1 and users[0].op_type in {"Transpose", "Identity", "DequantizeLinear", "QuantizeLinear"}:
        if users[0].op_type == "Transpose":
            axes = [axes[place] for place in attribute(users[0], "perm", list(reversed(range(rank))))]
        name = users[0].output[0]
        users = graph.users[name]
    product = next((user for user in users if user.op_type in {"MatMul", "Gemm", "Conv"}), None)
    if product is None or rank < 2:
        return None, None
    if product.op_type == "Conv":
        return axes[0], axes[1]
    on_the_right = product.input[1] == name
    turned = attribute(product, "transB" if on_the_right else "transA", 0)
    return (axes[-2], axes[-1]) if on_the_right == bool(turned) else (axes[-1], axes[-2])


def is_bias(graph, node):
    return any(node.output[0] in bias_inputs(graph, user) for user in graph.users[node.output[0]])


def is_scale(graph, node):
    """Whether it makes scales of another node: NVFP4's, which are quantized themselves."""
    users = graph.users[node.output[0]]
    return bool(users) and all(
        node.output[0] == input_of(user, 1) and user.op_type == "DequantizeLinear" for user in users
    )


def residual_adds(graph):
    for node in graph.nodes:
        if node.op_type != "Add" or any(graph.is_constant(name) for name in node.input):
            continue
        if any(graph.made_by(name, "DequantizeLinear") for name in node.input):
            yield Finding("residual add", label(node), "takes a dequantized value")
        if any(user.op_type == "QuantizeLinear" for user in graph.users[node.output[0]]):
            yield Finding("residual add", label(node), "is quantized")


def decomposed_norms(graph):
    for node in graph.nodes:
        if node.op_type == "ReduceMean":
            minuends = {user.input[0] for user in graph.users[node.output[0]] if user.op_type == "Sub"}
            if node.input[0] in minuends:
                yield Finding("layer norm", label(node), "belongs to a LayerNormalization in single operators")


def decomposed_gelus(graph):
    for node in graph.nodes:
        if node.op_type in {"Erf", "Tanh"}:
            yield Finding("gelu", label(node), f"{node.op_type} belongs to a Gelu in single operators")


def bias_inputs(graph, node):
    """The inputs of a node that are added to its product or norm."""
    if node.op_type in {"Gemm", "Conv"}:
        return [input_of(node, 2)]
    if node.op_type == "LayerNormalization":
        return [input_of(node, 1), input_of(node, 2)]
    return [name for name in node.input if graph.is_constant(name)] if node.op_type == "Add" else []


def biases(graph):
    for node in graph.nodes:
        for name in bias_inputs(graph, node):
            if name and graph.dequantized(name):
                yield Finding("bias", label(node), "has a quantized bias")


def domains(graph):
    for node in graph.nodes:
        if node.domain not in OF_TENSORRT:
            yield Finding("domain", label(node), f"{node.op_type} is an operator of {node.domain}")


# --- answers ---


def normalised(images, facts):
    """float32 of uint8, N x C x S x S, as the program computes it."""
    mean, deviation = (numpy.array(facts[name], numpy.float32).reshape(1, -1, 1, 1) for name in ("mean", "std"))
    return (images.astype(numpy.float32) / numpy.float32(255) - mean) / deviation


def photographs(folder, names, facts):
    """uint8, N x C x S x S: the files as the teacher's preprocessing cuts them."""
    mode = "L" if len(facts["mean"]) == 1 else "RGB"
    try:
        return numpy.stack([prepared(Image.open(folder / name).convert(mode), facts) for name in names])
    except OSError as error:
        raise BadUsage(f"an image that the logits file names cannot be read: {error}") from error


def log_softmax(logits):
    shifted = logits.astype(numpy.float64) - logits.max(axis=1, keepdims=True)
    return shifted - numpy.log(numpy.exp(shifted).sum(axis=1, keepdims=True))


def divergences(reference, other):
    """KL(reference || other) of each image, in nats."""
    expected, found = log_softmax(reference), log_softmax(other)
    apart = (numpy.exp(expected) * (expected - found)).sum(axis=1)
    return numpy.where(apart < 0, 0, apart)  # rounding; NaN stays


@dataclasses.dataclass
class Share:
    value: float
    error: float

    def __str__(self):
        return f"{100 * self.value:.2f} ± {100 * self.error:.2f} %"


@dataclasses.dataclass
class Mean:
    value: float
    error: float

    def __str__(self):
        return f"{self.value:.6f} ± {self.error:.6f}"


def share(hits):
    """As the program's figures have it."""
    value = float(numpy.mean(hits))
    inside = 0 < value < 1
    return Share(value, math.sqrt(value * (1 - value) / len(hits)) if inside else 1 / (len(hits) + 1))


def mean(values):
    return Mean(
        float(numpy.mean(values)), float(numpy.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
    )


def agreement(one, other):
    return share(one.argmax(axis=1) == other.argmax(axis=1))


def top1(logits, labels):
    return share(logits.argmax(axis=1) == labels)


# --- runtimes ---


class OnnxRuntime:
    """onnxruntime on the CPU, one thread. exact: weight-only products do not round their activations."""

    name = "onnxruntime"

    def __init__(self, path, *, exact=False, optimized=None):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        if exact:
            options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "0")
        if optimized:
            options.optimized_model_filepath = str(optimized)
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def __call__(self, batch):
        return self.session.run(None, {self.input: batch})[0]


class OpenVino:
    """OpenVINO on the CPU, one thread; f32 where nothing is quantized. exact: as above."""

    name = "OpenVINO"

    def __init__(self, path, *, precision="f32", exact=False):
        settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
        if exact:
            settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0
        core = openvino.Core()
        self.model = core.compile_model(core.read_model(path), "CPU", settings)
        self.request = self.model.create_infer_request()

    def __call__(self, batch):
        return numpy.array(self.request.infer([batch])[self.model.output(0)])


class Reference:
    """The ONNX project's own evaluator: slow, and right by definition."""

    name = "onnx.reference"

    def __init__(self, path):
        self.evaluator = onnx.reference.ReferenceEvaluator(str(path))

    def __call__(self, batch):
        return self.evaluator.run(None, {self.evaluator.input_names[0]: batch})[0]


def fed(images, facts, takes_bytes):
    return images if takes_bytes else normalised(images, facts)


def logits_of(runtime, images, facts, takes_bytes, batch=BATCH):
    parts = [images[first : first + batch] for first in range(0, len(images), batch)]
    return numpy.concatenate([runtime(fed(part, facts, takes_bytes)) for part in parts]).astype(numpy.float32)


INTEGER_KERNELS = (
    "MatMulIntegerToFloat",
    "QLinearMatMul",
    "QLinearConv",
    "QGemm",
    "MatMulInteger",
    "ConvInteger",
    "DynamicQuantizeMatMul",
    "QAttention",
)


@dataclasses.dataclass
class Kernels:
    """What a runtime made of the products with constant weights. integer, weights: how many; floats: which."""

    counts: dict
    integer: int
    weights: int
    floats: list


def onnxruntime_kernels(path):
    with tempfile.TemporaryDirectory() as folder:
        optimized = pathlib.Path(folder) / "optimized.onnx"
        OnnxRuntime(path, optimized=optimized)
        graph = Graph(onnx.load(optimized))
    counts = collections.Counter(node.op_type for node in graph.nodes)
    kept = (*INTEGER_KERNELS, "MatMulNBits", "DynamicQuantizeLinear")
    named = {name: counts[name] for name in kept if counts[name]}
    return Kernels(
        named,
        sum(counts[name] for name in INTEGER_KERNELS),
        counts["MatMulNBits"],
        [label(product.node) for product in products(graph)],
    )


def openvino_kernels(runtime):
    """FullyConnected and Convolution have constant weights; what multiplies two activations is called MatMul."""
    counts, integer, weights, floats = collections.Counter(), 0, 0, []
    for operator in runtime.model.get_runtime_model().get_ordered_ops():
        facts = {
            name: str(value.value if hasattr(value, "value") else value)
            for name, value in operator.get_rt_info().items()
        }
        if facts.get("layerType") in {"FullyConnected", "Convolution"}:
            precision = facts["runtimePrecision"]
            counts[f"{facts['layerType']} {precision}"] += 1
            if precision in {"f32", "f16", "bf16"}:
                floats.append(operator.get_friendly_name())
            integer += precision in {"u8", "i8"}
            weights += precision in {"u4", "i4", "f4e2m1", "f8e4m3"}
    return Kernels(dict(counts), integer, weights, floats)


# --- the report ---


@dataclasses.dataclass
class Check:
    file: str
    name: str
    text: str
    value: object = None
    error: float = None
    limit: str = ""
    holds: bool = None  # None: reported only
    remarks: list = dataclasses.field(default_factory=list)


class Report:
    """What was found, in order; limits that are None do not judge."""

    def __init__(self, limits):
        self.limits = limits
        self.checks = []

    def add(self, file, name, text, *, value=None, holds=None, remarks=()):
        self.checks.append(Check(file, name, text, value, holds=holds, remarks=list(remarks)))

    def measure(self, file, name, figure, most=None, least=None, remarks=()):
        """A figure (a Mean, a Share or a number) against the limit of this name."""
        value, error = (figure.value, figure.error) if isinstance(figure, (Mean, Share)) else (figure, None)
        text = str(figure) if error is not None else f"{figure:.4f}"
        check = Check(file, name, text, value, error, remarks=list(remarks))
        bound = self.limits.get(most or least)
        if bound is not None:
            check.limit = f"{'<=' if most else '>='} {bound:g}"
            check.holds = bool(value <= bound if most else value >= bound)
        self.checks.append(check)

    def failed(self):
        return [f"{check.file}: {check.name}" for check in self.checks if check.holds is False]

    def table(self):
        lines = []
        for file, group in itertools.groupby(self.checks, key=lambda check: check.file):
            lines += ["", file]
            for check in group:
                verdict = {True: "holds", False: "FAILS", None: ""}[check.holds]
                head = textwrap.wrap(check.name, 44)
                text = textwrap.wrap(check.text, 30, break_on_hyphens=False) or [""]
                for row, (left, right) in enumerate(itertools.zip_longest(head, text, fillvalue="")):
                    ends = (check.limit, verdict) if row == 0 else ("", "")
                    lines.append(f"  {left:<44} {right:<30} {ends[0]:<10} {ends[1]}".rstrip())
                for remark in check.remarks:
                    lines += textwrap.wrap(remark, 100, initial_indent="      ", subsequent_indent="      ")
        failed, judged = self.failed(), sum(check.holds is not None for check in self.checks)
        lines += ["", f"{len(failed)} of {judged} checks fail:" if failed else f"All {judged} checks hold."]
        return "\n".join([*lines, *(f"  {name}" for name in failed)]).lstrip("\n")

    def facts(self):
        return {
            "holds": not self.failed(),
            "failed": self.failed(),
            "limits": self.limits,
            "versions": {module.__name__: module.__version__ for module in (onnx, onnxruntime, openvino)},
            "checks": [dataclasses.asdict(check) for check in self.checks],
        }


def without_nan(value):
    """JSON has no numbers that are not finite."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def first_line(error):
    """What a package says, without the places in its own source where it says so."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not re.match(r"(Exception from|Check '.*' failed at) src/", line)]
    return (said or lines or [type(error).__name__])[0][:500]


def several(findings, most=5):
    texts = [str(finding) for finding in findings]
    return texts[:most] + ([f"and {len(texts) - most} more"] if len(texts) > most else [])


# --- checks of a folder ---

MANIFEST_FIELDS = ("format", "recipe", "data_free", "teacher", "preprocessing", "models")


@dataclasses.dataclass
class Evaluation:
    """The program's answers, and the images that it gave them to."""

    images: numpy.ndarray
    teacher: numpy.ndarray
    student: numpy.ndarray
    labels: numpy.ndarray
    facts: dict


@dataclasses.dataclass
class Model:
    """An ONNX file of the folder. runtimes: those that load it; refused: the messages of the others."""

    path: pathlib.Path
    graph: Graph
    takes_bytes: bool
    runtimes: dict = dataclasses.field(default_factory=dict)
    refused: dict = dataclasses.field(default_factory=dict)
    logits: dict = dataclasses.field(default_factory=dict)

    @property
    def name(self):
        return self.path.name


def read_manifest(folder):
    try:
        return json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError) as error:
        raise BadUsage(f"{folder} is not a folder of eidolon export: {error}") from error


def read_evaluation(options, manifest):
    """The answers and images of the call; as many as --limit says, spread over all."""
    try:
        with safe_open(options.logits, "numpy") as file:
            tensors = {name: file.get_tensor(name) for name in ("teacher", "student", "labels")}
            names = json.loads(file.metadata()["images"])
        if {len(tensor) for tensor in tensors.values()} != {len(names)}:
            raise ValueError("its tensors and its list of images have different lengths")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise BadUsage(f"{options.logits} is not a file of eidolon evaluate --logits: {error}") from error
    count = min(options.limit or len(names), len(names))
    chosen = numpy.linspace(0, len(names) - 1, count).round().astype(int)
    facts = manifest["preprocessing"]
    images = photographs(options.images, [names[place] for place in chosen], facts)
    return Evaluation(images, *(tensors[name][chosen] for name in ("teacher", "student", "labels")), facts)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sums(report, folder):
    """Every file of the folder is listed, and is what is listed."""
    path = folder / "SHA256SUMS"
    if not path.is_file():
        report.add("SHA256SUMS", "is there", "missing", holds=False)
        return
    listed = {name: sum_ for sum_, name in re.findall(r"^([0-9a-f]{64}) [ *](.+)$", path.read_text(), re.MULTILINE)}
    present = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} - {"SHA256SUMS"}
    wrong = [f"{name} is missing" for name in sorted(listed.keys() - present)]
    wrong += [f"{name} is not listed" for name in sorted(present - listed.keys())]
    wrong += [f"{name} differs" for name in sorted(listed.keys() & present) if digest(folder / name) != listed[name]]
    report.add("SHA256SUMS", "lists every file as it is", f"{len(listed)} files", holds=not wrong, remarks=wrong)


def check_manifest(report, manifest):
    """Whether it has the fields that the other checks need."""
    missing = [name for name in MANIFEST_FIELDS if name not in manifest]
    text = f"missing: {', '.join(missing)}" if missing else f"recipe {manifest['recipe']}"
    report.add("manifest.json", "has its fields", text, holds=not missing)
    return not missing


def data_files(path):
    """The file of a model and those that hold its weights."""
    model = onnx.load(path, load_external_data=False)
    entries = (entry for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location")
    return [path, *{path.parent / entry.value for entry in entries}]


def size_of(path):
    return sum(file.stat().st_size for file in (data_files(path) if path.suffix == ".onnx" else [path]))


def float_size(options, manifest):
    """Bytes of the teacher's parameters as float32, or None."""
    parameters = manifest.get("teacher", {}).get("parameters")
    if isinstance(parameters, int):
        return 4 * parameters
    return size_of(options.float_model) if options.float_model else None


def check_size(report, path, whole):
    size = size_of(path)
    report.add(path.name, "size", f"{size / 1e6:.2f} MB", value=size)
    if whole:
        report.measure(path.name, "size over that of float32", size / whole, most="size")


def expected_versions(graph):
    """(opset, IR) that the types of a model ask for: no newer ones than needed."""
    used = types_in(graph)
    opset = 24 if TensorProto.FLOAT8E8M0 in used else 23 if used & FP4 else 21
    return opset, onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)])


def check_structure(report, model, kind):
    """The official checker, and what export promises of names and types. kind: the manifest's word, or None."""
    try:
        onnx.checker.check_model(str(model.path), full_check=True)
        onnx.shape_inference.infer_shapes(model.graph.model, check_type=True, strict_mode=True, data_prop=True)
        said = []
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        said = [first_line(error)]
    report.add(
        model.name,
        "onnx.checker, strict shape inference",
        "refused" if said else "accepted",
        holds=not said,
        remarks=said,
    )
    proto = model.graph.model
    found = next(entry.version for entry in proto.opset_import if entry.domain in {"", "ai.onnx"}), proto.ir_version
    expected = expected_versions(model.graph)
    remarks = [] if found == expected or kind is None else [f"expected are {expected[0]} and {expected[1]}"]
    report.add(
        model.name,
        "opset and IR",
        f"{found[0]}, {found[1]}",
        value=list(found),
        holds=not remarks if kind else None,
        remarks=remarks,
    )
    if kind is None:
        return
    wrong = signature_findings(model.graph, kind)
    report.add(model.name, "input and output", signature(model.graph), holds=not wrong, remarks=wrong)


def dimensions(value):
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


def signature(graph):
    values = itertools.chain(graph.inputs.values(), graph.model.graph.output)
    return ", ".join(f"{value.name} {type_name(value.type.tensor_type.elem_type)}" for value in values)


def signature_findings(graph, kind):
    outputs = list(graph.model.graph.output)
    if list(graph.inputs) != ["image"] or [value.name for value in outputs] != ["logits"]:
        return ["expected are one input called image and one output called logits"]
    image, logits = graph.inputs["image"], outputs[0]
    found = []
    element = TensorProto.UINT8 if kind == "bytes" else TensorProto.FLOAT
    if image.type.tensor_type.elem_type != element:
        found.append(f"the input is said to be {kind}: expected is {type_name(element)}")
    if logits.type.tensor_type.elem_type != TensorProto.FLOAT:
        found.append("expected are logits of type float")
    for value, rank in ((image, 4), (logits, 2)):
        if len(dimensions(value)) != rank or not isinstance(dimensions(value)[0], str):
            found.append(f"{value.name}: expected are {rank} dimensions, the first of them free")
    return found


def check_rules(report, model, enforced):
    findings = tensorrt_findings(model.graph.model)
    text = f"{len(findings)} broken" if findings else "kept"
    report.add(
        model.name,
        "TensorRT's rules (not run there)",
        text,
        value=[str(finding) for finding in findings],
        holds=not findings if enforced else None,
        remarks=several(findings),
    )


def load_in_runtimes(report, model):
    """Compiles the model in both runtimes. Only FP4, which onnxruntime lacks on CPUs, is a reason not to."""
    exact = is_weight_only(model.graph)
    for runtime in (OnnxRuntime, OpenVino):
        try:
            model.runtimes[runtime.name] = runtime(model.path, exact=exact)
        except Exception as error:  # of many types, all of them the runtime's word
            model.refused[runtime.name] = first_line(error)
            excused = bool(types_in(model.graph) & FP4) or None
            report.add(
                model.name,
                f"{runtime.name} loads it",
                "no",
                holds=None if excused else False,
                remarks=[model.refused[runtime.name]],
            )
    if exact:
        report.add(
            model.name,
            "weight-only products: set for the checks",
            "accuracy level 0",
            remarks=[
                "onnxruntime: session.qdq_matmulnbits_accuracy_level=0, OpenVINO: DYNAMIC_QUANTIZATION_GROUP_SIZE=0; "
                "by default both round the activations of these products to 8 bits"
            ],
        )


def check_kernels(report, model):
    """A product that the file quantizes is not computed in float where the runtime has a kernel for it."""
    found = collections.Counter(product.kind for product in products(model.graph))
    report.add(model.name, "products with constant weights", listing(found), value=dict(found))
    if OnnxRuntime.name in model.runtimes:
        kernels = onnxruntime_kernels(model.path)
        weights = sum(
            product.kind == "weights" and product.node.op_type == "MatMul" for product in products(model.graph)
        )
        fallen = len(kernels.floats) - (found.total() - found["integer"] - weights)
        holds = kernels.integer >= found["integer"] and kernels.weights >= weights and fallen <= 0
        add_kernels(report, model, OnnxRuntime.name, kernels, holds if found["integer"] + weights else None)
    if OpenVino.name in model.runtimes:
        kernels = openvino_kernels(model.runtimes[OpenVino.name])
        add_kernels(
            report, model, OpenVino.name, kernels, kernels.integer >= found["integer"] if found["integer"] else None
        )


def listing(counts):
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def add_kernels(report, model, runtime, kernels, holds):
    names = several(kernels.floats, 3)
    floats = [f"float products with constant weights: {len(kernels.floats)} ({', '.join(names)})"] if names else []
    report.add(
        model.name,
        f"kernels of {runtime}",
        listing(kernels.counts),
        value=dataclasses.asdict(kernels),
        holds=holds,
        remarks=floats,
    )


def is_usable(report, model, runtime, logits, expected):
    """Whether logits can be compared: of the right shape and finite."""
    text = None
    if logits.shape != expected.shape:
        text = (
            f"{logits.shape[0]} x {logits.shape[1:]} where the program has {expected.shape[0]} x {expected.shape[1:]}"
        )
    elif not numpy.all(numpy.isfinite(logits)):
        text = f"not finite on {int((~numpy.isfinite(logits).all(axis=1)).sum())} images"
    if text:
        report.add(model.name, f"{runtime}: logits", text, holds=False)
    return text is None


def answers(report, model, name, runtime, evaluation):
    """Its logits of all images; None, and a failed check, if it gives none that can be compared."""
    try:
        logits = logits_of(runtime, evaluation.images, evaluation.facts, model.takes_bytes)
    except Exception as error:  # of many types, all of them the runtime's word
        report.add(model.name, f"{name} runs it", "no", holds=False, remarks=[first_line(error)])
        return None
    return logits if is_usable(report, model, name, logits, evaluation.student) else None


def check_answers(report, model, evaluation):
    for name, runtime in model.runtimes.items():
        logits = answers(report, model, name, runtime, evaluation)
        if logits is not None:
            model.logits[name] = logits
            compare_to_program(report, model, name, logits, evaluation, judged=name == OnnxRuntime.name)
            compare_to_teacher(report, model, name, logits, evaluation, judged=name == OnnxRuntime.name)
    if OnnxRuntime.name in model.refused:
        check_by_reference(report, model, evaluation)
    if len(model.logits) == 2:
        both = model.logits.values()
        report.measure(model.name, "onnxruntime || OpenVINO: KL", mean(divergences(*both)), most="runtimes_kl")
        report.measure(model.name, "onnxruntime, OpenVINO: agreement", agreement(*both), least="runtimes_agreement")
    if is_weight_only(model.graph) and OnnxRuntime.name in model.logits:
        rounded = logits_of(OnnxRuntime(model.path), evaluation.images, evaluation.facts, model.takes_bytes)
        compare_to_program(report, model, "onnxruntime at level 4, its default", rounded, evaluation, judged=False)


def compare_to_program(report, model, name, logits, evaluation, judged):
    """Against the student's logits; judged: by the limits."""
    most, least, gap = ("program_kl", "program_agreement", "program_top1") if judged else ("", "", "")
    report.measure(
        model.name, f"program's student || {name}: KL", mean(divergences(evaluation.student, logits)), most=most
    )
    report.measure(
        model.name, f"program's student, {name}: agreement", agreement(evaluation.student, logits), least=least
    )
    found, expected = top1(logits, evaluation.labels), top1(evaluation.student, evaluation.labels)
    report.measure(model.name, f"program's student, {name}: top-1 apart", abs(found.value - expected.value), most=gap)


def compare_to_teacher(report, model, name, logits, evaluation, judged):
    most, lost = ("teacher_kl", "teacher_top1") if judged else ("", "")
    found, expected = top1(logits, evaluation.labels), top1(evaluation.teacher, evaluation.labels)
    report.measure(model.name, f"{name}: top-1", found)
    report.measure(model.name, f"{name}: top-1 lost against the teacher", expected.value - found.value, most=lost)
    report.measure(model.name, f"teacher || {name}: KL", mean(divergences(evaluation.teacher, logits)), most=most)
    report.measure(model.name, f"teacher, {name}: agreement", agreement(evaluation.teacher, logits))


def check_by_reference(report, model, evaluation):
    """For files with FP8 or FP4 that onnxruntime does not load."""
    if not types_in(model.graph) & (FP8 | FP4):
        return
    few = slice(0, REFERENCE_IMAGES)
    part = Evaluation(
        evaluation.images[few],
        evaluation.teacher[few],
        evaluation.student[few],
        evaluation.labels[few],
        evaluation.facts,
    )
    name = f"onnx.reference, {len(part.images)} images"
    logits = answers(report, model, name, Reference(model.path), part)
    if logits is not None:
        compare_to_program(report, model, name, logits, part, judged=True)


def check_batches(report, model, evaluation):
    """Images together are answered as they are one by one."""
    images = numpy.resize(evaluation.images, (BATCH, *evaluation.images.shape[1:]))
    for name, runtime in model.runtimes.items():
        if name not in model.logits:
            continue
        single, *others = (logits_of(runtime, images, evaluation.facts, model.takes_bytes, batch) for batch in BATCHES)
        apart = [sum(single.argmax(axis=1) != other.argmax(axis=1)) for other in others]
        report.add(
            model.name,
            f"{name}: batches of {', '.join(map(str, BATCHES))}: answers",
            f"{max(apart)} of {len(images)} differ",
            value=int(max(apart)),
            holds=not max(apart),
        )
        furthest = max((mean(divergences(single, other)) for other in others), key=lambda figure: figure.value)
        report.measure(
            model.name, f"{name}: batches of {', '.join(map(str, BATCHES))}: KL", furthest, most="batches_kl"
        )


def check_inputs(report, models):
    """The files for normalised images and for bytes are one model."""
    for name in (OnnxRuntime.name, OpenVino.name):
        of_kind = {model.takes_bytes: model.logits[name] for model in models if name in model.logits}
        if len(of_kind) == 2:
            file = " and ".join(model.name for model in models)
            report.measure(
                file,
                f"{name}: normalised || bytes: KL",
                mean(divergences(of_kind[False], of_kind[True])),
                most="inputs_kl",
            )
            report.measure(
                file,
                f"{name}: normalised, bytes: agreement",
                agreement(of_kind[False], of_kind[True]),
                least="inputs_agreement",
            )


# --- speed ---


def alternated(candidates, rounds):
    """Seconds of this process's CPU for each round of each candidate, taken in turn, forwards and backwards."""
    seconds = {name: [] for name in candidates}
    for name in candidates:
        candidates[name]()
    for round_ in range(rounds):
        for name in list(candidates) if round_ % 2 == 0 else list(reversed(candidates)):
            began = time.process_time()
            candidates[name]()
            seconds[name].append(time.process_time() - began)
    return seconds


def ratio_text(slow, fast):
    """(ratio of the medians, with the quartiles of the rounds' ratios as text)."""
    ratio = statistics.median(slow) / statistics.median(fast)
    ratios = [one / other for one, other in zip(slow, fast, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    return ratio, f"{low:.2f} to {high:.2f}"


def bound_call(runtime, batch):
    return lambda: runtime(batch)


def speed_candidates(model, float_runtimes, images, facts):
    """Calls to be timed: this file and the float model in both runtimes, and the float model as bfloat16."""
    candidates = {}
    for (name, precision), runtime in float_runtimes.items():
        candidates[name, precision] = bound_call(runtime, normalised(images, facts))
    for name, runtime in model.runtimes.items():
        candidates[name, "file"] = bound_call(runtime, fed(images, facts, model.takes_bytes))
    return candidates


def float_runtimes(path):
    runtimes = {("onnxruntime", "float32"): OnnxRuntime(path), ("OpenVINO", "float32"): OpenVino(path)}
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        runtimes["OpenVINO", "bfloat16"] = OpenVino(path, precision="bf16")
    return runtimes


def check_speed(report, model, options, facts):
    runtimes = float_runtimes(options.float_model)
    side, channels = facts["image_size"], len(facts["mean"])
    for batch, rounds in ((1, options.rounds), (16, max(options.rounds // 3, 2))):
        images = numpy.random.default_rng(1).integers(0, 256, (batch, channels, side, side), numpy.uint8)
        seconds = alternated(speed_candidates(model, runtimes, images, facts), rounds)
        for name, short in (("onnxruntime", "ort"), ("OpenVINO", "openvino")):
            if (name, "file") in seconds:
                add_ratio(
                    report,
                    model,
                    f"{name}, batch {batch}: speed over float32",
                    seconds[name, "float32"],
                    seconds[name, "file"],
                    f"{short}_speed_{batch}",
                )
        if ("OpenVINO", "bfloat16") in seconds:
            add_ratio(
                report,
                model,
                f"OpenVINO, batch {batch}: bfloat16 over float32",
                seconds["OpenVINO", "float32"],
                seconds["OpenVINO", "bfloat16"],
                "",
            )
            if ("OpenVINO", "file") in seconds:
                add_ratio(
                    report,
                    model,
                    f"OpenVINO, batch {batch}: speed over bfloat16",
                    seconds["OpenVINO", "bfloat16"],
                    seconds["OpenVINO", "file"],
                    "bf16_speed",
                )


def add_ratio(report, model, name, slow, fast, limit):
    ratio, spread = ratio_text(slow, fast)
    report.measure(model.name, name, ratio, least=limit)
    milliseconds = 1e3 * statistics.median(fast)
    report.checks[-1].text = f"{ratio:.2f} ({spread}), {milliseconds:.1f} ms"


# --- the call ---


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise BadUsage(message)


def limit_value(text):
    return None if text == "none" else float(text)


def parser():
    made = Parser(
        prog="scripts/check_export",
        description="Checks what `eidolon export` wrote, by the official packages.",
        epilog="Limits that are not given depend on the recipe; `none` takes one away.",
    )
    made.add_argument("path", type=pathlib.Path, metavar="DIR", help="<run>/export/<target>, or an ONNX file alone")
    made.add_argument("--logits", type=pathlib.Path, metavar="FILE", help="of `eidolon evaluate JOB --logits FILE`")
    made.add_argument("--images", type=pathlib.Path, metavar="FOLDER", help="evaluation.images of that job")
    made.add_argument("--json", type=pathlib.Path, metavar="OUT", help="the same as JSON")
    made.add_argument("--limit", type=int, metavar="N", help="of the images, so many")
    made.add_argument("--rules", choices=["tensorrt"], help="TensorRT's rules must hold, whatever the target")
    made.add_argument("--float-model", type=pathlib.Path, metavar="FILE", help="the teacher as float32 ONNX")
    made.add_argument("--speed", action="store_true", help="CPU time of one thread against the float model")
    made.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="of --speed (default: %(default)s)")
    made.add_argument(
        "--acceptance", action="store_true", help="also the limits for students of DeiT-Tiny and ViT-Tiny"
    )
    limits = made.add_argument_group("limits")
    for name, text in LIMIT_TEXTS.items():
        limits.add_argument(
            f"--{name.replace('_', '-')}", type=limit_value, default=argparse.SUPPRESS, metavar="X", help=text
        )
    return made


def read_options(arguments):
    options = parser().parse_args(arguments)
    if bool(options.logits) != bool(options.images):
        raise BadUsage("--logits and --images go together")
    for path in filter(None, (options.path, options.logits, options.images, options.float_model)):
        if not path.exists():
            raise BadUsage(f"{path} is not there")
    if (options.limit is not None and options.limit < 1) or options.rounds < 4:
        raise BadUsage("--limit is 1 at least, --rounds 4")
    if options.path.is_file() and options.logits:
        raise BadUsage("--logits and --images go with a folder, whose manifest says how images are prepared")
    return options


def limits_of(options, recipe):
    chosen = dict(LIMITS.get(recipe, {}))
    if options.acceptance:
        chosen.update(ACCEPTANCE.get(recipe, {}))
    chosen.update({name: getattr(options, name) for name in LIMIT_TEXTS if hasattr(options, name)})
    return {name: value for name, value in chosen.items() if value is not None}


def read_model(report, path):
    try:
        graph = Graph(onnx.load(path))
    except Exception as error:  # a damaged file gives errors of many types
        report.add(path.name, "is an ONNX file", "no", holds=False, remarks=[first_line(error)])
        return None
    inputs = list(graph.inputs.values())
    return Model(path, graph, bool(inputs) and graph.type(inputs[0].name) == TensorProto.UINT8)


def check_folder(options):
    folder, manifest = options.path, read_manifest(options.path)
    report = Report(limits_of(options, manifest.get("recipe")))
    check_sums(report, folder)
    if not check_manifest(report, manifest):
        return report
    evaluation = read_evaluation(options, manifest) if options.logits else None
    models = [check_model(report, options, manifest, entry, evaluation) for entry in manifest["models"]]
    check_inputs(report, [model for model in models if model])
    for path in sorted(folder.glob("*.safetensors")):
        check_packed(report, path, float_size(options, manifest))
    if evaluation and options.float_model:
        check_float_model(report, options, evaluation)
    if options.speed and not options.float_model:
        report.add("speed", "not measured", "no --float-model")
    return report


def check_model(report, options, manifest, entry, evaluation):
    """All about one ONNX file of the folder, an entry of the manifest; what was read of it, or None."""
    model = read_model(report, options.path / entry["file"])
    if model is None:
        return None
    check_structure(report, model, entry["input"])
    check_size(report, model.path, float_size(options, manifest))
    check_rules(report, model, options.rules or manifest.get("target", options.path.resolve().name) == "tensorrt")
    load_in_runtimes(report, model)
    check_kernels(report, model)
    if evaluation:
        check_answers(report, model, evaluation)
        check_batches(report, model, evaluation)
    if options.speed and options.float_model:
        check_speed(report, model, options, manifest["preprocessing"])
    return model


def check_packed(report, path, whole):
    try:
        with safe_open(path, "numpy") as file:
            count, said = len(file.keys()), []
    except (OSError, SafetensorError) as error:
        count, said = 0, [first_line(error)]
    report.add(path.name, "tensors", str(count), value=count, holds=not said, remarks=said)
    check_size(report, path, whole)


def check_float_model(report, options, evaluation):
    """Whether the images are prepared here as they are in the program: the teacher's logits are the program's."""
    logits = logits_of(OnnxRuntime(options.float_model), evaluation.images, evaluation.facts, False)
    file = options.float_model.name
    report.measure(file, "program's teacher || onnxruntime: KL", mean(divergences(evaluation.teacher, logits)))
    report.measure(file, "program's teacher, onnxruntime: agreement", agreement(evaluation.teacher, logits))


def check_file(options):
    """An ONNX file of any origin: by the checker and TensorRT's rules."""
    report = Report({})
    model = read_model(report, options.path)
    if model is not None:
        check_structure(report, model, None)
        check_rules(report, model, options.rules)
    return report


def main(arguments=None):
    try:
        options = read_options(arguments)
        report = check_file(options) if options.path.is_file() else check_folder(options)
    except BadUsage as error:
        print(f"error: {error}", file=sys.stderr)
        return 64
    print(report.table())
    if options.json:
        options.json.write_text(json.dumps(without_nan(report.facts()), indent=1) + "\n")
    return 1 if report.failed() else 0


if __name__ == "__main__":
    sys.exit(main())
