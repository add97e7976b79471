"""What `eidolon status` writes for those who watch a job from outside, read by TensorBoard and by Prometheus' own parser."""
import glob
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

import numpy

from program import BINARY, ENVIRONMENT, SOURCE, ProgramTest

sys.path += glob.glob(os.path.join(os.environ.get("EIDOLON_WATCH_VENV", "/nowhere"), "lib", "python3*", "site-packages"))
try:
    from prometheus_client.parser import text_string_to_metric_families
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator
    MISSING = ""
except ImportError as error:
    MISSING = f"{error}: scripts/setup --watch installs what reads the files"


def status(run, *words, code=0):
    result = subprocess.run([BINARY, "status", run, *map(str, words)], capture_output=True, text=True, errors="replace",
                            env=ENVIRONMENT)
    assert result.returncode == code, result.stdout + result.stderr
    return result


@unittest.skipIf(MISSING, MISSING)
class TensorBoard(ProgramTest):
    def setUp(self):
        super().setUp()
        self.prepared("run")
        self.run_folder, self.curves = self.folder / "run", self.folder / "curves"
        self.metrics = self.run_folder / "metrics.jsonl"

    def follow(self):
        status(self.run_folder, "--tensorboard", self.curves)

    def reader(self):
        return EventAccumulator(str(self.curves), size_guidance={SCALARS: 0})

    def assert_shows_the_metrics(self, reader):
        """Every figure of every whole line, and nothing else."""
        expected = {}
        for text in self.metrics.read_text().splitlines(keepends=True):
            if not text.endswith("}\n"):
                continue
            line = json.loads(text)
            for name in set(line) - {"stage", "step", "time", "undefined"}:
                value = math.nan if line[name] is None else float(numpy.float32(line[name]))
                expected.setdefault(f"{line['stage']}/{name}", []).append((line["step"], repr(value), line["time"]))
        reader.Reload()
        found = {tag: [(event.step, repr(float(event.value)), event.wall_time) for event in reader.Scalars(tag)]
                 for tag in reader.Tags()[SCALARS] if reader.Scalars(tag)}
        self.assertEqual(found, expected)
        return expected

    def write(self, losses, keep=0, torn=""):
        """The metrics with `keep` lines of what they were, then a step for each loss."""
        lines = self.metrics.read_text().splitlines(keepends=True)[:keep]
        for step, loss in enumerate(losses, start=keep + 1):
            line = {"stage": "finetune/distill", "step": step, "time": 1.7e9 + step, "loss": loss}
            lines.append(json.dumps({**line, **({"undefined": {"loss": "not a number"}} if loss is None else {})}) + "\n")
        self.metrics.write_text("".join(lines) + torn)

    def test_the_curves_of_a_run_are_there(self):
        before = sorted(self.run_folder.rglob("*"))
        self.follow()
        tags = self.assert_shows_the_metrics(self.reader())
        self.assertGreater(len(tags), 2)
        self.assertTrue(any(tag.endswith("/held_out/trained") for tag in tags), tags)
        self.assertEqual(sorted(self.run_folder.rglob("*")), before)

    def test_a_reader_that_is_open_follows_new_lines_and_those_that_a_resumed_run_cut_back(self):
        self.write([3, 2.5, None], torn='{"stage":"finetune/dis')
        self.follow()
        reader = self.reader()
        self.assert_shows_the_metrics(reader)
        first, = self.curves.iterdir()
        begun = first.read_bytes()
        self.write([2, 1e-7], keep=3)
        self.follow()
        self.assert_shows_the_metrics(reader)
        self.assertTrue(first.read_bytes().startswith(begun))
        self.assertGreater(len(first.read_bytes()), len(begun))
        for keep, losses in ((2, [2.75, 2.25]), (0, [9]), (1, [8, 7, 6])):
            self.write(losses, keep=keep)
            self.follow()
            self.assert_shows_the_metrics(reader)
            self.assert_shows_the_metrics(self.reader())
        self.assertEqual(sum(path.stat().st_size > 0 for path in self.curves.iterdir()), 1)

    def test_what_a_killed_writer_left_is_completed(self):
        self.follow()
        file, = self.curves.iterdir()
        whole = file.read_bytes()
        for size in (0, 7, len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:size])
            self.follow()
            self.assertEqual(file.read_bytes(), whole)
        self.assertEqual(list(self.curves.iterdir()), [file])

    def test_a_run_without_curves_leaves_no_file(self):
        self.metrics.unlink()
        self.follow()
        self.assertFalse(self.curves.exists())

    def test_a_folder_that_cannot_be_made_is_named(self):
        said = status(self.run_folder, "--tensorboard", self.job, code=70).stderr
        self.assertIn(str(self.job), said)
        self.assertEqual(len(said.splitlines()), 1, said)


@unittest.skipIf(MISSING, MISSING)
class Prometheus(ProgramTest):
    def setUp(self):
        super().setUp()
        self.run_folder, self.text = self.folder / "run", self.folder / "eidolon.prom"

    def gauges(self, run=None, label=None):
        """{name: [(labels, value)]}, as the official parser reads them."""
        run = run or self.run_folder
        status(run, "--prometheus", self.text)
        page = (SOURCE / "docs" / "reference" / "watching.md").read_text()
        gauges = {}
        for family in text_string_to_metric_families(self.text.read_text()):
            self.assertEqual(family.type, "gauge")
            self.assertRegex(family.documentation, r"^[A-Z].*\.$")
            self.assertIn(f"`{family.name}`", page)
            for sample in family.samples:
                labels = dict(sample.labels)
                self.assertEqual((labels.pop("job"), labels.pop("run")), (pathlib.Path(label or run).name, label or str(run)))
                gauges.setdefault(sample.name.removeprefix("eidolon_"), []).append((labels, sample.value))
        self.assertEqual([path.name for path in self.folder.glob("eidolon.prom*")], ["eidolon.prom"])
        return gauges

    def stages(self, gauges, name):
        return {(labels["stage"], labels["unit"]): value for labels, value in gauges.get(name, [])}

    def test_a_finished_run_says_what_json_says(self):
        self.prepared("run")
        gauges = self.gauges()
        said = json.loads(status(self.run_folder, "--json").stdout)
        images = said["synthesis"]
        self.assertEqual((images["shards"], images["units"]), (3, 3))
        views = 2 * 8 * 12 + 8 * 12
        self.assertEqual(self.stages(gauges, "stage_done"), {("synthesize", "shards"): 3, ("synthesize", "views"): images["views"]})
        self.assertEqual(self.stages(gauges, "stage_total"), self.stages(gauges, "stage_done"))
        self.assertGreaterEqual(images["views"], views)
        self.assertEqual([gauges[name] for name in ("running", "finished", "data_free", "checkpoint_sound")],
                         [[({}, 0)], [({}, 1)], [({}, 1)], [({}, 1)]])
        self.assertEqual(gauges["checkpoint_step"], [({}, said["checkpoint"]["step"])])
        newest = self.files("checkpoints/step-*.h5")[-1]
        self.assertEqual(gauges["checkpoint_timestamp_seconds"][0][1] // 1, newest.stat().st_mtime // 1)
        last = [line for line in map(json.loads, (self.run_folder / "metrics.jsonl").read_text().splitlines()) if "loss" in line][-1]
        self.assertIn(({"stage": last["stage"], "term": "loss"}, last["loss"]), gauges["loss"])
        made = [json.loads(path.read_text().splitlines()[-1]) for path in self.files("log/*/synthesis.jsonl")]
        terms = {name: value for name, value in made[0].items() if name not in ("stage", "step", "time")}
        self.assertEqual({labels["term"]: value for labels, value in gauges["loss"] if labels["stage"] == "synthesize"}, terms)
        self.assertFalse({"heartbeat_timestamp_seconds", "stage_rate", "stage_seconds_left"} & set(gauges))

    def test_a_running_launch_has_heartbeats_speed_and_time_left(self):
        seconds = ["--set", "run.watchdog_seconds=4"]
        launch = self.start("synthesize", *seconds, "--set", "synthesis.iterations=3000", ranks=2)
        launch.wait_until(lambda: self.files("job.resolved.toml") and self.gauges().get("stage_seconds_left"))
        gauges = self.gauges()
        self.assertEqual((gauges["running"], gauges["finished"]), ([({}, 1)], [({}, 0)]))
        name, = {path.parent.name for path in self.files("heartbeat/*/rank-*.json")}
        beats = {(labels["launch"], labels["rank"]): value for labels, value in gauges["heartbeat_timestamp_seconds"]}
        self.assertEqual(set(beats), {(name, "0"), (name, "1")})
        self.assertTrue(all(abs(time.time() - beat) < 60 for beat in beats.values()), beats)
        left = self.stages(gauges, "stage_total")["synthesize", "views"] - self.stages(gauges, "stage_done")["synthesize", "views"]
        rate = self.stages(gauges, "stage_rate")["synthesize", "views"]
        self.assertAlmostEqual(gauges["stage_seconds_left"][0][1] * rate / left, 1)
        launch.signal(signal.SIGUSR2, rank=0)
        self.assertEqual(launch.code(), 75, launch.output())
        gauges = self.gauges()
        self.assertEqual(gauges["running"], [({}, 0)])
        self.assertNotIn("heartbeat_timestamp_seconds", gauges)
        self.assertNotIn("stage_rate", gauges)

    def test_fine_tuning_that_runs_has_progress_and_loss(self):
        self.prepared("synthesize")
        launch = self.start("finetune", "--set", "run.watchdog_seconds=4", "--set", "finetuning.iterations=20000")
        launch.wait_until(lambda: self.stages(self.gauges(), "stage_done").get(("finetune", "images"), 0) > 80)
        gauges = self.gauges()
        self.assertGreater(self.stages(gauges, "stage_total")["finetune", "images"],
                           self.stages(gauges, "stage_done")["finetune", "images"])
        self.assertGreater(self.stages(gauges, "stage_rate")["finetune", "images"], 0)
        self.assertTrue(any(labels["stage"].startswith("finetune/") and value > 0 for labels, value in gauges["loss"]), gauges)
        launch.signal(signal.SIGUSR2, rank=0)
        self.assertEqual(launch.code(), 75, launch.output())

    def test_a_watched_run_is_written_anew_until_it_ends(self):
        launch = self.start("synthesize", "--set", "run.watchdog_seconds=4", "--set", "synthesis.iterations=3000")
        launch.wait_until(lambda: self.files("job.resolved.toml") and self.gauges()["running"] == [({}, 1)])
        self.text.unlink()
        with subprocess.Popen([BINARY, "status", self.run_folder, "--watch", "--prometheus", self.text], env=ENVIRONMENT,
                              stdout=subprocess.DEVNULL) as watching:
            launch.wait_until(lambda: self.text.exists() and "eidolon_running" in self.text.read_text())
            self.assertIn("} 1\n", self.text.read_text().partition("# TYPE eidolon_running")[2])
            launch.signal(signal.SIGUSR2, rank=0)
            self.assertEqual(launch.code(), 75, launch.output())
            self.assertEqual(watching.wait(60), 0)
        running, = (family for family in text_string_to_metric_families(self.text.read_text()) if family.name == "eidolon_running")
        self.assertEqual([sample.value for sample in running.samples], [0])

    def test_any_name_of_a_folder_can_be_read_back(self):
        self.prepared("run")
        for name, read in ((b'a "b" \\n {c=1},\nd\te', 'a "b" \\n {c=1},\nd\te'), (b"caf\xe9", "caf\ufffd")):
            strange = os.path.join(os.fsencode(self.folder), name)
            shutil.copytree(os.fsencode(self.run_folder), strange)
            self.assertEqual(self.gauges(strange, str(self.folder / read))["finished"], [({}, 1)])

    def test_a_file_that_cannot_be_written_is_named(self):
        self.prepared("run")
        said = status(self.run_folder, "--prometheus", self.folder / "absent" / "eidolon.prom", code=70).stderr
        self.assertIn("absent/eidolon.prom", said)
        self.assertEqual(len(said.splitlines()), 1, said)


if __name__ == "__main__":
    unittest.main()
