"""The runtimes, on the CPU in one thread, and what they make of products with constant weights."""

import collections
import dataclasses
import pathlib
import tempfile

import numpy
import onnx
import onnx.reference
import onnxruntime
import openvino

from export_check.answers import normalised
from export_check.graph import IMAGE, SIDE, Graph, label, products

BATCH = 16
EXACT = (
    "onnxruntime: session.qdq_matmulnbits_accuracy_level=0, OpenVINO: DYNAMIC_QUANTIZATION_GROUP_SIZE=0; "
    "by default both round the inputs of weight-only products to 8 bits"
)
INTEGER_KERNELS = {"MatMulIntegerToFloat", "QLinearMatMul", "QLinearConv", "QGemm", "MatMulInteger", "ConvInteger"}


class OnnxRuntime:
    """exact: weight-only products do not round their inputs. optimized: where the graph that it runs is written."""

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
    """precision: of what is not quantized. exact: as above."""

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


def reference(path):
    """The ONNX project's own evaluator: slow, and right by definition."""
    evaluator = onnx.reference.ReferenceEvaluator(str(path))
    return lambda batch: evaluator.run(None, {evaluator.input_names[0]: batch})[0]


def logits_of(runtime, images, facts, takes_bytes, batch=BATCH):
    """N x classes."""
    parts = (images[first : first + batch] for first in range(0, len(images), batch))
    logits = [runtime(part if takes_bytes else normalised(part, facts)) for part in parts]
    return numpy.concatenate(logits).astype(numpy.float32)


@dataclasses.dataclass
class Kernels:
    """counts: by name. integer: how many multiply 8-bit integers; weights: how many have low-bit weights alone.

    floats: which products run in float without being meant to; only onnxruntime says it.
    """

    counts: dict
    integer: int
    weights: int
    floats: list = dataclasses.field(default_factory=list)


def onnxruntime_kernels(path):
    with tempfile.TemporaryDirectory() as folder:
        optimized = pathlib.Path(folder) / "optimized.onnx"
        OnnxRuntime(path, optimized=optimized)
        graph = Graph(onnx.load(optimized))
    left = products(graph)
    meant = [product.kind for product in left if product.kind in {IMAGE, SIDE}]
    kernels = [node.op_type for node in graph.nodes if node.op_type in INTEGER_KERNELS | {"MatMulNBits"}]
    counts = collections.Counter(kernels + meant)
    integer = sum(counts[name] for name in INTEGER_KERNELS)
    floats = [label(product.node) for product in left if product.kind not in {IMAGE, SIDE}]
    return Kernels(dict(counts), integer, counts["MatMulNBits"], floats)


def openvino_kernels(runtime):
    """FullyConnected and Convolution have constant weights; what multiplies two activations is called MatMul."""
    counts = collections.Counter()
    for operator in runtime.model.get_runtime_model().get_ordered_ops():
        facts = {name: str(getattr(value, "value", value)) for name, value in operator.get_rt_info().items()}
        if facts.get("layerType") in {"FullyConnected", "Convolution"}:
            counts[facts["layerType"], facts["runtimePrecision"]] += 1
    named = {f"{layer} {precision}": count for (layer, precision), count in counts.items()}
    integer = sum(count for (_, precision), count in counts.items() if precision in {"u8", "i8"})
    low = sum(count for (_, precision), count in counts.items() if precision in {"u4", "i4", "f4e2m1", "f8e4m3"})
    return Kernels(named, integer, low)
