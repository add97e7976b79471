"""The documentation's snippets, run on the files of a small run; and what it has to say of every key that a result has."""
import csv
import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

from program import BINARY, ENVIRONMENT, SOURCE, TEACHER, ProgramTest

PAGES = [SOURCE / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((SOURCE / "docs").rglob("*.md"))
WIDTH = 120
EXPORT_PYTHON = pathlib.Path(os.environ.get("EIDOLON_EXPORT_VENV", ""), "bin", "python")
DOUBLES = pathlib.Path(__file__).resolve().parent / "doubles"  # of packages that nobody installs for a test

# What takes the place of words that stand for the reader's own.
SUBSTITUTIONS = {
    "/path/to/model": str(TEACHER),
    "/path/to/labelled": "digits",
    "/path/to/classes.txt": "classes.txt",
    "/shared/folder": ".",
    "/where/run/directories/will/lie": ".",
    "learning_rate=R": "learning_rate=0.1",
    "data_out/R": "data_out/rate",
    "/path/to/prefix": "prefix",
    "data_out/digits_w4a4": "data_out/job",
    " build --prefix": f" {pathlib.Path(BINARY).parent} --prefix",
}

# What is done with a line of shell; the first that fits counts. "only paths": the files that it names exist; other tests
# run it, or the page says that nobody did.
TREATMENTS = [
    (r"scripts/|source slurm/|sbatch |array=\$\(sbatch|scancel |export EIDOLON_(DATA|MODEL)=", "only paths"),
    (r"module (use|load) |apptainer build |spack -e ", "only paths"),
    (r"source <\(build/eidolon ", "source"),
    (r".*eidolon run jobs/", "print the job"),
    (r"build/eidolon (export|sensitivity) ", "student"),
    (r"(mpirun( -n \d+)? )?build/eidolon ", "run"),
    (r"cmake --install build ", "run"),
    (r"tail -c \+513 FILE \| sha256sum", "verify"),
]


def blocks(page):
    """(kind, lines) of each fenced or indented block; the kind is "python", "toml" or "shell"."""
    text = page.read_text()
    for language, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        if "──" not in body:  # a drawing
            yield language or "shell", body.splitlines()
    unfenced = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    for body in re.findall(r"(?:^\n)((?:^ {4}[^ \n].*\n(?:^ {4}.*\n)*))", unfenced, re.M):
        lines = [line[4:] for line in body.splitlines()]
        yield ("python" if lines[0].startswith(("import ", "from ")) else "shell"), lines


def snippets(kind):
    return [(page, lines) for page in PAGES for found, lines in blocks(page) if found == kind]


def substituted(text):
    for word, value in SUBSTITUTIONS.items():
        text = text.replace(word, value)
    return text


class Python(ProgramTest):
    def test_snippets_read_every_file_that_a_run_has(self):
        self.succeed("run", "--set", "synthesis.images=32", "--set", "synthesis.unit_images=16",
                     "--set", "synthesis.iterations=2", "--set", "synthesis.optimised_share=0.5",
                     "--set", "finetuning.iterations=1", "--set", "quantization.recipe=w4a16", "--set", "run.export=packed, onnx")
        subprocess.run([BINARY, "report", str(self.folder / "run")], check=True, capture_output=True, env=ENVIRONMENT)
        shards = [str(path.relative_to(self.folder / "run")) for path in self.files("shards/*.h5")]
        self.assertIn("shards/images-00000000-00000015.h5", shards)
        methods, found = set(), snippets("python")
        self.assertGreaterEqual(len(found), 2)
        for page, lines in found:
            code = "\n".join(lines)
            if "torchvision" in code:
                continue  # Shell runs it
            python = EXPORT_PYTHON if "onnxruntime" in code else sys.executable
            if python == EXPORT_PYTHON and not python.exists():
                continue  # set up without --export
            names = [name for name in shards if "shards/images-00000000-00000015.h5" in code] or [""]
            for name in names:
                result = subprocess.run([python, "-c", code.replace("shards/images-00000000-00000015.h5", name)],
                                        capture_output=True, text=True, cwd=self.folder / "run")
                self.assertEqual(result.returncode, 0, f"{page.name} on {name}:\n{code}\n{result.stderr}")
                self.assertNotEqual(result.stdout, "")
                if name:
                    methods.add(result.stdout.split()[4])
        self.assertGreater(len(methods), 1, methods)  # images of both kinds were read


class Shell(ProgramTest):
    def setUp(self):
        super().setUp()
        for name in ("scripts", "slurm", "jobs"):
            (self.folder / name).symlink_to(SOURCE / name)
        (self.folder / "build").mkdir()
        (self.folder / "build" / "eidolon").symlink_to(BINARY)
        subprocess.run([sys.executable, str(SOURCE / "scripts" / "write_demo_images"), str(self.folder / "digits")], check=True,
                       capture_output=True)
        (self.folder / "classes.txt").write_text("".join(f"{digit}\n" for digit in range(10)))
        saving, = (lines for _, lines in snippets("python") if "torchvision" in "".join(lines))
        subprocess.run([sys.executable, "-c", "\n".join(saving)], check=True, capture_output=True, cwd=self.folder,
                       env={**ENVIRONMENT, "PYTHONPATH": str(DOUBLES)})
        (page, lines), = snippets("toml")
        job = substituted("\n".join(lines))
        for word in SUBSTITUTIONS.values():
            if word in (str(TEACHER), "digits", "classes.txt"):
                self.assertIn(f'"{word}"', job)
        # In miniature, with nothing of what is documented changed.
        job = job.replace("[synthesis]", "[synthesis]\niterations = 2")
        job = job.replace("[run]", "[run]\nthreads = 1\ndevice = \"cpu\"")
        self.job.write_text(job + "\n[finetuning]\niterations = 2\n")

    def environment(self):
        # As a reader has it, who would notice a line that asks for more slots than a small machine has.
        environment = {name: value for name, value in ENVIRONMENT.items() if "oversubscribe" not in name}
        return dict(environment, EIDOLON_DATA="/somewhere")

    def run_line(self, line):
        return subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=self.folder, env=self.environment(),
                              timeout=300)

    def examine(self, line, page):
        command = line.split(" #")[0].strip()
        treatment = next((treatment for pattern, treatment in TREATMENTS if re.match(pattern, command)), None)
        self.assertIsNotNone(treatment, f"{page.name} has a command that no test knows: {command}")
        for word in re.findall(r"(?<![/\w])(?:scripts|slurm|jobs|docs|packaging)/[\w./-]+", command):
            self.assertTrue((SOURCE / word).exists(), f"{page.name} names {word}, which is not there")
        if treatment == "print the job":
            command += " --print-config"
        if treatment == "student":
            command += " --set synthesis.images=128"  # README's run had so many
        if treatment in ("print the job", "run", "student", "source"):
            result = self.run_line(substituted(command))
            self.assertEqual(result.returncode, 0, f"{page.name}: {command}\n{result.stderr}")
            self.assertEqual(result.stdout == "", treatment == "source")
        if treatment == "verify":
            shard = self.folder / "shard.h5"
            shard.write_bytes(sorted((self.folder / "data_out").rglob("images-*.h5"))[0].read_bytes())
            digest = self.run_line(command.replace("FILE", "shard.h5")).stdout.split()[0]
            self.assertIn(f"sha256 {digest}".encode(), shard.read_bytes()[:512])
        return treatment

    @unittest.skipIf((os.cpu_count() or 1) < 2, "the lines start two ranks")
    def test_lines_of_shell_do_what_the_documentation_says(self):
        done = [self.examine(line, page) for page, lines in snippets("shell") for line in lines
                if line.strip() and not line.startswith("#")]
        self.assertGreaterEqual(done.count("run"), 4, done)
        self.assertEqual(done.count("verify"), 1)


class Keys(ProgramTest):
    def keys_of(self, value):
        if isinstance(value, dict):
            return set(value) | {key for item in value.values() for key in self.keys_of(item)}
        return {key for item in value for key in self.keys_of(item)} if isinstance(value, list) else set()

    def test_every_key_of_a_result_is_documented(self):
        page = (SOURCE / "docs" / "reference" / "results.md").read_text()
        quick = ["--set", "synthesis.iterations=1", "--set", "finetuning.iterations=1"]
        digits = self.folder / "digits"
        subprocess.run([sys.executable, str(SOURCE / "scripts" / "write_demo_images"), str(digits)], check=True,
                       capture_output=True)
        labelled = ["--set", f"evaluation.images={digits}"]
        results = [json.loads(self.succeed(*words, "--json").stdout) for words in
                   (["run", *quick], ["evaluate", *quick, *labelled], ["sensitivity", *quick])]
        for words in (["status", str(self.folder / "run")], ["doctor", str(self.folder)]):
            results.append(json.loads(subprocess.run([BINARY, *words, "--json"], capture_output=True, env=ENVIRONMENT).stdout))
        lines = [line for path in self.files("**/*.jsonl") for line in path.read_text().splitlines()]
        self.assertTrue(lines)
        keys = self.keys_of(results) | {"stage", "step", "time"}
        self.assertGreater(len(keys), 50)
        for key in sorted(keys):
            self.assertIn(f"`{key.removesuffix('_se')}`", page, f"docs/reference/results.md says nothing of the key '{key}'")

    def test_keys_are_listed_as_the_program_prints_them(self):
        printed = subprocess.run([BINARY, "keys", "--all"], capture_output=True, text=True, check=True).stdout
        self.assertGreater(printed.count(" = "), 50)
        self.assertIn(f"```text\n{printed}```\n", (SOURCE / "docs" / "reference" / "keys.md").read_text(),
                      "scripts/keys_page writes the page")

    def test_files_that_the_pages_name_are_there(self):
        for page in PAGES:
            prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
            for name in re.findall(r"`((?:src|scripts|slurm|jobs|docs|tests|packaging|cmake)/[\w./-]*)`", prose):
                self.assertTrue(list(SOURCE.glob(name.rstrip("/") + "*")), f"{page.name} names {name}, which is not there")

    def test_figures_are_drawn_from_what_the_pages_state(self):
        lab = SOURCE / "docs" / "lab"
        for name, page in (("recipes", "defaults"), ("families", "families")):
            lines = (lab / f"{page}.md").read_text().splitlines()
            with open(lab / f"{name}.csv", newline="") as file:
                for row in csv.DictReader(file):
                    stated = [f"{row[key]} ± {row[key + '_se']}" for key in ("kept", "kl")]
                    self.assertTrue(any(all(value in line for value in stated) for line in lines), row)

    def test_files_that_the_pages_link_to_are_there(self):
        for page in PAGES:
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
                self.assertTrue((page.parent / pathlib.Path(target)).exists(), f"{page.name} links to {target}")

    def test_headings_that_the_pages_link_to_are_there(self):
        for page in PAGES:
            for target, heading in re.findall(r"\]\(([^)#:]*)#([^)]*)\)", page.read_text()):
                headings = re.findall(r"^#+ (.*)$", (page.parent / target if target else page).read_text(), re.M)
                anchors = {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}
                self.assertIn(heading, anchors, f"{page.name} links to {target}#{heading}")

    def test_lines_are_at_most_as_wide_as_agreed(self):
        for page in PAGES:
            if page.name == "commands.md":
                continue  # as the program prints it
            for number, line in enumerate(page.read_text().splitlines(), 1):
                if not line.startswith("|") and not re.search(r"https?://", line):
                    self.assertLessEqual(len(line), WIDTH, f"{page.relative_to(SOURCE)}:{number}")


if __name__ == "__main__":
    unittest.main()
