"""The embedded demo's jobs, as scripts/demo runs them."""
import json
import os
import subprocess
import sys
import unittest

from program import BINARY, SOURCE, TEACHER, ProgramTest


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

        shared = ["--set", f"run.shards={self.folder / 'digits_w4a4' / 'shards'}"]
        printed = self.succeed("run", "--json", *shared, ranks=2, run="digits_int8", environment=environment,
                               job=SOURCE / "jobs" / "demo" / "digits_int8.toml").stdout
        self.assertLess(json.loads(printed)["student"]["kl"], made["student"]["kl"])
        self.assertTrue((self.folder / "digits_int8" / "export" / "onnx" / "model.onnx").is_file())

    def test_the_command_that_the_demo_prints_last_runs_in_a_new_shell(self):
        lines = [line for line in (SOURCE / "scripts" / "demo").read_text().splitlines()
                 if line.startswith(("as_root=", "next="))]
        command = subprocess.run(["bash", "-c", "\n".join(lines) + '\necho "$next"'], check=True, capture_output=True,
                                 text=True).stdout.strip()
        self.assertTrue(command.startswith("mpirun "), command)
        command = (command.replace("build/eidolon", BINARY).replace("FOLDER", str(TEACHER))
                   .replace("data_out/mine", str(self.folder / "mine")))
        small = " --set synthesis.iterations=2 --set finetuning.iterations=2 --json"
        new_shell = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        result = subprocess.run(["bash", "-c", command + small], cwd=SOURCE, env=new_shell, capture_output=True, text=True,
                                timeout=300)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout)["optimistic"], True)


if __name__ == "__main__":
    unittest.main()
