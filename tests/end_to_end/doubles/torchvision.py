"""Stands for torchvision, which nothing here installs, where the guide's snippet imports it: a ResNet-18 of torchvision's names,
narrow and with random weights."""
import os
import pathlib
import types

from safetensors.torch import load_file


def resnet18(weights):
    assert weights == "IMAGENET1K_V1"
    folder = pathlib.Path(os.environ["EIDOLON_SOURCE_DIR"], "tests", "data", "model", "families", "timm_resnet_basic")
    tensors = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
    fc = types.SimpleNamespace(out_features=len(tensors["fc.bias"]))
    return types.SimpleNamespace(fc=fc, state_dict=lambda: tensors)


models = types.SimpleNamespace(resnet18=resnet18)
