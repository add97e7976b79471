"""read_compressed.py COMPRESSED PACKED: the folder as the compressed-tensors package decompresses it, against the packed one.

Prints how many weights it compared; a difference ends it with a message. Runs with a Python that has compressed-tensors."""
import json
import pathlib
import sys

import torch
from compressed_tensors.compressors import ModelCompressor
from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config
from safetensors.torch import load_file

E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def halves(packed):
    """Two 4-bit values a byte, the earlier one in the low half."""
    return torch.stack([packed & 15, packed >> 4], -1).flatten(1).long()


def elements(stored, storage):
    if storage == "int4":
        return (halves(stored) ^ 8).sub(8).float()
    if storage == "e2m1":
        codes = halves(stored)
        return E2M1[codes & 7] * torch.where(codes < 8, 1.0, -1.0)
    return stored.float()


def packed_values(tensors, node):
    """The weight's values, as docs/reference says that the packed format has them."""
    name, scale = node["name"], tensors[node["name"] + ".scale"]
    if node["scale"]["stored"] == "e8m0":
        scale = torch.exp2(scale.float() - 127)
    scale = scale.float() * tensors.get(name + ".factor", torch.ones(1))
    values = elements(tensors[name], node["storage"])[:, : node["shape"][1]]
    return values * scale.view(len(values), -1).repeat_interleave(values.shape[1] // (scale.numel() // len(values)), 1)


def network_of(linear):
    """Modules of these names, so that the package finds its targets."""
    root = torch.nn.Module()
    for node in linear:
        parent, path = root, node["name"].split(".")[:-1]
        for part in path[:-1]:
            if not hasattr(parent, part):
                parent.add_module(part, torch.nn.Module())
            parent = getattr(parent, part)
        parent.add_module(path[-1], torch.nn.Linear(node["shape"][1], node["shape"][0]))
    return root


def decompressed(folder, linear):
    config = QuantizationConfig.model_validate(json.loads((folder / "config.json").read_text())["quantization_config"])
    network, tensors = network_of(linear), load_file(folder / "model.safetensors")
    apply_quantization_config(network, config, show_progress=False)
    compressor = ModelCompressor(quantization_config=config)
    compressor.compress_model(network)
    wanted = {name for name, _ in network.named_parameters()} | {name for name, _ in network.named_buffers()}
    prefixes = tuple(node["name"].removesuffix("weight") for node in linear)
    network.load_state_dict({name: t for name, t in tensors.items() if name.startswith(prefixes)}, strict=True)
    for name in wanted:
        assert name in tensors, f"{name} is missing"
        assert network.state_dict()[name].dtype == tensors[name].dtype, f"{name} is {tensors[name].dtype}"
    compressor.decompress_model(network)
    return network


def compare_weights(network, packed, linear):
    tensors = load_file(packed / "student.safetensors")
    for node in linear:
        values, expected = network.get_parameter(node["name"]).float(), packed_values(tensors, node)
        # The package's scales of NVFP4 are a quotient, and what it decompresses to is bfloat16.
        bound = 2.0**-8 * expected.abs() if node["scale"]["stored"] == "e4m3" else 0.0
        assert bool(((values - expected).abs() <= bound).all()), f"{node['name']} differs"


def compare_inputs(compressed, nodes):
    tensors = load_file(compressed / "model.safetensors")
    for node in nodes:
        if "step" not in node:
            continue
        module = node["name"].removesuffix(".input")
        assert torch.equal(tensors[module + ".input_scale"], torch.tensor([node["step"]])), node["name"]
        zero_point = tensors.get(module + ".input_zero_point", torch.zeros(1, dtype=torch.int8))
        assert int(zero_point) - -128 == node["zero_point"] if node["format"] == "uniform" else int(zero_point) == 0, node["name"]


def main(compressed, packed):
    # The packed folder has its zero points folded into shifts; the manifest beside the compressed one has the student's own.
    nodes = json.loads((packed / "manifest.json").read_text())["nodes"]
    linear = [node for node in nodes if node["role"] == "weight" and "storage" in node and len(node["shape"]) == 2]
    network = decompressed(compressed, linear)
    compare_weights(network, packed, linear)
    kept = json.loads((compressed / "manifest.json").read_text())["nodes"]
    compare_inputs(compressed, [node for node in kept if node["role"] == "input" and "format" in node])
    print(f"{len(linear)} weights agree")


main(*map(pathlib.Path, sys.argv[1:]))
