"""Full disks, damaged files and left-overs: what is finished stays, what is damaged is noticed, and the end is the same."""
import json
import os
import random
import shutil
import signal
import subprocess
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from program import BINARY, ENVIRONMENT, ProgramTest

SMALL = ["--set", "synthesis.images=8", "--set", "synthesis.held_out_images=4", "--set", "synthesis.unit_images=4",
         "--set", "quantization.calibration_images=8", "--set", "run.checkpoint_seconds=0"]
FIRST_SHARD = "shards/images-00000000-00000003.h5"
FIRST_STATE = "units/unit-00000000.h5"
FIRST_CLAIM = "shards/images-00000000-00000003.claim.json"


class SmallDisk(ProgramTest):
    def mounted(self, size):
        """The run directory as a file system of its own."""
        disk = self.folder / "run"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
            self.skipTest("mounting a small file system is not permitted here")

    def tearDown(self):
        subprocess.run(["umount", str(self.folder / "run")], capture_output=True)  # fails where it was not mounted
        super().tearDown()

    def remount(self, option):
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.folder / "run")], check=True)

    def assert_fills_up(self, stage, *settings, writing):
        result = self.refused("No space left on device; free some space and run again", stage, *settings, code=70, ranks=2)
        self.assertIn(str(self.folder / "run" / writing), result.stderr)
        self.assertEqual(self.files("**/*.part"), [])

    def test_a_disk_that_fills_up_costs_nothing_finished(self):
        self.succeed("run", *SMALL, run="calm", ranks=2)
        self.mounted("3m")
        self.succeed("synthesize", *SMALL, "--set", "synthesis.images=4")
        finished = self.hashes("shards/*.h5")

        self.remount("size=300k")  # the state of the next unit does not fit
        self.assert_fills_up("synthesize", *SMALL, writing="units/unit-0000000")
        self.assertEqual(self.hashes("shards/*.h5"), finished)
        self.remount("size=4m")  # the calibrated student fits, a second checkpoint does not
        self.succeed("synthesize", *SMALL, ranks=2)
        self.assertEqual(self.hashes("shards/*.h5"), self.hashes("shards/*.h5", "calm"))

        self.assert_fills_up("finetune", *SMALL, writing="checkpoints/step-0000000")
        self.assertEqual(self.hashes("checkpoints/*"), {name: sha for name, sha in self.hashes("checkpoints/*", "calm").items()
                                                        if name == "step-00000000.h5"})
        self.assertEqual(self.files("finetuning.owner.json"), [])
        self.remount("size=30m")
        self.succeed("finetune", *SMALL, ranks=2)
        self.assert_same_student("run", "calm")

    def test_a_read_only_run_directory_is_named_and_can_still_be_looked_at(self):
        self.mounted("3m")
        self.succeed("synthesize", *SMALL)
        self.remount("ro")
        self.refused(f"cannot write into the folder {self.folder / 'run'}: Read-only file system", "finetune", *SMALL, code=70,
                     ranks=2)
        status = subprocess.run([BINARY, "status", str(self.folder / "run")], capture_output=True, text=True, env=ENVIRONMENT)
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertIn("3 of 3 shards", status.stdout)


class WrongClock(ProgramTest):
    def test_a_launch_that_is_heard_of_only_in_the_future_does_not_run(self):
        self.succeed("synthesize", *SMALL, "--set", "synthesis.method=gaussian")
        beat_file = self.files("heartbeat/*/rank-0000.json")[0]
        beat = json.loads(beat_file.read_text())

        def state(ahead):
            beat_file.write_text(json.dumps({**beat, "ended": False, "time": time.time() + ahead}))
            command = [BINARY, "status", "--json", str(self.folder / "run")]
            said = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
            launch = json.loads(said.stdout)["launches"][0]
            self.assertGreaterEqual(launch["silence_seconds"], 0)
            return launch["state"]

        self.assertEqual([state(ahead) for ahead in (-1e6, -20, 20, 1e6, 1e12)],
                         ["not heard of", "running", "running", "not heard of", "not heard of"])


class Damage(ProgramTest):
    def setUp(self):
        super().setUp()
        self.draw = random.Random(1)

    def flip(self, path, at=None):
        data = bytearray(path.read_bytes())
        data[self.draw.randrange(len(data)) if at is None else at] ^= 1 << self.draw.randrange(8)
        path.write_bytes(data)

    def spoil(self, path):
        path.write_bytes(self.draw.randbytes(path.stat().st_size))

    def test_every_flipped_byte_of_a_shard_is_seen(self):
        self.succeed("synthesize", *SMALL, "--set", "synthesis.iterations=0")
        shard = self.folder / "run" / FIRST_SHARD
        size = shard.stat().st_size
        # The seal's three lines and its padding, the head and the end of HDF5, and a sample of the rest.
        offsets = [0, 20, 30, 90, 100, 170, 400, 511, 512, 520, size - 1, *self.draw.sample(range(512, size), 29)]

        def inspected(at):
            flipped = self.folder / f"flipped-{at}.h5"
            shutil.copy(shard, flipped)
            self.flip(flipped, at)
            result = subprocess.run([BINARY, "inspect", str(flipped)], capture_output=True, text=True, env=ENVIRONMENT)
            return at, result.returncode, f"{flipped} is damaged" in result.stderr

        with ThreadPoolExecutor(2) as pool:
            self.assertEqual(list(pool.map(inspected, offsets)), [(at, 64, True) for at in offsets])

    def tear(self):
        """A run in peace, and a copy that was killed twice: with a unit begun, and with a fine-tuning begun."""
        self.succeed("run", *SMALL, run="calm")
        torn = shutil.copytree(self.folder / "calm", self.folder / "torn")
        for path in self.files("checkpoints/*", "torn"):
            path.unlink()
        for stage, when in (("finetune", lambda: len(self.files("checkpoints/step-*.h5", "torn")) == 3),
                            ("synthesize", lambda: self.files(FIRST_STATE, "torn"))):
            launch = self.start(stage, *SMALL, run="torn")
            launch.wait_until(when)
            launch.signal(signal.SIGKILL, rank=0)
            launch.code()
            (torn / FIRST_SHARD).unlink(missing_ok=True)
        return torn

    def litter(self, run):
        """What writers leave that were killed before they could give a file its name."""
        for name in (FIRST_SHARD, FIRST_STATE, FIRST_CLAIM, "checkpoints/step-99999999.h5", "finetuning.owner.json",
                     "job.resolved.toml", "metrics.jsonl", "environment.json", "manifest.json"):
            (run / f"{name}.n1.4711.part").write_bytes(self.draw.randbytes(1000))

    def refuses(self, torn, name, damage):
        run = shutil.copytree(torn, self.folder / "refused")
        damage(run / name)
        damaged = (run / name).read_bytes()
        self.refused(str(run / name), "run", *SMALL, run="refused")
        self.assertEqual((run / name).read_bytes(), damaged)
        shutil.rmtree(run)

    def repairs(self, torn):
        newest = "checkpoints/" + self.files("checkpoints/step-*.h5", "torn")[-1].name
        sealed = (FIRST_STATE, "shards/images-00000004-00000007.h5", "checkpoints/step-00000000.h5", newest)
        for name in sealed:
            self.flip(torn / name)
        for path in (torn / "environment.json", torn / "manifest.json", *torn.glob("heartbeat/*/*")):
            self.spoil(path)
        with (torn / "metrics.jsonl").open("ab") as metrics:
            metrics.write(b'{"stage":"finetune/rec')
        said = self.succeed("run", *SMALL, run="torn").stderr
        self.assertEqual([name for name in (FIRST_SHARD, FIRST_STATE, "checkpoints/step-99999999.h5")
                          if (torn / f"{name}.n1.4711.part").exists()], [])
        for name in sealed:
            self.assertIn(f"{torn / name} is damaged", said)
        self.assert_same_student("torn", "calm")
        for name in ("shards/*.h5", "manifest.json"):
            self.assertEqual(self.hashes(name, "torn"), self.hashes(name, "calm"))
        lines = [json.loads(line) for line in (torn / "metrics.jsonl").read_text().splitlines()]
        self.assertEqual([line["step"] for line in lines if "loss" in line], list(range(1, 7 * 6 + 1)))

    def test_damage_is_repaired_or_refused_by_name(self):
        torn = self.tear()
        self.litter(torn)
        for name, damage in (("job.resolved.toml", self.spoil), ("finetuning.owner.json", self.spoil)):
            with self.subTest(name):
                self.refuses(torn, name, damage)
        self.repairs(torn)


if __name__ == "__main__":
    unittest.main()
