"""The main path: images, student, evaluation."""
import json
import re
import subprocess
import sys
import unittest

import h5py
import numpy
from PIL import Image

from program import SOURCE, ProgramTest


class Pipeline(ProgramTest):
    def test_images_are_the_same_bytes_for_one_two_and_three_ranks(self):
        for ranks in (1, 2, 3):
            self.succeed("synthesize", ranks=ranks, run=f"ranks{ranks}")
        alone = self.hashes("shards/*.h5", "ranks1")
        self.assertEqual(len(alone), 3)
        self.assertEqual(self.hashes("shards/*.h5", "ranks2"), alone)
        self.assertEqual(self.hashes("shards/*.h5", "ranks3"), alone)

    def test_more_images_only_add_units(self):
        self.succeed("synthesize", "--set", "synthesis.iterations=2")
        before = self.hashes("shards/*.h5")
        stamps = {path: path.stat().st_mtime_ns for path in (self.folder / "run" / "shards").iterdir()}
        self.succeed("synthesize", "--set", "synthesis.iterations=2", "--set", "synthesis.images=32")
        after = self.hashes("shards/*.h5")
        self.assertEqual(len(after), 5)
        self.assertEqual({name: after[name] for name in before}, before)
        for path, stamp in stamps.items():
            self.assertEqual(path.stat().st_mtime_ns, stamp)

    def test_more_ranks_than_units_works(self):
        self.succeed("synthesize", "--set", "synthesis.images=8", "--set", "synthesis.held_out_images=0",
                     "--set", "synthesis.iterations=2", ranks=3)
        self.assertEqual(len(self.hashes("shards/*.h5")), 1)

    def test_shard_is_ordinary_hdf5(self):
        self.succeed("synthesize")
        with h5py.File(self.folder / "run" / "shards" / "images-00000008-00000015.h5") as shard:
            images, index = shard["images"][:], shard["global_index"][:]
            classes, labels = shard["semantic_classes"][:], shard["soft_labels"][:]
            self.assertEqual(shard.attrs["data_free"], "true")
        self.assertEqual((images.dtype, images.shape), (numpy.uint8, (8, 3, 32, 32)))
        self.assertEqual(list(index), list(range(8, 16)))
        self.assertEqual([int((row >= 0).sum()) for row in classes], [1, 2, 3, 4, 1, 2, 3, 4])
        numpy.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-5)
        self.assertGreater(images.std(), 10)

    def test_synthesis_lowers_its_losses(self):
        self.succeed("synthesize", "--set", "synthesis.iterations=60", "--set", "synthesis.images=8", "--set",
                     "synthesis.held_out_images=0")
        lines = [json.loads(line) for line in next((self.folder / "run" / "log").glob("*/synthesis.jsonl")).read_text().splitlines()]
        semantic = [line["semantic"] for line in lines if line["stage"] == "synthesize/unit 0"]
        self.assertLess(semantic[-1], 0.7 * semantic[0])

    def test_run_ends_in_an_evaluation_and_a_second_run_only_repeats_that(self):
        digits = self.folder / "digits"
        subprocess.run([sys.executable, str(SOURCE / "scripts" / "write_demo_images"), str(digits)], check=True,
                       capture_output=True)
        arguments = ["--json", "--set", f"evaluation.images={digits}", "--set", "quantization.weight_bits=8",
                     "--set", "quantization.activation_bits=8"]
        first = self.succeed("run", *arguments, ranks=2)
        result = json.loads(first.stdout)
        self.assertEqual(result["images"], 359)
        self.assertGreater(result["teacher"]["top1"], 0.97)
        student, teacher = result["student"], result["teacher"]
        self.assertAlmostEqual(student["top1"] - teacher["top1"], (student["gained"] - student["lost"]) / 359, places=9)
        self.assertGreater(student["kept"], 0.9)
        files = self.hashes("**/*.h5")
        second = self.succeed("run", *arguments, ranks=2)
        self.assertEqual(json.loads(second.stdout), result)
        self.assertEqual(self.hashes("**/*.h5"), files)

    def test_without_labelled_images_the_data_free_figures_are_given(self):
        result = json.loads(self.succeed("run", "--json", ranks=2).stdout)
        self.assertTrue(result["optimistic"])
        self.assertEqual(result["images"], 8)
        self.assertEqual(len(result["student"]["sqnr_db_per_block"]), 5)

    def test_distillation_and_noise_run_too(self):
        self.succeed("run", "--set", "finetuning.method=distill", "--set", "synthesis.method=gaussian", ranks=2)
        with h5py.File(self.folder / "run" / "shards" / "images-00000000-00000007.h5") as shard:
            self.assertEqual(sorted(shard), ["global_index", "images"])

    def test_starts_alone_are_the_same_bytes_for_any_ranks_and_fit_a_contact_sheet(self):
        starts = ["--set", "synthesis.iterations=0", "--set", "synthesis.start=leaves:2, pink:1"]
        for ranks in (1, 3):
            self.succeed("run", "--set", "finetuning.method=none", *starts, ranks=ranks, run=f"ranks{ranks}")
        self.assertEqual(self.hashes("shards/*.h5", "ranks3"), self.hashes("shards/*.h5", "ranks1"))
        with h5py.File(self.folder / "ranks1" / "shards" / "images-00000000-00000007.h5") as shard:
            self.assertEqual(sorted(shard), ["global_index", "images"])
            self.assertEqual(shard.attrs["method"], "leaves:2, pink:1")
            images = shard["images"][:]
        sheet = self.folder / "sheet.png"
        subprocess.run([SOURCE / "scripts" / "contact_sheet", self.folder / "ranks1", sheet, "--columns", "5"], check=True,
                       capture_output=True)
        pixels = numpy.asarray(Image.open(sheet))
        self.assertEqual(pixels.shape, (5 * 34 - 2, 5 * 34 - 2, 3))  # 24 images of 32 pixels, 2 between them
        numpy.testing.assert_array_equal(pixels[34:66, 68:100], images[7].transpose(1, 2, 0))

    def test_of_units_optimised_in_part_the_others_are_starts_for_any_ranks(self):
        half = ["--set", "synthesis.method=views", "--set", "synthesis.optimised_share=0.5"]
        for ranks in (1, 2):
            self.succeed("synthesize", *half, ranks=ranks, run=f"ranks{ranks}")
        self.assertEqual(self.hashes("shards/*.h5", "ranks2"), self.hashes("shards/*.h5", "ranks1"))
        self.succeed("synthesize", *half, "--set", "synthesis.iterations=0", run="starts")
        read = {}
        for run in ("ranks1", "starts"):
            for path in sorted((self.folder / run / "shards").glob("*.h5")):
                with h5py.File(path) as shard:
                    read[run, path.name[7:15]] = shard.attrs["method"], shard["images"][:]
        starts = "leaves, scenes, textures"
        self.assertEqual([read["ranks1", first][0] for first in ("00000000", "00000008", "00000016")], [starts, "views", starts])
        for first, same in (("00000000", True), ("00000008", False), ("00000016", True)):
            self.assertEqual(numpy.array_equal(read["ranks1", first][1], read["starts", first][1]), same)

    def test_dry_run_writes_nothing(self):
        result = self.succeed("run", "--dry-run")
        self.assertIn("synthesis", result.stdout)
        self.assertRegex(result.stdout, r"caches +\d+ MB of sections' inputs and targets besides")
        self.assertFalse((self.folder / "run").exists())

    def test_caches_that_are_too_small_are_warned_of_and_change_no_loss(self):
        quick = ["--set", "synthesis.method=gaussian", "--set", "finetuning.iterations=2"]
        small = [*quick, "--set", "run.cache_megabytes=0"]
        self.assertIn("does not hold them", self.succeed("run", *small, "--dry-run").stdout)
        result = self.succeed("run", *small, ranks=2)
        self.assertEqual(result.stderr.count("run.cache_megabytes = 0"), 1, result.stderr)
        needed = re.search(r"--set (run.cache_megabytes=\d+)", result.stderr).group(1)
        enough = self.succeed("run", *quick, "--set", needed, ranks=2, run="enough")
        self.assertNotIn("run.cache_megabytes", enough.stderr)
        numpy.testing.assert_allclose(self.losses("run"), self.losses("enough"), rtol=0.01)

    def losses(self, run):
        lines = [json.loads(line) for line in (self.folder / run / "metrics.jsonl").read_text().splitlines()]
        return [line["loss"] for line in lines if line["stage"].startswith("finetune/") and "loss" in line]

    def test_profile_traces_an_iteration_of_each_stage(self):
        traces = self.folder / "traces"
        result = self.succeed("run", "--dry-run", "--profile", traces, ranks=2)
        self.assertNotIn("ERROR", result.stderr)
        self.assertFalse((self.folder / "run").exists())
        for stage, goes_back in (("synthesize", True), ("finetune", True), ("evaluate", False)):
            self.assertIn(str(traces / f"{stage}.json"), result.stdout)
            events = json.loads((traces / f"{stage}.json").read_text())["traceEvents"]
            shapes = [event["args"]["Input Dims"] for event in events if event["name"] == "aten::linear"]
            self.assertIn([288, 96], [inputs[1] for inputs in shapes], f"{stage}: the weight of qkv")
            self.assertEqual(any("Backward" in event["name"] for event in events), goes_back, stage)
        self.assertEqual(len(list(traces.iterdir())), 3, "of rank 0 alone")

    def test_profile_belongs_to_a_rehearsal(self):
        self.refused("--profile requires --dry-run", "run", "--profile", self.folder / "traces")
        self.refused("cannot make the folder", "run", "--dry-run", "--profile", self.job / "traces")
        self.assertFalse((self.folder / "traces").exists())

    def test_printed_config_is_a_job_that_means_the_same(self):
        text = self.succeed("run", "--print-config", "--set", "synthesis.seed=9").stdout
        (self.folder / "again.toml").write_text(text)
        again = self.succeed("run", "--print-config", job=self.folder / "again.toml").stdout
        self.assertEqual(again, text)
        self.assertIn("seed = 9", text)


if __name__ == "__main__":
    unittest.main()
