"""Runs the rows of jobs/teachers.toml and writes docs/lab/teachers.csv; see the head of scripts/teachers_table.

The images of a source are made once per teacher and seed and serve every recipe (run.shards). All rows of a teacher are judged on
the same images, which no row has seen.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import teachers_page
from accuracy_table import text_of

SOURCE = pathlib.Path(__file__).resolve().parent.parent
OUT = SOURCE / "data_out" / "teachers_table"
DATA = pathlib.Path(os.environ["EIDOLON_DATA"])
FOLDERS = [DATA, SOURCE / "data_out" / "teachers", SOURCE / "data_out", SOURCE]


def parse():
    parser = argparse.ArgumentParser(description="see the head of scripts/teachers_table")
    parser.add_argument("--tables", nargs="*", default=[])
    parser.add_argument("--teachers", nargs="*", default=[])
    parser.add_argument("--rows", nargs="*", default=[])
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--page", action="store_true")
    return parser.parse_args()


def found(name):
    for folder in FOLDERS:
        if (folder / name).exists():
            return folder / name
    raise SystemExit(f"{name} is in none of {', '.join(map(str, FOLDERS))}")


def has_same_settings(file, settings):
    return file.exists() and json.loads(file.read_text())["settings"] == settings


def write(path, content):
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1))
    part.replace(path)


class Teacher:
    """Its folders; photographs become shards when they are first asked for."""

    def __init__(self, name, study):
        self.name, self.facts = name, study["teachers"][name]
        self.counts = study["photographs"], study["held_out"]
        self.folder = OUT / name
        self.job = self.folder / "job.toml"

    def prepare(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.job.write_text(f'[teacher]\nweights = "{found(self.facts["model"])}"\n')
        self.shards_of(self.facts["photographs"])

    def shards_of(self, pictures):
        """Shards of these photographs. Of its own, the others are what its rows are judged on."""
        shards = self.folder / "photographs" / pictures.replace("/", "-")
        if shards.exists():
            return shards
        part, others, rest = shards.with_suffix(".part"), self.folder / "judged_on.part", self.folder / "judged_on"
        own = pictures == self.facts["photographs"]
        for each in [part, others, *([rest] if own else [])]:
            shutil.rmtree(each, ignore_errors=True)
        taken, held_out = map(str, self.counts)
        subprocess.run([sys.executable, SOURCE / "scripts" / "real_images_to_shards.py", found(pictures), found(self.facts["model"]),
                        part, "--images", taken, "--held-out", held_out, *(["--rest", others] if own else [])],
                       check=True, stdout=subprocess.DEVNULL)
        if own:
            others.rename(rest)
        part.rename(shards)
        return shards

    def evaluation(self):
        judged_on = found(self.facts["judged_on"]) if "judged_on" in self.facts else self.folder / "judged_on"
        classes = {"evaluation.classes": found(self.facts["classes"])} if "classes" in self.facts else {}
        return {"evaluation.images": judged_on, **classes}


class Study:
    def __init__(self, options):
        self.options = options
        self.plan = teachers_page.study()
        self.teachers = {name: Teacher(name, self.plan) for name in self.plan["teachers"]}

    def eidolon(self, stage, teacher, run, settings, *words):
        everywhere = {"run.device": self.options.device, "run.threads": 1, **dict(each.split("=", 1) for each in self.options.set)}
        flags = [word for key, value in {**settings, **everywhere}.items() for word in ("--set", f"{key}={text_of(value)}")]
        command = ["mpirun", "--bind-to", "none", "-n", str(self.options.ranks), os.environ["EIDOLON_BINARY"], stage,
                   str(teacher.job), "--run-dir", str(run), *flags, *words]
        with open(run.with_suffix(".log"), "w") as log:
            result = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True)
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} ended with {result.returncode}; {run.with_suffix('.log')} says why")
        return result.stdout

    def source_settings(self, teacher, source, seed):
        common = {key: value for key, value in self.plan["common"].items() if key.startswith("synthesis.")}
        return {**common, "synthesis.held_out_images": self.plan["held_out"], "synthesis.seed": seed,
                **self.plan["sources"][source]["set"], **teacher.facts.get("set", {})}

    def images(self, teacher, source, seed):
        """The settings by which a row finds the images of its source. Photographs are the same for every seed."""
        settings = self.source_settings(teacher, source, seed)
        if settings.get("synthesis.method") == "given":
            pictures = self.plan["sources"][source].get("photographs", teacher.facts["photographs"])
            return {**settings, "run.shards": teacher.shards_of(pictures)}
        run = teacher.folder / "images" / f"{source}-seed{seed}"
        run.parent.mkdir(parents=True, exist_ok=True)
        done, text = run.with_suffix(".json"), {key: text_of(value) for key, value in settings.items()}
        if not has_same_settings(done, text):
            shutil.rmtree(run, ignore_errors=True)
            began = time.monotonic()
            self.eidolon("synthesize", teacher, run, settings)
            write(done, {"settings": text, "seconds": time.monotonic() - began})
        return {**settings, "run.shards": run / "shards"}

    def row(self, key, images):
        """Figures of one row; measured unless they are there for these very settings."""
        name, source, recipe, seed = key
        teacher = self.teachers[name]
        settings = {**images, **{name: value for name, value in self.plan["common"].items() if name.startswith("finetuning.")},
                    "finetuning.seed": seed, **self.plan["recipes"][recipe]["set"], **teacher.evaluation()}
        text = {name: text_of(value) for name, value in settings.items()}
        run = teacher.folder / "rows" / f"{source}-{recipe}-seed{seed}"
        run.parent.mkdir(parents=True, exist_ok=True)
        result = run.with_suffix(".json")
        if has_same_settings(result, text):
            return json.loads(result.read_text())
        shutil.rmtree(run, ignore_errors=True)
        began = time.monotonic()
        figures = json.loads(self.eidolon("run", teacher, run, settings, "--json"))
        write(result, {"settings": text, "figures": figures, "seconds": time.monotonic() - began})
        shutil.rmtree(run)  # hundreds of checkpoints
        return json.loads(result.read_text())

    def keys(self):
        """Rows in the order in which --tables names theirs."""
        tables = {table["name"]: table for table in self.plan["tables"]}
        teachers = self.options.teachers or list(self.plan["teachers"])
        chosen = dict.fromkeys(
            (teacher, source, recipe, seed) for name in self.options.tables or tables for recipe in tables[name]["recipes"]
            for source in tables[name]["sources"] for seed in tables[name].get("seeds", [1])
            for teacher in tables[name].get("teachers", self.plan["teachers"]) if teacher in teachers)
        return [key for key in chosen if all(part in teachers_page.words(key) for part in self.options.rows)]


def tell(rows, key, future):
    try:
        rows[key] = future.result()
    except RuntimeError as failure:
        return print(f"{teachers_page.words(key)}: {failure}", file=sys.stderr, flush=True)
    student = rows[key]["figures"]["student"]
    print(f"{teachers_page.words(key)}: kept {100 * student['kept']:.2f}, KL {student['kl']:.4f}, {rows[key]['seconds']:.0f} s",
          flush=True)
    teachers_page.replace_rows({key: rows[key]})  # what is measured stays, whatever comes after


def measure(study, keys):
    """Rows in their order, several at a time, and their images some rows ahead. Gives the number of rows that are there."""
    rows, waiting, images = {}, {}, {}
    ahead = 2 * study.options.workers
    with concurrent.futures.ThreadPoolExecutor(study.options.workers) as pool:
        def make_images(few):
            for name, source, _, seed in few:
                if (name, source, seed) not in images:
                    images[name, source, seed] = pool.submit(study.images, study.teachers[name], source, seed)

        make_images(keys[:ahead])
        for place, key in enumerate(keys):
            name, source, _, seed = key
            waiting[pool.submit(lambda key, made: study.row(key, made.result()), key, images[name, source, seed])] = key
            make_images(keys[place + ahead:place + ahead + 1])
        try:
            for future in concurrent.futures.as_completed(waiting):
                tell(rows, waiting[future], future)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return len(rows)


def main():
    options = parse()
    study = Study(options)
    if not options.page:
        keys = study.keys()
        if options.list:
            return print(*map(teachers_page.words, keys), sep="\n")
        for name in dict.fromkeys(key[0] for key in keys):
            study.teachers[name].prepare()
        missing = len(keys) - measure(study, keys)
        if missing:
            raise SystemExit(f"{missing} of {len(keys)} rows are missing; run this script again to go on")
    teachers_page.PAGE.write_text(teachers_page.page())


if __name__ == "__main__":
    main()
