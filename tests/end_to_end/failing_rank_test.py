"""A rank that throws, dies or hangs ends the job soon, and the job says which rank it was. One that is only slow does not."""
import json
import signal
import subprocess
import time
import unittest

from program import BINARY, ENVIRONMENT, ProgramTest

UNITS_OF_FOUR = ["--set", "synthesis.unit_images=4"]
QUICK_IMAGES = ["--set", "synthesis.method=gaussian", *UNITS_OF_FOUR]
LONG_PHASES = ["--set", "finetuning.iterations=2000", "--set", "run.checkpoint_seconds=3600"]
WATCHDOG = 3
SOON = 10  # seconds


class FailingRank(ProgramTest):
    def assert_ends(self, launch, code, within):
        began = time.monotonic()
        self.assertEqual(launch.code(60), code, launch.output())
        self.assertLess(time.monotonic() - began, within, launch.output())

    def finetuning(self, *settings, ranks=2):
        """Fine-tuning in which all ranks are at work."""
        self.succeed("synthesize", *QUICK_IMAGES)
        launch = self.start("finetune", *QUICK_IMAGES, *LONG_PHASES, *settings, ranks=ranks)
        launch.wait_until(lambda: "step" in self.activity_of_rank_0())
        return launch

    def activity_of_rank_0(self):
        """What the running launch says it is at."""
        beats = [json.loads(beat.read_text()) for beat in self.files("heartbeat/*/rank-0000.json")]
        return next((beat["detail"] for beat in beats if not beat["ended"]), "")

    def test_a_rank_that_throws_ends_the_job_and_is_heard(self):
        # With lanes 4 to 7 of 8, rank 1 alone needs the second unit. Rank 0 has seen it sound before it calibrates.
        self.succeed("synthesize", *QUICK_IMAGES)
        launch = self.start("finetune", *QUICK_IMAGES, "--set", "quantization.calibration_images=4", ranks=2)
        launch.wait_until(lambda: "calibrate: ranges" in launch.output())
        shard = self.folder / "run" / "shards" / "images-00000004-00000007.h5"
        shard.rename(self.folder / "taken")
        shard.mkdir()
        self.assert_ends(launch, code=70, within=SOON)
        first_error = next(line for line in launch.output().splitlines() if "error" in line)
        self.assertIn("[rank 1] error: finetune: " + str(shard), first_error)
        self.assertNotIn("[rank 0] error", launch.output())

    def test_a_killed_rank_ends_the_job(self):
        launch = self.finetuning()
        launch.signal(signal.SIGKILL, rank=1)
        self.assert_ends(launch, code=128 + signal.SIGKILL, within=SOON)
        self.assertIn("rank 1", launch.output())

    def test_a_rank_that_hangs_in_fine_tuning_is_named(self):
        launch = self.finetuning("--set", f"run.watchdog_seconds={WATCHDOG}", ranks=3)
        launch.signal(signal.SIGSTOP, rank=1)
        self.assert_ends(launch, code=70, within=WATCHDOG + SOON)
        self.assertIn("behind: rank 1 on", launch.output())
        self.assertNotIn("; rank 2 on", launch.output())

    def test_a_rank_that_hangs_in_synthesis_is_named_once_the_others_are_done(self):
        settings = ["--set", "synthesis.iterations=30", "--set", f"run.watchdog_seconds={WATCHDOG}"]
        launch = self.start("synthesize", *settings, ranks=2)
        launch.wait_until(lambda: len(self.files("shards/*.claim.json")) == 2)
        launch.signal(signal.SIGSTOP, rank=1)
        launch.wait_until(lambda: len(self.files("shards/*.h5")) == 2)
        self.assert_ends(launch, code=70, within=WATCHDOG + SOON)
        self.assertIn("behind: rank 1 on", launch.output())
        self.succeed("synthesize", *settings, ranks=2)
        self.assertEqual(len(self.files("shards/*.h5")), 3)

    def test_ranks_without_work_wait_longer_than_the_watchdog_for_one_that_is_slow(self):
        began = time.monotonic()
        self.succeed("synthesize", "--set", "synthesis.images=8", "--set", "synthesis.held_out_images=0",
                     "--set", "synthesis.iterations=100", "--set", "run.watchdog_seconds=2", ranks=3)
        self.assertGreater(time.monotonic() - began, 6, "too quick to tell")

    def test_ranks_that_were_told_different_things_are_refused(self):
        other = self.folder / "other.toml"
        other.write_text(self.job.read_text().replace("iterations = 12", "iterations = 13"))
        run = ["--run-dir", str(self.folder / "run")]
        for difference, first, second in (
                ("iterations", [str(self.job)], [str(other)]),
                ("seed", [str(self.job), "--set", "synthesis.seed=1"], [str(self.job), "--set", "synthesis.seed=2"])):
            with self.subTest(difference):
                command = ["mpirun", "-n", "2", BINARY, "synthesize", *first, *run, ":",
                           "-n", "1", BINARY, "synthesize", *second, *run]
                result = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60)
                self.assertEqual(result.returncode, 64, result.stderr)
                said = [line for line in result.stderr.splitlines() if "error:" in line]
                self.assertEqual(len(said), 1, result.stderr)
                self.assertIn("rank 2", said[0])
                self.assertIn(difference, said[0])
        self.assertFalse((self.folder / "run").exists())


if __name__ == "__main__":
    unittest.main()
