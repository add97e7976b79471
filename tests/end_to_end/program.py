"""Launches build/eidolon on a small job in a temporary folder."""
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import h5py
import numpy

SOURCE = pathlib.Path(os.environ["EIDOLON_SOURCE_DIR"])
BINARY = os.environ["EIDOLON_BINARY"]
DEVICE = os.environ.get("EIDOLON_TEST_DEVICE", "cpu")  # the stand-in accelerator wants its own program (tests/device)
TEACHER = SOURCE / "jobs" / "demo" / "teacher"

JOB = """
[teacher]
weights = "{teacher}"
[synthesis]
method = "sardfq"
images = 16
held_out_images = 8
unit_images = 8
iterations = 12
precision = "fp32"
[quantization]
recipe = "research"
calibration_images = 16
[finetuning]
batch = 8
iterations = 6
[run]
threads = 1
device = "{device}"
"""

ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_NUM_THREADS="1",
                   OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_mpi_yield_when_idle="1",
                   OMPI_MCA_hwloc_base_binding_policy="none")


PREPARED = {}  # launch -> copy of the run directory that it left


class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="eidolon-"))
        self.job = self.folder / "job.toml"
        self.job.write_text(JOB.format(teacher=TEACHER, device=DEVICE))

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

    def prepared(self, stage, *arguments, ranks=1, run="run"):
        """The run directory as `succeed` leaves it. Tests of one file share the launch, and each gets a copy."""
        key = (stage, arguments, ranks)
        if key not in PREPARED:
            self.succeed(stage, *arguments, ranks=ranks, run=run)
            PREPARED[key] = tempfile.mkdtemp(prefix="eidolon-prepared-")
            unittest.addModuleCleanup(shutil.rmtree, PREPARED[key])
            shutil.copytree(self.folder / run, PREPARED[key], dirs_exist_ok=True)
        else:
            shutil.copytree(PREPARED[key], self.folder / run, dirs_exist_ok=True)

    def refused(self, text, stage, *arguments, code=64, **options):
        """The program ends with `code` and says `text` on stderr."""
        result = self.launch(stage, *arguments, **options)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertIn(text, result.stderr)
        return result

    def iterations_taking(self, seconds, *settings):
        """So many iterations a section that fine-tuning takes about this long on this machine; its images lie in "trial"."""
        trial = self.succeed("run", *settings, "--set", "finetuning.iterations=40", run="trial", ranks=2)
        images, rate = re.search(r"finetune: (\d+)/\1 images.* ([\d.e+]+) images/s", trial.stderr).groups()
        return 1 + int(40 * seconds * float(rate) / int(images))

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

    def start(self, stage, *arguments, ranks=1, run="run", environment=None):
        """The program in the background; ended with the test at the latest."""
        launch = Launch(self.command(stage, *arguments, ranks=ranks, run=run), ranks, environment)
        self.addCleanup(launch.end)
        return launch

    def files(self, pattern, run="run"):
        return sorted((self.folder / run).glob(pattern))

    def final_student(self, run="run"):
        with h5py.File(self.files("checkpoints/step-*.h5", run)[-1]) as file:
            self.assertEqual(file.attrs["phase"], "finished")
            tensors = {}
            file.visititems(lambda name, item: tensors.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
        return tensors

    def assert_same_student(self, run_a, run_b):
        a, b = self.final_student(run_a), self.final_student(run_b)
        self.assertEqual(sorted(a), sorted(b))
        for name, values in a.items():
            numpy.testing.assert_array_equal(values, b[name], err_msg=name)


class Launch:
    """A launcher and its ranks, running beside the test."""

    def __init__(self, command, ranks, environment=None):
        self.ranks = ranks
        self.handles = {}  # rank -> pidfd, which never names another process
        self.text = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdout=self.text, stderr=subprocess.STDOUT, start_new_session=True,
                                        env={**ENVIRONMENT, **(environment or {})})

    def _find_ranks(self):
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                if parent != self.process.pid:
                    continue
                rank = (process / "environ").read_bytes().partition(b"OMPI_COMM_WORLD_RANK=")[2].partition(b"\0")[0]
                if rank and int(rank) not in self.handles:
                    self.handles[int(rank)] = os.pidfd_open(int(process.name))
            except OSError:  # it ended meanwhile
                pass

    def signal(self, how, rank=None):
        """To a rank, or to the launcher."""
        if rank is None:
            return self.process.send_signal(how)
        while len(self.handles) < self.ranks and self.process.poll() is None:
            self._find_ranks()
            time.sleep(0.01)
        signal.pidfd_send_signal(self.handles[rank], how)

    def wait_until(self, condition, seconds=60):
        """Until `condition()` is true; the launch must still run then."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("what the test waits for did not come about:\n" + self.output())
            time.sleep(0.02)

    def code(self, seconds=120):
        """The exit code, once it has ended."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s:\n" + self.output()) from None

    def output(self):
        return os.pread(self.text.fileno(), 1 << 24, 0).decode(errors="replace")

    def end(self):
        for handle in self.handles.values():
            try:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            except ProcessLookupError:
                pass
            os.close(handle)
        self.process.kill()
        self.process.wait()
        self.text.close()
