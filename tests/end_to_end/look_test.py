"""What is seen of a run in a terminal: doctor before the first, status while it runs and after it died, and its last words."""
import json
import signal
import subprocess
import unittest

from program import BINARY, ENVIRONMENT, ProgramTest
from reported import SETTINGS


class Doctor(ProgramTest):
    def doctor(self, folder, *words, ranks=2):
        return subprocess.run(["mpirun", "-n", str(ranks), BINARY, "doctor", str(folder), *words], capture_output=True, text=True,
                              env=ENVIRONMENT, timeout=120)

    def test_a_sound_machine_is_found_sound_and_nothing_stays_behind(self):
        for ranks in (1, 3):
            result = self.doctor(self.folder, "--json", ranks=ranks)
            self.assertEqual(result.returncode, 0, result.stderr)
            report = json.loads(result.stdout)
            self.assertEqual(report["ranks"], ranks)
            verdicts = {finding["subject"]: finding["verdict"] for finding in report["findings"]}
            for subject in ("ranks", "arithmetic", "all-reduce, cpu", "shared folder", "exclusive names", "clocks"):
                self.assertEqual(verdicts[subject], "good", report)
            sizes = [timing["bytes"] for timing in report["all_reduce"]["cpu"]]
            self.assertEqual((sizes[0], sizes), (4, sorted(sizes)))
            self.assertTrue(all(timing["seconds"] > 0 for timing in report["all_reduce"]["cpu"]))
        self.assertEqual([path.name for path in self.folder.iterdir()], ["job.toml"])

    def test_a_folder_that_cannot_be_written_is_named(self):
        result = self.doctor(self.job)  # a file
        self.assertEqual(result.returncode, 64, result.stderr)
        self.assertIn(str(self.job), result.stderr)


class Status(ProgramTest):
    def status(self):
        result = subprocess.run([BINARY, "status", str(self.folder / "run"), "--json"], capture_output=True, text=True, env=ENVIRONMENT)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def test_tells_progress_while_the_job_runs_and_what_is_missing_after_it_died(self):
        settings = ["--set", "synthesis.iterations=300", "--set", "run.checkpoint_seconds=0.2", "--set", "run.watchdog_seconds=4"]
        launch = self.start("synthesize", *settings, ranks=2)
        launch.wait_until(lambda: self.files("units/unit-*.h5") and self.status()["synthesis"]["views_per_second"] > 0)
        running = self.status()
        self.assertEqual(running["launches"][0]["state"], "running")
        self.assertEqual(len(running["launches"][0]["ranks"]), 2)
        self.assertGreater(running["synthesis"]["views_left"], 0)
        launch.signal(signal.SIGSTOP)  # it must neither end the ranks itself nor leave them before they are found
        launch.signal(signal.SIGKILL, rank=0)
        launch.signal(signal.SIGKILL, rank=1)
        launch.signal(signal.SIGKILL)
        launch.code()
        dead = self.status()
        self.assertEqual((dead["synthesis"]["units"], dead["synthesis"]["shards"]), (3, 0))
        self.assertGreater(dead["synthesis"]["begun"], 0)
        self.assertLessEqual(dead["synthesis"]["views_left"], running["synthesis"]["views_left"])
        self.assertIsNone(dead["checkpoint"])
        text = subprocess.run([BINARY, "status", str(self.folder / "run")], capture_output=True, text=True, env=ENVIRONMENT).stdout
        self.assertIn("0 of 3 shards", text)

    def test_a_watched_status_goes_on_until_nothing_runs(self):
        launch = self.start("synthesize", "--set", "synthesis.iterations=3000")
        launch.wait_until(lambda: self.files("heartbeat/*/rank-*.json") and self.files("job.resolved.toml"))
        with subprocess.Popen([BINARY, "status", str(self.folder / "run"), "--watch"], stdout=subprocess.PIPE, text=True,
                              env=ENVIRONMENT) as watching:
            first = [watching.stdout.readline() for _ in range(4)]
            launch.signal(signal.SIGUSR2, rank=0)
            self.assertEqual(launch.code(), 75, launch.output())
            rest = watching.stdout.read()
            self.assertEqual(watching.wait(60), 0)
        self.assertEqual(first[0], str(self.folder / "run") + "\n")
        self.assertIn(": running, 1 rank", first[3])
        self.assertIn(": ended, 1 rank", rest.rpartition(str(self.folder / "run"))[2])


class Run(ProgramTest):
    def test_a_run_ends_with_a_table_of_80_columns(self):
        result = subprocess.run([BINARY, "run", "job.toml", "--run-dir", "run", *SETTINGS], cwd=self.folder, env=ENVIRONMENT,
                                capture_output=True, text=True, timeout=300)
        self.assertEqual(result.returncode, 0, result.stderr)
        table = result.stdout.rpartition("\n\n")[2].splitlines()
        figures = json.loads((self.folder / "run" / "evaluation.json").read_text())
        self.assertTrue(all(len(line) <= 80 and line == line.rstrip() for line in table), table)
        rows = {line[:11].strip(): line[12:] for line in table}
        self.assertEqual(rows["run"], "run")
        self.assertIn(f"KL {figures['student']['kl']:.4f}", rows["student"])
        self.assertIn("8 held-out synthetic images", rows["measured on"])
        self.assertTrue((self.folder / rows["checkpoint"]).is_file())
        self.assertEqual(rows["next"], "eidolon report run")


if __name__ == "__main__":
    unittest.main()
