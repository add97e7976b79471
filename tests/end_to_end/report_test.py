"""report.json against values that h5py and numpy find in the same files."""
import base64
import io
import json
import subprocess
import sys
import unittest

import h5py
import numpy
from PIL import Image
from safetensors.numpy import load_file

import plain_vit
from program import SOURCE, TEACHER
from reported import SETTINGS, Report


def pixels(uri):
    """H x W x C of a PNG as a data URI."""
    kind, _, data = uri.partition(",")
    assert kind == "data:image/png;base64", kind
    return numpy.asarray(Image.open(io.BytesIO(base64.b64decode(data, validate=True))))


def second_moment(tokens):
    rows = tokens.double().flatten(0, 1).numpy()
    rows = numpy.hstack([rows, numpy.ones((len(rows), 1))])
    return rows.T @ rows / len(rows)


def divergence(own, others):
    """Of Gaussians, per dimension, with a hundredth of the mean diagonal added."""
    own, others = (moment + 0.01 * numpy.trace(moment) / len(moment) * numpy.eye(len(moment)) for moment in (own, others))
    ratio = numpy.linalg.solve(others, own)
    return (numpy.trace(ratio) - len(own) - numpy.linalg.slogdet(ratio)[1]) / (2 * len(own))


class Values(Report):
    def setUp(self):
        super().setUp()
        self.digits = self.folder / "digits"
        subprocess.run([sys.executable, str(SOURCE / "scripts" / "write_demo_images"), str(self.digits)], check=True,
                       capture_output=True)

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
        self.check_kinds(run)
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

    def kind(self, run, name):
        return next(entry for entry in run["kinds"]["kinds"] if entry["kind"] == name)

    def check_kinds(self, run):
        """Against PyTorch, on images that numpy sorts."""
        stored = numpy.concatenate([shard["images"] for shard, _ in self.shards()])
        kind, = run["kinds"]["kinds"]
        _, logits = plain_vit.outputs(TEACHER, stored[:48])
        found = logits.softmax(1)
        self.assertEqual((kind["images"], kind["answered"]), (len(logits), len(set(found.argmax(1).tolist()))))
        self.assertAlmostEqual(kind["confidence"], found.amax(1).mean().item(), places=5)
        mean = found.double().mean(0)
        self.assertAlmostEqual(kind["effective_classes"], (-(mean * mean.log()).sum()).exp().item(), places=4)
        self.assertEqual(set(kind["students"]), {"calibrated", "student"})
        self.assertEqual(set(kind["distance"]), {None})  # there is no other kind

    def test_kinds_are_told_apart(self):
        settings = ["synthesis.method=views", "synthesis.images=40", "synthesis.held_out_images=0",
                    "synthesis.start=leaves, gaussian", "synthesis.optimised_share=0"]
        words = [*SETTINGS, *(word for setting in settings for word in ("--set", setting))]
        self.succeed("synthesize", *words)
        self.succeed("finetune", *words)
        run = self.gathered()
        stored = {int(index): image for shard, _ in self.shards()
                  for index, image in zip(shard["global_index"], shard["images"])}
        by_kind = {name: numpy.stack([stored[index] for index in sorted(stored) if index % 2 == rest])
                   for rest, name in enumerate(("leaves", "gaussian"))}
        self.assertEqual({entry["kind"]: entry["images"] for entry in run["kinds"]["kinds"]},
                         {name: len(images) for name, images in by_kind.items()})
        self.assertEqual(run["kinds"]["sections"][:2], ["patch_embed", "blocks.0"])
        moments = {name: [second_moment(x) for x in plain_vit.outputs(TEACHER, images)[0]]
                   for name, images in by_kind.items()}
        for name, other in (("leaves", "gaussian"), ("gaussian", "leaves")):
            wanted = [divergence(own, others) for own, others in zip(moments[name], moments[other])]
            distance = self.kind(run, name)["distance"]
            numpy.testing.assert_allclose(distance[:len(wanted)], wanted, rtol=1e-3)
            self.assertGreater(distance[0], 0.05)
        # The same images as another part of the report looks at.
        self.assertEqual(run["synthetic"]["images"], len(stored))
        for student, figures in run["synthetic"]["students"].items():
            for key in ("agreement", "kl"):
                parts = [entry["images"] * entry["students"][student][key] for entry in run["kinds"]["kinds"]]
                self.assertAlmostEqual(sum(parts) / len(stored), figures[key], places=5)

    def test_every_kind_of_a_mixture_is_found(self):
        starts = ["--set", "synthesis.method=views", "--set", "synthesis.images=96", "--set", "synthesis.start=leaves:15, pink",
                  "--set", "synthesis.optimised_share=0", "--set", "synthesis.held_out_images=0"]
        self.succeed("synthesize", *starts, run="mixture")
        run = self.gathered(run="mixture")
        shown = {entry["kind"]: len(entry["pictures"]) for entry in run["pictures"]["kinds"]}
        self.assertEqual(shown, {"leaves": 10, "pink": 6})
        self.assertEqual({entry["kind"]: entry["images"] for entry in run["kinds"]["kinds"]}, {"leaves": 48, "pink": 6})

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


if __name__ == "__main__":
    unittest.main()
