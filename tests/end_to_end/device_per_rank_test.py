"""Two ranks with a stand-in accelerator each, whose sums go through the stand-in for NCCL, against two that share one."""
import unittest

from program import ProgramTest

THROUGH_HOST = "sums over ranks go through host memory"
SHORT = ("--set", "synthesis.iterations=2", "--set", "synthesis.images=8", "--set", "quantization.calibration_images=8",
         "--set", "finetuning.iterations=3")


class DevicePerRank(ProgramTest):
    def test_sums_through_nccl_train_the_student_of_sums_through_the_host(self):
        shared = self.succeed("run", *SHORT, ranks=2, run="shared", environment={"EIDOLON_STANDIN_DEVICES": "1"})
        own = self.succeed("run", *SHORT, ranks=2, run="own", environment={"EIDOLON_STANDIN_DEVICES": "2"})
        self.assertIn(THROUGH_HOST, shared.stderr)
        self.assertNotIn(THROUGH_HOST, own.stderr)
        self.assertIn("standin:0, standin:1", own.stderr)
        self.assertEqual(self.hashes("shards/*.h5", "own"), self.hashes("shards/*.h5", "shared"))
        self.assert_same_student("own", "shared")  # two numbers have one sum, whoever adds them

    def test_a_call_that_nccl_refuses_ends_the_launch(self):
        self.refused("failed: unhandled system error (collective 20 was refused)", "run", *SHORT, code=70, ranks=2,
                     environment={"EIDOLON_STANDIN_DEVICES": "2", "EIDOLON_STANDIN_NCCL": "fail,rank=1,collective=20"})


if __name__ == "__main__":
    unittest.main()
