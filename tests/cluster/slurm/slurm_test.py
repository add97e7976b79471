"""Submits the templates of slurm/ to a two-node cluster, and compares what they leave with an undisturbed run of the same job."""
import atexit
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import numpy

from program import BINARY, ENVIRONMENT, SOURCE, ProgramTest
from two_node_cluster import TwoNodeCluster, Unavailable

# Long enough to be hit in the middle of either stage, with a state on disk at almost every moment.
JOB = ["--set", "synthesis.iterations=20", "--set", "finetuning.iterations=30", "--set", "run.checkpoint_seconds=0.2"]
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY"}
long_test = unittest.skipUnless(os.environ.get("EIDOLON_SOAK") == "1", "long; EIDOLON_SOAK=1 runs it")

signal.signal(signal.SIGTERM, signal.default_int_handler)  # an exception, so that what is registered for the exit is done


class SlurmTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        try:
            cls.cluster = TwoNodeCluster()
        except Unavailable as why:
            raise unittest.SkipTest(f"no cluster here: {why}")
        cls.cluster.start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.calm = pathlib.Path(tempfile.mkdtemp(prefix="eidolon-calm-"))
        atexit.register(shutil.rmtree, cls.calm, ignore_errors=True)

    def setUp(self):
        super().setUp()
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)  # an interrupted test is not torn down

    def submit(self, template, *arguments, run="run", options=(), environment=None):
        """Submits slurm/`template` with the small job, and gives back the job's id."""
        settings = {**ENVIRONMENT, "EIDOLON_PROGRAM": BINARY, "EIDOLON_SITE": str(SOURCE / "slurm" / "site.sh"), **(environment or {})}
        words = ["sbatch", "--parsable", "--job-name=job", "--ntasks-per-node=1", *options, SOURCE / "slurm" / template, self.job, "--run-dir",
                 self.folder / run, *JOB, *arguments]
        result = self.cluster.run(*words, cwd=self.folder, env=self.cluster.environment(settings))
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.strip()

    def tasks(self, job):
        """What Slurm says of the job: one dictionary, or one per task of an array."""
        text = self.cluster.run("scontrol", "--oneliner", "show", "job", job).stdout
        return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in text.splitlines()]

    def states(self, job):
        return {task["JobState"] for task in self.tasks(job)}

    def wait_until(self, true, what, job, seconds=150):
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                self.fail(f"job {job}: not {what} after {seconds} s, but {self.states(job)}\n{self.log(job)}\n{self.cluster.last_words()}")
            time.sleep(0.1)

    def wait_for_end(self, job, seconds=150):
        """The exit codes with which the job, or each of its tasks, ended."""
        self.wait_until(lambda: self.states(job) and self.states(job) <= ENDED, "ended", job, seconds)
        return [int(task["ExitCode"].split(":")[0]) for task in self.tasks(job)]

    def finish(self, job, seconds=150):
        codes = self.wait_for_end(job, seconds)
        self.assertEqual((set(codes), self.states(job)), ({0}, {"COMPLETED"}), self.log(job))

    def wait_for_file(self, pattern, job, run="run", count=1):
        found = lambda: len(list((self.folder / run).glob(pattern))) >= count
        self.wait_until(lambda: found() or self.states(job) <= ENDED, f"writing {count} of {pattern}", job)
        self.assertTrue(found(), f"job {job} ended before it was disturbed\n{self.log(job)}")

    def wait_for_restart(self, job):
        self.wait_until(lambda: self.tasks(job)[0]["Restarts"] != "0" and "RUNNING" in self.states(job), "started again", job)

    def signal(self, job, *words):
        subprocess.run(self.cluster.controller.inside("scancel", *words, job), env=self.cluster.environment(os.environ), check=True)

    def log(self, job):
        return "\n".join(path.read_text() for path in sorted(self.folder.glob(f"job-{job}*.log")))

    def calm_run(self, ranks):
        """The same job on this machine itself, without Slurm and without disturbance; made once per file of tests."""
        run = self.calm / f"{ranks}-ranks"
        if not run.exists():
            self.succeed("run", *JOB, ranks=ranks, run=run)
        return run

    def assert_shards_as_if_calm(self, ranks, run="run"):
        self.assertEqual(self.hashes("shards/*.h5", run), self.hashes("shards/*.h5", self.calm_run(ranks)))

    def assert_as_if_calm(self, ranks, run="run"):
        """Equal shards, byte for byte, and a student with equal tensors."""
        self.assert_same(run, self.calm_run(ranks))

    def assert_same(self, run, calm):
        self.assertEqual(self.hashes("shards/*.h5", run), self.hashes("shards/*.h5", calm))
        self.assert_same_student(run, calm)

    def distance(self, run, other):
        """Between two students: the greatest, over all tensors, of the norm of the difference over the norm."""
        ours, theirs = self.final_student(run), self.final_student(other)
        self.assertEqual(sorted(ours), sorted(theirs))
        norm = lambda values: float(numpy.linalg.norm(values.astype(numpy.float64).ravel()))
        numbers = [name for name in theirs if theirs[name].dtype.kind in "fiu" and norm(theirs[name]) > 0]
        return max(norm(ours[name].astype(numpy.float64) - theirs[name]) / norm(theirs[name]) for name in numbers)
