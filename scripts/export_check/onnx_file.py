"""An ONNX file without running it: the official checker, names and types, size, TensorRT's rules."""

import dataclasses
import itertools
import pathlib

import onnx
from onnx import TensorProto

from export_check import tensorrt
from export_check.graph import Graph, type_name
from export_check.report import first_line, several


@dataclasses.dataclass
class OnnxFile:
    """runtimes: those that load it, by name; logits: of the images, by the names of those that run it."""

    path: pathlib.Path
    graph: Graph
    takes_bytes: bool
    runtimes: dict = dataclasses.field(default_factory=dict)
    logits: dict = dataclasses.field(default_factory=dict)

    @property
    def name(self):
        return self.path.name

    @property
    def first_runtime(self):
        """The one that is judged; empty if none runs the file."""
        return next(iter(self.logits or self.runtimes), "")

    @property
    def has_fp4(self):
        """Which onnxruntime lacks on CPUs: the only reason not to run in every runtime."""
        return TensorProto.FLOAT4E2M1 in self.graph.types.values()


def read_onnx(report, path):
    """None, and a failed check, if it cannot be read."""
    try:
        graph = Graph(onnx.load(path))
    except Exception as error:  # a damaged file gives errors of many types
        report.add(path.name, "is an ONNX file", "no", holds=False, remarks=[first_line(error)])
        return None
    return OnnxFile(path, graph, any(graph.type(name) == TensorProto.UINT8 for name in graph.inputs))


def check_by_checker(report, file):
    said = []
    try:
        onnx.checker.check_model(str(file.path), full_check=True)
        onnx.shape_inference.infer_shapes(file.graph.model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        said = [first_line(error)]
    text = "refused" if said else "accepted"
    report.add(file.name, "onnx.checker, strict shape inference", text, holds=not said, remarks=said)


def check_versions(report, file):
    """No newer ones than the types of the file ask for."""
    model = file.graph.model
    opset = 24 if TensorProto.FLOAT8E8M0 in file.graph.types.values() else 23 if file.has_fp4 else 21
    expected = [opset, onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)])]
    found = [next(entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), model.ir_version]
    remarks = [] if found == expected else ["expected are {} and {}".format(*expected)]
    text = ", ".join(map(str, found))
    report.add(file.name, "opset and IR", text, value=found, holds=not remarks, remarks=remarks)


def check_signature(report, file, takes):
    """One input, one output. takes: "bytes" or "normalised", as the manifest has it."""
    values = [*file.graph.inputs.values(), *file.graph.model.graph.output]
    types = [type_name(value.type.tensor_type.elem_type) for value in values]
    names = [value.name for value in values]
    text = ", ".join(map(" ".join, zip(names, types, strict=True)))
    if names != ["image", "logits"]:
        wrong = ["expected are one input called image and one output called logits"]
    else:
        wanted = ["uint8" if takes == "bytes" else "float", "float"]
        wrong = [] if types == wanted else ["expected are image {} and logits {}".format(*wanted)]
        for value, rank in zip(values, (4, 2), strict=True):
            axes = value.type.tensor_type.shape.dim
            if len(axes) != rank or not axes[0].dim_param:
                wrong.append(f"{value.name}: expected are {rank} dimensions, the first of them free")
    report.add(file.name, "input and output", text, holds=not wrong, remarks=wrong)


def data_files(path):
    """The file and those that hold its weights."""
    model = onnx.load(path, load_external_data=False)
    entries = itertools.chain.from_iterable(tensor.external_data for tensor in model.graph.initializer)
    return {path} | {path.parent / entry.value for entry in entries if entry.key == "location"}


def check_size(report, file, parameters):
    """parameters: how many the teacher has, or None."""
    size = sum(part.stat().st_size for part in data_files(file.path))
    report.add(file.name, "size", f"{size / 1e6:.2f} MB", value=size)
    if parameters:
        report.measure(file.name, "size over that of float32", size / (4 * parameters), "size")


def check_rules(report, file, enforced):
    broken = tensorrt.findings(file.graph.model)
    text = f"{len(broken)} broken" if broken else "kept"
    holds = not broken if enforced else None
    report.add(file.name, "TensorRT's rules (not run there)", text, value=broken, holds=holds, remarks=several(broken))
