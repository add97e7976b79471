"""A folder of `eidolon export`: its sums, its manifest, and what its target asks for."""

import hashlib
import json
import re

from export_check import BadUsage
from export_check.answers import agreement, kl, read_evaluation
from export_check.limits import convolutional, limits_of
from export_check.onnx_file import check_by_checker, check_rules, check_signature, check_size, check_versions, read_onnx
from export_check.report import Report, markdown_row
from export_check.running import check_answers, check_batches, check_inputs, check_kernels, load
from export_check.runtimes import OnnxRuntime, logits_of
from export_check.speed import check_speed

MANIFEST_FIELDS = ("format", "recipe", "data_free", "teacher", "preprocessing")


def check_folder(options):
    """The report of the folder."""
    try:
        manifest = json.loads((options.path / "manifest.json").read_text())
    except (OSError, ValueError) as error:
        raise BadUsage(f"{options.path} is not a folder of eidolon export: {error}") from error
    report = Report(limits_of(manifest.get("recipe"), options.acceptance, options.limits))
    check_sums(report, options.path)
    if check_manifest(report, manifest):
        TARGETS.get(target_of(options.path, manifest), nothing_more)(report, options, manifest)
    return report


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sums(report, folder):
    """Every file of the folder is listed, and is what is listed."""
    path = folder / "SHA256SUMS"
    if not path.is_file():
        report.add("SHA256SUMS", "is there", "missing", holds=False)
        return
    listed = {name: sum_ for sum_, name in re.findall(r"^([0-9a-f]{64}) [ *](.+)$", path.read_text(), re.MULTILINE)}
    present = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} - {"SHA256SUMS"}
    wrong = [f"{name} is missing" for name in sorted(listed.keys() - present)]
    wrong += [f"{name} is not listed" for name in sorted(present - listed.keys())]
    wrong += [f"{name} differs" for name in sorted(listed.keys() & present) if digest(folder / name) != listed[name]]
    report.add("SHA256SUMS", "lists every file as it is", f"{len(listed)} files", holds=not wrong, remarks=wrong)


def check_manifest(report, manifest):
    """Whether it has the fields that the other checks need."""
    missing = [name for name in MANIFEST_FIELDS if name not in manifest]
    text = f"missing: {', '.join(missing)}" if missing else f"recipe {manifest['recipe']}"
    report.add("manifest.json", "has its fields", text, holds=not missing)
    return not missing


def target_of(folder, manifest):
    """As the manifest says; else by what it lists, TensorRT's by its folder's name."""
    by_contents = "packed" if "models" not in manifest else "onnx"
    is_tensorrt = by_contents == "onnx" and folder.resolve().name == "tensorrt"
    return manifest.get("target", "tensorrt" if is_tensorrt else by_contents)


def check_models(report, options, manifest):
    """The ONNX files of the folder, against the program's answers where the call names them."""
    evaluation = None
    if options.logits:
        evaluation = read_evaluation(options.logits, options.images, manifest["preprocessing"], options.limit)
        if manifest["teacher"].get("architecture", {}).get("family") == "cnn":
            student_kl = kl(evaluation.teacher, evaluation.student).value
            report.limits = convolutional(report.limits, student_kl, options.limits)
    files = [check_model(report, options, manifest, entry, evaluation) for entry in manifest["models"]]
    check_inputs(report, [file for file in files if file])
    if evaluation and options.float_model:
        check_float_model(report, options.float_model, evaluation)
    if options.speed and not options.float_model:
        report.add("speed", "not measured", "no --float-model")
    report.rows = [markdown_row(report, file.name, manifest["recipe"], file.first_runtime) for file in files if file]


def check_model(report, options, manifest, entry, evaluation):
    """All about one of them, an entry of the manifest; what was read of it, or None."""
    file = read_onnx(report, options.path / entry["file"])
    if file is None:
        return None
    check_by_checker(report, file)
    check_versions(report, file)
    check_signature(report, file, entry["input"])
    check_size(report, file, manifest["teacher"].get("parameters"))
    check_rules(report, file, options.rules or target_of(options.path, manifest) == "tensorrt")
    load(report, file)
    check_kernels(report, file, manifest["recipe"])
    if evaluation:
        check_answers(report, file, evaluation)
        check_batches(report, file, evaluation)
    if options.speed and options.float_model:
        check_speed(report, file, options.float_model, options.rounds, manifest["preprocessing"])
    return file


def check_float_model(report, path, evaluation):
    """Whether the images are prepared here as they are in the program: the teacher's logits are the program's."""
    logits = logits_of(OnnxRuntime(path), evaluation.images, evaluation.facts, takes_bytes=False)
    report.measure(path.name, "program's teacher || onnxruntime: KL", kl(evaluation.teacher, logits))
    report.measure(path.name, "program's teacher, onnxruntime: agreement", agreement(evaluation.teacher, logits))


def nothing_more(report, options, manifest):
    """A packed folder is its sums and its manifest; what is in other folders is not looked at."""
    if manifest.get("target") != "packed":
        report.add("folder", "tensors", "not checked")


# By target, (report, options, manifest): what is checked beside sums and manifest.
TARGETS = {"onnx": check_models, "openvino": check_models, "tensorrt": check_models, "packed": nothing_more}
