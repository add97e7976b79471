"""Every family goes the whole way: Swin, a network of convolutions, and an encoder without classes."""
import json
import signal
import unittest

import h5py

from program import DEVICE, SOURCE, ProgramTest

FAMILIES = SOURCE / "tests" / "data" / "model" / "families"
JOB = """
[teacher]
weights = "{teacher}"
[synthesis]
images = 16
held_out_images = 8
unit_images = 8
iterations = 6
precision = "fp32"
[quantization]
calibration_images = 16
[finetuning]
batch = 8
iterations = 6
[run]
threads = 1
device = "{device}"
checkpoint_seconds = 0
"""


class Families(ProgramTest):
    def assert_goes_the_whole_way(self, teacher, *settings, figure="agreement"):
        """Two ranks give the shards of one; fine-tuning that was killed ends in the bits of one that was not."""
        self.job.write_text(JOB.format(teacher=FAMILIES / teacher, device=DEVICE))
        self.succeed("synthesize", *settings, ranks=1, run="alone")
        self.succeed("synthesize", *settings, ranks=2, run="calm")
        self.assertEqual(self.hashes("shards/*.h5", "alone"), self.hashes("shards/*.h5", "calm"))
        self.succeed("finetune", *settings, ranks=2, run="calm")
        shards = ["--set", f"run.shards={self.folder / 'calm' / 'shards'}"]
        steps = lambda: sorted((self.folder / "killed" / "checkpoints").glob("step-*.h5"))
        begun = lambda: any(int(step.stem.partition("-")[2]) > 6 for step in steps())
        self.interrupted("finetune", *settings, *shards, when=begun, how=signal.SIGKILL, run="killed")
        with h5py.File(steps()[-1]) as file:
            self.assertNotEqual(file.attrs["phase"], "finished")
        self.succeed("finetune", *settings, *shards, ranks=2, run="killed")
        self.assert_same_student("calm", "killed")
        result = self.succeed("evaluate", *settings, "--json", ranks=2, run="calm")
        self.assertIn(figure, json.loads(result.stdout)["student"])
        self.succeed("export", *settings, "--target", "onnx", ranks=0, run="calm")
        self.assertTrue(any((self.folder / "calm").rglob("model.onnx")))

    def test_swin(self):
        self.assert_goes_the_whole_way("timm_swin")

    def test_swin_by_attention_priors_and_patch_similarity(self):
        for method in ("sardfq", "psaq"):
            settings = ["--set", f"synthesis.method={method}", "--set", "synthesis.sardfq.crops=0"]
            self.job.write_text(JOB.format(teacher=FAMILIES / "timm_swin", device=DEVICE))
            self.succeed("synthesize", *settings[: 2 if method == "psaq" else 4], ranks=2, run=method)

    def test_the_stages_of_a_swin(self):
        self.assert_goes_the_whole_way("hf_swin", "--set", "teacher.output=stages", figure="stage2")

    def test_residual_network(self):
        self.assert_goes_the_whole_way("timm_resnet_bottleneck")

    def test_network_with_depthwise_convolutions(self):
        self.assert_goes_the_whole_way("timm_tf_efficientnet_lite", "--set", "quantization.recipe=w4a8")

    def test_encoder_without_classes(self):
        self.assert_goes_the_whole_way("timm_dinov2_reg4", "--set", "teacher.output=both", figure="pooled")

    def test_attention_pooling(self):
        self.assert_goes_the_whole_way("timm_siglip2_map", figure="pooled")


if __name__ == "__main__":
    unittest.main()
