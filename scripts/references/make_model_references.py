#!/usr/bin/env python3
"""Makes the reference models and outputs that the tests of src/model compare with, under tests/data/model.

Usage: make_model_references.py [--models FOLDER] [--out tests/data/model]; needs scripts/references/requirements.txt.

Always: a small random vision transformer with timm's names (tiny_random/), the same weights as a Hugging Face
ViTForImageClassification folder (tiny_random_hf/, loaded back by transformers and compared), and timm's outputs,
tiny_random/reference.safetensors (C = 7 classes, H = 2 heads, T = 17 tokens with the class token first, D = 24):

    input               2 x 3 x 32 x 32  normalized pixels, as the model takes them
    embedding           2 x T x D        tokens that enter block 0 (class token and positions included)
    blocks.N.attn.probs 2 x H x T x T    attention probabilities after the softmax
    blocks.N.output     2 x T x D        tokens after block N
    logits              2 x C
    gradient_weights    2 x C
    input_gradient      2 x 3 x 32 x 32  gradient of sum(gradient_weights * logits) with respect to the input

With --models, which holds deit_tiny_patch16_224/ and vit_tiny_patch16_224/: <model>_logits.safetensors with `logits`
(2 x 1000) for the input of wave_input(), which the test computes again. Everything is computed in float64 and stored in
float32, so that the files hardly depend on the machine.
"""

import argparse
import json
import pathlib

import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from model_folder import load_model

REAL_MODELS = ["deit_tiny_patch16_224", "vit_tiny_patch16_224"]
SIZE, CLASSES = 32, 7
ARGUMENTS = {"img_size": SIZE, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2, "num_classes": CLASSES}
# One metadata entry per file: the library writes several in no fixed order, and the files should come out the same.
WEIGHTS = {"format": "pt"}  # what Hugging Face's loader asks for
OUTPUTS = {"made_with": f"timm {timm.__version__}, torch {torch.__version__.split('+')[0]}"}


def wave_input(height, width):
    """x[n,c,h,w] = sin(0.05 (h+1) (n+1)) cos(0.07 (w+1)) + 0.1 c for n in 0..1, c in 0..2, in float64, rounded to float32."""
    n, c = torch.arange(2.0, dtype=torch.float64).view(2, 1, 1, 1), torch.arange(3.0, dtype=torch.float64).view(3, 1, 1)
    h, w = torch.arange(height, dtype=torch.float64).view(-1, 1), torch.arange(width, dtype=torch.float64)
    return (torch.sin(0.05 * (h + 1) * (n + 1)) * torch.cos(0.07 * (w + 1)) + 0.1 * c).float()


def save(path, tensors, metadata):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: t.detach().float().contiguous() for name, t in tensors.items()}, path, metadata=metadata)
    print(f"{path}  {path.stat().st_size} bytes")


def random_model(generator):
    """Weights large enough that every parameter shows in the logits and attention is far from uniform."""
    model = VisionTransformer(**ARGUMENTS)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            draw = torch.randn(parameter.shape, generator=generator)
            is_norm_scale = "norm" in name and name.endswith("weight")
            parameter.copy_(1 + 0.2 * draw if is_norm_scale else 0.2 * draw)
    return model.eval()


def record(model, x, generator):
    """timm's tensors inside and after every block, and the input gradient."""
    seen = {}

    def keep_input(name):
        return lambda module, inputs: seen.update({name: inputs[0].detach()})

    def keep_output(name):
        return lambda module, inputs, output: seen.update({name: output.detach()})

    model.blocks[0].register_forward_pre_hook(keep_input("embedding"))
    for index, block in enumerate(model.blocks):
        block.attn.fused_attn = False  # the explicit path: its dropout layer is handed the probabilities
        block.attn.attn_drop.register_forward_pre_hook(keep_input(f"blocks.{index}.attn.probs"))
        block.register_forward_hook(keep_output(f"blocks.{index}.output"))
    x = x.clone().requires_grad_()
    logits = model(x)
    weights = torch.randn(logits.shape, generator=generator).to(x.dtype)
    (gradient,) = torch.autograd.grad((logits * weights).sum(), x)
    return {"input": x, "logits": logits, "gradient_weights": weights, "input_gradient": gradient, **seen}


def timm_config():
    mean_std = [0.5, 0.5, 0.5]
    return {
        "architecture": "vit_tiny_random_patch8_32",
        "num_classes": CLASSES,
        "num_features": ARGUMENTS["embed_dim"],
        "global_pool": "token",
        "model_args": ARGUMENTS,
        "pretrained_cfg": {
            "tag": "random",
            "num_classes": CLASSES,
            "input_size": [3, SIZE, SIZE],
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": mean_std,
            "std": mean_std,
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        },
    }


def hugging_face_names(state):
    """timm's state dictionary under the names that published ViTForImageClassification checkpoints carry."""
    renamed = {
        "cls_token": "vit.embeddings.cls_token",
        "pos_embed": "vit.embeddings.position_embeddings",
        "patch_embed.proj": "vit.embeddings.patch_embeddings.projection",
        "norm": "vit.layernorm",
        "head": "classifier",
    }
    for index in range(ARGUMENTS["depth"]):
        timm_block, block = f"blocks.{index}", f"vit.encoder.layer.{index}"
        renamed[f"{timm_block}.norm1"] = f"{block}.layernorm_before"
        renamed[f"{timm_block}.norm2"] = f"{block}.layernorm_after"
        renamed[f"{timm_block}.attn.proj"] = f"{block}.attention.output.dense"
        renamed[f"{timm_block}.mlp.fc1"] = f"{block}.intermediate.dense"
        renamed[f"{timm_block}.mlp.fc2"] = f"{block}.output.dense"
    result = {}
    for name, tensor in state.items():
        stem, _, kind = name.rpartition(".")
        if stem.endswith("attn.qkv"):
            layer = stem.split(".")[1]
            for part, value in zip(["query", "key", "value"], tensor.chunk(3)):
                result[f"vit.encoder.layer.{layer}.attention.attention.{part}.{kind}"] = value
        elif name in renamed:
            result[renamed[name]] = tensor
        else:
            result[f"{renamed[stem]}.{kind}"] = tensor
    return result


def write_hugging_face(folder, state):
    config = ViTConfig(
        image_size=SIZE, patch_size=ARGUMENTS["patch_size"], hidden_size=ARGUMENTS["embed_dim"],
        num_hidden_layers=ARGUMENTS["depth"], num_attention_heads=ARGUMENTS["num_heads"],
        intermediate_size=4 * ARGUMENTS["embed_dim"], num_labels=CLASSES, layer_norm_eps=1e-6,
        architectures=["ViTForImageClassification"],
    )  # fmt: skip
    save(folder / "model.safetensors", hugging_face_names(state), WEIGHTS)
    config.save_pretrained(folder)
    ViTImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)


def check_hugging_face(folder, reference):
    """transformers finds every key, nothing more, and computes the logits that timm does."""
    model, report = ViTForImageClassification.from_pretrained(folder, output_loading_info=True)
    problems = {kind: keys for kind, keys in report.items() if keys}
    assert not problems, problems
    with torch.no_grad():
        logits = model.double().eval()(pixel_values=reference["input"]).logits
    difference = (logits - reference["logits"]).abs().max().item()
    print(f"transformers against timm, largest difference of a logit: {difference:.1e}")
    assert difference < 1e-6


def make_tiny(out):
    generator = torch.Generator().manual_seed(7)
    model = random_model(generator)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save(out / "tiny_random" / "model.safetensors", state, WEIGHTS)
    (out / "tiny_random" / "config.json").write_text(json.dumps(timm_config(), indent=2) + "\n")
    x = torch.randn((2, 3, SIZE, SIZE), generator=generator).double()
    reference = record(model.double(), x, generator)
    save(out / "tiny_random" / "reference.safetensors", reference, OUTPUTS)
    write_hugging_face(out / "tiny_random_hf", state)
    check_hugging_face(out / "tiny_random_hf", reference)


@torch.no_grad()
def make_real(models, out):
    for name in REAL_MODELS:
        model, config = load_model(models / name)
        x = wave_input(*config["pretrained_cfg"]["input_size"][1:])
        single, double = model(x), model.double()(x.double())
        print(f"{name}: float32 against float64, largest difference of a logit {(single - double).abs().max():.1e}")
        save(out / f"{name}_logits.safetensors", {"logits": double}, OUTPUTS)


def main():
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=pathlib.Path, help="folder that holds " + " and ".join(REAL_MODELS))
    parser.add_argument("--out", type=pathlib.Path, default=root / "tests" / "data" / "model")
    arguments = parser.parse_args()
    make_tiny(arguments.out)
    if arguments.models:
        make_real(arguments.models, arguments.out)


if __name__ == "__main__":
    main()
