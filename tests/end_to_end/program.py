"""Launches build/eidolon on a small job in a temporary folder."""
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

SOURCE = pathlib.Path(os.environ["EIDOLON_SOURCE_DIR"])
BINARY = os.environ["EIDOLON_BINARY"]
TEACHER = SOURCE / "jobs" / "demo" / "teacher"

JOB = """
[teacher]
weights = "{teacher}"
[synthesis]
images = 16
held_out_images = 8
unit_images = 8
iterations = 12
precision = "fp32"
[quantization]
calibration_images = 16
[finetuning]
batch = 8
iterations = 6
[run]
threads = 1
device = "cpu"
"""

ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_NUM_THREADS="1",
                   OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_mpi_yield_when_idle="1",
                   OMPI_MCA_hwloc_base_binding_policy="none")


class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="eidolon-"))
        self.job = self.folder / "job.toml"
        self.job.write_text(JOB.format(teacher=TEACHER))

    def tearDown(self):
        shutil.rmtree(self.folder)

    def command(self, stage, *arguments, ranks=1, run="run", job=None):
        launcher = ["mpirun", "-n", str(ranks)] if ranks > 0 else []
        return launcher + [BINARY, stage, str(job or self.job), "--run-dir", str(self.folder / run), *map(str, arguments)]

    def launch(self, stage, *arguments, ranks=1, run="run", job=None, environment=None):
        return subprocess.run(self.command(stage, *arguments, ranks=ranks, run=run, job=job), capture_output=True, text=True,
                              env={**ENVIRONMENT, **(environment or {})}, timeout=300)

    def succeed(self, stage, *arguments, **options):
        result = self.launch(stage, *arguments, **options)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result

    def refused(self, text, stage, *arguments, code=64, **options):
        """The program ends with `code` and says `text` on stderr."""
        result = self.launch(stage, *arguments, **options)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertIn(text, result.stderr)
        return result

    def interrupted(self, stage, *arguments, when, how=signal.SIGUSR2, ranks=2, run="run"):
        """Starts the program, sends `how` to the launcher as soon as `when()` is true, and gives back the exit code."""
        process = subprocess.Popen(self.command(stage, *arguments, ranks=ranks, run=run), stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT, start_new_session=True)
        while process.poll() is None and not when():
            time.sleep(0.02)
        self.assertIsNone(process.poll(), "the program ended before it could be interrupted")
        if how == signal.SIGKILL:
            os.killpg(process.pid, how)  # the launcher; its ranks have groups of their own
            subprocess.run(["pkill", "-KILL", "-f", str(self.folder / run)], check=False)
        else:
            process.send_signal(how)
        output, _ = process.communicate(timeout=120)
        self.output = output
        return process.returncode

    def hashes(self, pattern, run="run"):
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((self.folder / run).glob(pattern))}
