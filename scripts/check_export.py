"""Checks a folder that `eidolon export` wrote, by the official packages; see the head of scripts/check_export."""

import argparse
import json
import pathlib
import sys

import onnx
import onnxruntime
import openvino

from export_check import BadUsage
from export_check.folder import check_folder
from export_check.limits import LEAST, MOST
from export_check.onnx_file import check_by_checker, check_rules, read_onnx
from export_check.report import Report, markdown_header


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise BadUsage(message)


def limit_value(text):
    return None if text == "none" else float(text)


def parser():
    made = Parser(
        prog="scripts/check_export",
        description="Checks what `eidolon export` wrote, by the official packages.",
        epilog="Limits that are not given depend on the recipe; `none` takes one away.",
    )
    made.add_argument("path", type=pathlib.Path, metavar="DIR", help="<run>/export/<target>, or an ONNX file alone")
    made.add_argument("--logits", type=pathlib.Path, metavar="FILE", help="of `eidolon evaluate JOB --logits FILE`")
    made.add_argument("--images", type=pathlib.Path, metavar="FOLDER", help="evaluation.images of that job")
    made.add_argument("--limit", type=int, metavar="N", help="of the images, so many")
    made.add_argument("--rules", choices=["tensorrt"], help="TensorRT's rules must hold, whatever the target")
    made.add_argument("--float-model", type=pathlib.Path, metavar="FILE", help="the teacher as float32 ONNX")
    made.add_argument("--speed", action="store_true", help="CPU time of one thread against the float model")
    made.add_argument("--rounds", type=int, default=30, metavar="N", help="of --speed (default: %(default)s)")
    made.add_argument("--acceptance", action="store_true", help="also the limits for DeiT-Tiny and ViT-Tiny")
    made.add_argument("--json", type=pathlib.Path, metavar="OUT", help="the same as JSON")
    made.add_argument("--markdown", action="store_true", help="instead, a row of a table for each ONNX file")
    made.add_argument("--markdown-header", action="store_true", help="the same below a header")
    limits = made.add_argument_group("limits")
    for word, texts in (("most", MOST), ("least", LEAST)):
        for name, text in texts.items():
            flag, how = f"--{name.replace('_', '-')}", {"type": limit_value, "default": argparse.SUPPRESS}
            limits.add_argument(flag, metavar="X", help=f"{word} {text}", **how)
    return made


def read_options(arguments):
    options = parser().parse_args(arguments)
    if bool(options.logits) != bool(options.images):
        raise BadUsage("--logits and --images go together")
    for path in filter(None, (options.path, options.logits, options.images, options.float_model)):
        if not path.exists():
            raise BadUsage(f"{path} is not there")
    if (options.limit is not None and options.limit < 1) or options.rounds < 4:
        raise BadUsage("--limit is 1 at least, --rounds 4")
    if options.path.is_file() and options.logits:
        raise BadUsage("--logits and --images go with a folder, whose manifest says how images are prepared")
    options.limits = {name: value for name, value in vars(options).items() if name in MOST | LEAST}
    return options


def check_file(options):
    """The report of an ONNX file of any origin: by the checker and TensorRT's rules."""
    report = Report({})
    file = read_onnx(report, options.path)
    if file is not None:
        check_by_checker(report, file)
        check_rules(report, file, options.rules)
    return report


def main(arguments=None):
    try:
        options = read_options(arguments)
        report = check_file(options) if options.path.is_file() else check_folder(options)
    except BadUsage as error:
        print(f"error: {error}", file=sys.stderr)
        return 64
    if options.markdown_header:
        print(markdown_header())
    if options.markdown or options.markdown_header:
        print("\n".join(report.rows))
    else:
        print(report.table())
    if options.json:
        versions = {module.__name__: module.__version__ for module in (onnx, onnxruntime, openvino)}
        options.json.write_text(json.dumps(report.facts(versions), indent=1) + "\n")
    return 1 if report.failed() else 0


if __name__ == "__main__":
    sys.exit(main())
