"""Small models of torchvision, and of ports that no library has: see make_family_references.py."""

import torch
import torchvision
from torch.nn import functional

from families_of_timm import SWIN
from family_folders import (
    CLASSES, images_of, randomised, save_reference, save_weights, seed_of, with_statistics, write_config,
)  # fmt: skip


def torchvision_swin(folder):
    patch, window = [SWIN["patch_size"]] * 2, [SWIN["window_size"]] * 2
    model = torchvision.models.SwinTransformer(
        patch, SWIN["embed_dim"], SWIN["depths"], SWIN["num_heads"], window, SWIN["mlp_ratio"], num_classes=CLASSES
    )
    save_weights(folder, randomised(model, folder.name).state_dict())
    write_config(folder, "swin_tiny_patch4_window7_224", 28, CLASSES, 16, img_size=28, **SWIN)

    def compute(images):
        tokens = model.to(images.dtype).norm(model.features(images))
        return {"tokens": tokens, "pooled": tokens.mean((1, 2)), "logits": model(images)}

    save_reference(folder, images_of(folder.name, 28), compute)


def torchvision_mobilenet_v2(folder):
    widths, repeats, strides = (4, 6, 8, 10, 12, 16, 20), (1, 2, 3, 4, 3, 3, 1), (1, 2, 2, 2, 1, 2, 1)
    settings = [[1 if stage == 0 else 3, *three] for stage, three in enumerate(zip(widths, repeats, strides))]
    model = torchvision.models.MobileNetV2(CLASSES, inverted_residual_setting=settings, round_nearest=2)
    # The last convolution has 1280 channels whatever the settings are.
    model.features[-1] = torchvision.ops.Conv2dNormActivation(20, 32, 1, activation_layer=torch.nn.ReLU6)
    model.classifier[1] = torch.nn.Linear(32, CLASSES)
    # Deep and narrow: most draws make float32's errors larger by a hundred. This one does not.
    with_statistics(randomised(model, folder.name + "0", clipped=True), folder.name, 28)
    save_weights(folder, model.state_dict())
    write_config(folder, "mobilenetv2_100", 28, CLASSES, 32)

    def compute(images):
        tokens = model.to(images.dtype).features(images)
        return {"tokens": tokens, "pooled": tokens.mean((2, 3)), "logits": model(images)}

    save_reference(folder, images_of(folder.name, 28), compute)


def random_tensors(name, convolutions, norms, linear, factors):
    """Weights of {key: shape}, BatchNorms of {key: channels} without a count of batches, a last layer with a bias."""
    generator = torch.Generator().manual_seed(seed_of(name))
    draw = lambda *shape: torch.randn(shape, generator=generator)
    state = {}
    for key, shape in (convolutions | linear).items():
        state[f"{key}.weight"] = 1.5 * draw(*shape) * torch.Size(shape[1:]).numel() ** -0.5
    for key, channels in norms.items():
        for part in ("weight", "running_var"):
            state[f"{key}.{part}"] = torch.empty(channels).uniform_(*factors, generator=generator)
        for part in ("bias", "running_mean"):
            state[f"{key}.{part}"] = 0.3 * draw(channels)
    for key, shape in linear.items():
        state[f"{key}.bias"] = draw(shape[0])
    return {key: tensor.half().float() for key, tensor in state.items()}


def in_precision(state, x):
    return {key: tensor.to(x.dtype) for key, tensor in state.items()}


def normed(state, key, x, epsilon):
    statistics = [state[f"{key}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    return functional.batch_norm(x, *statistics, eps=epsilon)


def tail(state, key, x):
    pooled = x.mean((2, 3))
    logits = functional.linear(pooled, state[f"{key}.weight"].flatten(1), state[f"{key}.bias"])
    return {"tokens": x, "pooled": pooled, "logits": logits}


def mobilenet_v1(folder):
    """Keras' MobileNetV1 under the names of a port: TensorFlow's padding, epsilon 1e-3, ReLU6."""
    widths = [4, 4, 8, 8, 16, 16, 32, 32, 32, 32, 32, 32, 64, 64]
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    convolutions, norms = {"conv1": (4, 3, 3, 3)}, {"conv1_bn": 4}
    for block, (before, after) in enumerate(zip(widths, widths[1:]), 1):
        convolutions |= {f"conv_dw_{block}": (before, 1, 3, 3), f"conv_pw_{block}": (after, before, 1, 1)}
        norms |= {f"conv_dw_{block}_bn": before, f"conv_pw_{block}_bn": after}
    weights = random_tensors(folder.name, convolutions, norms, {"conv_preds": (CLASSES, 64, 1, 1)}, (1.2, 2.4))
    save_weights(folder, weights)
    write_config(folder, "mobilenet_v1_006", 28, CLASSES, 64)

    def layer(state, x, key, stride=1):
        weight = state[f"{key}.weight"]
        kernel, side = weight.shape[-1], x.shape[-1]
        lack = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        x = functional.pad(x, (lack // 2, lack - lack // 2) * 2)
        x = functional.conv2d(x, weight, stride=stride, groups=x.shape[1] // weight.shape[1])
        return normed(state, f"{key}_bn", x, 1e-3).clamp(0, 6)

    def compute(images):
        state = in_precision(weights, images)
        x = layer(state, images, "conv1", 2)
        for block, stride in enumerate(strides, 1):
            x = layer(state, layer(state, x, f"conv_dw_{block}", stride), f"conv_pw_{block}")
        return tail(state, "conv_preds", x)

    save_reference(folder, images_of(folder.name, 28), compute)


def cifar_resnet(folder):
    """A ResNet for CIFAR: skips between stages take every second pixel and pad channels with zeros on both sides."""
    convolutions, norms, strides = {"conv1": (4, 3, 3, 3)}, {"bn1": 4}, {}
    before = 4
    for stage, width in enumerate((4, 8, 16), 1):
        for block in range(2):
            key = f"layer{stage}.{block}"
            convolutions |= {f"{key}.conv1": (width, before, 3, 3), f"{key}.conv2": (width, width, 3, 3)}
            norms |= {f"{key}.bn1": width, f"{key}.bn2": width}
            strides[key] = 1 if before == width else 2
            before = width
    weights = random_tensors(folder.name, convolutions, norms, {"linear": (CLASSES, 16)}, (0.4, 1.4))
    save_weights(folder, weights)
    write_config(folder, "cifar_resnet14", 18, CLASSES, 16)

    def layer(state, x, key, number, stride=1):
        x = functional.conv2d(x, state[f"{key}conv{number}.weight"], stride=stride, padding=1)
        return normed(state, f"{key}bn{number}", x, 1e-5)

    def compute(images):
        state = in_precision(weights, images)
        x = layer(state, images, "", 1).relu()
        for key, stride in strides.items():
            y = layer(state, x, f"{key}.", 1, stride).relu()
            y = layer(state, y, f"{key}.", 2)
            added = (y.shape[1] - x.shape[1]) // 2
            x = (y + functional.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, added, added))).relu()
        return tail(state, "linear", x)

    save_reference(folder, images_of(folder.name, 18), compute)


def families():
    """{name: function of the folder}."""
    return {make.__name__: make for make in (torchvision_swin, torchvision_mobilenet_v2, mobilenet_v1, cifar_resnet)}
