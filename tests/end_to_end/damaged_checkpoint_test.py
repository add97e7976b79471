"""Checkpoints on a disk that damages them: the newest good one is always there, and what is damaged is nobody's checkpoint."""
import pathlib
import re
import shutil
import signal
import unittest

import h5py
import numpy

from program import ProgramTest

SETTINGS = ["--set", "run.checkpoint_seconds=0", "--set", "finetuning.iterations=8"]
STEPS = 7 * 8
CALIBRATED = "step-00000000.h5"


class DamagedCheckpoint(ProgramTest):
    def flip_a_byte(self, path):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    def checkpoints(self, run="run"):
        return self.files("checkpoints/step-*.h5", run)

    def names(self, run="run"):
        return sorted(path.name for path in self.files("checkpoints/*", run))

    def position(self, checkpoint):
        with h5py.File(checkpoint) as file:
            return file.attrs["phase"], int(file.attrs["step"])

    def step_of(self, path):
        return int(path.name[5:13])

    def calm(self):
        """A finished run, whose shards the others take."""
        self.prepared("run", *SETTINGS, run="calm")
        self.settings = [*SETTINGS, "--set", f"run.shards={self.folder / 'calm' / 'shards'}"]

    def copy_of_calm(self, *, later=True):
        shutil.copytree(self.folder / "calm", self.folder / "run")
        for path in self.checkpoints()[1:-1] if not later else []:
            path.unlink()
        return self.checkpoints()[-1]

    def stopped(self, *settings, beyond):
        """Goes on until there is a checkpoint of a step beyond `beyond`, and is told to stop."""
        begun = lambda: any(beyond < self.step_of(path) < STEPS for path in self.checkpoints())
        self.assertEqual(self.interrupted("finetune", *self.settings, *settings, when=begun, ranks=1), 75, self.output)

    def test_a_damaged_newest_one_costs_neither_the_work_before_it_nor_behind_it(self):
        self.calm()
        for keep in (1, 2):
            with self.subTest(keep_checkpoints=keep):
                few = ["--set", f"run.keep_checkpoints={keep}"]
                finished = self.copy_of_calm(later=False)
                self.assertEqual(self.position(finished), ("finished", STEPS))
                self.flip_a_byte(finished)

                self.stopped(*few, beyond=10)
                self.assertIn(f"{finished} is damaged, and set aside as {finished}.damaged", self.output)
                self.assertEqual(self.names()[0], CALIBRATED)
                self.assertIn(finished.name + ".damaged", self.names())
                kept = self.checkpoints()[1:]
                self.assertEqual(len(kept), keep)
                reached = self.position(kept[-1])[1]
                self.assertGreater(reached, 10)

                said = self.succeed("finetune", *self.settings, *few).stderr
                self.assertNotIn("damaged", said)
                self.assertIn(f"finetune: {STEPS * 8}/{STEPS * 8} images", said)
                lines = (self.folder / "run" / "metrics.jsonl").read_text().splitlines()
                self.assertEqual(sum('"loss"' in line for line in lines), STEPS)
                self.assert_same_student("calm", "run")
                self.assertEqual(len(self.checkpoints()), 1 + keep)
                shutil.rmtree(self.folder / "run")

    def test_several_of_one_step_are_kept_apart(self):
        self.calm()
        finished = self.copy_of_calm(later=False)
        for _ in range(2):
            self.flip_a_byte(finished)
            self.succeed("finetune", *self.settings)
            self.assert_same_student("calm", "run")
        self.assertLessEqual({finished.name + ".damaged", finished.name + ".damaged.2"}, set(self.names()))

    def test_where_all_are_damaged_the_calibrated_one_is_made_anew(self):
        self.calm()
        self.copy_of_calm()
        damaged = [path.name for path in self.checkpoints()]
        for path in self.checkpoints():
            self.flip_a_byte(path)
        evaluated = self.refused("damaged", "evaluate", *self.settings)
        self.assertEqual([path.name for path in self.checkpoints()], damaged, "a reader renames nothing")
        self.assertNotIn("set aside", evaluated.stderr)
        said = self.succeed("finetune", *self.settings).stderr
        for name in damaged:
            self.assertIn(f"{name} is damaged, and set aside", said)
        self.assert_same_student("calm", "run")
        self.assertEqual(self.hashes("checkpoints/" + CALIBRATED), self.hashes("checkpoints/" + CALIBRATED, "calm"))

    def test_a_damaged_calibrated_one_is_made_anew_and_later_ones_stay(self):
        self.calm()
        self.copy_of_calm()
        later = self.hashes("checkpoints/step-000000[1-9]*.h5")
        for spoil in (self.flip_a_byte, pathlib.Path.unlink):
            spoil(self.checkpoints()[0])
            self.refused("run `eidolon finetune` again", "evaluate", *self.settings)
            self.succeed("finetune", *self.settings)
            self.assertEqual(self.hashes("checkpoints/" + CALIBRATED), self.hashes("checkpoints/" + CALIBRATED, "calm"))
            self.assertEqual(self.hashes("checkpoints/step-000000[1-9]*.h5"), later)
            self.succeed("evaluate", *self.settings)

    def test_scales_that_training_drives_down_stay_positive_and_can_be_evaluated(self):
        for method in ("blockwise", "distill"):
            with self.subTest(method):
                rates = ["--set", "finetuning.scales.activation_learning_rate=0.3", "--set", "finetuning.scales.weight_learning_rate=0.3",
                         "--set", "finetuning.iterations=15", "--set", "synthesis.held_out_images=0",
                         "--set", f"finetuning.method={method}"]
                for stage in ("synthesize", "finetune"):
                    self.succeed(stage, *rates, run=method)
                scales = [values for name, values in self.final_student(method).items()
                          if re.fullmatch("quantizers/.*/scale", name)]
                self.assertGreater(len(scales), 10)
                self.assertGreater(min(values.min() for values in scales), 0)
                # Its tensors go through the same reader as those of evaluate.
                self.succeed("finetune", *rates, run=method)

    def test_numbers_that_are_none_are_not_saved_and_the_last_good_checkpoint_stays(self):
        self.calm()
        wild = [f"finetuning.{key}=1e9" for key in ("learning_rate", "scales.activation_learning_rate", "scales.weight_learning_rate")]
        said = self.refused("not finite", "finetune", *self.settings, *(word for key in wild for word in ("--set", key)),
                            code=70).stderr
        self.assertRegex(said, r"reconstruct/blocks.., step \d+: .*not finite.* lower ")
        self.assertGreater(len(self.checkpoints()), 1)
        for path in self.checkpoints():
            with h5py.File(path) as file:
                file["student"].visititems(lambda name, item: self.assert_finite(path, name, item))
                file["quantizers"].visititems(lambda name, item: self.assert_finite(path, name, item))

    def assert_finite(self, path, name, item):
        if isinstance(item, h5py.Dataset):
            self.assertTrue(numpy.isfinite(item[()]).all(), f"{path}: {name}")

    def test_sensitivity_calibrates_for_a_run_only_while_it_owns_it(self):
        self.calm()
        slow = [*self.settings, "--set", "finetuning.iterations=100000"]
        launch = self.start("finetune", *slow)
        launch.wait_until(lambda: len(self.checkpoints()) > 1)
        self.succeed("sensitivity", *slow)  # the calibrated student is there
        self.checkpoints()[0].unlink()
        self.refused("belongs to rank 0 of launch", "sensitivity", *slow)
        self.assertFalse((self.folder / "run" / "checkpoints" / CALIBRATED).exists())
        launch.signal(signal.SIGUSR2)
        self.assertEqual(launch.code(), 75)
        self.succeed("sensitivity", *slow)
        self.assertEqual(self.names()[0], CALIBRATED)
        self.assertEqual(self.files("finetuning.owner.json"), [])


if __name__ == "__main__":
    unittest.main()
