"""What the program answered, the images as its models see them, and figures of how far two answers are apart."""

import dataclasses
import json
import math

import numpy
from PIL import Image
from safetensors import SafetensorError, safe_open

from export_check import BadUsage
from photographs import prepared


@dataclasses.dataclass
class Evaluation:
    """Images as bytes (N x C x S x S), the program's logits of them (N x classes), labels, preprocessing."""

    images: numpy.ndarray
    teacher: numpy.ndarray
    student: numpy.ndarray
    labels: numpy.ndarray
    facts: dict

    def first(self, count):
        parts = (part[:count] for part in (self.images, self.teacher, self.student, self.labels))
        return Evaluation(*parts, self.facts)


def read_evaluation(logits, folder, facts, limit=None):
    """Of the file and the images that it names; as many as `limit` says, spread over all."""
    try:
        with safe_open(logits, "numpy") as file:
            tensors = [file.get_tensor(name) for name in ("teacher", "student", "labels")]
            names = json.loads(file.metadata()["images"])
        if {len(tensor) for tensor in tensors} != {len(names)}:
            raise ValueError("its tensors and its list of images have different lengths")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise BadUsage(f"{logits} is not a file of eidolon evaluate --logits: {error}") from error
    chosen = numpy.linspace(0, len(names) - 1, min(limit or len(names), len(names))).round().astype(int)
    images = photographs(folder, [names[place] for place in chosen], facts)
    return Evaluation(images, *(tensor[chosen] for tensor in tensors), facts)


def photographs(folder, names, facts):
    """uint8, N x C x S x S: the files as the teacher's preprocessing cuts them."""
    mode = "L" if len(facts["mean"]) == 1 else "RGB"
    try:
        return numpy.stack([prepared(Image.open(folder / name).convert(mode), facts) for name in names])
    except OSError as error:
        raise BadUsage(f"an image that the logits file names cannot be read: {error}") from error


def normalised(images, facts):
    """float32 of uint8, N x C x S x S, as the program computes it."""
    mean, deviation = (numpy.array(facts[name], numpy.float32).reshape(1, -1, 1, 1) for name in ("mean", "std"))
    return (images.astype(numpy.float32) / numpy.float32(255) - mean) / deviation


@dataclasses.dataclass
class Figure:
    """A mean over images, or a share of them, with its standard error."""

    value: float
    error: float
    is_share: bool = False

    def __str__(self):
        if self.is_share:
            return f"{100 * self.value:.2f} ± {100 * self.error:.2f} %"
        return f"{self.value:.6f} ± {self.error:.6f}"


def mean(values):
    error = numpy.std(values, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else 0
    return Figure(float(numpy.mean(values)), float(error))


def share(hits):
    """As the program's figures have it."""
    value = float(numpy.mean(hits))
    error = math.sqrt(value * (1 - value) / len(hits)) if 0 < value < 1 else 1 / (len(hits) + 1)
    return Figure(value, error, is_share=True)


def log_softmax(logits):
    shifted = logits.astype(numpy.float64) - logits.max(axis=1, keepdims=True)
    return shifted - numpy.log(numpy.exp(shifted).sum(axis=1, keepdims=True))


def divergences(reference, other):
    """KL(reference || other) of each image, in nats."""
    expected, found = log_softmax(reference), log_softmax(other)
    apart = (numpy.exp(expected) * (expected - found)).sum(axis=1)
    return numpy.where(apart < 0, 0, apart)  # rounding; NaN stays


def kl(reference, other):
    return mean(divergences(reference, other))


def agreement(one, other):
    return share(one.argmax(axis=1) == other.argmax(axis=1))


def top1(logits, labels):
    return share(logits.argmax(axis=1) == labels)
