"""report.json against values that h5py and numpy find in the same files, and report.html against an HTML parser."""
import base64
import html.parser
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import unittest

import h5py
import numpy
from PIL import Image
from safetensors.numpy import load_file

from program import BINARY, DEVICE, ENVIRONMENT, SOURCE, TEACHER, ProgramTest

FAMILIES = SOURCE / "tests" / "data" / "model" / "families"
SETTINGS = ["--set", "quantization.attention=log2", "--set", "quantization.activation_format=uniform"]
PAGE = os.access(os.environ.get("EIDOLON_REPORT_PYTHON", ""), os.X_OK)
NO_PAGE = "jinja2 and matplotlib are not installed (scripts/setup --report)"


def report(*words, environment=None, ranks=0):
    launcher = ["mpirun", "-n", str(ranks)] if ranks else []
    return subprocess.run([*launcher, BINARY, "report", *map(str, words)], capture_output=True, text=True, timeout=300,
                          env={**ENVIRONMENT, **(environment or {})})


def pixels(uri):
    """H x W x C of a PNG as a data URI."""
    kind, _, data = uri.partition(",")
    assert kind == "data:image/png;base64", kind
    return numpy.asarray(Image.open(io.BytesIO(base64.b64decode(data, validate=True))))


class Page(html.parser.HTMLParser):
    """What a page loads, and what it shows."""

    VOID = {"meta", "link", "img", "br", "hr", "input", "use", "path", "rect"}

    def __init__(self, text):
        super().__init__()
        self.loads, self.links, self.anchors, self.ids, self.tags, self.open, self.texts = [], [], [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        values = dict(attributes)
        if "id" in values:
            self.ids.append(values["id"])
        for name in ("src", "srcset", "data", "poster", "action", "background"):
            if name in values:
                self.loads.append(values[name])
        if "href" in values:
            (self.links if tag == "a" else self.anchors if tag == "use" else self.loads).append(values["href"])

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing that is open"

    def handle_data(self, data):
        self.texts.append(data)


class Report(ProgramTest):
    def setUp(self):
        super().setUp()
        self.digits = self.folder / "digits"
        subprocess.run([sys.executable, str(SOURCE / "scripts" / "write_demo_images"), str(self.digits)], check=True,
                       capture_output=True)

    def gathered(self, *words, run="run"):
        result = report(self.folder / run, *words)
        self.assertEqual(result.returncode, 0, result.stderr)
        text = (self.folder / run / "report.json").read_text()
        return json.loads(text)["runs"][0]

    def assert_sound_page(self, path):
        """Well formed, and nothing in it is loaded from elsewhere."""
        text = path.read_text(encoding="utf-8")
        page = Page(text)
        self.assertEqual(page.open, [])
        for source in page.loads:
            self.assertTrue(source.startswith("data:"), source[:80])
        for link in page.links:
            self.assertTrue(link.startswith("#") and link[1:] in page.ids, link)
        self.assertEqual({"script", "iframe", "object", "embed"} & set(page.tags), set())
        self.assertNotRegex(text, r"url\((?!#|&quot;#)|@import|https?://")
        self.assertNotIn("mathdefault", text)
        return page


class Values(Report):
    def test_the_json_holds_what_the_files_of_the_run_hold(self):
        labelled = ["--set", f"evaluation.images={self.digits}"]
        self.prepared("run", *SETTINGS, ranks=2)
        self.succeed("evaluate", *SETTINGS, *labelled, "--logits", self.folder / "logits.safetensors")
        job = self.folder / "run" / "job.resolved.toml"
        job.write_text(job.read_text().replace('images = ""', f'images = "{self.digits}"'))
        run = self.gathered("--labelled-images", "100000")
        self.assertEqual(set(run["missing"]), {"exports"})
        self.assertEqual(run["run"]["state"], "finished")
        self.assertEqual(run["run"]["environment"]["ranks"], 2)
        self.check_images(run)
        self.check_attention(run)
        self.check_losses(run)
        self.check_nodes(run)
        self.check_answers(run)
        self.check_synthetic(run)
        self.check_times(run)
        self.check_documented(run)

    def shards(self):
        for path in self.files("shards/images-*.h5"):
            with h5py.File(path) as shard:
                yield {name: shard[name][:] for name in shard}, dict(shard.attrs)

    def check_images(self, run):
        images = {}
        for shard, _ in self.shards():
            for row, index in enumerate(shard["global_index"]):
                images[int(index)] = shard["images"][row].transpose(1, 2, 0), shard["semantic_classes"][row]
        shown = [picture for kind in run["pictures"]["kinds"] for picture in kind["pictures"]]
        self.assertGreater(len(shown), 4)
        for picture in shown:
            bytes_of_image, classes = images[picture["index"]]
            numpy.testing.assert_array_equal(pixels(picture["png"]), bytes_of_image)
            self.assertEqual(picture["classes"], [f"class {label}" for label in classes if label >= 0])
        frames = run["growth"]["frames"]
        self.assertEqual([frame["iteration"] for frame in frames], [0, 3, 12])
        self.succeed("synthesize", *SETTINGS, "--set", "synthesis.iterations=0", run="starts")
        with h5py.File(self.files("shards/images-*.h5", "starts")[0]) as starts, \
                h5py.File(self.folder / "run" / "shards" / "growth" / "unit-00000000.h5") as kept:
            for row in range(4):
                expected = starts["images"][row], kept["images"][row], images[row][0].transpose(2, 0, 1)
                for frame, image in zip(frames, expected):
                    numpy.testing.assert_array_equal(pixels(frame["pictures"][row]["png"]), image.transpose(1, 2, 0))
                self.assertFalse(numpy.array_equal(expected[0], expected[1]))
                self.assertFalse(numpy.array_equal(expected[1], expected[2]))

    def check_attention(self, run):
        for entry in run["attention"]["maps"]:
            prior, attained = numpy.array(entry["prior"]), numpy.array(entry["attained"])
            self.assertAlmostEqual(prior.sum(), 1, places=4)
            self.assertTrue(0 < attained.sum() <= 1.01 and attained.min() >= 0)
            self.assertAlmostEqual(numpy.corrcoef(prior.ravel(), attained.ravel())[0, 1], entry["correlation"], places=4)

    def check_losses(self, run):
        columns = {}
        for shard, attributes in self.shards():
            for column, name in enumerate(json.loads(attributes["loss_names"])):
                columns.setdefault(name, []).extend(shard["losses"][:, column])
        self.assertEqual(set(run["losses"]["images"]), set(columns))
        for name, values in columns.items():
            self.assertAlmostEqual(run["losses"]["images"][name]["mean"], numpy.mean(values, dtype=float), places=6)
            self.assertEqual(run["losses"]["images"][name]["images"], len(values))
        lines = [json.loads(line) for line in (self.folder / "run" / "metrics.jsonl").read_text().splitlines()]
        kept = {line["stage"]: line["kept"] == 1 for line in lines if line["stage"].endswith("/held_out")}
        self.assertEqual(len(run["losses"]["phases"]), len(kept))
        for phase in run["losses"]["phases"]:
            stage = "finetune/" + phase["phase"]
            self.assertEqual(phase["loss"], [line["loss"] for line in lines if line["stage"] == stage])
            self.assertEqual(phase["held_out"]["kept"], kept[stage + "/held_out"])

    def check_nodes(self, run):
        """Weights have 4 bits, one scale and one zero point per output: x = s (c - z) with codes c from 0 to 15."""
        student = self.final_student()
        found = {node["name"]: node for node in run["nodes"]["nodes"]}
        worst = {node["name"]: node for node in run["nodes"]["worst"]}
        weights = [name for name in found if found[name]["kind"] == "weight"]
        self.assertGreater(len(weights), 10)
        for name in weights:
            weight = student[f"student/{name}"].astype(numpy.float64)
            scale, zero = (student[f"quantizers/{name}/{part}"].astype(numpy.float64) for part in ("scale", "zero_point"))
            rows = weight.reshape(len(weight), -1)
            index = numpy.clip(numpy.rint(rows / scale[:, None]), -zero[:, None], 15 - zero[:, None])
            rounded = index * scale[:, None]
            sqnr = 10 * numpy.log10((rows**2).sum() / ((rows - rounded) ** 2).sum())
            self.assertAlmostEqual(found[name]["sqnr_db"], sqnr, places=2, msg=name)
            self.assertEqual(found[name]["bytes"], weight.size / 2 + 4 * len(scale) + (len(scale) if zero.any() else 0))
            self.assertEqual(found[name]["float_bytes"], 4 * weight.size)
            if name in worst:
                row = int(worst[name]["group"].removeprefix("channel "))
                self.assertEqual(row, int(numpy.argmax(((rows - rounded) ** 2).sum(1) / (rows**2).sum(1))))
                self.assertEqual(sum(worst[name]["counts"]), rows.shape[1])
                self.assertAlmostEqual(worst[name]["low"], rows[row].min(), places=6)
                numpy.testing.assert_allclose(worst[name]["levels"], numpy.unique(rounded[row].astype(numpy.float32)), atol=1e-6)
        others = sum(4 * values.size for name, values in student.items()
                     if name.startswith("student/") and name.removeprefix("student/") not in weights)
        self.assertEqual(run["nodes"]["other_bytes"], others)
        errors = [node["sqnr_db"] for node in run["nodes"]["worst"]]
        self.assertEqual(errors, sorted(node["sqnr_db"] for node in found.values() if node.get("sqnr_db") is not None)[:8])

    def check_answers(self, run):
        logits = load_file(self.folder / "logits.safetensors")
        labels, teacher = logits["labels"], logits["teacher"].argmax(1)
        found = run["labelled"]
        self.assertEqual((found["measured_on"], found["images"], found["in_all"]), ("labelled", len(labels), len(labels)))
        self.assertAlmostEqual(found["teacher"]["top1"], (teacher == labels).mean(), places=9)
        for name in ("calibrated", "student"):
            answers = logits[name].argmax(1)
            self.assertAlmostEqual(found["students"][name]["top1"], (answers == labels).mean(), places=9)
            flips = found["flips"][name]
            self.assertEqual(flips["flipped"], (answers != teacher).sum())
            for pair in flips["pairs"]:
                label, from_class, to_class = (int(pair[key].removeprefix("class ")) for key in ("label", "teacher", "student"))
                self.assertEqual(pair["images"], ((labels == label) & (teacher == from_class) & (answers == to_class)).sum())
            lost = {entry["class"]: entry["lost"] for entry in flips["classes"] if entry["lost"]}
            expected = {f"class {label}": ((labels == label) & (teacher == label) & (answers != label)).sum() for label in range(10)}
            self.assertEqual(lost, {label: count for label, count in expected.items() if count})

    def check_synthetic(self, run):
        """The program's other way to look at the same images."""
        found = run["synthetic"]
        self.assertEqual((found["measured_on"], found["images"]), ("synthetic", 8))
        figures = json.loads((self.folder / "run" / "evaluation.json").read_text())
        for name in ("calibrated", "student"):
            for key in ("agreement", "kl"):
                self.assertAlmostEqual(found["students"][name][key], figures[name][key], places=5)
            blocks = [part[name]["sqnr_db"] for part in found["sections"] if part["name"].startswith("blocks.")]
            numpy.testing.assert_allclose(blocks, figures[name]["sqnr_db_per_block"], rtol=1e-3)
            self.assertTrue(all(0 < part[name]["cosine"] < 1.0001 for part in found["sections"]))

    def check_times(self, run):
        launch, = run["times"]["launches"]
        for rank in (0, 1):
            own = {entry["stage"]: entry["seconds"] for entry in launch["entries"] if entry["rank"] == rank}
            self.assertTrue({"synthesize", "finetune", "evaluate"} <= set(own), own)
            units = sum(seconds for stage, seconds in own.items() if stage.startswith("synthesize/"))
            self.assertTrue(0 < units <= own["synthesize"], own)
        made = sorted(entry["stage"] for entry in launch["entries"] if "/unit " in entry["stage"])
        self.assertEqual(made, ["synthesize/unit 0", "synthesize/unit 16", "synthesize/unit 8"])

    def check_documented(self, run):
        """Every key has its place in the reference, but those that are names of terms and students or of another file."""
        pages = "".join((SOURCE / "docs" / "reference" / name).read_text() for name in ("report.md", "results.md"))

        def keys(value):
            if isinstance(value, list):
                return {key for item in value for key in keys(item)}
            return set(value) | {key for item in value.values() for key in keys(item)} if isinstance(value, dict) else set()

        losses = {**run["losses"], "synthesis": list(run["losses"]["synthesis"].values()),
                  "images": list(run["losses"]["images"].values())}
        facts = {**run["run"], "environment": None}
        found = keys({**run, "losses": losses, "run": facts})
        self.assertGreater(len(found), 100)
        self.assertEqual([key for key in sorted(found) if f"`{key.removesuffix('_se')}`" not in pages], [])


class Pages(Report):
    @unittest.skipUnless(PAGE, NO_PAGE)
    def test_the_page_needs_nothing_but_itself(self):
        self.prepared("run", *SETTINGS, ranks=2)
        run = self.gathered()
        page = self.assert_sound_page(self.folder / "run" / "report.html")
        pictures = sum(len(kind["pictures"]) for kind in run["pictures"]["kinds"])
        self.assertGreater(page.tags.count("img"), pictures)
        self.assertGreater(page.tags.count("svg"), 12)
        text = " ".join(page.texts)
        self.assertIn("measured on synthetic images", text)
        self.assertNotIn("measured on labelled images", text)
        self.assertIn("the job names no labelled images", text)
        checked = subprocess.run([SOURCE / "scripts" / "check_report", self.folder / "run" / "report.html"],
                                 capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.assertRegex(checked.stdout + checked.stderr, "sound at 375 and 1440 px|skipped: no Chromium")

    @unittest.skipUnless(PAGE, NO_PAGE)
    def test_two_runs_stand_side_by_side_in_the_folder_that_is_named(self):
        self.prepared("run", *SETTINGS, ranks=2)
        shutil.copytree(self.folder / "run", self.folder / "other <b>&amp;")
        result = report(self.folder / "run", self.folder / "other <b>&amp;", "--out", self.folder / "both")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.split(), [str(self.folder / "both" / name) for name in ("report.json", "report.html")])
        page = self.assert_sound_page(self.folder / "both" / "report.html")
        self.assertIn("other <b>&amp;", [text.strip() for text in page.texts])
        self.assertFalse((self.folder / "run" / "report.json").exists())

    def test_without_python_the_json_is_written_and_one_line_says_what_to_install(self):
        self.prepared("run", *SETTINGS, ranks=2)
        result = report(self.folder / "run", environment={"EIDOLON_REPORT_PYTHON": "/no/python"})
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("pip install -r", [line for line in result.stderr.splitlines() if "warning" in line][0])
        self.assertTrue((self.folder / "run" / "report.json").exists())
        self.assertFalse((self.folder / "run" / "report.html").exists())


class Others(Report):
    """Runs that lack something."""

    def assert_reported(self, missing, run="run"):
        found = self.gathered(run=run)
        self.assertTrue(set(missing) <= set(found["missing"]), found["missing"])
        if PAGE:
            self.assert_sound_page(self.folder / run / "report.html")
        return found

    def of_family(self, teacher, *settings):
        self.job.write_text(f'[teacher]\nweights = "{FAMILIES / teacher}"\n[synthesis]\nimages = 8\nheld_out_images = 4\n'
                            'unit_images = 4\niterations = 4\nprecision = "fp32"\n[quantization]\ncalibration_images = 8\n'
                            f'[finetuning]\nbatch = 4\niterations = 2\n[run]\nthreads = 1\ndevice = "{DEVICE}"\n')
        self.succeed("run", *settings)
        return self.assert_reported(["attention", "labelled"])

    def test_a_network_of_convolutions(self):
        self.assertEqual(self.of_family("timm_mobilenetv2")["teacher"]["output"], "classes")

    def test_a_teacher_with_windows(self):
        run = self.of_family("timm_swin")
        self.assertIn("flips", run["synthetic"])

    def test_a_teacher_without_classes(self):
        run = self.of_family("timm_dinov2_reg4", "--set", "teacher.output=both")
        self.assertEqual(set(run["synthetic"]["students"]["student"]["parts"]), {"pooled", "tokens"})
        self.assertNotIn("flips", run["synthetic"])

    def test_images_alone_and_a_student_that_is_only_calibrated(self):
        settings = ["--set", "synthesis.optimised_share=0", "--set", "synthesis.held_out_images=0"]
        self.succeed("synthesize", *settings)
        run = self.assert_reported(["growth", "attention", "synthetic", "nodes", "evaluation", "losses"])
        self.assertEqual(run["run"]["state"], "unfinished: all images are made, no student yet")
        self.succeed("finetune", *settings, "--set", "finetuning.method=none")
        run = self.assert_reported(["growth", "evaluation"])
        self.assertIn("trained on", run["synthetic"]["what"])

    def test_without_its_teacher_a_run_is_reported_from_its_files(self):
        self.prepared("run", *SETTINGS, ranks=2)
        job = self.folder / "run" / "job.resolved.toml"
        job.write_text(job.read_text().replace(str(TEACHER), str(self.folder / "gone")))
        run = self.assert_reported(["teacher", "pictures", "synthetic", "nodes"])
        self.assertIn("losses", run)
        self.assertIn(str(self.folder / "gone"), run["warnings"][-1])

    def test_what_is_no_run_is_refused_in_a_line(self):
        (self.folder / "empty").mkdir()
        for place, words in ((self.folder / "empty", "holds no job.resolved.toml"), (self.job, "is no folder"),
                             (self.folder / "nowhere", "is no folder")):
            result = report(place)
            self.assertEqual(result.returncode, 64, result.stderr)
            self.assertEqual(len(result.stderr.splitlines()), 1)
            self.assertIn(words, result.stderr)
        self.assertEqual(list((self.folder / "empty").iterdir()), [])
        result = report(self.folder / "empty", ranks=2)
        self.assertEqual(result.returncode, 64)
        self.assertIn("without mpirun", result.stderr)


class Terminal(Report):
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


if __name__ == "__main__":
    unittest.main()
