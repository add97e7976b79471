"""load_with_transformers.py COMPRESSED TORCH: both folders of one student, loaded by transformers, must answer alike.

The first is decompressed by the compressed-tensors package, the second rounded by its own load_student.py."""
import importlib.util
import pathlib
import sys

import torch
from transformers import AutoModelForImageClassification


def load_student(folder):
    spec = importlib.util.spec_from_file_location("load_student", folder / "load_student.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load_student(), module.read("manifest.json")["preprocessing"]["image_size"]


def main(compressed, folder):
    model, info = AutoModelForImageClassification.from_pretrained(compressed.resolve(), output_loading_info=True)
    assert not any(info.values()), info
    student, side = load_student(folder.resolve())
    torch.manual_seed(1)
    images = torch.randn(64, 3, side, side)
    with torch.no_grad():
        expected, answers = (network(images).logits.log_softmax(1) for network in (student, model))
    # A tie that turns over spreads, so single logits are not compared.
    divergence = (expected.exp() * (expected - answers)).sum(1).mean().item()
    assert abs(divergence) < 1e-4, divergence
    print(f"KL {divergence:.2e}")


main(*map(pathlib.Path, sys.argv[1:]))
