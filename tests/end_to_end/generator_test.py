"""A generator trained by all ranks (synthesis.method = "generator"): its images, stopping and going on, several launches."""
import json
import signal
import unittest

import h5py
import numpy as np

from program import DEVICE, SOURCE, ProgramTest

FAMILIES = SOURCE / "tests" / "data" / "model" / "families"
JOB = """
[teacher]
weights = "{teacher}"
[synthesis]
method = "generator"
images = 16
held_out_images = 8
unit_images = 8
iterations = 12
precision = "fp32"
[synthesis.generator]
batch = 24
[quantization]
calibration_images = 16
[finetuning]
batch = 8
iterations = 3
[run]
threads = 1
device = "{device}"
"""


class GeneratorTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.job.write_text(JOB.format(teacher=FAMILIES / "timm_resnet_basic", device=DEVICE))

    def tensors(self, path):
        with h5py.File(path) as file:
            found = {}
            file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
            return found

    def test_images_are_those_of_the_generator_beside_them(self):
        self.prepared("run", ranks=2)
        generator = self.tensors(self.folder / "run/shards/generator.h5")
        self.assertTrue(all(np.isfinite(values).all() for values in generator.values()))
        self.assertEqual(len([name for name in generator if name.startswith("statistics/")]), 4)
        identities = set()
        for shard in self.files("shards/images-*.h5"):
            with h5py.File(shard) as file:
                identities.add(json.loads(file.attrs["identity"])["generator"])
                self.assertEqual(file.attrs["method"], "generator")
                self.assertTrue((file["semantic_classes"][:, 0] >= 0).all())
                self.assertGreater(file["images"][:].astype(float).std(), 20)
        self.assertEqual(len(identities), 1)
        self.assertFalse(self.files("units/generator.h5"))
        self.assertFalse(self.files("shards/generator.claim.json"))
        lines = [json.loads(line) for path in self.files("log/*/synthesis.jsonl") for line in path.read_text().splitlines()]
        self.assertEqual({"class", "statistics", "centre", "pairs", "consistency"}, set(lines[0]) - {"stage", "step", "time"})

    def test_more_images_of_a_generator_change_none_of_the_first(self):
        self.prepared("run", ranks=2)
        before = self.hashes("shards/images-*.h5")
        generator = self.hashes("shards/generator.h5")
        self.succeed("synthesize", "--set", "synthesis.images=32", ranks=1)
        after = self.hashes("shards/images-*.h5")
        self.assertEqual(self.hashes("shards/generator.h5"), generator)
        self.assertGreater(len(after), len(before))
        self.assertEqual({name: after[name] for name in before}, before)

    def test_one_two_and_four_ranks_train_one_generator(self):
        # Of three groups a step one rank has all, of two one has two, of four one has none.
        made = {}
        for ranks in (1, 2, 4):
            self.succeed("synthesize", "--set", "synthesis.iterations=4", ranks=ranks, run=f"ranks-{ranks}")
            made[ranks] = self.tensors(self.folder / f"ranks-{ranks}/shards/generator.h5")
        # A norm takes these biases away: their gradients are rounding, which Adam makes steps of.
        ignored = {"parameters/convolution1.bias", "parameters/convolution2.bias", "statistics/norm1", "statistics/norm2"}
        for name in set(made[1]) - ignored:
            for ranks in (2, 4):  # sums over ranks round in another order; a step is 1e-3
                np.testing.assert_allclose(made[ranks][name], made[1][name], atol=2e-5, rtol=0, err_msg=name)

    def test_killed_or_stopped_it_ends_in_the_same_bytes(self):
        self.prepared("run", ranks=2)
        for how, expected in ((signal.SIGKILL, None), (signal.SIGUSR2, 75)):
            with self.subTest(how):
                run = how.name
                launch = self.start("run", "--set", "run.checkpoint_seconds=0", ranks=2, run=run)
                launch.wait_until(lambda: self.files("units/generator.h5", run))
                launch.signal(how)
                code = launch.code(60)
                if expected is not None:
                    self.assertEqual(code, expected, launch.output())
                self.assertFalse(self.files("shards/images-*.h5", run))
                self.succeed("run", ranks=2, run=run)
                self.assertEqual(self.hashes("shards/*.h5", run), self.hashes("shards/*.h5"))
                self.assert_same_student("run", run)

    def test_stages_alone_make_the_same_bytes(self):
        self.prepared("run", ranks=2)
        self.succeed("synthesize", ranks=2, run="stages")
        self.succeed("finetune", ranks=2, run="stages")
        self.assertEqual(self.hashes("shards/*.h5", "stages"), self.hashes("shards/*.h5"))
        self.assert_same_student("run", "stages")

    def test_launches_beside_each_other_share_one_generator(self):
        launches = [self.start("synthesize", ranks=1) for _ in range(2)]
        for launch in launches:
            self.assertEqual(launch.code(), 0, launch.output())
        self.assertEqual(sum("waiting for the generator" in launch.output() for launch in launches), 1)
        self.assertEqual(len(self.files("shards/images-*.h5")), 3)
        self.assertEqual(len({json.loads(h5py.File(path).attrs["identity"])["generator"]
                              for path in self.files("shards/images-*.h5")}), 1)

    def test_a_lost_shard_is_made_again_and_a_lost_generator_is_no_reason_to_train(self):
        self.prepared("run", ranks=2)
        before = self.hashes("shards/images-*.h5")
        self.files("shards/images-*.h5")[1].unlink()
        self.succeed("synthesize", ranks=1)
        self.assertEqual(self.hashes("shards/images-*.h5"), before)
        self.files("shards/generator.h5")[0].unlink()
        self.succeed("synthesize", ranks=1)
        self.assertFalse(self.files("shards/generator.h5"))

    def test_a_student_learns_from_a_stream(self):
        settings = ["--set", "finetuning.method=distill", "--set", "finetuning.iterations=12",
                    "--set", "finetuning.distill.images=generator", "--set", "finetuning.distill.optimizer=sgd",
                    "--set", "finetuning.distill.temperature=20", "--set", "finetuning.learning_rate=1e-6"]
        self.succeed("run", *settings, ranks=2)
        stored = [setting.replace("images=generator", "images=stored") for setting in settings]
        shards = ["--set", f"run.shards={self.folder / 'run' / 'shards'}"]
        self.succeed("run", *stored, *shards, ranks=2, run="stored")
        losses = []
        for run in ("run", "stored"):
            lines = [json.loads(line) for line in self.files("metrics.jsonl", run)[0].read_text().splitlines()]
            losses.append([line["loss"] for line in lines if line["stage"] == "finetune/distill"])
        self.assertEqual(len(losses[0]), 12)
        self.assertTrue(np.isfinite(losses).all())
        self.assertNotEqual(losses[0], losses[1])

    def test_what_it_cannot_do_is_refused_and_leaves_nothing(self):
        self.refused("has attention", "run", "--set", f"teacher.weights={FAMILIES / 'timm_swin'}", run="attention")
        self.refused("whole groups", "run", "--set", "synthesis.generator.batch=20", run="groups")
        self.refused("which only 'synthesis.method'", "run", "--set", "synthesis.method=views", "--set",
                     "finetuning.method=distill", "--set", "finetuning.distill.images=generator", run="stream")
        for run in ("attention", "groups", "stream"):
            self.assertFalse((self.folder / run).exists())

    def test_another_generator_is_refused_by_name(self):
        self.prepared("run", ranks=2)
        before = self.hashes("**/*.h5")
        result = self.launch("run", "--set", "synthesis.generator.pair_weight=0.5", ranks=2)
        self.assertEqual(result.returncode, 64, result.stderr)
        self.assertIn("pair_weight", result.stderr)
        self.assertEqual(self.hashes("**/*.h5"), before)

    def test_a_rehearsal_times_it(self):
        result = self.succeed("run", "--dry-run", ranks=2)
        self.assertIn("synthesis", result.stdout)
        self.assertFalse((self.folder / "run").exists())


if __name__ == "__main__":
    unittest.main()
