"""The embedded demo's two jobs, as scripts/demo runs them."""
import json
import subprocess
import sys
import unittest

from program import SOURCE, ProgramTest


class Demo(ProgramTest):
    def test_synthesized_images_beat_noise_and_fine_tuning_does_not_hurt(self):
        digits = self.folder / "digits"
        subprocess.run([sys.executable, str(SOURCE / "scripts" / "write_demo_images"), str(digits)], check=True,
                       capture_output=True)
        environment = {"EIDOLON_DEMO_IMAGES": str(digits)}
        results = {}
        for job in ("digits_w4a4", "digits_w4a4_noise"):
            path = SOURCE / "jobs" / "demo" / f"{job}.toml"
            results[job] = json.loads(self.succeed("run", "--json", ranks=2, run=job, job=path, environment=environment).stdout)
        sardfq, noise = results["digits_w4a4"], results["digits_w4a4_noise"]
        self.assertGreaterEqual(sardfq["teacher"]["top1"], 0.97)
        # Ten digits are easy even at 4 bits, so top-1 hardly tells the sources apart; the divergence from the teacher does.
        self.assertGreater(noise["student"]["kl"], sardfq["student"]["kl"])
        self.assertGreater(sardfq["student"]["kept"], 0.95)
        self.assertLess(sardfq["student"]["kl"], sardfq["calibrated"]["kl"])


if __name__ == "__main__":
    unittest.main()
