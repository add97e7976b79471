#!/usr/bin/env python3
"""Makes tests/data/exporting/{quantized,types}.onnx, which tests/exporting/onnx_writer_test.cpp compares with.

Usage: make_onnx_references.py [--out tests/data/exporting]; needs the packages of scripts/export_requirements.txt.

The models are those of tests/exporting/onnx_examples.h, made by the official package from the same formulas. Names of nodes are
written out, so that they hold the program's way to make them too.
"""

import argparse
import pathlib

import ml_dtypes
import numpy as np
from onnx import TensorProto, helper


def pattern(sizes, step, count, lowest):
    return ((np.arange(np.prod(sizes, dtype=np.int64)) * step + 3) % count + lowest).reshape(sizes)


def scales(sizes):
    return np.exp2(pattern(sizes, 1, 3, -5)).astype(np.float32)


def tensor(name, kind, values):
    """values: an array of the element type, or of bit patterns; of 4 bits one to a byte."""
    raw = np.ascontiguousarray(values)
    if kind in (TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1):
        bits = np.append(raw.astype(np.uint8).reshape(-1) & 15, np.zeros(raw.size % 2, np.uint8))
        raw = bits[0::2] | bits[1::2] << 4
    return helper.make_tensor(name, kind, values.shape, raw.tobytes(), raw=True)


def value(name, sizes):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)


def quantized():
    initializers = [
        tensor("first.weight", TensorProto.INT8, pattern((32, 16), 7, 255, -127).astype(np.int8)),
        tensor("first.scale", TensorProto.FLOAT, scales((16,))),
        tensor("second.weight", TensorProto.INT4, pattern((16, 8), 5, 16, -8).astype(np.int8)),
        tensor("second.scale", TensorProto.FLOAT, scales((2, 8))),
        tensor("third.weight", TensorProto.FLOAT8E4M3FN, pattern((8, 5), 11, 120, 0).astype(np.uint8)),
        tensor("third.scale", TensorProto.FLOAT, np.array(0.5, np.float32)),
    ]

    def node(place, op, inputs, output=None, **attributes):
        name = place + "/" + op
        made = helper.make_node(op, inputs, [output or name], name=name)
        made.attribute.extend(helper.make_attribute(key, what) for key, what in attributes.items())
        return made

    nodes = [
        node("first", "DequantizeLinear", ["first.weight", "first.scale"], axis=1),
        node("first", "MatMul", ["x", "first/DequantizeLinear"]),
        node("first", "Constant", [], value_floats=[0.25] * 16),
        node("first", "Add", ["first/MatMul", "first/Constant"]),
        node("first", "LeakyRelu", ["first/Add"], alpha=0.125),
        node("second", "DequantizeLinear", ["second.weight", "second.scale"], axis=0, block_size=8),
        node("second", "MatMul", ["first/LeakyRelu", "second/DequantizeLinear"]),
        node("second", "Gelu", ["second/MatMul"], approximate="tanh"),
        node("second", "Constant", [], value=tensor("", TensorProto.FLOAT, scales((8,)))),
        node("second", "Add", ["second/Gelu", "second/Constant"]),
        node("third", "DequantizeLinear", ["third.weight", "third.scale"]),
        node("third", "MatMul", ["second/Add", "third/DequantizeLinear"]),
        node("third", "Transpose", ["third/MatMul"], "logits", perm=[1, 0]),
    ]
    nodes[8].attribute[0].t.ClearField("name")  # of a constant; the package writes the empty one out
    graph = helper.make_graph(nodes, "quantized", [value("x", ["batch", 32])], [value("logits", [5, "batch"])], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10, producer_name="eidolon",
                              producer_version="1.2.3", doc_string="three products")
    helper.set_model_props(model, {"bits": "8", "model": "ünïcode"})
    return model


def types():
    small, size = pattern((3, 5), 5, 16, 0), pattern((3, 5), 17, 120, 0).astype(np.uint8)
    third = (small.astype(np.float32) / np.float32(3)).astype(np.float32)
    kinds = TensorProto
    initializers = [
        tensor("float32", kinds.FLOAT, third),
        tensor("uint8", kinds.UINT8, size),
        tensor("int8", kinds.INT8, (small - 8).astype(np.int8)),
        tensor("int32", kinds.INT32, (small - 70000).astype(np.int32)),
        tensor("int64", kinds.INT64, small - 8),
        tensor("boolean", kinds.BOOL, small > 7),
        tensor("float16", kinds.FLOAT16, third.astype(np.float16)),
        tensor("bfloat16", kinds.BFLOAT16, third.astype(ml_dtypes.bfloat16)),
        tensor("float8e4m3fn", kinds.FLOAT8E4M3FN, size),
        tensor("float8e5m2", kinds.FLOAT8E5M2, size),
        tensor("uint4", kinds.UINT4, small),
        tensor("int4", kinds.INT4, small - 8),
        tensor("float4e2m1", kinds.FLOAT4E2M1, small),
        tensor("float8e8m0", kinds.FLOAT8E8M0, (small + 120).astype(np.uint8)),
    ]
    names = [initializer.name for initializer in initializers]
    nodes = [helper.make_node("Cast", [name], ["of " + name], name=name + "/Cast", to=kinds.FLOAT) for name in names]
    graph = helper.make_graph(nodes, "types", [], [value("of " + name, [3, 5]) for name in names], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=12)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/data/exporting"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, model in (("quantized", quantized()), ("types", types())):
        (out / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
