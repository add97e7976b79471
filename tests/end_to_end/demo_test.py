"""The embedded demo's two jobs, as scripts/demo runs them."""
import json
import subprocess
import sys
import unittest

from program import SOURCE, ProgramTest


class Demo(ProgramTest):
    def test_images_made_by_rule_beat_noise_and_fine_tuning_does_not_hurt(self):
        digits = self.folder / "digits"
        subprocess.run([sys.executable, str(SOURCE / "scripts" / "write_demo_images"), str(digits)], check=True,
                       capture_output=True)
        environment = {"EIDOLON_DEMO_IMAGES": str(digits)}
        results = {}
        for job in ("digits_w4a4", "digits_w4a4_noise"):
            path = SOURCE / "jobs" / "demo" / f"{job}.toml"
            results[job] = json.loads(self.succeed("run", "--json", ranks=2, run=job, job=path, environment=environment).stdout)
        made, noise = results["digits_w4a4"], results["digits_w4a4_noise"]
        self.assertGreaterEqual(made["teacher"]["top1"], 0.97)
        # Ten digits are easy even at 4 bits, so top-1 hardly tells the sources apart; the divergence from the teacher does.
        self.assertGreater(noise["student"]["kl"], made["student"]["kl"])
        self.assertGreater(made["student"]["kept"], 0.95)
        self.assertLess(made["student"]["kl"], made["calibrated"]["kl"])


if __name__ == "__main__":
    unittest.main()
