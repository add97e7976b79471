"""Checks a file of the C++ writer with the official package, and writes the same tensors for the C++ reader.

Usage: safetensors_check.py OURS THEIRS
"""

import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

ours, theirs = sys.argv[1:]
counting = torch.arange(6, dtype=torch.float64).view(2, 3)
expected = {
    "double": counting / 4,
    "single": (counting / 4).float(),
    "half": (counting / 4).half(),
    "brain": (counting / 4).bfloat16(),
    **{f"int{bits}": (counting - 3).to(getattr(torch, f"int{bits}")) for bits in (8, 16, 32, 64)},
    "uint8": counting.to(torch.uint8),
    "bool": counting > 2,
    "scalar": torch.tensor(1.5),
    "empty": torch.empty(0, 4),
}

found = load_file(ours)
assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
for name, tensor in expected.items():
    assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor), name
with safe_open(ours, "pt") as file:
    assert file.metadata() == {"made by": "Eidolon"}, file.metadata()
save_file(expected, theirs, {"made by": "the package"})
