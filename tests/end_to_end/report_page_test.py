"""report.html against an HTML parser, also of runs that lack something."""
import shutil
import subprocess
import unittest

from program import DEVICE, SOURCE, TEACHER
from reported import NO_PAGE, PAGE, SETTINGS, Report, report

FAMILIES = SOURCE / "tests" / "data" / "model" / "families"


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
        self.assertIn("teacher's confidence", text)
        self.assertIn(f"{run['kinds']['kinds'][0]['answered']} of 10", text)
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


if __name__ == "__main__":
    unittest.main()
