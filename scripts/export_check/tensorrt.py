"""TensorRT's rules for explicit quantization, as its documents have them; nothing is run there."""

import numpy
from onnx import TensorProto

from export_check.graph import FP4, FP8, INT4, INT8, Graph, attribute, input_of, label, type_name

QUANTIZERS = {"QuantizeLinear", "DequantizeLinear"}
ACTIVATIONS = {TensorProto.INT8, TensorProto.FLOAT8E4M3FN}
WEIGHTS = ACTIVATIONS | {TensorProto.INT4, TensorProto.FLOAT4E2M1}
BLOCK_SIZES = {TensorProto.INT4: (64, 128), TensorProto.FLOAT4E2M1: (16,), TensorProto.FLOAT8E4M3FN: (32,)}
LOW = INT8 | INT4 | FP8 | FP4 | {TensorProto.INT16, TensorProto.UINT16, TensorProto.INT2, TensorProto.UINT2}


def findings(model):
    """`rule: node: what` of each place where a model breaks them."""
    graph = Graph(model)
    found = ((rule, label(node), text) for rule, check in RULES.items() for node, text in check(graph) if text)
    return [": ".join(each) for each in found]


def quantizers(graph):
    """(node, whether of weights) of each QuantizeLinear and DequantizeLinear."""
    return [(node, graph.is_constant(node.input[0])) for node in graph.nodes if node.op_type in QUANTIZERS]


def codes_type(graph, node):
    return graph.type(node.input[0] if node.op_type == "DequantizeLinear" else node.output[0])


def zero_points(graph):
    for node, _ in quantizers(graph):
        values = graph.constant(input_of(node, 2)) if input_of(node, 2) else 0
        if values is None or numpy.any(numpy.asarray(values, numpy.float32) != 0):
            yield node, "is not constant" if values is None else "is not zero"


def scales(graph):
    for node, _ in quantizers(graph):
        values = graph.constant(node.input[1])
        if values is None:
            yield node, "is not constant"
        elif not ((numbers := values.astype(numpy.float64)) > 0).all() or not numpy.isfinite(numbers).all():
            yield node, "is not positive and finite everywhere"


def types(graph):
    for node, of_weights in quantizers(graph):
        if codes_type(graph, node) not in (WEIGHTS if of_weights else ACTIVATIONS):
            yield node, f"{type_name(codes_type(graph, node))} {'weights' if of_weights else 'activations'}"
    for node in graph.nodes:
        reads_bytes = node.op_type == "Cast" and node.input[0] in graph.inputs
        if node.op_type not in QUANTIZERS and not reads_bytes and not graph.is_constant(node.output[0]):
            low = [type_name(graph.type(name)) for name in (*node.input, *node.output) if graph.type(name) in LOW]
            yield node, low and f"{node.op_type} takes or makes {low[0]}"


def granularities(graph):
    for node, of_weights in quantizers(graph):
        scale = graph.constant(node.input[1])
        if scale is None:
            continue  # breaks the rule of scales
        if of_weights:
            yield node, weight_granularity(graph, node, scale)
        elif scale.size != 1 or attribute(node, "block_size", 0):
            yield node, "activations have more than one scale"


def weight_granularity(graph, node, scale):
    """What is wrong with the scales of weights, or None; of values in no product, as biases and scales are, nothing."""
    block, element = attribute(node, "block_size", 0), codes_type(graph, node)
    rank = numpy.ndim(graph.constant(node.input[0]))
    axis = attribute(node, "axis", 1) % max(rank, 1)
    channel, summed = axes_of_product(graph, node.output[0], rank)
    if channel is None:
        return None
    if block and block not in BLOCK_SIZES.get(element, ()):
        return f"blocks of {block} {type_name(element)} weights"
    if block:
        return None if axis == summed else f"blocks lie along axis {axis}, the product sums over axis {summed}"
    if element in INT4 | FP4:
        return f"{type_name(element)} weights without blocks"
    if scale.size == 1:
        return "weights have one scale for all channels"
    return None if axis == channel else f"scales lie along axis {axis}, the output channels along axis {channel}"


def axes_of_product(graph, name, rank):
    """(axis of the output channels, axis that is summed over) of weights in their product; None where there is none."""
    axes = list(range(rank))  # of the weights as the product sees them, named as in `name`
    users = graph.users[name]
    passed = QUANTIZERS | {"Transpose", "Identity"}
    while len(users) == 1 and users[0].op_type in passed and users[0].input[0] == name:
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
    is_turned = bool(attribute(product, "transB" if on_the_right else "transA", 0))
    return (axes[-2], axes[-1]) if on_the_right == is_turned else (axes[-1], axes[-2])


def reads_of_rounded(graph, name):
    """Who reads `name` behind QuantizeLinear and DequantizeLinear."""
    for quantize in graph.users[name]:
        if quantize.op_type == "QuantizeLinear":
            for dequantize in graph.users[quantize.output[0]]:
                yield from graph.users[dequantize.output[0]]


def residual_adds(graph):
    """The sum may be rounded for the product behind it, where no norm stands between; the stream itself stays float."""
    for node in graph.nodes:
        if node.op_type == "Add" and not any(map(graph.is_constant, node.input)):
            takes = any(graph.made_by(name, "DequantizeLinear") for name in node.input)
            makes = any(reader.op_type not in ("Conv", "MatMul", "Gemm") for reader in reads_of_rounded(graph, node.output[0]))
            yield node, takes and "takes a dequantized value"
            yield node, makes and "is quantized"


def decomposed_norms(graph):
    for node in graph.nodes:
        users = graph.users[node.output[0]] if node.op_type == "ReduceMean" else []
        if any(user.op_type == "Sub" and user.input[0] == node.input[0] for user in users):
            yield node, "belongs to a LayerNormalization in single operators"


def decomposed_gelus(graph):
    for node in graph.nodes:
        if node.op_type in {"Erf", "Tanh"}:
            yield node, f"{node.op_type} belongs to a Gelu in single operators"


def biases(graph):
    for node in graph.nodes:
        places = {"Gemm": (2,), "Conv": (2,), "LayerNormalization": (1, 2), "Add": (0, 1)}.get(node.op_type, ())
        names = [input_of(node, place) for place in places]
        if any(graph.is_constant(name) and graph.dequantized(name) for name in names):
            yield node, "has a quantized bias"


def domains(graph):
    for node in graph.nodes:
        if node.domain not in {"", "ai.onnx", "trt", "trt.plugins"}:
            yield node, f"{node.op_type} is an operator of {node.domain}"


RULES = {
    "zero point": zero_points,
    "scale": scales,
    "type": types,
    "granularity": granularities,
    "residual add": residual_adds,
    "layer norm": decomposed_norms,
    "gelu": decomposed_gelus,
    "bias": biases,
    "domain": domains,
}
