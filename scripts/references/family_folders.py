"""What the folders of make_family_references.py have in common: random weights, files, references."""

import json
import re
import zlib

import timm
import torch
import torchvision
import transformers
from safetensors.torch import save_file

SIZE, CLASSES = 24, 7
LIBRARIES = (timm, transformers, torchvision, torch)
MADE_WITH = {"made_with": ", ".join(f"{of.__name__} {of.__version__.split('+')[0]}" for of in LIBRARIES)}


def seed_of(name):
    return zlib.crc32(name.encode())


def images_of(name, size):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(seed_of(name) ^ 1))


@torch.no_grad()
def randomised(model, name, clipped=False):
    """Every parameter and statistic far from its initial value and exact in float16. If clipped, factors of BatchNorms
    differ so much that ReLU6 is at 6 now and then."""
    generator = torch.Generator().manual_seed(seed_of(name))
    for module in model.modules():
        is_norm = "norm" in type(module).__name__.lower()
        for key, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            if is_norm and key == "weight" and clipped:
                tensor.log_normal_(0, 0.8, generator=generator)
            elif is_norm and key in ("weight", "running_var"):
                tensor.uniform_(0.4, 1.4, generator=generator)
            elif re.search("gamma|lambda", key):
                signs = torch.randint(2, tensor.shape, generator=generator) * 2 - 1
                tensor.uniform_(0.4, 1.4, generator=generator).mul_(signs)
            elif isinstance(tensor, torch.nn.Parameter) or key == "running_mean":
                fan = tensor[0].numel() if tensor.ndim > 1 else 25
                deviation = 0.5 if tensor.ndim > 1 and len(tensor) == 1 else 1.5 * fan**-0.5
                tensor.normal_(0, deviation, generator=generator)
            else:
                continue  # tables that follow from the arguments
            tensor.copy_(tensor.half())
    return model.eval()


@torch.no_grad()
def with_statistics(model, name, size):
    """BatchNorms with statistics of the size that random images have, so that layers neither vanish nor saturate."""
    generator = torch.Generator().manual_seed(seed_of(name) ^ 2)

    def fit(norm, inputs):
        square = inputs[0].square().mean((0, 2, 3)).clamp(min=0.01)
        norm.running_var.copy_((square * torch.empty_like(square).uniform_(0.4, 1.4, generator=generator)).half())
        norm.running_mean.copy_((square.sqrt() * torch.empty_like(square).normal_(0, 0.3, generator=generator)).half())

    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(fit) for norm in norms]
    model(torch.randn(16, 3, size, size, generator=generator))
    for hook in hooks:
        hook.remove()
    return model


def save_weights(folder, tensors, whole=()):
    """Half precision, but for the names in `whole`."""
    folder.mkdir(parents=True, exist_ok=True)
    is_halved = lambda key, tensor: tensor.is_floating_point() and key not in whole
    exact = {key: tensor.detach().half() if is_halved(key, tensor) else tensor.detach() for key, tensor in tensors.items()}
    save_file({key: t.clone().contiguous() for key, t in exact.items()}, folder / "model.safetensors", {"format": "pt"})


def data_config(size):
    half = (0.5, 0.5, 0.5)
    return {"input_size": (3, size, size), "mean": half, "std": half, "crop_pct": 1.0, "interpolation": "bicubic"}


def write_config(folder, architecture, size, classes, width, **arguments):
    """In timm's form, of a model that timm cannot build from its name."""
    config = {
        "architecture": architecture,
        "num_classes": classes,
        "num_features": width,
        "global_pool": "avg",
        "model_args": {"num_classes": classes} | arguments,
        "pretrained_cfg": data_config(size) | {"num_classes": classes},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


@torch.no_grad()
def save_reference(folder, images, compute):
    """compute(images) gives {name: tensor} in the precision of the images."""
    single, double = compute(images), compute(images.double())
    sizes = {key: t.abs().max().item() for key, t in double.items()}
    error = max((single[key].double() - t).abs().max().item() / sizes[key] for key, t in double.items())
    outputs = {"images": images} | {key: t.float().contiguous() for key, t in double.items()}
    save_file(outputs, folder / "reference.safetensors", MADE_WITH)
    stored = sum(file.stat().st_size for file in folder.iterdir())
    largest = "  ".join(f"{key} {tuple(double[key].shape)} {size:.1f}" for key, size in sizes.items())
    print(f"{folder.name:30} {stored:6} bytes, float32 off by {error:.0e}, largest {largest}", flush=True)
