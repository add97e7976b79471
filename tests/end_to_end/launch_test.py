"""How the program is started: by README's lines, by the templates of slurm/ without a Slurm, in a container's share."""
import os
import re
import shlex
import shutil
import subprocess
import unittest

from program import BINARY, ENVIRONMENT, SOURCE, ProgramTest

QUICK = ["--set", "synthesis.method=gaussian", "--set", "synthesis.images=8", "--set", "synthesis.held_out_images=4",
         "--set", "synthesis.unit_images=4", "--set", "quantization.calibration_images=4"]


class Readme(unittest.TestCase):
    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "one core")
    def test_its_mpirun_lines_start_on_two_cores_without_settings(self):
        readme = (SOURCE / "README.md").read_text()
        launchers = set(re.findall(r"^ *(mpirun [^\n]*?)build/eidolon", readme, re.MULTILINE))
        self.assertTrue(launchers)
        environment = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("OMPI_MCA_")}
        two_cores = ["taskset", "--cpu-list", ",".join(map(str, sorted(os.sched_getaffinity(0))[:2]))]
        for launcher in launchers:
            with self.subTest(launcher):
                command = [*two_cores, *shlex.split(launcher), "true"]
                result = subprocess.run(command, capture_output=True, text=True, env=environment)
                self.assertEqual(result.returncode, 0, result.stderr)


class Threads(ProgramTest):
    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "one core")
    def test_left_to_auto_are_what_openmp_is_granted_and_the_log_says_so(self):
        settings = [*QUICK, "--set", "run.threads=auto"]
        said = self.succeed("synthesize", *settings, ranks=0).stderr  # with OMP_NUM_THREADS=1, as all tests
        self.assertIn("1 thread each (OMP_NUM_THREADS)", said)
        said = self.launch("synthesize", *settings, ranks=0, run="more", environment={"OMP_NUM_THREADS": "1000"}).stderr
        self.assertIn("threads each (cores)", said)
        said = self.succeed("synthesize", *QUICK, "--set", "run.threads=2", ranks=0, run="asked").stderr
        self.assertIn("2 threads each; cores", said)


class Templates(ProgramTest):
    """As a batch script runs them, which is a bash with variables of Slurm."""

    def bash(self, *words, **environment):
        settings = {**ENVIRONMENT, "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n1", "SLURM_SUBMIT_DIR": str(SOURCE),
                    "EIDOLON_PROGRAM": BINARY, "EIDOLON_CONTAINER": "", **environment}
        command = ["bash", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, env=settings, cwd=self.folder, timeout=60)

    def test_without_their_site_they_end_at_once_and_name_what_is_missing(self):
        absent = self.folder / "absent" / "site.sh"
        lone = shutil.copy(SOURCE / "slurm" / "site.sh", self.folder / "my_site.sh")  # without launch.sh beside
        templates = sorted((SOURCE / "slurm").glob("*.sbatch"))
        self.assertGreater(len(templates), 4)
        for template in templates:
            for site, missing in ((absent, absent), (lone, self.folder / "launch.sh")):
                with self.subTest(template=template.name, site=site):
                    result = self.bash(template, self.job, EIDOLON_SITE=str(site))
                    self.assertEqual(result.returncode, 64, result.stderr)
                    self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
                    self.assertIn(f"{missing}: No such file or directory", result.stderr)

    def saved_work(self, *arguments):
        script = f'source {SOURCE}/slurm/requeue.sh; begin_attempt "$@" 2>/dev/null; saved_work'
        result = self.bash("-euo", "pipefail", "-c", script, "bash", self.job, *arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout

    def test_what_was_saved_is_seen_wherever_the_shards_lie(self):
        shards = self.folder / "shared"
        for where in ([], ["--set", f"run.shards={shards}"]):
            with self.subTest(where):
                run = f"run-{len(where)}"
                directory = ["--run-dir", self.folder / run]
                self.assertEqual(self.saved_work(*directory), "")
                self.succeed("synthesize", *QUICK, *where, run=run)
                whole = self.saved_work(*directory)
                self.assertEqual(self.saved_work(f"--run-dir={self.folder / run}"), whole)
                made = shards if where else self.folder / run / "shards"
                sorted(made.glob("*.h5"))[-1].unlink()
                less = self.saved_work(*directory)
                self.assertNotIn(less, ("", whole))
                self.succeed("synthesize", *QUICK, *where, run=run)
                self.assertEqual(self.saved_work(*directory), whole)
        self.succeed("finetune", *QUICK, "--set", "finetuning.iterations=1", run="run-0")
        self.assertNotEqual(self.saved_work("--run-dir", self.folder / "run-0"), whole)

    def test_the_program_writes_where_they_look(self):
        script = f'source {SOURCE}/slurm/requeue.sh; begin_attempt "$@" 2>/dev/null; '
        script += 'printf "%s\\n" "$run" "${arguments[@]}"'
        run, *arguments = self.bash("-euc", script, "bash", "jobs/mine.toml", "--set", "a.b=1").stdout.splitlines()
        self.assertEqual(run, "data_out/mine")
        self.assertEqual(arguments, ["jobs/mine.toml", "--set", "a.b=1", "--run-dir", "data_out/mine"])
        for given in (["--run-dir", "there"], ["--run-dir=there"]):
            run, *arguments = self.bash("-euc", script, "bash", "jobs/mine.toml", *given).stdout.splitlines()
            self.assertEqual((run, arguments), ("there", ["jobs/mine.toml", *given]))

    @unittest.skipUnless(shutil.which("shellcheck"), "shellcheck is not installed")
    def test_shellcheck_finds_nothing(self):
        scripts = [str(path.relative_to(SOURCE)) for path in sorted((SOURCE / "slurm").iterdir())]
        result = subprocess.run(["shellcheck", "-x", *scripts], cwd=SOURCE, capture_output=True, text=True)
        self.assertEqual(result.stdout, "")


if __name__ == "__main__":
    unittest.main()
