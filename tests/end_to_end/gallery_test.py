"""Every job of jobs/gallery, in miniature: a small random teacher of the kind that its head names, few images, one step each.

Nothing that a job states is changed but numbers of images, steps and threads; the templates of slurm/ start the jobs of clusters.
"""
import json
import re
import shutil
import subprocess
import sys
import tomllib
import unittest

import h5py

from program import BINARY, ENVIRONMENT, SOURCE, TEACHER, ProgramTest

GALLERY = SOURCE / "jobs" / "gallery"
FAMILIES = SOURCE / "tests" / "data" / "model" / "families"
SMALL = {"synthesis.images": 8, "synthesis.held_out_images": 4, "synthesis.unit_images": 4, "finetuning.batch": 4,
         "quantization.calibration_images": 8, "finetuning.iterations": 1, "run.threads": 1, "run.device": "cpu"}
TEACHERS = {"medical_vit": "hf_vit", "dinov2_features": "timm_dinov2_reg4", "swin_int8": "timm_swin",
            "cnn_microcontroller": "torchvision_mobilenet_v2", "w4a16_size": "timm_vit_token", "nvfp4": None,
            "preemptible": "timm_vit_token", "job_array": "timm_vit_token", "torchvision_resnet": "timm_resnet_basic",
            "photographs": None}


def flags(**further):
    return [word for key, value in {**SMALL, **further}.items() for word in ("--set", f"{key}={value}")]


class Gallery(ProgramTest):
    def setUp(self):
        super().setUp()
        self.variables = {}

    def run_job(self, name):
        """The run directory that the job leaves, and what it printed."""
        job = GALLERY / f"{name}.toml"
        optimised = tomllib.loads(job.read_text()).get("synthesis", {}).get("method", "views") == "views"
        words = flags(**{"synthesis.iterations": 1} if optimised else {})
        teacher = TEACHER if TEACHERS[name] is None else FAMILIES / TEACHERS[name]
        result = self.succeed("run", *words, "--json", job=job, run=name, ranks=0,
                              environment={"EIDOLON_MODEL": str(teacher), **self.variables})
        return self.folder / name, json.loads(result.stdout)

    def assert_exported(self, run, job):
        """What the job names is there, and `inspect` finds every file as it was written."""
        for target in tomllib.loads((GALLERY / f"{job}.toml").read_text())["run"]["export"]:
            said = subprocess.run([BINARY, "inspect", run / "export" / target], capture_output=True, text=True, env=ENVIRONMENT)
            self.assertEqual(said.returncode, 0, said.stderr)
            self.assertIn(target, said.stdout)

    def digits(self, classes):
        """Labelled pictures of so many classes."""
        folder = self.folder / "labelled"
        subprocess.run([sys.executable, SOURCE / "scripts" / "write_demo_images", folder], check=True, capture_output=True)
        for each in folder.iterdir():
            if int(each.name) >= classes:
                shutil.rmtree(each)
            else:
                for picture in sorted(each.iterdir())[6:]:
                    picture.unlink()
        return folder

    def test_every_job_has_a_test_and_its_place_in_the_guide(self):
        names = {path.stem for path in GALLERY.glob("*.toml")}
        self.assertEqual(names, set(TEACHERS))
        self.assertEqual(len(names), 10)
        page = (SOURCE / "docs" / "guide" / "gallery.md").read_text()
        self.assertEqual(names, set(re.findall(r"`jobs/gallery/(\w+)\.toml`", page)))

    def test_pictures_of_patients_leave_nothing_of_the_teacher(self):
        run, _ = self.run_job("medical_vit")
        for shard in self.files("shards/images-*.h5", "medical_vit"):
            with h5py.File(shard) as file:
                self.assertEqual(file.attrs["method"], "leaves, scenes, textures")
        self.assert_exported(run, "medical_vit")

    def test_features(self):
        run, result = self.run_job("dinov2_features")
        self.assertLessEqual({"pooled", "tokens"}, set(result["student"]))
        self.assert_exported(run, "dinov2_features")

    def test_swin(self):
        run, result = self.run_job("swin_int8")
        self.assertIn("kl", result["student"])
        self.assert_exported(run, "swin_int8")

    def test_a_device_of_integers_alone(self):
        run, _ = self.run_job("cnn_microcontroller")
        self.assert_exported(run, "cnn_microcontroller")
        nodes = json.loads((run / "export" / "packed" / "manifest.json").read_text())["nodes"]
        weights = [node for node in nodes if node["role"] == "weight"]
        self.assertEqual({node.get("storage") for node in weights}, {"int8"})
        self.assertFalse([node["name"] for node in nodes if "float_channels" in node])

    def test_weights_of_four_bits(self):
        run, _ = self.run_job("w4a16_size")
        self.assert_exported(run, "w4a16_size")
        nodes = json.loads((run / "export" / "packed" / "manifest.json").read_text())["nodes"]
        self.assertIn("int4", {node.get("storage") for node in nodes})

    def test_floats_of_four_bits(self):
        run, _ = self.run_job("nvfp4")
        self.assert_exported(run, "nvfp4")
        settings = json.loads((run / "export" / "compressed-tensors" / "config.json").read_text())["quantization_config"]
        self.assertIn("nvfp4", json.dumps(settings))

    def template(self, name, *words):
        """As Slurm starts a template, but without a Slurm around it."""
        settings = {**ENVIRONMENT, "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n1", "SLURM_SUBMIT_DIR": str(SOURCE),
                    "EIDOLON_PROGRAM": BINARY, "EIDOLON_CONTAINER": "", "EIDOLON_LAUNCHER": "mpirun",
                    "EIDOLON_MODEL": str(FAMILIES / "timm_vit_token")}
        return subprocess.Popen(["bash", SOURCE / "slurm" / name, *words], cwd=self.folder, env=settings, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def assert_done(self, process):
        out, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, out + errors)

    def test_a_preemptible_job(self):
        run = self.folder / "run"
        self.assert_done(self.template("preemptible.sbatch", GALLERY / "preemptible.toml", "--run-dir", run,
                                       *flags(**{"synthesis.iterations": 1})))
        self.assert_exported(run, "preemptible")

    def test_a_job_array(self):
        words = [GALLERY / "job_array.toml", "--run-dir", self.folder / "run", *flags(**{"synthesis.iterations": 1})]
        tasks = [self.template("synthesize_array.sbatch", *words) for _ in range(2)]
        for task in tasks:
            self.assert_done(task)
        said = subprocess.run([BINARY, "status", self.folder / "run", "--json"], capture_output=True, env=ENVIRONMENT, check=True)
        made = json.loads(said.stdout)["synthesis"]
        self.assertEqual(made["shards"], made["units"])
        self.assert_done(self.template("finetune.sbatch", *words))
        self.final_student()

    def test_a_model_of_torchvision(self):
        self.variables["EIDOLON_LABELLED"] = str(self.digits(7))
        run, result = self.run_job("torchvision_resnet")
        self.assertEqual(result["images"], 42)
        self.assertIn("kept", result["student"])
        self.assert_exported(run, "torchvision_resnet")

    def test_photographs(self):
        shards, rest = self.folder / "given", self.folder / "rest"
        subprocess.run([sys.executable, SOURCE / "scripts" / "real_images_to_shards.py", self.digits(10), TEACHER, shards,
                        "--images", "8", "--held-out", "4", "--unit-images", "4", "--rest", rest], check=True, capture_output=True)
        self.variables |= {"EIDOLON_SHARDS": str(shards), "EIDOLON_LABELLED": str(rest)}
        _, result = self.run_job("photographs")
        self.assertIs(result["data_free"], False)
        self.assertEqual(result["images"], 48)


if __name__ == "__main__":
    unittest.main()
