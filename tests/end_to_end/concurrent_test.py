"""Several launches in one run directory: they share the synthesis, and one at a time fine-tunes."""
import json
import signal
import time
import unittest

from program import ProgramTest

# Nine units of two images.
UNITS = ["--set", "synthesis.images=14", "--set", "synthesis.held_out_images=4", "--set", "synthesis.unit_images=2",
         "--set", "quantization.calibration_images=2"]
QUICK_IMAGES = ["--set", "synthesis.method=gaussian", *UNITS]


class SharedSynthesis(ProgramTest):
    def launches(self, *ranks, settings=()):
        return [self.start("synthesize", *UNITS, *settings, ranks=count) for count in ranks]

    def makers(self):
        """Which launches have worked on which units, by their logs of losses."""
        return {path.parent.name: {json.loads(line)["stage"] for line in path.read_text().splitlines()}
                for path in self.files("log/*/synthesis.jsonl")}

    def test_three_launches_share_the_units_and_make_the_bytes_of_one(self):
        self.succeed("synthesize", *UNITS, run="alone")
        launches = self.launches(1, 2, 1)  # at the very same time, on a directory that is not there yet
        for launch in launches:
            self.assertEqual(launch.code(), 0, launch.output())
        self.assertEqual(self.hashes("shards/*.h5"), self.hashes("shards/*.h5", "alone"))
        self.assertEqual(self.hashes("job.resolved.toml"), self.hashes("job.resolved.toml", "alone"))
        self.assertEqual(self.files("units/*") + self.files("shards/*.claim.json"), [])
        # No unit was made twice, as far as rank 0 of each launch tells.
        made = [unit for units in self.makers().values() for unit in units]
        self.assertEqual(len(made), len(set(made)), self.makers())
        self.assertGreater(len(self.makers()), 1)

    def test_what_a_killed_launch_leaves_is_made_by_the_others(self):
        long = ["--set", "synthesis.iterations=40", "--set", "run.checkpoint_seconds=0.2"]
        launches = self.launches(1, 2, 1, settings=long)
        victim = launches[1]
        victim.wait_until(lambda: len(self.files("shards/*.claim.json")) == 4)
        claims = [json.loads(path.read_text()) for path in self.files("shards/*.claim.json")]
        victim.signal(signal.SIGKILL, rank=1)
        self.assertNotEqual(victim.code(), 0)
        for launch in (launches[0], launches[2]):
            self.assertEqual(launch.code(), 0, launch.output())
        self.assertEqual(len({claim["launch"] for claim in claims}), 3, claims)
        self.assertIn("which is gone; it is taken over", "".join(launch.output() for launch in launches))
        self.succeed("synthesize", *UNITS, *long, run="alone")
        self.assertEqual(self.hashes("shards/*.h5"), self.hashes("shards/*.h5", "alone"))
        self.assertEqual(self.files("units/*") + self.files("shards/*.claim.json"), [])


class OwnedFinetuning(ProgramTest):
    def test_a_second_fine_tuning_is_refused_while_the_first_lives_and_takes_over_once_it_is_dead(self):
        # The first must outlive the start and the refusal of another launch.
        iterations = self.iterations_taking(15, *QUICK_IMAGES)
        settings = [*QUICK_IMAGES, "--set", f"run.shards={self.folder / 'trial' / 'shards'}", "--set", "run.checkpoint_seconds=0.2",
                    "--set", f"finetuning.iterations={iterations}"]
        self.succeed("finetune", *settings, run="calm", ranks=2)
        first = self.start("finetune", *settings, ranks=2)
        first.wait_until(lambda: len(self.files("checkpoints/step-*.h5")) > 1)
        owner = json.loads(self.files("finetuning.owner.json")[0].read_text())
        self.refused(f"belongs to rank 0 of launch {owner['launch']}", "finetune", *settings, ranks=2)
        first.signal(signal.SIGKILL, rank=0)
        self.assertNotEqual(first.code(), 0)
        self.assertEqual(len(self.files("finetuning.owner.json")), 1)
        second = self.succeed("finetune", *settings, ranks=2)
        self.assertIn(owner["launch"] + " on", second.stderr)
        self.assertIn("taken over", second.stderr)
        self.assertEqual(self.files("finetuning.owner.json"), [])
        self.assert_same_student("run", "calm")


class LateShards(ProgramTest):
    def setUp(self):
        super().setUp()
        self.settings = [*QUICK_IMAGES, "--set", "finetuning.iterations=1"]
        self.succeed("synthesize", *self.settings, ranks=2)

    def take_away(self, name):
        (self.folder / "run" / "shards" / name).rename(self.folder / name)

    def put_back(self, name):
        (self.folder / name).rename(self.folder / "run" / "shards" / name)

    def assert_waits_for(self, name, launch):
        time.sleep(3)
        self.assertIsNone(launch.process.poll(), launch.output())
        self.put_back(name)
        self.assertEqual(launch.code(), 0, launch.output())
        self.final_student()

    def test_a_shard_that_shows_late_is_waited_for(self):
        name = "images-00000006-00000007.h5"
        self.take_away(name)
        launch = self.start("finetune", *self.settings, ranks=2)
        launch.wait_until(lambda: "waiting for 1 shards" in launch.output())
        self.assert_waits_for(name, launch)

    def test_a_shard_that_only_another_rank_sees_late_is_waited_for(self):
        # With lanes 4 to 7 of 8, rank 1 alone needs this one; rank 0 has seen it before it calibrates, on other images.
        name = "images-00000004-00000005.h5"
        launch = self.start("finetune", *self.settings, ranks=2)
        launch.wait_until(lambda: "calibrate: ranges" in launch.output())
        self.take_away(name)
        self.assert_waits_for(name, launch)

    def test_a_shard_that_never_shows_is_refused_after_the_wait(self):
        name = "images-00000006-00000007.h5"
        self.take_away(name)
        began = time.monotonic()
        self.refused(name, "finetune", *self.settings, "--set", "run.shard_wait_seconds=3", ranks=2)
        self.assertGreater(time.monotonic() - began, 3)


if __name__ == "__main__":
    unittest.main()
