"""Bad input: one clear line, the right exit code, nothing lost."""
import json
import os
import shutil
import subprocess
import sys
import unittest

from program import BINARY, ENVIRONMENT, SOURCE, TEACHER, ProgramTest


class BadInput(ProgramTest):
    def teacher_copy(self):
        folder = self.folder / "teacher"
        shutil.copytree(TEACHER, folder)
        return folder

    def with_teacher(self, folder):
        return ["--set", f"teacher.weights={folder}"]

    def test_missing_weights(self):
        self.refused("is not a folder", "run", *self.with_teacher(self.folder / "nowhere"))

    def test_truncated_weights(self):
        folder = self.teacher_copy()
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1000])
        self.refused("model.safetensors", "run", *self.with_teacher(folder))

    def test_config_that_contradicts_the_weights(self):
        folder = self.teacher_copy()
        config = json.loads((folder / "config.json").read_text())
        config["num_classes"] = 12
        (folder / "config.json").write_text(json.dumps(config))
        self.refused("states classes 12, but the weights have 10", "run", *self.with_teacher(folder))

    def test_every_rank_leaves_when_rank_0_finds_the_weights_bad(self):
        self.refused("is not a folder", "run", *self.with_teacher(self.folder / "nowhere"), ranks=3)

    def test_unknown_key_names_the_nearest(self):
        self.job.write_text(self.job.read_text().replace("iterations = 12", "iteratons = 12"))
        self.refused("iterations", "run")

    def test_bits_outside_two_to_eight(self):
        self.refused("weight_bits", "run", "--set", "quantization.weight_bits=9")

    def test_unset_variable_is_named(self):
        self.refused("NO_SUCH_VARIABLE", "run", "--set", "teacher.weights=${NO_SUCH_VARIABLE}/x")

    def test_shards_of_another_identity_are_refused_and_the_key_named(self):
        self.succeed("synthesize")
        before = self.hashes("shards/*.h5")
        self.refused("seed", "synthesize", "--set", "synthesis.seed=2")
        self.assertEqual(self.hashes("shards/*.h5"), before)

    def test_finetune_without_shards_says_what_to_run(self):
        self.refused("eidolon synthesize", "finetune")

    def test_evaluate_without_a_student_says_what_to_run(self):
        self.refused("eidolon finetune", "evaluate")

    def test_started_many_times_without_mpi(self):
        self.refused("--mpi", "run", ranks=0, environment={"SLURM_NTASKS": "4", "SLURM_STEP_ID": "0", "SLURM_PROCID": "1"})

    def test_undecodable_images_are_named_counted_and_left_out(self):
        images = self.folder / "labelled"
        (images / "3").mkdir(parents=True)
        (images / "3" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
        good = subprocess.run([sys.executable, str(SOURCE / "scripts" / "write_demo_images"), str(self.folder / "digits")],
                              capture_output=True)
        self.assertEqual(good.returncode, 0, good.stderr)
        source = sorted((self.folder / "digits" / "3").glob("*.png"))[0]
        shutil.copy(source, images / "3" / "good.png")
        result = self.succeed("evaluate", "--teacher-only", "--json", "--set", f"evaluation.images={images}")
        self.assertEqual(json.loads(result.stdout)["images"], 1)
        self.assertIn("broken.png", result.stderr)
        self.assertIn("1 images could not be decoded", result.stderr)

    def test_full_disk_ends_with_70_and_the_path_and_a_later_run_goes_on(self):
        small = self.folder / "small"
        small.mkdir()
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60k", "tmpfs", str(small)],
                                               capture_output=True).returncode != 0:
            self.skipTest("mounting a small file system is not permitted here")
        try:
            arguments = ["--set", "synthesis.iterations=2", "--set", f"run.shards={small}"]
            result = self.refused(str(small), "synthesize", *arguments, code=70)
            self.assertIn("space", result.stderr)
            self.assertEqual([path.name for path in small.iterdir() if path.name.endswith(".part")], [])
            subprocess.run(["mount", "-o", "remount,size=4m", str(small)], check=True)
            self.succeed("synthesize", *arguments)
            self.assertEqual(len(list(small.glob("images-*.h5"))), 3)
        finally:
            subprocess.run(["umount", str(small)], check=True)

    def test_status_and_inspect_say_what_is_there(self):
        self.succeed("run")
        status = subprocess.run([BINARY, "status", str(self.folder / "run")], capture_output=True, text=True, env=ENVIRONMENT)
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertIn("3 of 3 shards", status.stdout)
        self.assertIn("finished", status.stdout)
        shard = next((self.folder / "run" / "shards").iterdir())
        inspect = subprocess.run([BINARY, "inspect", str(shard)], capture_output=True, text=True, env=ENVIRONMENT)
        self.assertIn("the seal holds", inspect.stdout)
        shard.write_bytes(shard.read_bytes()[:-1])
        inspect = subprocess.run([BINARY, "inspect", str(shard)], capture_output=True, text=True, env=ENVIRONMENT)
        self.assertEqual(inspect.returncode, 64)


if __name__ == "__main__":
    unittest.main()
