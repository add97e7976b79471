"""Runs the rows of jobs/accuracy.toml and writes docs/lab/accuracy.csv and accuracy.md; see the head of scripts/accuracy_table.

A row is a teacher, a source of images, a back end and bits. The images of a source are made once per teacher and reused by every
back end (run.shards). All rows are evaluated on the same photographs: those that the rows made of photographs did not see.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import time

import accuracy_page

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
        self.plan = accuracy_page.study()

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


def stated(study, table, key, row):
    """A row as docs/lab/accuracy.csv keeps it: the digits that the page states."""
    teacher, source, backend, bits, further = key
    student, seconds = row["figures"]["student"], row["images_seconds"]
    words = {"table": table["name"], "teacher": study.plan["titles"][teacher], "images": study.plan["sources"][source]["title"],
             "back_end": study.plan["backends"][backend]["title"], "bits": bits.upper(),
             "setting": ", ".join(f"{name.split('.')[1]} {value}" for name, value in further.items()),
             "images_seconds": "" if seconds is None else f"{seconds:.0f}", "student_seconds": f"{row['seconds']:.0f}"}
    for name in accuracy_page.FIGURES:
        scale, digits = (1, 3) if name == "kl" else (100, 2)
        words |= {each: f"{scale * student[each]:.{digits}f}" for each in (name, name + "_se")}
    return words


def measured(study, table, part):
    rows = []
    for key in study.rows_of(table):
        if part in f"{key[0]} {key[1]} {key[2]} {key[3]}":
            print("row:", *key, flush=True)
            rows.append(stated(study, table, key, study.row(*key)))
    return rows


def main():
    options = parse()
    study = Study(options)
    tables = [table for table in study.plan["tables"] if options.only in table["name"]]
    if options.list:
        for table in tables:
            for key in study.rows_of(table):
                print(table["name"], *key)
        return
    OUT.mkdir(parents=True, exist_ok=True)
    for table in tables:
        rows = measured(study, table, options.rows)
        if not options.rows:
            accuracy_page.replace_rows(table["name"], rows)
    accuracy_page.PAGE.write_text(accuracy_page.page())


if __name__ == "__main__":
    main()
