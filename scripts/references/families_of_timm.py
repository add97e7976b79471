"""Small models of timm, also under the names of the files that they come from: see make_family_references.py."""

import json
import re
from functools import partial
from unittest import mock

import timm
import torch
from timm.models import _builder
from timm.models._efficientnet_builder import decode_arch_def
from timm.models._hub import save_config_for_hf
from timm.models.efficientnet import EfficientNet

from family_folders import (
    CLASSES, SIZE, data_config, images_of, randomised, save_reference, save_weights, with_statistics, write_config,
)  # fmt: skip

VIT = {"patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 2.5, "num_classes": CLASSES}
HEADLESS = VIT | {"num_classes": 0}
EVA = VIT | {"ref_feat_shape": (4, 4)}
DINOV3 = HEADLESS | {"rope_temperature": 100, "num_reg_tokens": 4}
SAM = HEADLESS | {"patch_size": 4, "window_size": 3, "global_attn_indexes": [1], "neck_chans": 12, "global_pool": ""}
SWIN = {
    "patch_size": 2, "window_size": 3, "embed_dim": 4, "depths": (2, 2, 2), "num_heads": (1, 2, 2), "mlp_ratio": 2.5,
    "num_classes": CLASSES,
}  # fmt: skip
RESNET = {"layers": (2, 1, 1, 1), "num_classes": CLASSES}
MOBILENET = [
    ["ds_r1_k3_s1_c4"], ["ir_r2_k3_s2_e3_c6"], ["ir_r2_k3_s2_e3_c8"], ["ir_r2_k3_s2_e3_c10"], ["ir_r1_k3_s1_e3_c12"],
    ["ir_r2_k3_s2_e3_c16"], ["ir_r1_k3_s1_e3_c20"],
]  # fmt: skip
EFFICIENTNET_LITE = [
    [text.replace("k3", "k5") if stage in (2, 4, 5) else text for text in blocks]
    for stage, blocks in enumerate(MOBILENET)
]

# Name: architecture, side of the images, arguments.
MODELS = {
    "timm_vit_token": ("vit_tiny_patch16_224", SIZE, VIT),
    "timm_vit_headless": ("vit_tiny_patch16_224", SIZE, HEADLESS),
    "timm_deit_distilled": ("deit_tiny_distilled_patch16_224", SIZE, VIT),
    "timm_deit3": ("deit3_small_patch16_224", SIZE, VIT),
    "timm_dinov2": ("vit_small_patch14_dinov2", SIZE, HEADLESS),
    "timm_dinov2_reg4": ("vit_small_patch14_reg4_dinov2", SIZE, HEADLESS),
    "timm_dinov2_swiglu": ("vit_giant_patch14_dinov2", SIZE, HEADLESS | {"act_layer": "silu"}),
    "timm_clip_quickgelu": ("vit_base_patch32_clip_quickgelu_224", SIZE, VIT),
    "timm_siglip2_map": ("vit_base_patch32_siglip_256", SIZE, HEADLESS),
    "timm_gap_fcnorm": ("vit_tiny_patch16_224", SIZE, VIT | {"class_token": False, "global_pool": "avg"}),
    "timm_gap_reg4_norm": ("vit_betwixt_patch16_reg4_gap_256", SIZE, VIT | {"fc_norm": False}),
    "timm_qk_norm": ("vit_tiny_patch16_224", SIZE, VIT | {"qk_norm": True}),
    "timm_aimv2": ("aimv2_large_patch14_224", SIZE, VIT),
    "timm_eva02_packed": ("eva02_tiny_patch14_224", SIZE, EVA),
    "timm_eva02_split": ("eva02_large_patch14_clip_224", SIZE, EVA),
    "timm_dinov3": ("vit_small_patch16_dinov3", SIZE, DINOV3 | {"global_pool": "token"}),
    "timm_dinov3_qkvb": ("vit_small_patch16_dinov3_qkvb", SIZE, DINOV3),
    "timm_dinov3_gated": ("vit_small_plus_patch16_dinov3", SIZE, DINOV3 | {"mlp_ratio": 2.25}),
    "timm_rope_mixed": ("vit_small_patch16_rope_mixed_224", SIZE, VIT | {"num_heads": 4}),
    "timm_pe": ("vit_pe_core_base_patch16_224", SIZE, EVA | {"attn_pool_num_heads": 4, "attn_pool_mlp_ratio": 2.0}),
    "timm_beit": ("beit_base_patch16_224", SIZE, VIT),
    "timm_sam": ("samvit_base_patch16", 20, SAM),
    "timm_swin": ("swin_tiny_patch4_window7_224", 32, SWIN | {"window_size": 4}),
    "timm_swin_rolled_then_padded": ("swin_tiny_patch4_window7_224", 28, SWIN),
    "timm_swin_small_windows": ("swin_tiny_patch4_window7_224", SIZE, SWIN | {"window_size": 7}),
    "timm_resnet_basic": ("resnet18", 28, RESNET | {"channels": (4, 6, 8, 12)}),
    "timm_resnet_bottleneck": ("resnet50", 28, RESNET | {"channels": (3, 4, 5, 6)}),
}


def created(architecture, **arguments):
    """A model of timm, and all arguments that its class was given."""
    with mock.patch.object(_builder, "_init_model_traits", wraps=_builder._init_model_traits) as spy:
        model = timm.create_model(architecture, **arguments)
    return model, spy.call_args.args[1]


def in_json(value):
    try:
        json.dumps(value)
        return True
    except TypeError:
        return False


def save_config(folder, model, arguments, size):
    folder.mkdir(parents=True, exist_ok=True)
    stated = {key: value for key, value in arguments.items() if in_json(value)}
    save_config_for_hf(model, folder / "config.json", model_args=stated, data_config=data_config(size))


def outputs(model, images):
    model = model.to(images.dtype)
    found = {"tokens": model.forward_features(images)}
    if getattr(model, "global_pool", None) != "":
        found["pooled"] = model.forward_head(found["tokens"], pre_logits=True)
    if model.num_classes:
        found["logits"] = model(images)
    return found


def save_loaded_reference(folder, size):
    """Of the folder as timm loads it."""
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    save_reference(folder, images_of(folder.name, size), partial(outputs, model))


def timm_model(folder, architecture, size, arguments):
    is_resnet = architecture.startswith("resnet")
    model, complete = created(architecture, **arguments, **({} if is_resnet else {"img_size": size}))
    randomised(model, folder.name)
    if is_resnet:
        with_statistics(model, folder.name, size)
    save_config(folder, model, complete, size)
    save_weights(folder, model.state_dict())
    save_loaded_reference(folder, size)


def timm_vit_resampled(folder):
    """timm_vit_token, for larger images."""
    size = SIZE + 8
    model, complete = created("vit_tiny_patch16_224", **VIT, img_size=size)
    save_config(folder, model, complete, size)
    smaller, _ = created("vit_tiny_patch16_224", **VIT, img_size=SIZE)
    # timm rounds what it resampled to the file's precision; here nothing shall be rounded.
    save_weights(folder, randomised(smaller, "timm_vit_token").state_dict(), whole=("pos_embed",))
    save_loaded_reference(folder, size)


def inverted_residuals(folder, architecture, stages, **settings):
    """MobileNetV2 and EfficientNet-Lite, whose names fix their widths: the same stages in small."""
    model = EfficientNet(
        decode_arch_def(stages), num_classes=CLASSES, num_features=32, stem_size=8, fix_stem=True,
        round_chs_fn=lambda channels: channels, act_layer=torch.nn.ReLU6, **settings,
    )  # fmt: skip
    with_statistics(randomised(model, folder.name, clipped=True), folder.name, 28)
    save_weights(folder, model.state_dict())
    write_config(folder, architecture, 28, CLASSES, 32)
    save_reference(folder, images_of(folder.name, 28), partial(outputs, model))


def renamed(state, rules):
    result = {}
    for key, tensor in state.items():
        for old, new in rules:
            key = re.sub(old, new, key)
        result[key] = tensor
    return result


OPENAI = [
    ("patch_embed.proj", "conv1"), ("cls_token", "class_embedding"), ("pos_embed", "positional_embedding"),
    ("norm_pre", "ln_pre"), (r"^norm\.", "ln_post."), ("blocks", "transformer.resblocks"), (r"norm([12])\.", r"ln_\1."),
    (r"attn\.qkv\.", "attn.in_proj_"), (r"attn\.proj", "attn.out_proj"), (r"mlp\.fc1", "mlp.c_fc"),
    (r"mlp\.fc2", "mlp.c_proj"),
]  # fmt: skip


def openai_clip(folder):
    """The file of OpenAI and OpenCLIP: vision tower under `visual.`, the text tower beside it."""
    architecture = "vit_base_patch32_clip_quickgelu_224"
    model, complete = created(architecture, **VIT, img_size=SIZE)
    save_config(folder, randomised(model, folder.name), complete, SIZE)
    state = model.state_dict()
    del state["head.bias"]  # the file has none; timm's is zero
    state |= {"cls_token": state["cls_token"][0, 0], "pos_embed": state["pos_embed"][0]}
    tensors = {f"visual.{key}": tensor for key, tensor in renamed(state, OPENAI).items()}
    tensors["visual.proj"] = tensors.pop("visual.head.weight").T
    text, _ = created(architecture, patch_size=8, embed_dim=8, depth=1, num_heads=2, num_classes=0)
    text = randomised(text, folder.name + " text").state_dict()
    tensors |= renamed({key: tensor for key, tensor in text.items() if key.startswith("blocks")}, OPENAI)
    shapes = {
        "token_embedding.weight": (12, 8), "positional_embedding": (5, 8), "logit_scale": (), "ln_final.weight": (8,),
        "ln_final.bias": (8,), "text_projection": (8, CLASSES),
    }  # fmt: skip
    save_weights(folder, tensors | {key: torch.ones(shape) for key, shape in shapes.items()})
    save_loaded_reference(folder, SIZE)


def meta_dinov2(folder):
    """DINOv2's own file: positions of the class token and the patches, registers without, and a token for training."""
    model, complete = created("vit_giant_patch14_reg4_dinov2", **HEADLESS, act_layer="silu", img_size=SIZE)
    save_config(folder, randomised(model, folder.name), complete, SIZE)
    rules = [(r"mlp\.fc1", "mlp.w12"), (r"mlp\.fc2", "mlp.w3"), ("reg_token", "register_tokens")]
    state = renamed(model.state_dict(), rules)
    state["pos_embed"] = torch.cat([state["cls_token"] / 2, state["pos_embed"]], 1)
    state["cls_token"] = state["cls_token"] / 2
    save_weights(folder, state | {"mask_token": torch.zeros(1, HEADLESS["embed_dim"])})
    save_loaded_reference(folder, SIZE)


def official_swin(folder):
    """Merging at the end of a stage, `head` for `head.fc`, and the tables that older code stored."""
    model, complete = created("swin_tiny_patch4_window7_224", **SWIN, img_size=SIZE)
    save_config(folder, randomised(model, folder.name), complete, SIZE)
    stored = ("relative_position_index", "attn_mask")
    state = model.state_dict() | {key: table for key, table in model.named_buffers() if key.endswith(stored)}
    earlier = lambda found: f"layers.{int(found[1]) - 1}.downsample"
    save_weights(folder, renamed(state, [(r"head\.fc", "head"), (r"layers\.(\d)\.downsample", earlier)]))
    save_loaded_reference(folder, SIZE)


def families():
    """{name: function of the folder}."""
    found = {name: partial(timm_model, **dict(zip(("architecture", "size", "arguments"), row)))
             for name, row in MODELS.items()}
    found["timm_mobilenetv2"] = partial(inverted_residuals, architecture="mobilenetv2_100", stages=MOBILENET)
    found["timm_tf_efficientnet_lite"] = partial(
        inverted_residuals, architecture="tf_efficientnet_lite0", stages=EFFICIENTNET_LITE, pad_type="same",
        norm_layer=partial(torch.nn.BatchNorm2d, eps=1e-3),
    )  # fmt: skip
    return found | {make.__name__: make for make in (timm_vit_resampled, openai_clip, meta_dinov2, official_swin)}
