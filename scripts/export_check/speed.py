"""CPU time of one thread: a file against the teacher as float32 and bfloat16, taken in turn in one process."""

import functools
import statistics
import time

import numpy
import openvino

from export_check.answers import normalised
from export_check.runtimes import OnnxRuntime, OpenVino

# (what, the slower, the faster, its limit) of pairs of runtime and model.
COMPARISONS = (
    ("onnxruntime, batch {}: speed over float32", "onnxruntime float32", "onnxruntime file", "ort_speed_{}"),
    ("OpenVINO, batch {}: speed over float32", "OpenVINO float32", "OpenVINO file", "openvino_speed_{}"),
    ("OpenVINO, batch {}: bfloat16 over float32", "OpenVINO float32", "OpenVINO bfloat16", ""),
    ("OpenVINO, batch {}: speed over bfloat16", "OpenVINO bfloat16", "OpenVINO file", "bf16_speed"),
)


def check_speed(report, file, float_model, rounds, facts):
    floats = {"onnxruntime float32": OnnxRuntime(float_model), "OpenVINO float32": OpenVino(float_model)}
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        floats["OpenVINO bfloat16"] = OpenVino(float_model, precision="bf16")
    side, channels = facts["image_size"], len(facts["mean"])
    for batch, count in ((1, rounds), (16, max(rounds // 3, 2))):
        images = numpy.random.default_rng(1).integers(0, 256, (batch, channels, side, side), numpy.uint8)
        floating = normalised(images, facts)
        own = images if file.takes_bytes else floating
        calls = {name: functools.partial(runtime, floating) for name, runtime in floats.items()}
        calls |= {f"{name} file": functools.partial(runtime, own) for name, runtime in file.runtimes.items()}
        seconds = alternated(calls, count)
        for what, slow, fast, limit in COMPARISONS:
            if slow in seconds and fast in seconds:
                add_ratio(report, file, what.format(batch), seconds[slow], seconds[fast], limit.format(batch))


def alternated(calls, rounds):
    """Seconds of this process's CPU for each round of each call, forwards and backwards in turn."""
    seconds = {name: [] for name in calls}
    for call in calls.values():
        call()
    for round_ in range(rounds):
        for name in list(calls) if round_ % 2 == 0 else list(reversed(calls)):
            began = time.process_time()
            calls[name]()
            seconds[name].append(time.process_time() - began)
    return seconds


def add_ratio(report, file, what, slow, fast, limit):
    """The ratio of the medians, with the quartiles of the rounds' ratios."""
    ratio = statistics.median(slow) / statistics.median(fast)
    low, _, high = statistics.quantiles([one / other for one, other in zip(slow, fast, strict=True)], n=4)
    text = f"{ratio:.2f} ({low:.2f} to {high:.2f}), {1e3 * statistics.median(fast):.1f} ms"
    report.measure(file.name, what, ratio, limit, text)
