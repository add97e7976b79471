"""Look-ups in an ONNX graph, and its products with constant weights."""

import collections
import contextlib
import dataclasses

import onnx
import onnx.reference
from onnx import TensorProto

MOVES = {"Flatten", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
FOLDED = {"Cast", "DequantizeLinear", "Identity", "Mul", "Reshape", "Transpose"}  # of constants, evaluated here
PRODUCTS = {"Conv", "FusedConv", "FusedGemm", "FusedMatMul", "Gemm", "MatMul", "NhwcFusedConv"}
INT8 = {TensorProto.INT8, TensorProto.UINT8}
INT4 = {TensorProto.INT4, TensorProto.UINT4}
FP8 = {TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E4M3FNUZ, TensorProto.FLOAT8E5M2, TensorProto.FLOAT8E5M2FNUZ}
FP4 = {TensorProto.FLOAT4E2M1}

# Kinds of products: by what is quantized, or by why it is not.
INTEGER, WEIGHTS, INT4_INT8 = "integer", "weights", "int4 x int8"
IMAGE, SIDE, FLOAT = "float Conv of the image", "float side path", "float"
SIDE_CHANNELS = 8  # a side path has at most so many input channels


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
    """Who makes a value, who uses it, its type, whether it is constant; of the main graph of a model."""

    def __init__(self, model):
        self.model, self.nodes = model, list(model.graph.node)
        self.initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self.inputs = {value.name: value for value in model.graph.input}
        self.makers = {name: node for node in self.nodes for name in node.output if name}
        self.users = collections.defaultdict(list)
        for node in self.nodes:
            for name in node.input:
                self.users[name].append(node)
        self.types = {name: tensor.data_type for name, tensor in self.initializers.items()} | self._inferred_types()
        for node in self.nodes:  # inference does not say it behind operators of other domains
            if node.op_type == "QuantizeLinear":
                said = attribute(node, "output_dtype", 0) or TensorProto.UINT8
                self.types[node.output[0]] = self.types.get(input_of(node, 2), said)

    def _inferred_types(self):
        values = self.model.graph.input
        with contextlib.suppress(onnx.shape_inference.InferenceError):  # the checker reports it
            inferred = onnx.shape_inference.infer_shapes(self.model).graph
            values = [*inferred.input, *inferred.value_info, *inferred.output]
        return {value.name: value.type.tensor_type.elem_type for value in values}

    def type(self, name):
        return self.types.get(name, TensorProto.UNDEFINED)

    def made_by(self, name, *kinds):
        """The node that makes the value, if it is one of these kinds."""
        node = self.makers.get(name)
        return node if node is not None and node.op_type in kinds else None

    def before(self, name, *kinds):
        """The value that nodes of these kinds made this one of."""
        while node := self.made_by(name, *kinds):
            name = node.input[0]
        return name

    def is_constant(self, name):
        """Whether nothing but constants goes into it, however it is cast, scaled, moved or (de)quantized."""
        node = self.made_by(name, "Constant", "QuantizeLinear", *FOLDED, *MOVES)
        return name in self.initializers or bool(node) and all(map(self.is_constant, filter(None, node.input)))

    def constant(self, name):
        """Its values; None if it is not constant, or not of the kinds that are evaluated here."""
        if name in self.initializers:
            return onnx.numpy_helper.to_array(self.initializers[name])
        node = self.made_by(name, "Constant", *FOLDED)
        feeds = {each: self.constant(each) for each in node.input if each} if node else {"": None}
        if any(value is None for value in feeds.values()):
            return None
        versions = {entry.domain: entry.version for entry in self.model.opset_import}
        return onnx.reference.ReferenceEvaluator(node, opsets=versions).run(None, feeds)[0]

    def dequantized(self, name):
        """The DequantizeLinear that a value comes from, past nodes that only move values; None if there is none."""
        return self.made_by(self.before(name, "Cast", *MOVES), "DequantizeLinear")


@dataclasses.dataclass
class Product:
    """A product with constant weights. kind: one of those above, or "fp8", "fp4" for weights of these types."""

    node: onnx.NodeProto
    kind: str


def reads_image(graph, node, others):
    """Whether it convolves the image, which may be normalised in front."""
    moves = ("Cast", "Div", "ReorderInput", "Sub", *MOVES)
    return "Conv" in node.op_type and graph.before(others, *moves) in graph.inputs


def float_kind(graph, node, weights, others):
    if reads_image(graph, node, others):
        return IMAGE
    gathers = "Conv" not in node.op_type and graph.made_by(others, "Gather")
    return SIDE if gathers and len(graph.constant(weights)) <= SIDE_CHANNELS else FLOAT


def kind_of(graph, node, weights, others):
    codes, other = graph.dequantized(weights), graph.dequantized(others)
    if codes is None:
        return float_kind(graph, node, weights, others)
    element = graph.type(codes.input[0])
    if element in FP8 | FP4:
        return "fp8" if element in FP8 else "fp4"
    if other is None or graph.type(other.input[0]) not in INT8:
        return IMAGE if reads_image(graph, node, others) else WEIGHTS
    return INTEGER if element in INT8 else INT4_INT8


def products(graph):
    """Every product with constant weights."""
    found = []
    for node in graph.nodes:
        places = (1, 0) if node.op_type in {"MatMul", "FusedMatMul"} else (1,) if node.op_type in PRODUCTS else ()
        place = next((place for place in places if graph.is_constant(node.input[place])), None)
        if place is not None:
            found.append(Product(node, kind_of(graph, node, node.input[place], node.input[1 - place])))
    return found


def unrounded_convolutions(graph):
    """Labels of convolutions between maps whose outputs are not rounded at once: onnxruntime has no integer kernel for them."""
    found = set()
    for product in products(graph):
        if "Conv" not in product.node.op_type:
            continue
        users = graph.users[product.node.output[0]]
        while len(users) == 1 and users[0].op_type in {"Clip", "Relu"}:
            users = graph.users[users[0].output[0]]
        if [user.op_type for user in users] != ["QuantizeLinear"]:
            found.add(label(product.node))
    return found
