"""Runs the rows of jobs/accuracy.toml and writes docs/lab/accuracy.md; see the head of scripts/accuracy_table.

A row is a teacher, a source of images, a back end and bits. The images of a source are made once per teacher and reused by every
back end (run.shards). All rows are evaluated on the same photographs: those that the rows made of photographs did not see.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import textwrap
import time
import tomllib

SOURCE = pathlib.Path(__file__).resolve().parent.parent
OUT = SOURCE / "data_out" / "accuracy"
DATA = pathlib.Path(os.environ["EIDOLON_DATA"])


def parse():
    parser = argparse.ArgumentParser(description="see the head of scripts/accuracy_table")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--rows", default="")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def flags(settings):
    return [word for key, value in settings.items() for word in ("--set", f"{key}={text_of(value)}")]


def text_of(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


class Study:
    def __init__(self, options):
        self.options = options
        self.plan = tomllib.loads((SOURCE / "jobs" / "accuracy.toml").read_text())

    def eidolon(self, stage, teacher, run, settings, *words):
        command = ["mpirun", "-n", str(self.options.ranks), os.environ["EIDOLON_BINARY"], stage,
                   str(SOURCE / self.plan["teachers"][teacher]), "--run-dir", str(run), *flags(settings), *words]
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if result.returncode != 0:
            raise SystemExit(f"{' '.join(command)} ended with {result.returncode}; run this script again to go on")
        return result.stdout

    def photographs(self, teacher):
        """Shards of photographs for this teacher; the others are what every row is evaluated on."""
        shards, rest = OUT / teacher / "photographs" / "shards", OUT / "evaluation_images"
        if not shards.exists():
            part, others = shards.with_name("part"), rest.with_name("evaluation_images.part")
            for folder in (part, others):
                shutil.rmtree(folder, ignore_errors=True)
            model = DATA / "models" / self.plan["models"][teacher]
            subprocess.run([SOURCE / "scripts" / "real_images_to_shards", DATA / "imagenet_val650", model, part, "--images",
                            str(self.plan["photographs"]), "--held-out", "16", "--rest", others], check=True, stdout=subprocess.DEVNULL)
            self.keep_evaluation_images(others, rest)
            part.rename(shards)
        return shards

    @staticmethod
    def keep_evaluation_images(others, rest):
        """All teachers are evaluated on the same photographs, or the rows could not be compared."""
        names = lambda folder: sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        if not rest.exists():
            return others.rename(rest)
        if names(rest) != names(others):
            raise SystemExit(f"{others} and {rest} hold other photographs; remove {OUT} and measure all rows anew")
        shutil.rmtree(others)

    def images(self, teacher, source):
        """The settings by which a row finds its source's images, and what making them took in seconds."""
        photographs = self.photographs(teacher)
        run, settings = OUT / teacher / source, dict(self.plan["images"], **self.plan["sources"][source]["set"])
        if settings.get("synthesis.method") == "given":
            return {**settings, "run.shards": photographs}, None
        cost = run / "cost.json"
        if not cost.exists() or json.loads(cost.read_text())["settings"] != settings:
            began = time.monotonic()
            self.eidolon("synthesize", teacher, run, settings)
            cost.write_text(json.dumps({"settings": settings, "seconds": time.monotonic() - began}))
        return {**settings, "run.shards": run / "shards"}, json.loads(cost.read_text())["seconds"]

    def row(self, teacher, source, backend, bits, further):
        """Figures of one row; measured unless they are there for these very settings."""
        images, seconds = self.images(teacher, source)
        settings = {**images, **self.plan["common"], **self.plan["bits"][bits], **self.plan["backends"][backend]["set"], **further,
                    "evaluation.images": OUT / "evaluation_images", "evaluation.classes": DATA / "imagenet_wnids.txt"}
        text = {key: text_of(value) for key, value in settings.items()}
        name = "-".join([source, backend, bits, *(f"{key.split('.')[1]}_{value}" for key, value in further.items())])
        run = OUT / teacher / "rows" / name
        result = run / "row.json"
        if result.exists() and json.loads(result.read_text())["settings"] == text:
            return {**json.loads(result.read_text()), "images_seconds": seconds}
        shutil.rmtree(run, ignore_errors=True)
        began = time.monotonic()
        figures = json.loads(self.eidolon("run", teacher, run, settings, "--json"))
        row = {"settings": text, "figures": figures, "seconds": time.monotonic() - began}
        part = result.with_suffix(".part")
        part.write_text(json.dumps(row, indent=1))
        part.rename(result)
        return {**row, "images_seconds": seconds}

    def rows_of(self, table):
        for teacher in table["teachers"]:
            for source in table["sources"]:
                for backend in table["backends"]:
                    for bits in table["bits"]:
                        for further in table.get("each", [{}]):
                            yield teacher, source, backend, bits, further


def with_error(figures, name, scale=100.0, digits=2):
    return f"{scale * figures[name]:.{digits}f} ± {scale * figures[name + '_se']:.{digits}f}"


def line(study, key, row, has_setting):
    teacher, source, backend, bits, further = key
    student = row["figures"]["student"]
    made = "" if row["images_seconds"] is None else f"{row['images_seconds']:.0f}"
    words = [study.plan["titles"][teacher], study.plan["sources"][source]["title"], study.plan["backends"][backend]["title"],
             bits.upper(), *([", ".join(f"{name.split('.')[1]} {value}" for name, value in further.items())] if has_setting else []),
             with_error(student, "top1"), with_error(student, "kept"), with_error(student, "agreement"),
             with_error(student, "kl", 1.0, 3), made, f"{row['seconds']:.0f}"]
    return "| " + " | ".join(words) + " |"


def table_text(study, table, part=""):
    each = ["setting"] if any(further for *_, further in study.rows_of(table)) else []
    head = ["teacher", "images", "back end", "bits", *each, "top-1 %", "kept %", "agreement %", "KL", "images, s", "student, s"]
    text = [table["text"], ""] if "text" in table else []
    lines = [f"## {table['title']}", "", *text, "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for key in study.rows_of(table):
        if part not in f"{key[0]} {key[1]} {key[2]} {key[3]}":
            continue
        print("row:", *key, flush=True)
        lines.append(line(study, key, study.row(*key), bool(each)))
    return "\n".join(lines) + "\n"


def wrapped(markdown):
    """Markdown whose paragraphs and list items are wrapped at 120 characters; tables and headings stay as they are."""
    def block(text):
        if text.startswith(("|", "#")):
            return text
        items = re.split(r"\n(?=\* )", text)
        return "\n".join(textwrap.fill(" ".join(item.split()), 120, subsequent_indent="  " * item.startswith("* "),
                                       break_long_words=False, break_on_hyphens=False) for item in items)
    return "\n\n".join(block(text) for text in re.split(r"\n{2,}", markdown.strip())) + "\n"


def main():
    options = parse()
    study = Study(options)
    tables = [table for table in study.plan["tables"] if options.only in table["name"]]
    if options.list:
        for table in tables:
            for key in study.rows_of(table):
                print(table["name"], *key)
        return
    (OUT / "tables").mkdir(parents=True, exist_ok=True)
    for table in tables:
        text = table_text(study, table, options.rows)
        if not options.rows:
            (OUT / "tables" / f"{table['name']}.md").write_text(text)
    written = [OUT / "tables" / f"{table['name']}.md" for table in study.plan["tables"]]
    parts = [path.read_text() for path in written if path.exists()]
    page = "\n".join([study.plan["head"], *parts, study.plan["foot"]])
    (SOURCE / "docs" / "lab" / "accuracy.md").write_text(wrapped(page))


if __name__ == "__main__":
    main()
