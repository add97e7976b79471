"""The tree that `cmake --install` makes, used as on a machine without the clone's environment."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

from program import BINARY, SOURCE, ProgramTest


class Install(ProgramTest):
    def setUp(self):
        super().setUp()
        self.prefix = self.folder / "prefix"
        self.call("cmake", "--install", str(pathlib.Path(BINARY).parent), "--prefix", str(self.prefix))

    def call(self, *command, **variables):
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | variables
        result = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_the_version_is_the_newest_of_the_changelog(self):
        version = self.call(str(self.prefix / "bin" / "eidolon"), "--version").split()[0]
        changelog = (self.prefix / "share" / "doc" / "eidolon" / "CHANGELOG.md").read_text()
        self.assertEqual(version, re.search(r"^## \[(.+?)\]", changelog, re.M).group(1))
        self.assertIn(f"\nversion: {version}\n", (SOURCE / "CITATION.cff").read_text())

    def test_the_prefix_may_be_moved(self):
        elsewhere = self.folder / "moved" / "software"
        elsewhere.parent.mkdir()
        self.prefix.rename(elsewhere)
        program = elsewhere / "bin" / "eidolon"
        teacher = elsewhere / "share" / "eidolon" / "jobs" / "demo" / "teacher"
        self.assertIn("vit", self.call(str(program), "inspect", str(teacher)))
        texts = [path for path in elsewhere.rglob("*") if path.is_file() and path != program]
        self.assertFalse([path for path in texts if str(self.prefix).encode() in path.read_bytes()])

    def test_libraries_beside_the_program_are_found_first(self):
        program, beside = self.prefix / "bin" / "eidolon", self.prefix / "lib" / "eidolon"
        found = dict(re.findall(r"(\S+) => (/\S+)", self.call("ldd", str(program))))
        library = next(name for name in found if name.startswith("libspdlog"))
        beside.mkdir(parents=True)
        shutil.copy(found[library], beside / library)
        now = dict(re.findall(r"(\S+) => (/\S+)", self.call("ldd", str(program))))
        self.assertEqual(os.path.realpath(now[library]), os.path.realpath(beside / library))

    def test_shells_and_man_find_their_pages(self):
        share, program = self.prefix / "share", str(self.prefix / "bin" / "eidolon")
        for place, words in (("man/man1/eidolon.1", ["man"]), ("bash-completion/completions/eidolon", ["completion", "bash"]),
                             ("zsh/site-functions/_eidolon", ["completion", "zsh"]),
                             ("fish/vendor_completions.d/eidolon.fish", ["completion", "fish"])):
            self.assertEqual((share / place).read_text(), self.call(program, *words), place)

    @unittest.skipUnless(pathlib.Path("/usr/share/modules/init/bash").exists(), "environment-modules is not installed")
    def test_the_module_finds_its_prefix(self):
        version = self.call(str(self.prefix / "bin" / "eidolon"), "--version").split()[0]
        said = self.call("bash", "-c", f"source /usr/share/modules/init/bash; module use {self.prefix}/share/modulefiles; "
                         "module load eidolon; module list -t 2>&1; command -v eidolon; echo $EIDOLON_PROGRAM; eidolon --version; "
                         "echo $MANPATH; module unload eidolon; command -v eidolon || echo gone")
        self.assertIn(f"eidolon/{version}", said)
        self.assertEqual(said.count(str(self.prefix / "bin" / "eidolon")), 2, said)
        self.assertIn(str(self.prefix / "share" / "man"), said)
        self.assertTrue(said.endswith("gone\n"), said)

    def test_the_templates_find_the_program(self):
        site = self.prefix / "share" / "eidolon" / "slurm" / "site.sh"
        program = self.call("bash", "-c", f'source "{site}"; realpath "$EIDOLON_PROGRAM"').strip()
        self.assertEqual(program, os.path.realpath(self.prefix / "bin" / "eidolon"))

    def test_the_demo_runs(self):
        digits = self.folder / "digits"
        subprocess.run([sys.executable, str(SOURCE / "scripts" / "write_demo_images"), str(digits)], check=True,
                       capture_output=True)
        job = self.prefix / "share" / "eidolon" / "jobs" / "demo" / "digits_w4a4.toml"
        small = ["--set", "synthesis.iterations=2", "--set", "finetuning.iterations=2", "--set", "run.device=cpu"]
        result = json.loads(self.call(
            "mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2", str(self.prefix / "bin" / "eidolon"), "run",
            str(job), "--run-dir", "run", "--json", *small, EIDOLON_DEMO_IMAGES=str(digits), OMP_NUM_THREADS="1"))
        self.assertGreaterEqual(result["teacher"]["top1"], 0.97)
        self.assertGreater(result["student"]["kept"], 0.5)
        self.assertIn(str(job.parent / "teacher"), (self.folder / "run" / "job.resolved.toml").read_text())
        self.assertFalse((self.prefix / "share" / "eidolon" / "report" / "venv").exists())
        python = os.environ.get("EIDOLON_REPORT_PYTHON", "")
        named = self.call(str(self.prefix / "bin" / "eidolon"), "report", "run", EIDOLON_REPORT_PYTHON=python).split()
        pages = ["report.json", "report.html"] if os.access(python, os.X_OK) else ["report.json"]
        self.assertEqual(named, [str(self.folder / "run" / page) for page in pages])


if __name__ == "__main__":
    unittest.main()
