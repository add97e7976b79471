"""Images set against the student (synthesis.method = "psaq_v2"): rounds, their identities, stopping and going on."""
import json
import shutil
import signal
import unittest

import h5py
import numpy as np

from program import ProgramTest

JOB = ["--set", "synthesis.method=psaq_v2", "--set", "synthesis.psaq_v2.cycles=2", "--set", "synthesis.iterations=6",
       "--set", "synthesis.psaq_v2.iterations=4", "--set", "finetuning.iterations=3"]
ALL = "**/*.h5"


class Cycles(ProgramTest):
    def images(self, folder):
        parts = [h5py.File(path)["images"][:] for path in self.files(f"{folder}shards/*.h5")]
        return np.concatenate(parts).astype(int)

    def test_each_round_is_a_run_and_the_last_is_the_run_itself(self):
        self.prepared("run", *JOB, ranks=2)
        for number in ("00", "01"):
            self.assertEqual(len(self.files(f"rounds/{number}/shards/*.h5")), 3)
            self.assertTrue(self.files(f"rounds/{number}/checkpoints/*.h5"))
        first, second, last = (self.images(folder) for folder in ("rounds/00/", "rounds/01/", ""))
        self.assertGreater(np.abs(first - second).max(), 8)
        self.assertGreater(np.abs(second - last).max(), 8)
        # Evolved, not made anew: an image is nearer to what it was than to any other.
        flat = [images.reshape(len(images), -1).astype(float) for images in (first, second)]
        distances = ((flat[1][:, None] - flat[0][None]) ** 2).sum(-1)
        np.testing.assert_array_equal(distances.argmin(1), np.arange(len(first)))

    def test_shards_say_how_far_the_networks_are_apart(self):
        self.prepared("run", *JOB, ranks=2)
        columns = [h5py.File(self.files(f"{folder}shards/*.h5")[0])["losses"].shape[1] for folder in ("rounds/00/", "")]
        self.assertEqual(columns, [2, 4])  # variation and entropy; behind them disagreement and distance
        losses = np.concatenate([h5py.File(path)["losses"][:] for path in self.files("shards/*.h5")])
        self.assertTrue((losses[:, 2] < 0).all() and (losses[:, 3] > 0).all())
        identity = json.loads(h5py.File(self.files("shards/*.h5")[0]).attrs["identity"])
        self.assertRegex(identity["opponent"], "^[0-9a-f]{64}$")
        first = json.loads(h5py.File(self.files("rounds/00/shards/*.h5")[0]).attrs["identity"])
        self.assertNotIn("opponent", first)

    def test_a_finished_round_is_a_run_of_the_job_with_fewer_cycles(self):
        self.prepared("run", *JOB, ranks=2)
        text = self.succeed("evaluate", *JOB, "--set", "synthesis.psaq_v2.cycles=0", "--json", run="run/rounds/00").stdout
        self.assertIn("student", json.loads(text))

    def test_stages_alone_make_the_same_bytes(self):
        self.prepared("run", *JOB, ranks=2)
        self.succeed("synthesize", *JOB, ranks=2, run="stages")
        self.succeed("finetune", *JOB, ranks=2, run="stages")
        self.assertEqual(self.hashes("shards/*.h5", "stages"), self.hashes("shards/*.h5"))

    def test_killed_at_any_moment_it_ends_in_the_same_bytes(self):
        self.prepared("run", *JOB, ranks=2)
        for place in ("rounds/00/checkpoints/step-00000000.h5", "rounds/01/shards/*.h5", "rounds/01/checkpoints/*.h5"):
            with self.subTest(place):
                run = "killed-" + str(len(place))
                launch = self.start("run", *JOB, "--set", "run.checkpoint_seconds=0.2", ranks=2, run=run)
                launch.wait_until(lambda: self.files(place, run))
                launch.signal(signal.SIGKILL)
                launch.code(60)
                self.succeed("run", *JOB, ranks=2, run=run)
                self.assertEqual(self.hashes("shards/*.h5", run), self.hashes("shards/*.h5"))

    def test_another_student_is_another_opponent(self):
        self.prepared("run", *JOB, ranks=2)
        before = self.hashes(ALL)
        result = self.launch("run", *JOB, "--set", "finetuning.learning_rate=0.02", ranks=2)
        self.assertEqual(result.returncode, 64, result.stderr)
        self.assertRegex(result.stderr, "finetuning.learning_rate|opponent")
        self.assertEqual(self.hashes(ALL), before)

    def test_ranks_may_be_one_or_four(self):
        for ranks in (1, 4):
            with self.subTest(ranks=ranks):
                self.succeed("run", *JOB, ranks=ranks, run=f"ranks-{ranks}")
                shutil.rmtree(self.folder / f"ranks-{ranks}")


if __name__ == "__main__":
    unittest.main()
