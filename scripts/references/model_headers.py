#!/usr/bin/env python3
"""What the files of published models hold, without their weights: a line of JSON for every model.

    model_headers.py > FILE.jsonl

    {"library": "timm", "name": NAME, "config": {...}, "processor": null, "tensors": {NAME: SHAPE, ...}}

config is config.json: of timm what push_to_hf_hub writes, with the configuration of the name's default weights; of
transformers what save_pretrained writes, with the defaults of the model's class but for the settings below. processor
is preprocessor_config.json with the defaults of its class. tensors are all of the state_dict under the file's names.
Models are built on the meta device: no weights are loaded or made.
"""

import json
import logging
import pathlib
import tempfile
import warnings

import timm
import torch
import transformers as hf
from timm.models._hub import save_config_for_hf
from transformers.core_model_loading import revert_weight_conversion

TIMM = (
    "vision_transformer", "deit", "eva", "beit", "vision_transformer_sam", "swin_transformer", "swin_transformer_v2",
    "swin_transformer_v2_cr", "resnet", "efficientnet", "mobilenetv3",
)  # fmt: skip
DINOV2 = {"image_size": 518, "patch_size": 14}
DINOV2_GIANT = DINOV2 | {
    "hidden_size": 1536, "num_hidden_layers": 40, "num_attention_heads": 24, "use_swiglu_ffn": True,
}  # fmt: skip
DINOV3_PLUS = {
    "hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "intermediate_size": 1536,
    "use_gated_mlp": True, "hidden_act": "silu", "num_register_tokens": 4,
}  # fmt: skip
RESNET18 = {"hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2], "layer_type": "basic"}
# Class of the model, class of its processor, settings that differ from the config's defaults.
TRANSFORMERS = [
    ("ViTForImageClassification", "ViTImageProcessor", {}),
    ("ViTModel", "ViTImageProcessor", {}),
    ("ViTMAEForPreTraining", "ViTImageProcessor", {}),
    ("ViTMSNModel", "ViTImageProcessor", {}),
    ("DeiTForImageClassificationWithTeacher", "DeiTImageProcessor", {}),
    ("DeiTForImageClassification", "DeiTImageProcessor", {}),
    ("IJepaModel", "ViTImageProcessor", {}),
    ("Dinov2Model", "BitImageProcessor", DINOV2),
    ("Dinov2ForImageClassification", "BitImageProcessor", DINOV2),
    ("Dinov2Model", "BitImageProcessor", DINOV2_GIANT),
    ("Dinov2Backbone", "BitImageProcessor", DINOV2),
    ("Dinov2WithRegistersModel", "BitImageProcessor", DINOV2),
    ("DINOv3ViTModel", "DINOv3ViTImageProcessor", {"num_register_tokens": 4}),
    ("DINOv3ViTModel", "DINOv3ViTImageProcessor", DINOV3_PLUS),
    ("DINOv3ConvNextModel", "DINOv3ViTImageProcessor", {}),
    ("CLIPModel", "CLIPImageProcessor", {}),
    ("CLIPVisionModel", "CLIPImageProcessor", {}),
    ("CLIPVisionModelWithProjection", "CLIPImageProcessor", {}),
    ("CLIPForImageClassification", "CLIPImageProcessor", {}),
    ("MetaClip2VisionModel", "CLIPImageProcessor", {}),
    ("ChineseCLIPVisionModel", "ChineseCLIPImageProcessor", {}),
    ("SiglipModel", "SiglipImageProcessor", {}),
    ("SiglipVisionModel", "SiglipImageProcessor", {}),
    ("SiglipForImageClassification", "SiglipImageProcessor", {}),
    ("Siglip2Model", "Siglip2ImageProcessor", {}),
    ("Siglip2VisionModel", "Siglip2ImageProcessor", {}),
    ("Aimv2VisionModel", "CLIPImageProcessor", {}),
    ("MLCDVisionModel", "CLIPImageProcessor", {}),
    ("InternVLVisionModel", "CLIPImageProcessor", {}),
    ("BlipVisionModel", "BlipImageProcessor", {}),
    ("BeitForImageClassification", "BeitImageProcessor", {"use_relative_position_bias": True}),
    ("BeitForMaskedImageModeling", "BeitImageProcessor", {"use_shared_relative_position_bias": True}),
    ("Data2VecVisionForImageClassification", "BeitImageProcessor", {"use_relative_position_bias": True}),
    ("SwinForImageClassification", "ViTImageProcessor", {}),
    ("SwinModel", "ViTImageProcessor", {}),
    ("SwinBackbone", "ViTImageProcessor", {}),
    ("Swinv2ForImageClassification", "ViTImageProcessor", {}),
    ("SamModel", "SamImageProcessor", {}),
    ("VitDetBackbone", None, {"use_relative_position_embeddings": True}),
    ("VivitForVideoClassification", "VivitImageProcessor", {}),
    ("VideoMAEForVideoClassification", "VideoMAEImageProcessor", {}),
    ("VitPoseBackbone", "VitPoseImageProcessor", {}),
    ("DPTForDepthEstimation", "DPTImageProcessor", {}),
    ("DepthAnythingForDepthEstimation", "DPTImageProcessor", {}),
    ("YolosForObjectDetection", "YolosImageProcessor", {}),
    ("SegformerForImageClassification", "SegformerImageProcessor", {}),
    ("UperNetForSemanticSegmentation", "SegformerImageProcessor", {}),
    ("HieraForImageClassification", "BitImageProcessor", {}),
    ("LevitForImageClassification", "LevitImageProcessor", {}),
    ("PvtV2ForImageClassification", "PvtImageProcessor", {}),
    ("MobileViTForImageClassification", "MobileViTImageProcessor", {}),
    ("PoolFormerForImageClassification", "PoolFormerImageProcessor", {}),
    ("FocalNetForImageClassification", "BitImageProcessor", {}),
    ("ResNetForImageClassification", "ConvNextImageProcessor", {}),
    ("ResNetForImageClassification", "ConvNextImageProcessor", RESNET18),
    ("BitForImageClassification", "BitImageProcessor", {}),
    ("RegNetForImageClassification", "ConvNextImageProcessor", {}),
    ("ConvNextForImageClassification", "ConvNextImageProcessor", {}),
    ("ConvNextV2ForImageClassification", "ConvNextImageProcessor", {}),
    ("EfficientNetForImageClassification", "EfficientNetImageProcessor", {}),
    ("MobileNetV1ForImageClassification", "MobileNetV1ImageProcessor", {}),
    ("MobileNetV2ForImageClassification", "MobileNetV2ImageProcessor", {}),
]


def shapes(state):
    return {name: list(tensor.shape) for name, tensor in state.items()}


def written(path):
    return json.loads(path.read_text())


def of_timm(name, work):
    with torch.device("meta"):
        model = timm.create_model(name)
    save_config_for_hf(model, work / "config.json")
    config = written(work / "config.json")
    return {"library": "timm", "name": name, "config": config, "processor": None, "tensors": shapes(model.state_dict())}


def of_transformers(name, processor, settings, work):
    kind = getattr(hf, name)
    with torch.device("meta"):
        model = kind(kind.config_class(**settings))
    model.config.architectures, model.config.dtype = [name], "float32"
    model.config.save_pretrained(work)
    unsaved = {*(model._keys_to_ignore_on_save or ()), *(model.all_tied_weights_keys or ())}
    state = {key: tensor for key, tensor in model.state_dict().items() if key not in unsaved}
    if processor:
        getattr(hf, processor)().save_pretrained(work)
    return {
        "library": "transformers",
        "name": name,
        "config": written(work / "config.json"),
        "processor": written(work / "preprocessor_config.json") if processor else None,
        "tensors": shapes(revert_weight_conversion(model, state)),
    }


def main():
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    names = sorted({name for module in TIMM for name in timm.list_models(module=module)})
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for name in names:
            print(json.dumps(of_timm(name, work)))
        for row in TRANSFORMERS:
            print(json.dumps(of_transformers(*row, work)))


if __name__ == "__main__":
    main()
