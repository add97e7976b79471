"""A launch that is refused leaves no trace: not on a finished run, not on a running one, and not where there was none."""
import json
import shutil
import signal
import unittest

from program import ProgramTest

FEW = ["--set", "synthesis.iterations=2", "--set", "finetuning.iterations=2"]


class RefusedLaunch(ProgramTest):
    def state(self, run="run"):
        """Every file with its bytes, and every folder."""
        root = self.folder / run
        return {str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in root.rglob("*")}

    def stop(self, launch):
        launch.signal(signal.SIGUSR2)
        self.assertEqual(launch.code(), 75, launch.output())

    def assert_refused_without_trace(self, text, stage, *arguments, run="run"):
        before = self.state(run)
        self.refused(text, stage, *FEW, *arguments, run=run, ranks=2)
        self.assertEqual(self.state(run), before)

    def test_on_a_finished_run(self):
        result = json.loads(self.succeed("run", *FEW, "--json").stdout)
        other_image = ["--set", "synthesis.seed=2"]
        for stage in ("run", "synthesize", "finetune", "sensitivity"):
            self.assert_refused_without_trace("synthesis.seed is 2 here and 1 there", stage, *other_image)
        for stage in ("run", "finetune", "evaluate", "sensitivity"):
            self.assert_refused_without_trace("quantization.weight_bits is 5 here and 4 there", stage, "--set",
                                              "quantization.weight_bits=5")
        self.assert_refused_without_trace("synthesis.seed is 2 here and 1 there", "evaluate", *other_image)
        self.assert_refused_without_trace("evaluation.images", "run", "--set", f"evaluation.images={self.folder}/none")
        # More images may only be made as the others were; with the threads of the others they may.
        self.assert_refused_without_trace("set run.threads = 1", "run", "--set", "synthesis.images=32", "--set",
                                          "run.threads=3")
        again = json.loads(self.succeed("run", *FEW, "--json").stdout)
        self.assertEqual(again, result)

    def test_where_nothing_was_yet(self):
        for setting, text in (("teacher.weights=/nowhere", "/nowhere"), (f"evaluation.images={self.folder}/none", "none"),
                              ("run.device=cuda", "CUDA"), ("synthesis.batchnorm_weight=1", "has no BatchNorm")):
            self.refused(text, "run", "--set", setting, run="never")
        self.refused("eidolon synthesize", "finetune", run="never")
        self.refused("eidolon finetune", "evaluate", run="never")
        self.assertFalse((self.folder / "never").exists())

    def test_on_a_running_run(self):
        launch = self.start("run", "--set", "synthesis.iterations=100000")
        resolved = self.folder / "run" / "job.resolved.toml"
        shard = self.folder / "run" / "units"
        launch.wait_until(lambda: resolved.exists() and shard.exists())
        before = resolved.read_bytes()
        launch.wait_until(lambda: self.files("shards/*.claim.json"))
        self.refused("nothing_like_it", "run", "--set", "synthesis.nothing_like_it=1")
        self.refused("synthesis.seed is 2 here and 1 there", "run", "--set", "synthesis.seed=2", "--set",
                     "synthesis.iterations=100000")
        self.refused("evaluation.images", "run", "--set", f"evaluation.images={self.folder}/none", "--set",
                     "synthesis.iterations=100000")
        self.assertEqual(resolved.read_bytes(), before)
        self.assertEqual(len(self.files("log/*")), 1)
        self.stop(launch)

    def test_beside_a_fine_tuning_that_has_saved_nothing_yet(self):
        self.succeed("synthesize", *FEW)
        launch = self.start("finetune", *FEW[:2], "--set", "finetuning.iterations=100000")
        launch.wait_until(lambda: self.files("finetuning.owner.json") and self.files("checkpoints/step-00000000.h5"))
        resolved = (self.folder / "run" / "job.resolved.toml").read_bytes()
        self.refused("belongs to rank 0 of launch", "finetune", *FEW[:2], "--set",
                     "finetuning.iterations=100000", "--set", "run.keep_checkpoints=7")
        self.assertEqual((self.folder / "run" / "job.resolved.toml").read_bytes(), resolved)
        self.stop(launch)


class ImagesMadeElsewhere(ProgramTest):
    def test_with_other_threads_train_a_student_that_any_number_of_threads_evaluates(self):
        self.succeed("synthesize", *FEW, "--set", "run.threads=3", run="images")
        shards = ["--set", f"run.shards={self.folder}/images/shards"]
        one = json.loads(self.succeed("run", *FEW, *shards, "--json").stdout)
        more = json.loads(self.succeed("evaluate", *FEW, *shards, "--json", "--set", "run.threads=2").stdout)
        self.assertAlmostEqual(more["student"]["kl"], one["student"]["kl"], delta=1e-4)
        # The student outlives its images.
        shutil.rmtree(self.folder / "images" / "shards")
        result = self.refused("shards are missing", "evaluate", *FEW, *shards, "--json", "--set", "run.threads=2")
        self.assertNotIn("belongs to another student", result.stderr)

    def test_are_added_to_only_in_the_way_they_were_made(self):
        self.succeed("synthesize", *FEW, "--set", "run.threads=3")
        self.refused("set run.threads = 3", "synthesize", *FEW, "--set", "synthesis.images=32")
        shard = self.files("shards/*.h5")[1]
        shard.write_bytes(shard.read_bytes()[:-1] + b"?")
        self.refused("set run.threads = 3", "synthesize", *FEW)  # what is damaged would be made again
        self.succeed("synthesize", *FEW, "--set", "synthesis.images=32", "--set", "run.threads=3")

    def test_setting_without_effect_is_said_and_refuses_nothing(self):
        self.succeed("run", *FEW)
        result = self.succeed("run", *FEW, "--set", "finetuning.distill.feature_weight=0.7")
        self.assertIn("without effect in this job: finetuning.distill.feature_weight", result.stderr)


if __name__ == "__main__":
    unittest.main()
