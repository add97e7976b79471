"""What the checks found, as a table for people, as JSON and as a row of a Markdown table."""

import dataclasses
import itertools
import re
import textwrap

from export_check.answers import Figure
from export_check.limits import LEAST


@dataclasses.dataclass
class Check:
    """holds: None if it is reported only."""

    file: str
    name: str
    text: str
    value: object = None
    error: float = None
    limit: str = ""
    holds: bool = None
    remarks: list = dataclasses.field(default_factory=list)

    def lines(self):
        """name, text with limit and verdict in columns; remarks below."""
        verdict = {True: "holds", False: "FAILS", None: ""}[self.holds]
        names, texts = textwrap.wrap(self.name, 44), textwrap.wrap(self.text, 41, break_on_hyphens=False)
        texts = [f"{self.text:<30} {self.limit}"] if self.limit else texts
        for columns in itertools.zip_longest(names, texts, [verdict], fillvalue=""):
            yield "  {:<44} {:<41} {}".format(*columns).rstrip()
        for remark in self.remarks:
            yield from textwrap.wrap(remark, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)


class Report:
    """Checks in order. limits: by name; what has none is reported only."""

    def __init__(self, limits):
        self.limits = limits
        self.checks = []
        self.rows = []  # of the Markdown table

    def add(self, file, name, text, **more):
        self.checks.append(Check(file, name, text, **more))

    def measure(self, file, name, figure, limit=None, text=None):
        """A Figure or a number, against the limit of this name."""
        value, error = (figure.value, figure.error) if isinstance(figure, Figure) else (figure, None)
        check = Check(file, name, text or (str(figure) if error is not None else f"{figure:.4f}"), value, error)
        bound = self.limits.get(limit)
        if bound is not None:
            check.limit = f"{'>=' if limit in LEAST else '<='} {bound:g}"
            check.holds = bool(value >= bound if limit in LEAST else value <= bound)
        self.checks.append(check)

    def failed(self):
        return [f"{check.file}: {check.name}" for check in self.checks if check.holds is False]

    def table(self):
        lines = []
        for file, group in itertools.groupby(self.checks, key=lambda check: check.file):
            lines += ["", file, *itertools.chain.from_iterable(check.lines() for check in group)]
        failed, judged = self.failed(), sum(check.holds is not None for check in self.checks)
        lines += ["", f"{len(failed)} of {judged} checks fail:" if failed else f"All {judged} checks hold."]
        return "\n".join([*lines, *(f"  {name}" for name in failed)]).lstrip("\n")

    def facts(self, versions):
        facts = {"holds": not self.failed(), "failed": self.failed(), "limits": self.limits, "versions": versions}
        return facts | {"checks": [dataclasses.asdict(check) for check in self.checks]}


# Columns of the Markdown table: the check that has the figure, in the first runtime that runs the file.
COLUMNS = {
    "file": None,
    "recipe": None,
    "size": "size",
    "size / float32": "size over that of float32",
    "top-1": "{}: top-1",
    "agreement": "teacher, {}: agreement",
    "KL teacher": "teacher || {}: KL",
    "KL program": "program's student || {}: KL",
    "kernels": "kernels of {}",
    "speed": "{}, batch 1: speed over float32",
}


def markdown_header():
    return f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


def markdown_row(report, file, recipe, runtime):
    texts = {check.name: check.text for check in report.checks if check.file == file}
    figures = [texts.get(name.format(runtime), "-") for name in COLUMNS.values() if name]
    return f"| {' | '.join([file, recipe, *figures])} |"


def first_line(error):
    """What a package says, without the places in its own source where it says so."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not re.match(r"(Exception from|Check '.*' failed at) src/", line)]
    return (said or lines or [type(error).__name__])[0][:500]


def several(texts, most=3):
    return texts[:most] + ([f"and {len(texts) - most} more"] if len(texts) > most else [])


def listing(counts):
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"
