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
        self.refused("states classes 12 (num_classes), but the weights have 10", "run", *self.with_teacher(folder))

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
        shard = next((self.folder / "run" / "shards").glob("images-*.h5"))
        inspect = subprocess.run([BINARY, "inspect", str(shard)], capture_output=True, text=True, env=ENVIRONMENT)
        self.assertIn("the seal holds", inspect.stdout)
        shard.write_bytes(shard.read_bytes()[:-1])
        inspect = subprocess.run([BINARY, "inspect", str(shard)], capture_output=True, text=True, env=ENVIRONMENT)
        self.assertEqual(inspect.returncode, 64)


def eidolon(*words, ranks=0, environment=None):
    launcher = ["mpirun", "-n", str(ranks)] if ranks > 0 else []
    return subprocess.run([*launcher, BINARY, *map(str, words)], capture_output=True, text=True, timeout=120,
                          env={**ENVIRONMENT, **(environment or {})})


class CommandLine(ProgramTest):
    def said_once(self, text, *words, ranks=0):
        result = eidolon(*words, ranks=ranks)
        self.assertEqual(result.returncode, 64, result.stderr)
        self.assertEqual(result.stderr.count(text), 1, result.stderr)
        self.assertEqual(result.stdout, "")
        return result

    def test_a_misspelled_command_is_named_with_the_nearest_once_per_launch(self):
        for ranks in (0, 1, 3):
            result = self.said_once("unknown command 'evalute'; nearest is 'evaluate'", "evalute", self.job, ranks=ranks)
            self.assertEqual(result.stderr.count("error:"), 1, result.stderr)
        for word, nearest in (("statsu", "status"), ("Run", "run"), ("synthesise", "synthesize"), ("doctr", "doctor")):
            self.said_once(f"'{word}'; nearest is '{nearest}'", word)

    def test_of_the_tasks_of_srun_the_first_speaks_and_a_batch_script_speaks_for_itself(self):
        for variables, speaks in (({"SLURM_STEP_ID": "0", "SLURM_PROCID": "0"}, True),
                                  ({"SLURM_STEP_ID": "0", "SLURM_PROCID": "1"}, False),
                                  ({"SLURM_STEP_ID": "4294967291", "SLURM_PROCID": "1"}, True),
                                  ({"PMI_RANK": "0"}, True), ({"PMIX_RANK": "2"}, False)):
            result = eidolon("evalute", environment=variables)
            self.assertEqual((result.returncode, "evalute" in result.stderr), (64, speaks), variables)

    def test_what_else_is_wrong_with_a_command_line_is_named_too(self):
        for ranks in (0, 2):
            self.said_once("unknown flag '--jsn'; nearest is '--json'", "run", self.job, "--jsn", ranks=ranks)
            self.said_once("job is required", "run", ranks=ranks)
        self.said_once("'more.toml' is one word too many", "run", self.job, "more.toml")
        self.said_once("no command is given; the commands are run,")
        self.said_once("'--json' stands before the command", "--json", "run", self.job)
        self.said_once("--set", "run", self.job, "--set")
        self.said_once("run_dir is required", "status")

    def test_flags_are_taken_by_the_commands_that_honour_them_alone(self):
        self.said_once("--json is a flag of run, evaluate, sensitivity, status, doctor alone", "synthesize", self.job, "--json")
        self.said_once("--json is a flag of", "finetune", self.job, "--json")
        self.said_once("--json is a flag of", "inspect", self.job, "--json")
        self.said_once("--teacher-only is a flag of evaluate alone", "run", self.job, "--teacher-only")
        self.said_once("--set is a flag of run, synthesize, finetune, evaluate, export, sensitivity alone", "status", self.folder,
                       "--set", "a.b=1")
        self.said_once("excludes", "run", self.job, "--dry-run", "--json")
        self.said_once("excludes", "evaluate", self.job, "--print-config", "--teacher-only")

    def test_help_and_version_answer(self):
        for words, text in ((["--version"], "0."), (["--help"], "sensitivity"), (["evaluate", "--help"], "--teacher-only")):
            result = eidolon(*words)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertIn(text, result.stdout)

    def test_a_job_from_a_pipe_is_refused_as_one(self):
        result = subprocess.run(["bash", "-c", 'exec "$0" run <(cat "$1") --print-config', BINARY, str(self.job)],
                                capture_output=True, text=True, env=ENVIRONMENT)
        self.assertEqual(result.returncode, 64)
        self.assertIn("is a pipe or a device", result.stderr)
        self.assertNotIn("teacher.weights", result.stderr)

    def test_a_folder_name_that_is_not_utf8_does_not_break_json(self):
        folder = os.fsencode(self.folder) + b"/gr\xf6\xdfe"

        def eidolon_in_bytes(*words):
            return subprocess.run([BINARY.encode(), *words], capture_output=True, env=ENVIRONMENT)
        quick = [b"--set", b"synthesis.iterations=1", b"--set", b"finetuning.iterations=1"]
        self.assertEqual(eidolon_in_bytes(b"run", os.fsencode(self.job), b"--run-dir", folder, *quick).returncode, 0)
        result = eidolon_in_bytes(b"status", folder, b"--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("gr\ufffd\ufffde", json.loads(result.stdout.decode("utf-8"))["checkpoint"]["file"])
        self.assertEqual(eidolon_in_bytes(b"status", folder).returncode, 0)


class Inspect(ProgramTest):
    def test_says_what_each_file_of_a_run_is(self):
        quick = ["--set", "synthesis.iterations=1", "--set", "finetuning.iterations=1"]
        self.succeed("run", *quick)
        self.succeed("sensitivity", *quick)
        for pattern, text in (("job.resolved.toml", "job of a run"), ("manifest.json", "manifest: every node"),
                              ("environment.json", "environment: versions"),
                              ("sensitivity.json", "sensitivity: what each node"),
                              ("metrics.jsonl", "metrics: losses"), ("heartbeat/*/rank-0000.json", "heartbeat: what a rank"),
                              ("log/*/synthesis.jsonl", "metrics: losses"), ("log/*/rank-0000.times.jsonl", "times: how long"),
                              ("log/*/rank-0000.log", "log of a rank"),
                              ("shards/*.h5", "eidolon image shard, the seal holds"),
                              ("checkpoints/*.h5", "the seal holds"), ("finetuning.owner.json", "who is fine-tuning")):
            if pattern == "finetuning.owner.json":  # it goes with its launch
                (self.folder / "run" / pattern).write_text('{"launch": "a", "rank": 0}')
            path = self.files(pattern)[0]
            result = eidolon("inspect", path)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn(text, result.stdout.splitlines()[0])
        for path, text in ((TEACHER / "config.json", "config of a timm model"), (self.job, "TOML"),
                           (TEACHER / "model.safetensors", "content hash")):
            result = eidolon("inspect", path)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn(text, result.stdout.splitlines()[0])

    def test_says_of_other_files_what_they_are_instead_of_calling_them_damaged(self):
        contents = {"a.png": b"\x89PNG\r\n\x1a\nxxx", "b.jpg": b"\xff\xd8\xff\xe0xxxx", "c.txt": b"some words\n", "d.h5": b"",
                    "e.bin": b"PK\x03\x04xxxxxxxx", "f.pt": b"\x80\x02\x8a\nl\xfc", "g.h5": b"\x89HDF\r\n\x1a\nxxxxxxx",
                    "h.json": b'{"a": 1}', "i.json": b'{"a": ', "j.toml": b"[teacher\n", "k": bytes(range(1, 64))}
        said = {"a.png": "PNG picture", "b.jpg": "JPEG picture", "c.txt": "a text", "d.h5": "is empty",
                "e.bin": "PyTorch weights", "f.pt": "PyTorch weights", "g.h5": "HDF5 file without the seal", "h.json": "none of this program's files",
                "i.json": "no JSON", "j.toml": "j.toml:1", "k": "no file of this program"}
        for name, content in contents.items():
            (self.folder / name).write_bytes(content)
        (self.folder / "model.safetensors.index.json").write_text('{"metadata": {}, "weight_map": {"a": "b"}}')
        for name, text in said.items():
            result = eidolon("inspect", self.folder / name)
            self.assertEqual(result.returncode, 64, name + result.stdout)
            self.assertIn(text, result.stderr)
            self.assertNotIn("damaged", result.stderr)
        self.assertIn("is a folder", eidolon("inspect", self.folder).stderr)
        self.assertIn("there is no file", eidolon("inspect", self.folder / "nothing").stderr)
        self.assertIn("index of safetensors", eidolon("inspect", self.folder / "model.safetensors.index.json").stdout)
        (self.folder / "job.resolved.toml").write_text("")
        self.assertIn("`eidolon status`", eidolon("inspect", self.folder).stderr)


if __name__ == "__main__":
    unittest.main()
