#!/usr/bin/env python3
"""Makes tests/data/quantization/formats.safetensors, which tests/quantization/formats_test.cpp compares with.

Usage: make_format_references.py [--out tests/data/quantization]; needs torch and safetensors. Where ml_dtypes is installed, its
float8, float6 and float4 types must agree, or the script ends with an error.

Written from the specifications, with no part shared with the program: every format is the sorted list of its values, and a
number goes to the nearest of them, of two equally near ones to that with the even bit pattern.
    OCP 8-bit Floating Point Specification (OFP8), revision 1.0
    OCP Microscaling Formats (MX) Specification, version 1.0, section 6.3 for the scales

    <format>.inputs, .values, .codes   1-d, of e4m3, e5m2, e3m2, e2m3, e2m1 at scale 1: all values, all midpoints and what lies
                                       beside both, subnormals, zeros of both signs, what saturates, random numbers
    mx.<format>.inputs, .values, .scales    5 x 70: blocks of 32 along the last axis, the last of 6; one block of zeros
    nvfp4.inputs, .values, .scales, .factor 5 x 70: blocks of 16, the last of 6; one block of zeros
"""

import argparse
import pathlib

import numpy as np
import torch
from safetensors.torch import save_file

# name: exponent bits, mantissa bits, bias, last finite bit pattern
FORMATS = {"e4m3": (4, 3, 7, 0x7E), "e5m2": (5, 2, 15, 0x7B), "e3m2": (3, 2, 3, 0x1F), "e2m3": (2, 3, 1, 0x1F),
           "e2m1": (2, 1, 1, 0x7)}


def value_of(pattern, exponent_bits, mantissa_bits, bias):
    exponent, mantissa = pattern >> mantissa_bits, pattern & ((1 << mantissa_bits) - 1)
    if exponent == 0:
        return mantissa * 2.0 ** (1 - bias - mantissa_bits)
    return (1 + mantissa / 2.0**mantissa_bits) * 2.0 ** (exponent - bias)


def magnitudes(name):
    exponent_bits, mantissa_bits, bias, last = FORMATS[name]
    return np.array([value_of(p, exponent_bits, mantissa_bits, bias) for p in range(last + 1)])


def rounded(x, name):
    """Values and bit patterns. x: float64, of any shape."""
    table = magnitudes(name)
    size = np.abs(x)
    upper = np.clip(np.searchsorted(table, size), 0, len(table) - 1)
    lower = np.maximum(upper - 1, 0)
    below, above = size - table[lower], table[upper] - size
    tie = below == above
    pattern = np.where(tie, np.where(lower % 2 == 0, lower, upper), np.where(below < above, lower, upper))
    sign = np.signbit(x)
    exponent_bits, mantissa_bits = FORMATS[name][:2]
    return np.where(sign, -table[pattern], table[pattern]), pattern + sign * (1 << (exponent_bits + mantissa_bits))


def interesting(name, generator):
    table = magnitudes(name)
    middles = (table[1:] + table[:-1]) / 2
    points = np.concatenate([table, middles, [table[-1] * 1.01, table[-1] * 1.2, table[-1] * 50, 1e-30]]).astype(np.float32)
    beside = np.concatenate([points, np.nextafter(points, np.float32(np.inf)), np.nextafter(points, np.float32(0))])
    noise = generator.standard_normal(400).astype(np.float32) * np.float32(table[-1] / 3)
    small = generator.standard_normal(200).astype(np.float32) * np.float32(table[2])
    everything = np.concatenate([beside, noise, small])
    return np.concatenate([everything, -everything, [np.float32(-0.0)]]).astype(np.float32)


def agree_with_libraries(name, inputs, values):
    largest = magnitudes(name)[-1]
    clipped = np.clip(inputs, -largest, largest)
    library = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}.get(name)
    if library is not None:
        theirs = torch.from_numpy(clipped).to(library).to(torch.float32).numpy()
        assert np.array_equal(theirs, values), name
    try:
        import ml_dtypes
    except ImportError:
        return
    types = {"e4m3": "float8_e4m3fn", "e5m2": "float8_e5m2", "e3m2": "float6_e3m2fn", "e2m3": "float6_e2m3fn",
             "e2m1": "float4_e2m1fn"}
    theirs = clipped.astype(getattr(ml_dtypes, types[name])).astype(np.float32)
    assert np.array_equal(theirs, values), name
    assert np.array_equal(np.signbit(theirs), np.signbit(values)), name


def in_blocks(x, size):
    missing = -x.shape[-1] % size
    return np.pad(x, ((0, 0), (0, missing))).reshape(x.shape[0], -1, size)


def out_of_blocks(blocks, width):
    return blocks.reshape(blocks.shape[0], -1)[:, :width]


def mx(x, name):
    blocks = in_blocks(x.astype(np.float64), 32)
    largest = np.abs(blocks).max(-1, keepdims=True)
    element_exponent = np.floor(np.log2(magnitudes(name)[-1]))
    shared = np.floor(np.log2(np.where(largest == 0, 1, largest))) - element_exponent
    scale = np.where(largest == 0, 2.0**-126, 2.0**shared)
    values, _ = rounded(blocks / scale, name)
    return out_of_blocks(values * scale, x.shape[1]), scale[..., 0]


def nvfp4(x):
    factor = np.float32(np.abs(x).max()) / np.float32(6 * 448)
    blocks = in_blocks(x, 16)
    largest = np.abs(blocks).max(-1, keepdims=True)
    scale = rounded((largest / (factor * np.float32(6))).astype(np.float64), "e4m3")[0]
    scale = (np.maximum(scale, 2.0**-9).astype(np.float32) * factor).astype(np.float32)
    values, _ = rounded((blocks / scale).astype(np.float32).astype(np.float64), "e2m1")
    return out_of_blocks(values.astype(np.float32) * scale, x.shape[1]), scale[..., 0], factor


def main():
    parser = argparse.ArgumentParser()
    default = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "quantization"
    parser.add_argument("--out", type=pathlib.Path, default=default)
    out = parser.parse_args().out
    generator = np.random.default_rng(16)
    tensors = {}

    def keep(key, array, dtype=np.float32):
        tensors[key] = torch.from_numpy(np.ascontiguousarray(array.astype(dtype)))

    for name in FORMATS:
        inputs = interesting(name, generator)
        values, codes = rounded(inputs.astype(np.float64), name)
        agree_with_libraries(name, inputs, values.astype(np.float32))
        keep(name + ".inputs", inputs)
        keep(name + ".values", values)
        keep(name + ".codes", codes, np.int64)

    rows = generator.standard_normal((5, 70)) * np.exp(2 * generator.standard_normal((5, 70)))
    rows[1, 32:64] = 0
    rows[2] *= 1e-12
    rows[3, 0] = -0.0
    rows = rows.astype(np.float32)
    for name in FORMATS:
        values, scales = mx(rows, name)
        keep(f"mx.{name}.inputs", rows)
        keep(f"mx.{name}.values", values)
        keep(f"mx.{name}.scales", scales)
    values, scales, factor = nvfp4(rows)
    keep("nvfp4.inputs", rows)
    keep("nvfp4.values", values)
    keep("nvfp4.scales", scales)
    keep("nvfp4.factor", np.array([factor]))

    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / "formats.safetensors")


if __name__ == "__main__":
    main()
