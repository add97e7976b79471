"""Small models of transformers, and its Swin under mmdetection's names: see make_family_references.py."""

import re
from functools import partial

import torch
import transformers as hf
from safetensors.torch import load_file
from torch.nn import functional

from families_of_timm import SWIN, renamed
from family_folders import (
    CLASSES, SIZE, images_of, randomised, save_reference, save_weights, with_statistics, write_config,
)  # fmt: skip

LABELS = {"num_labels": CLASSES}
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": SIZE, "patch_size": 8}
WIDE = SMALL | {"intermediate_size": 40}
DINOV2 = SMALL | {"mlp_ratio": 3}
DINOV3 = WIDE | {"num_register_tokens": 3}
BACKBONE_SWIN = {
    "embed_dim": 4, "depths": [2, 2, 2], "num_heads": [1, 2, 2], "window_size": 3, "patch_size": 2, "mlp_ratio": 2.5,
    "image_size": 28,
}  # fmt: skip
MAE_DECODER = {f"decoder_{key}": value for key, value in (
    ("hidden_size", 8), ("num_attention_heads", 2), ("num_hidden_layers", 1), ("intermediate_size", 8))}
VITDET = SMALL | {
    "patch_size": 4, "image_size": 20, "pretrain_image_size": 12, "window_size": 3, "window_block_indices": [0],
    "use_relative_position_embeddings": True,
}  # fmt: skip
RESNET = {"embedding_size": 8, "hidden_sizes": [6, 8, 10, 12], "depths": [2, 1, 1, 1], "layer_type": "basic"}
TEXT = {
    "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 12,
    "max_position_embeddings": 5, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
}  # fmt: skip
TOWERS = {"text_config": TEXT, "vision_config": WIDE}


def square(side):
    return {"height": side, "width": side}


def straight(kind, size=SIZE):
    return kind(size=square(size))


def cropped(kind, size=SIZE, edge=SIZE + 4):
    return kind(size={"shortest_edge": edge}, crop_size=square(size))


def first(tokens):
    return tokens[:, 0]


def first_and_mean(tokens):
    return torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1)


def outputs(model, images, pool=None, **options):
    classifies = "For" in type(model).__name__
    given = (model.base_model if classifies else model)(images, **options)
    found = {"tokens": given.last_hidden_state}
    if pool:
        found["pooled"] = pool(found["tokens"])
    elif getattr(given, "pooler_output", None) is not None:
        found["pooled"] = given.pooler_output.flatten(1)
    if classifies:
        found["logits"] = model(images, **options).logits
    return found


def mae_outputs(model, images):
    model.config.mask_ratio = 0.0
    patches = (SIZE // SMALL["patch_size"]) ** 2
    order = torch.arange(float(patches)).expand(len(images), patches)
    tokens = model.vit(images, noise=order).last_hidden_state
    return {"tokens": tokens, "pooled": first(tokens)}


def clip_outputs(model, images):
    tower = model.vision_model
    given = tower(images)
    logits = model.visual_projection(given.pooler_output)
    return {"tokens": tower.post_layernorm(given.last_hidden_state), "pooled": given.pooler_output, "logits": logits}


def siglip_outputs(model, images):
    given = getattr(model, "vision_model", model)(images)
    return {"tokens": given.last_hidden_state, "pooled": given.pooler_output}


def backbone_outputs(model, images):
    return {f"maps.{stage}": feature for stage, feature in enumerate(model(images).feature_maps)}


VIT_IMAGES, DINO_IMAGES = straight(hf.ViTImageProcessor), cropped(hf.BitImageProcessor)
CLIP_IMAGES, SIGLIP_IMAGES = cropped(hf.CLIPImageProcessor, edge=SIZE), straight(hf.SiglipImageProcessor)
DEIT_IMAGES = hf.DeiTImageProcessor(size=square(28), crop_size=square(SIZE))
DINOV3_IMAGES = straight(hf.DINOv3ViTImageProcessor)
BEIT_IMAGES = hf.BeitImageProcessor(size=square(SIZE), do_center_crop=False)

of_first = partial(outputs, pool=first)
# Name: class, config, processor, outputs, side of the images.
MODELS = {
    "hf_vit": (hf.ViTForImageClassification, hf.ViTConfig(**WIDE, **LABELS), VIT_IMAGES, of_first, SIZE),
    "hf_vit_headless": (
        partial(hf.ViTModel, add_pooling_layer=False), hf.ViTConfig(**WIDE), VIT_IMAGES, of_first, SIZE),
    "hf_vit_resampled": (
        hf.ViTForImageClassification, hf.ViTConfig(**WIDE, **LABELS), straight(hf.ViTImageProcessor, SIZE + 8),
        partial(of_first, interpolate_pos_encoding=True), SIZE + 8),
    "hf_deit_distilled": (
        hf.DeiTForImageClassificationWithTeacher, hf.DeiTConfig(**WIDE, **LABELS), DEIT_IMAGES, outputs, SIZE),
    "hf_dinov2": (hf.Dinov2Model, hf.Dinov2Config(**DINOV2), DINO_IMAGES, outputs, SIZE),
    "hf_dinov2_head": (
        hf.Dinov2ForImageClassification, hf.Dinov2Config(**DINOV2, **LABELS), DINO_IMAGES,
        partial(outputs, pool=first_and_mean), SIZE),
    "hf_dinov2_swiglu": (hf.Dinov2Model, hf.Dinov2Config(**DINOV2, use_swiglu_ffn=True), DINO_IMAGES, outputs, SIZE),
    "hf_dinov2_registers": (
        hf.Dinov2WithRegistersModel, hf.Dinov2WithRegistersConfig(**DINOV2, num_register_tokens=3), DINO_IMAGES,
        outputs, SIZE),
    "hf_dinov2_resampled": (hf.Dinov2Model, hf.Dinov2Config(**DINOV2 | {"image_size": 40}), DINO_IMAGES, outputs, SIZE),
    "hf_dinov3": (hf.DINOv3ViTModel, hf.DINOv3ViTConfig(**DINOV3), DINOV3_IMAGES, outputs, SIZE),
    "hf_dinov3_gated": (
        hf.DINOv3ViTModel, hf.DINOv3ViTConfig(**DINOV3, use_gated_mlp=True, hidden_act="silu"), DINOV3_IMAGES, outputs,
        SIZE),
    "hf_clip": (
        hf.CLIPVisionModelWithProjection, hf.CLIPVisionConfig(**WIDE, projection_dim=CLASSES), CLIP_IMAGES,
        clip_outputs, SIZE),
    "hf_clip_whole": (hf.CLIPModel, hf.CLIPConfig(**TOWERS, projection_dim=CLASSES), CLIP_IMAGES, clip_outputs, SIZE),
    "hf_siglip": (hf.SiglipVisionModel, hf.SiglipVisionConfig(**WIDE), SIGLIP_IMAGES, siglip_outputs, SIZE),
    "hf_siglip_whole": (hf.SiglipModel, hf.SiglipConfig(**TOWERS), SIGLIP_IMAGES, siglip_outputs, SIZE),
    "hf_beit": (
        hf.BeitForImageClassification, hf.BeitConfig(**WIDE, use_relative_position_bias=True, **LABELS), BEIT_IMAGES,
        outputs, SIZE),
    "hf_mae": (hf.ViTMAEForPreTraining, hf.ViTMAEConfig(**WIDE, **MAE_DECODER), VIT_IMAGES, mae_outputs, SIZE),
    "hf_swin": (
        hf.SwinForImageClassification, hf.SwinConfig(**BACKBONE_SWIN | {"window_size": 4, "image_size": 32}, **LABELS),
        straight(hf.ViTImageProcessor, 32), outputs, 32),
    "hf_swin_padded_then_rolled": (
        hf.SwinForImageClassification, hf.SwinConfig(**BACKBONE_SWIN, **LABELS), straight(hf.ViTImageProcessor, 28),
        outputs, 28),
    "hf_swin_backbone": (
        hf.SwinBackbone, hf.SwinConfig(**BACKBONE_SWIN, out_features=["stage1", "stage2", "stage3"]),
        straight(hf.ViTImageProcessor, 28), backbone_outputs, 28),
    "hf_vitdet": (hf.VitDetModel, hf.VitDetConfig(**VITDET), straight(hf.ViTImageProcessor, 20), outputs, 20),
    "hf_resnet": (
        hf.ResNetForImageClassification, hf.ResNetConfig(**RESNET, **LABELS),
        hf.ConvNextImageProcessor(size={"shortest_edge": 28}), outputs, 28),
}  # fmt: skip


def transformers_model(folder, kind, config, processor, compute, size):
    model = randomised(kind(config), folder.name)
    if isinstance(model, hf.ResNetForImageClassification):
        with_statistics(model, folder.name, size)
    model.half().save_pretrained(folder)
    processor.save_pretrained(folder)
    options = getattr(kind, "keywords", {})

    def loaded(images):
        load = type(model).from_pretrained
        found, report = load(folder, dtype=images.dtype, output_loading_info=True, **options)
        assert not any(report.values()), report
        return compute(found.eval(), images)

    save_reference(folder, images_of(folder.name, size), loaded)


def unfold_order(tensor):
    """Inputs of a merging (last dimension), from Swin's order to that of torch.nn.Unfold, which mmdetection uses."""
    parts = tensor.unflatten(-1, (4, -1))[..., [0, 2, 1, 3], :]
    return parts.transpose(-1, -2).flatten(-2)


MM = [
    (r"^embeddings\.patch_embeddings\.", "patch_embed."), (r"^embeddings\.", "patch_embed."),
    (r"^encoder\.layers\.", "stages."), (r"layernorm_before", "norm1"), (r"layernorm_after", "norm2"),
    (r"attention\.self\.", "attn.w_msa."), (r"attention\.output\.dense", "attn.w_msa.proj"),
    (r"intermediate\.dense", "ffn.layers.0.0"), (r"output\.dense", "ffn.layers.1"),
    (r"hidden_states_norms\.stage(\d)", lambda found: f"norm{int(found[1]) - 1}"), (r"^", "backbone."),
]  # fmt: skip


def mm_swin(folder):
    """hf_swin_backbone, which must be there, under the names of mmdetection and mmsegmentation."""
    x = torch.randn(1, 5, 2, 2)
    swins = torch.cat([x[..., 0, 0], x[..., 1, 0], x[..., 0, 1], x[..., 1, 1]], -1)
    assert torch.equal(unfold_order(swins), functional.unfold(x, 2, stride=2)[..., 0])
    source = folder.parent / "hf_swin_backbone"
    joined, state = {}, {}
    for key, tensor in load_file(source / "model.safetensors").items():
        found = re.fullmatch(r"(.*attention\.self)\.(query|key|value)\.(weight|bias)", key)
        if found:
            joined.setdefault((found[1], found[3]), {})[found[2]] = tensor
        elif not key.startswith("swin.layernorm"):  # which the backbone does not use
            state[key] = unfold_order(tensor) if ".downsample." in key else tensor
    for (stem, part), parts in joined.items():
        state[f"{stem}.qkv.{part}"] = torch.cat([parts["query"], parts["key"], parts["value"]])
    save_weights(folder, renamed(state, MM))
    size, width = BACKBONE_SWIN["image_size"], 16
    write_config(folder, "swin_tiny_patch4_window7_224", size, 0, width, img_size=size, **SWIN | {"num_classes": 0})
    reference = load_file(source / "reference.safetensors")
    images = reference.pop("images")
    save_reference(folder, images, lambda x: {key: tensor.to(x.dtype) for key, tensor in reference.items()})


def families():
    """{name: function of the folder}."""
    hf.utils.logging.disable_progress_bar()
    keys = ("kind", "config", "processor", "compute", "size")
    found = {name: partial(transformers_model, **dict(zip(keys, row))) for name, row in MODELS.items()}
    return found | {"mm_swin": mm_swin}
