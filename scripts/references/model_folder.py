"""Opens a model folder (model.safetensors with timm names, config.json) as a timm model."""

import json

import timm
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer


def load_model(folder):
    """(model in evaluation mode, config). An architecture that timm does not know is built from the config's model_args."""
    config = json.loads((folder / "config.json").read_text())
    if "model_args" in config:
        model = VisionTransformer(**config["model_args"])
    else:
        model = timm.create_model(config["architecture"], pretrained=False, num_classes=config["num_classes"])
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    return model.eval(), config
