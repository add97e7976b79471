#!/usr/bin/env python3
"""Writes what timm's names of architectures say and neither their config.json nor their weights do.

    make_timm_names.py > src/model/loading/timm_names.inc

Every model of the families below is built on the meta device and looked at, module by module; an unknown module, or a
known one with an unknown setting, ends the script. One row a name, and one for every name that timm has given up. A row
leaves out what has its default:

    width         0; of the tokens, of Swin in its first stage; convolutional networks have none
    heads         0; Swin has none, because its tables have a column for each head
    activation    "gelu"; or gelu_tanh, quick_gelu, silu, relu, relu6, hard_swish
    epsilon       1e-6; of all LayerNorms, RMSNorms or BatchNorms
    pooling       "token"; or avg, map, none: timm's global_pool
    pool_heads    0; of attention pooling, where they are not `heads`
    same_padding  false; true for ports of TensorFlow's networks, where strides pad more to the right and below
    rope          kind ""; or cat, dinov3, mixed
                  temperature 10000
                  reference 0, for none; else the side of the grid that positions are scaled to
                  offset 0, which is added to positions
                  columns_first false
                  halves false, where pairs are neighbours; true where they are half a head apart
    missing       ""; else what the program has no definition of: such a row says nothing more

Attention pooling sees all tokens of a model with a class token, and of others, which may have registers, the patches.
"""

import timm
import torch
from timm.models import _registry as registry

FAMILIES = (
    "vision_transformer", "deit", "eva", "beit", "vision_transformer_sam", "vision_transformer_hybrid",
    "vision_transformer_relpos", "naflexvit", "swin_transformer", "swin_transformer_v2", "swin_transformer_v2_cr",
    "resnet", "efficientnet", "mobilenetv3",
)  # fmt: skip
# By the kind of a module.
MISSING = {
    "NaFlexVit": "NaFlex",
    "VisionTransformerSAM": "windows with decomposed positions (SAM)",
    "SwinTransformerV2": "Swin V2",
    "SwinTransformerV2Cr": "Swin V2",
    "RelPosMlp": "relative-position MLP",
    "RelPosBias": "relative-position table of the relpos family",
    "HybridEmbed": "convolutional stem",
    "ParallelScalingBlock": "parallel blocks",
    "ParallelThingsBlock": "parallel blocks",
    "DiffParallelScalingBlock": "parallel blocks",
    "ResPostBlock": "norms behind attention and MLP",
    "EvaBlockPostNorm": "norms behind attention and MLP",
    "DiffAttention": "differential attention",
    "MobileNetV3": "convolution behind the pooling",
    "SqueezeExcite": "squeeze-and-excitation",
    "SEModule": "squeeze-and-excitation",
    "EffectiveSEModule": "squeeze-and-excitation",
    "EcaModule": "channel attention",
    "CecaModule": "channel attention",
    "GatherExcite": "channel attention",
    "GlobalContext": "channel attention",
    "MixedConv2d": "mixed kernels",
    "CondConv2d": "conditional convolutions",
    "EdgeResidual": "edge residuals",
    "ConvBnAct": "convolution blocks",
    "UniversalInvertedResidual": "universal inverted residuals",
    "MobileAttention": "mobile attention",
    "BlurPool2d": "anti-aliased downsampling",
    "GroupNorm": "group norm",
    "GroupNormAct": "group norm",
}
ACTIVATIONS = {
    "GELUTanh": "gelu_tanh", "QuickGELU": "quick_gelu", "SiLU": "silu", "ReLU": "relu", "ReLU6": "relu6",
    "Hardswish": "hard_swish",
}  # fmt: skip
NORMS = {"LayerNorm", "RmsNorm", "BatchNorm2d", "BatchNormAct2d"}
LAYERS = {"Linear", "Conv2d", "Identity", "Dropout", "DropPath", "Sequential", "ModuleList"}
SHARED = LAYERS | NORMS | ACTIVATIONS.keys() | {"GELU"}
POOLS = {"SelectAdaptivePool2d", "FastAdaptiveAvgPool", "AdaptiveAvgPool2d", "Flatten"}
VIT = SHARED | {"PatchEmbed", "Block", "Attention", "Mlp", "GluMlp", "SwiGLU", "LayerScale", "AttentionPoolLatent"}
ROPES = {"RotaryEmbeddingCat": "cat", "RotaryEmbeddingDinoV3": "dinov3", "RotaryEmbeddingMixed": "mixed"}
SWIN = {"SwinTransformerStage", "SwinTransformerBlock", "WindowAttention", "PatchMerging", "ClassifierHead", "Softmax"}
PLAIN = {
    "VisionTransformer": VIT,
    "VisionTransformerDistilled": VIT,
    "Beit": VIT,
    "Eva": VIT | {"EvaBlock", "EvaAttention", "AttentionRope", *ROPES},
    "SwinTransformer": SHARED | POOLS | SWIN | {"PatchEmbed", "Mlp"},
    "ResNet": SHARED | POOLS | {"BasicBlock", "Bottleneck", "MaxPool2d"},
    "EfficientNet": SHARED | POOLS | {"Conv2dSame", "DepthwiseSeparableConv", "InvertedResidual"},
}


def only(values, what):
    """The one value that all have."""
    values = set(values)
    assert len(values) == 1, f"{what}: {values}"
    return values.pop()


def kind(module):
    return type(module).__name__


def activation_of(module):
    if kind(module) == "GELU":
        return {"none": "gelu", "tanh": "gelu_tanh"}[getattr(module, "approximate", "none")]
    return ACTIVATIONS.get(kind(module))


def common(model):
    """Activation and epsilon."""
    norms = [module for module in model.modules() if kind(module) in NORMS]
    assert all(kind(norm) == "RmsNorm" or norm.bias is not None for norm in norms), "a norm without bias"
    acts = [activation_of(module) for module in model.modules() if activation_of(module)]
    return {"activation": only(acts, "activations"), "epsilon": only((norm.eps for norm in norms), "epsilons")}


# Readers return the facts of a model and add what the program has no definition of to `missing`.


def rope_of(model):
    rope = getattr(model, "rope", None)
    if rope is None:
        return None
    name, halves = ROPES[kind(rope)], getattr(rope, "rotate_half", False)
    for block in model.blocks:
        assert block.attn.rotate_half == halves and block.attn.num_prefix_tokens == model.num_prefix_tokens
    if name == "dinov3":
        assert rope.normalize_coords == "separate" and rope.min_period is None and rope.grid_offset == 0
    if name == "cat":
        assert rope.grid_type == "index" and not rope.in_pixels
    reference = getattr(rope, "ref_feat_shape", None)
    return {
        "kind": name,
        # Mixed frequencies are weights.
        "temperature": ROPE_DEFAULTS["temperature"] if name == "mixed" else rope.temperature,
        "reference": only(reference, "reference") if reference else 0,
        "offset": getattr(rope, "grid_offset", 0),
        "columns_first": rope.grid_indexing == "xy",
        "halves": halves,
    }


def vit(model, missing):
    if missing:
        return {}
    width, blocks = model.embed_dim, model.blocks
    heads = only((block.attn.num_heads for block in blocks), "heads")
    for block in blocks:
        attention, mlp = block.attn, block.mlp
        if attention.proj.in_features != width:
            missing.add("attention of another width than the tokens")
        if getattr(attention, "num_kv_heads", heads) != heads:
            missing.add("grouped-query attention")
        if getattr(attention, "gate", None) is not None:
            missing.add("gated attention")
        assert attention.scale == (attention.proj.in_features // heads) ** -0.5
        assert kind(mlp) != "GluMlp" or not mlp.gate_last
        assert kind(mlp) == "Mlp" or activation_of(mlp.act) == "silu"
    if getattr(model, "rel_pos_bias", None) is not None:
        missing.add("one table of relative positions for all blocks")
    pooling = model.global_pool or "none"
    if pooling not in ("token", "avg", "map", "none"):
        missing.add(f"pooling by {pooling}")
    if pooling != "map" and getattr(model, "pool_include_prefix", False):
        missing.add("mean over all tokens")
    pool, pool_heads = model.attn_pool if pooling == "map" else None, heads
    if pool is not None:
        all_seen = model.num_prefix_tokens == 0 or kind(model) == "Eva" or model.pool_include_prefix
        if all_seen != (model.num_prefix_tokens == 0 or model.cls_token is not None):
            missing.add("attention pooling over registers without a class token")
        assert pool.latent_len == 1 and pool.pos_embed is None and kind(pool.q_norm) == "Identity"
        assert pool.pool == "token"
        pool_heads = pool.num_heads
    convolution = model.patch_embed.proj
    assert convolution.kernel_size == convolution.stride and kind(model.head) in ("Linear", "Identity")
    pool_heads = 0 if pool_heads == heads else pool_heads
    return {"width": width, "heads": heads, "pooling": pooling, "pool_heads": pool_heads, "rope": rope_of(model)}


def swin(model, missing):
    for block in (block for stage in model.layers for block in stage.blocks):
        assert not block.always_partition and block.attn.scale == (block.dim // block.attn.num_heads) ** -0.5
        assert block.attn.qkv.out_features == 3 * block.dim and block.attn.qkv.bias is not None
    assert model.head.global_pool.pool_type == "avg"
    return {"width": model.embed_dim, "pooling": "avg"}


def resnet(model, missing):
    if kind(model.conv1) == "Sequential":
        missing.add("deep stem")
    if kind(model.maxpool) == "Sequential":
        convolution = kind(model.maxpool[0]) == "Conv2d"
        missing.add("convolution in place of max pooling" if convolution else "anti-aliased downsampling")
    stages = (model.layer1, model.layer2, model.layer3, model.layer4)
    for block in (block for stage in stages for block in stage):
        if kind(block.aa) != "Identity":
            missing.add("anti-aliased downsampling")
        skip = None if block.downsample is None else block.downsample[0]
        if kind(skip) == "Conv2d" and skip.kernel_size != (1, 1):
            missing.add("3x3 skips")
        if kind(skip) not in ("Conv2d", "NoneType"):  # an Identity where nothing is to be averaged
            missing.add("average-pooled skips")
        if block.conv2.groups > 1:
            missing.add("grouped convolutions")
    if missing:
        return {}
    for place, stage in enumerate(stages):
        strides = [(block.conv1 if kind(block) == "BasicBlock" else block.conv2).stride[0] for block in stage]
        assert strides == [1 if place == 0 else 2] + [1] * (len(stage) - 1)
    assert model.global_pool.pool_type == "avg"
    return {"pooling": "avg"}


def efficientnet(model, missing):
    blocks = [block for stage in model.blocks for block in stage]
    for block in blocks:
        depthwise = getattr(block, "conv_dw", None)
        if getattr(block, "conv_s2d", None) is not None:
            missing.add("space to depth")
        if kind(depthwise) in ("Conv2d", "Conv2dSame") and depthwise.groups != depthwise.out_channels:
            missing.add("grouped convolutions")
        if getattr(block, "has_pw_act", False):
            missing.add("activation behind the last convolution of a block")
    if kind(model.conv_head) == "Identity":
        missing.add("no convolution behind the blocks")
    if missing:
        return {}
    strides = []
    for place, stage in enumerate(model.blocks):
        if any(kind(block) != ("DepthwiseSeparableConv" if place == 0 else "InvertedResidual") for block in stage):
            missing.add("other blocks than MobileNetV2's")
        for number, block in enumerate(stage):
            assert number == 0 or block.conv_dw.stride == (1, 1)
            separable = kind(block) == "DepthwiseSeparableConv"
            first, last = (block.conv_dw, block.conv_pw) if separable else (block.conv_pw, block.conv_pwl)
            if block.has_skip != (block.conv_dw.stride == (1, 1) and first.in_channels == last.out_channels):
                missing.add("fewer skips than MobileNetV2")
        strides.append(stage[0].conv_dw.stride[0])
    if strides != [1, 2, 2, 2, 1, 2, 1]:
        missing.add("other strides than MobileNetV2's")
    assert model.conv_stem.stride == (2, 2) and model.global_pool.pool_type == "avg"
    return {"pooling": "avg", "same_padding": kind(model.conv_stem) == "Conv2dSame"}


def refused(model, missing):
    assert missing
    return {}


READERS = {
    "VisionTransformer": vit, "VisionTransformerDistilled": vit, "Beit": vit, "Eva": vit, "SwinTransformer": swin,
    "ResNet": resnet, "EfficientNet": efficientnet,
}  # fmt: skip
DEFAULTS = {
    "width": 0, "heads": 0, "activation": "gelu", "epsilon": 1e-6, "pooling": "token", "pool_heads": 0,
    "same_padding": False, "rope": None, "missing": "",
}  # fmt: skip
ROPE_DEFAULTS = {"kind": "", "temperature": 10000, "reference": 0, "offset": 0, "columns_first": False, "halves": False}


def facts_of(name):
    """A row's fields, in their order."""
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=10)
    kinds = {kind(module) for module in model.modules()}
    missing = {MISSING[found] for found in kinds & MISSING.keys()}
    facts = READERS.get(kind(model), refused)(model, missing)
    if missing:
        facts = {"missing": ", ".join(sorted(missing))}
    else:
        unknown = kinds - PLAIN[kind(model)] - {kind(model)}
        assert not unknown, f"unknown modules {unknown}"
        facts |= common(model)
    return {key: facts.get(key, default) for key, default in DEFAULTS.items()}


def text_of(value, defaults):
    """A value of C++."""
    if isinstance(value, dict):
        return "{" + ", ".join(fields(value, defaults)) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def fields(facts, defaults):
    return [f".{key} = {text_of(value, ROPE_DEFAULTS)}" for key, value in facts.items() if value != defaults[key]]


def row(name, facts):
    lines = [f'{{.name = "{name}"']
    for field in fields(facts, DEFAULTS):
        if len(lines[-1]) + len(field) + 4 > 120:
            lines[-1] += ","
            lines.append(f" {field}")
        else:
            lines[-1] += f", {field}"
    return "\n".join(lines) + "},"


def main():
    names = sorted({name for family in FAMILIES for name in timm.list_models(module=family)})
    rows = {}
    for name in names:
        try:
            rows[name] = facts_of(name)
        except Exception as error:
            raise SystemExit(f"{name}: {error!r}") from error
    for old, new in registry._deprecated_models.items():
        if new and new.split(".")[0] in rows:
            rows[old] = rows[new.split(".")[0]]
    script = "scripts/references/make_timm_names.py"
    print(f"// Of timm {timm.__version__}, by {script}, which names the defaults. Do not edit.")
    for name, facts in sorted(rows.items()):
        print(row(name, facts))


if __name__ == "__main__":
    main()
