"""An ONNX file in the runtimes: who loads it, by which kernels it runs, and whether its answers are the program's."""

import collections
import dataclasses

import numpy

from export_check.answers import agreement, kl, top1
from export_check.graph import FLOAT, IMAGE, INT4_INT8, INTEGER, WEIGHTS, products, unrounded_convolutions
from export_check.report import first_line, listing, several
from export_check.runtimes import BATCH, EXACT, OnnxRuntime, OpenVino, logits_of
from export_check.runtimes import onnxruntime_kernels, openvino_kernels, reference

BATCHES = (1, 2, 7, 16)
REFERENCE_IMAGES = 2  # for onnx.reference, which takes seconds for one
OF_INTEGERS = {"int8", "w4a8", "w4a16"}  # recipes
WITH_KERNELS = {"int8", "w4a16"}  # those of them whose products runtimes have kernels for


def is_weight_only(file):
    return any(product.kind in {WEIGHTS, INT4_INT8} for product in products(file.graph))


def load(report, file):
    """Compiles the file in both runtimes."""
    exact, said = is_weight_only(file), []
    for runtime in (OnnxRuntime, OpenVino):
        try:
            file.runtimes[runtime.name] = runtime(file.path, exact=exact)
        except Exception as error:  # of many types, all of them the runtime's word
            said.append(f"{runtime.name}: {first_line(error)}")
    holds = None if said and file.has_fp4 else not said
    remarks = said + [f"set for weight-only products: {EXACT}"] * exact
    report.add(file.name, "is loaded by", ", ".join(file.runtimes) or "no runtime", holds=holds, remarks=remarks)


def check_kernels(report, file, recipe):
    """Nothing is computed in float but the embedding of the image, the side paths of outlier channels, and in onnxruntime
    convolutions whose outputs are not rounded at once."""
    kinds = collections.Counter(product.kind for product in products(file.graph))
    holds = not kinds[FLOAT] and kinds[IMAGE] <= 1 if recipe in OF_INTEGERS else None
    report.add(file.name, "products with constant weights", listing(kinds), value=dict(kinds), holds=holds)
    for name, runtime in file.runtimes.items():
        kernels = onnxruntime_kernels(file.path) if name == OnnxRuntime.name else openvino_kernels(runtime)
        unrounded = unrounded_convolutions(file.graph).intersection(kernels.floats)
        integer = kinds[INTEGER] - len(unrounded)
        all_low = kernels.integer + kernels.weights >= integer + kinds[WEIGHTS]
        as_meant = kernels.integer >= integer and all_low and unrounded.issuperset(kernels.floats)
        floats = f"in float: {len(kernels.floats)} ({', '.join(several(kernels.floats, 3))})"
        report.add(
            file.name,
            f"kernels of {name}",
            listing(kernels.counts),
            value=dataclasses.asdict(kernels),
            holds=as_meant if recipe in WITH_KERNELS else None,
            remarks=[floats] if kernels.floats else [],
        )


def answers(report, file, name, runtime, evaluation, needed):
    """Its logits of all images; None if it gives none that can be compared, which fails where they are needed."""
    remarks = []
    try:
        logits = logits_of(runtime, evaluation.images, evaluation.facts, file.takes_bytes)
        if logits.shape != evaluation.student.shape:
            remarks = [f"its logits are {logits.shape} where the program's are {evaluation.student.shape}"]
        elif not numpy.isfinite(logits).all():
            remarks = [f"not finite on {(~numpy.isfinite(logits).all(axis=1)).sum()} images"]
    except Exception as error:  # of many types, all of them the runtime's word
        remarks = [first_line(error)]
    if remarks:
        report.add(file.name, f"{name} runs it", "no", holds=False if needed else None, remarks=remarks)
    return None if remarks else logits


def check_answers(report, file, evaluation):
    """The first runtime that runs the file is judged; without any, the ONNX project's evaluator is."""
    for name, runtime in file.runtimes.items():
        logits = answers(report, file, name, runtime, evaluation, needed=not file.has_fp4)
        if logits is not None:
            file.logits[name] = logits
    for name, logits in file.logits.items():
        compare(report, file, name, logits, evaluation, judged=name == file.first_runtime)
    if OnnxRuntime.name not in file.runtimes:
        check_by_reference(report, file, evaluation, judged=not file.logits)
    if len(file.logits) == 2:
        both = file.logits.values()
        report.measure(file.name, "onnxruntime || OpenVINO: KL", kl(*both), "runtimes_kl")
        report.measure(file.name, "onnxruntime, OpenVINO: agreement", agreement(*both), "runtimes_agreement")
    if is_weight_only(file) and OnnxRuntime.name in file.logits:
        rounded = logits_of(OnnxRuntime(file.path), evaluation.images, evaluation.facts, file.takes_bytes)
        name = "program's student || onnxruntime at level 4, its default: KL"
        report.measure(file.name, name, kl(evaluation.student, rounded))


def compare(report, file, name, logits, evaluation, judged):
    """The answers of a runtime with the program's; judged: by the limits."""
    teacher, student, labels = evaluation.teacher, evaluation.student, evaluation.labels
    right, of_student, of_teacher = (top1(each, labels) for each in (logits, student, teacher))
    figures = (
        (f"program's student || {name}: KL", kl(student, logits), "kl"),
        (f"program's student, {name}: agreement", agreement(student, logits), "agreement"),
        (f"program's student, {name}: top-1 apart", abs(right.value - of_student.value), "top1"),
        (f"{name}: top-1", right, None),
        (f"{name}: top-1 lost against the teacher", of_teacher.value - right.value, "teacher_top1"),
        (f"teacher || {name}: KL", kl(teacher, logits), "teacher_kl"),
        (f"teacher, {name}: agreement", agreement(teacher, logits), None),
    )
    for what, figure, limit in figures:
        report.measure(file.name, what, figure, limit if judged else None)


def check_by_reference(report, file, evaluation, judged):
    """On few images; judged: they have the answers of the program's student."""
    few = evaluation.first(REFERENCE_IMAGES)
    logits = answers(report, file, "onnx.reference", reference(file.path), few, needed=judged)
    if logits is None:
        return
    same = int((logits.argmax(axis=1) == few.student.argmax(axis=1)).sum())
    text, holds = f"{same} of {len(logits)} the same", same == len(logits) if judged else None
    report.add(file.name, "program's student, onnx.reference: answers", text, value=same, holds=holds)
    report.measure(file.name, "program's student || onnx.reference: KL", kl(few.student, logits))


def check_batches(report, file, evaluation):
    """Images together are answered as they are one by one."""
    images = numpy.resize(evaluation.images, (BATCH, *evaluation.images.shape[1:]))
    for name in file.logits:
        runtime = file.runtimes[name]
        single, *others = (logits_of(runtime, images, evaluation.facts, file.takes_bytes, size) for size in BATCHES)
        apart = max(int((single.argmax(axis=1) != other.argmax(axis=1)).sum()) for other in others)
        what = f"{name}: batches of {', '.join(map(str, BATCHES))}"
        report.add(file.name, f"{what}: answers", f"{apart} of {BATCH} differ", value=apart, holds=not apart)
        furthest = max((kl(single, other) for other in others), key=lambda figure: figure.value)
        report.measure(file.name, f"{what}: KL", furthest, "kl")


def check_inputs(report, files):
    """The files for normalised images and for bytes are one model."""
    for runtime in (OnnxRuntime.name, OpenVino.name):
        ordered = sorted(files, key=lambda file: file.takes_bytes)
        both = [file.logits[runtime] for file in ordered if runtime in file.logits]
        if len(both) == 2:
            names = " and ".join(file.name for file in files)
            report.measure(names, f"{runtime}: normalised || bytes: KL", kl(*both), "kl")
            report.measure(names, f"{runtime}: normalised, bytes: agreement", agreement(*both), "agreement")
