"""Killed and started again: nothing is lost, and the end is the same."""
import json
import signal
import unittest

import h5py

from program import ProgramTest

# A checkpoint after every step. 7 sections of 8 steps leave room to be interrupted inside of a phase.
STEPWISE = ["--set", "run.checkpoint_seconds=0", "--set", "finetuning.iterations=8"]
LONG = ["--set", "synthesis.iterations=40", "--set", "run.checkpoint_seconds=0.2"]


class Resume(ProgramTest):
    def test_a_unit_interrupted_inside_ends_in_the_same_bytes(self):
        self.succeed("synthesize", *LONG, ranks=2, run="calm")
        for how, code in ((signal.SIGUSR2, 75), (signal.SIGKILL, None)):
            run = f"interrupted-{how.name}"
            began = lambda: any((self.folder / run / "units").glob("unit-*.h5"))
            ended = self.interrupted("synthesize", *LONG, when=began, how=how, run=run)
            if code is not None:
                self.assertEqual(ended, code, self.output)
                self.assertIn("run the same command again", self.output)
            self.assertTrue(any((self.folder / run / "units").glob("unit-*.h5")))
            self.succeed("synthesize", *LONG, ranks=1, run=run)
            # The job's text records checkpoint_seconds and the like, and is the same in both.
            self.assertEqual(self.hashes("shards/*.h5", run), self.hashes("shards/*.h5", "calm"))
            self.assertFalse(any((self.folder / run / "units").glob("unit-*.h5")))

    def test_a_phase_interrupted_inside_ends_in_the_same_bits(self):
        self.assert_interruptions_leave_no_trace(signal.SIGUSR2, signal.SIGKILL)

    def test_a_phase_with_everything_trained_and_drawn_ends_in_the_same_bits(self):
        options = ["rounding=adaround", "adaround.learning_rate=0.1", "input_mix=0.5", "importance=gradient",
                   "scales.activation_learning_rate=1e-3", "scales.weight_learning_rate=1e-3"]
        self.assert_interruptions_leave_no_trace(signal.SIGUSR2, options=options)

    def test_distillation_after_the_blocks_ends_in_the_same_bits(self):
        options = ["iterations=2", "distill.iterations=60", "distill.learning_rate=0.01", "distill.images=stored, leaves"]
        self.assert_interruptions_leave_no_trace(signal.SIGUSR2, options=options, steps_in_all=7 * 2 + 60, beyond=7 * 2)

    def test_a_distillation_with_trained_scales_ends_in_the_same_bits(self):
        options = ["method=distill", "scales.activation_learning_rate=1e-3", "iterations=60"]
        self.assert_interruptions_leave_no_trace(signal.SIGUSR2, options=options, steps_in_all=60)

    def assert_interruptions_leave_no_trace(self, *hows, options=(), steps_in_all=7 * 8, beyond=0):
        settings = STEPWISE + [word for option in options for word in ("--set", "finetuning." + option)]
        self.prepared("synthesize", ranks=2, run="calm")
        self.succeed("finetune", *settings, ranks=2, run="calm")
        shards = ["--set", f"run.shards={self.folder / 'calm' / 'shards'}"]
        for how in hows:
            run = f"interrupted-{how.name}"
            steps = lambda: sorted((self.folder / run / "checkpoints").glob("step-*.h5"))
            begun = lambda: any(int(step.stem.partition("-")[2]) > beyond for step in steps())
            code = self.interrupted("finetune", *settings, *shards, when=begun, how=how, run=run)
            if how == signal.SIGUSR2:
                self.assertEqual(code, 75, self.output)
            with h5py.File(steps()[-1]) as file:
                self.assertNotEqual(file.attrs["phase"], "finished")
            self.succeed("finetune", *settings, *shards, ranks=2, run=run)
            self.assert_same_student("calm", run)
            self.assert_metrics_are_whole(run, steps_in_all)

    def assert_metrics_are_whole(self, run, steps_in_all):
        """Every step of every phase stands once in metrics.jsonl."""
        lines = [json.loads(line) for line in (self.folder / run / "metrics.jsonl").read_text().splitlines()]
        steps = [line["step"] for line in lines if line["stage"].startswith("finetune/") and "loss" in line]
        self.assertEqual(sorted(steps), list(range(1, steps_in_all + 1)))

    def test_another_number_of_ranks_goes_on_from_the_checkpoint(self):
        self.prepared("synthesize", ranks=2)
        steps = lambda: sorted((self.folder / "run" / "checkpoints").glob("step-*.h5"))
        self.interrupted("finetune", *STEPWISE, when=lambda: len(steps()) > 1)
        self.succeed("finetune", *STEPWISE, ranks=1)
        self.final_student("run")

    def test_a_damaged_shard_is_made_again(self):
        self.prepared("synthesize", ranks=2)
        before = self.hashes("shards/*.h5")
        shard = self.folder / "run" / "shards" / "images-00000008-00000015.h5"
        shard.write_bytes(shard.read_bytes()[:-100])
        result = self.succeed("synthesize")
        self.assertIn("damaged", result.stderr)
        self.assertEqual(self.hashes("shards/*.h5"), before)


if __name__ == "__main__":
    unittest.main()
