"""Figures that reach a person: what they say, what they leave out, and what becomes of them where nothing can be written."""
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import unittest

import h5py
from PIL import Image

from program import BINARY, ENVIRONMENT, SOURCE, TEACHER, ProgramTest

QUICK = ["--set", "synthesis.iterations=1", "--set", "finetuning.iterations=1"]


def no_constants(name):
    raise AssertionError(f"{name} is no JSON")


def parsed(text):
    return json.loads(text, parse_constant=no_constants)


def picture(path, shade):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), (shade, shade, shade)).save(path)


def break_student(checkpoint):
    """Finite tensors, as a checkpoint must have, whose sum is not finite; sealed anew."""
    with h5py.File(checkpoint, "r+") as file:
        for block in range(5):
            file[f"student/blocks.{block}.mlp.fc2.bias"][...] = 3e38
    content = checkpoint.read_bytes()
    title, body = content[:512].split(b"\n")[0], content[512:]
    lines = title + f"\nsha256 {hashlib.sha256(body).hexdigest()}\n".encode()
    lines += f"seal {hashlib.sha256(lines).hexdigest()}\n".encode()
    checkpoint.write_bytes(lines.ljust(512, b"\0") + body)


class WithDigits(ProgramTest):
    def digits(self):
        folder = self.folder / "digits"
        subprocess.run([sys.executable, str(SOURCE / "scripts" / "write_demo_images"), str(folder)], check=True,
                       capture_output=True)
        return folder

    def evaluate_teacher(self, images, *words, **options):
        return self.succeed("evaluate", "--teacher-only", "--json", "--set", f"evaluation.images={images}", *words, **options)


class Labelled(WithDigits):
    def test_retained_answers_and_the_ratio_of_accuracies_are_what_the_counts_give(self):
        digits = self.digits()
        settings = [*QUICK, "--set", f"evaluation.images={digits}", "--set", "quantization.weight_bits=3",
                    "--set", "quantization.activation_bits=3"]
        result = parsed(self.succeed("run", *settings, "--json", ranks=2).stdout)
        student, images = result["student"], result["images"]
        correct = round(result["teacher"]["top1"] * images)
        retained = 1 - student["lost"] / correct
        self.assertAlmostEqual(student["retained"], retained, places=12)
        self.assertAlmostEqual(student["retained_se"], math.sqrt(retained * (1 - retained) / correct), places=12)
        self.assertAlmostEqual(student["kept"], student["top1"] / result["teacher"]["top1"], places=12)
        self.assertGreater(student["lost"], 0)
        self.assertEqual(result["skipped"], {"unsupported_format": 0, "undecodable": 0, "misplaced": 0})
        self.assertNotIn("warnings", result)
        text = self.succeed("evaluate", *settings).stdout
        self.assertIn(f"retained {100 * retained:6.2f}", text)
        counts = f"({student['lost']:.0f} lost, {student['gained']:.0f} gained)"
        self.assertIn(f"of the teacher's {correct} correct answers {counts}", text)
        self.assertIn(f"ratio of accuracies {100 * student['kept']:6.2f}", text)
        self.assertLessEqual(max(map(len, text.splitlines()[1:])), 120)

    def test_of_one_image_errors_that_do_not_exist_are_left_out_with_the_reason(self):
        images = self.folder / "one"
        (images / "3").mkdir(parents=True)
        shutil.copy(sorted((self.digits() / "3").iterdir())[0], images / "3" / "a.png")
        settings = [*QUICK, "--set", f"evaluation.images={images}"]
        result = parsed(self.succeed("run", *settings, "--json").stdout)
        self.assertNotIn("kl_se", result["student"])
        self.assertEqual(result["student"]["undefined"]["kl_se"], "one image")
        self.assertEqual(result["teacher"]["top1_se"], 0.5)  # one right of one
        text = self.succeed("evaluate", *settings).stdout
        self.assertIn("error not defined: one image", text)
        self.assertNotIn("nan", text)

    def test_where_the_teacher_is_never_right_nothing_is_retained_of_it(self):
        images = self.folder / "wrong"
        (images / "4").mkdir(parents=True)
        shutil.copy(sorted((self.digits() / "3").iterdir())[0], images / "4" / "a.png")
        result = parsed(self.succeed("run", *QUICK, "--set", f"evaluation.images={images}", "--json").stdout)
        for name in ("retained", "kept"):
            self.assertNotIn(name, result["student"])
            self.assertEqual(result["student"]["undefined"][name], "the teacher is never right")

    def test_a_student_whose_logits_are_no_numbers_gets_no_figures(self):
        settings = [*QUICK, "--set", f"evaluation.images={self.digits()}"]
        self.succeed("run", *settings)
        break_student(self.files("checkpoints/step-*.h5")[-1])
        for words in ([], ["--json"], ["--set", "evaluation.images="]):
            result = self.refused("NaN or infinite", "evaluate", *settings, *words, code=70, ranks=2)
            self.assertEqual(result.stdout, "")
            self.assertEqual(result.stderr.count("NaN or infinite"), 1, result.stderr)

    def test_every_image_is_seen_once_although_a_rank_sees_another_folder(self):
        digits = self.digits()
        names = sorted((digits / "7").iterdir())
        part = self.folder / "part"
        part.mkdir()
        for path in names[:5]:
            shutil.copy(path, part / path.name)
        hide = f"mount --bind '{part}' '{digits / '7'}'"
        if subprocess.run(["unshare", "-m", "sh", "-c", hide], capture_output=True).returncode != 0:
            self.skipTest("mounting is not permitted here")
        wrapper = self.folder / "wrapper"  # rank 1 alone sees five of the sevens
        wrapper.write_text(f'#!/bin/sh\n[ "$OMPI_COMM_WORLD_RANK" = 1 ] || exec "$@"\n'
                           f'exec unshare -m sh -c "{hide}"\' && exec "$@"\' sh "$@"\n')
        wrapper.chmod(0o755)
        command = self.command("evaluate", "--teacher-only", "--json", "--set", f"evaluation.images={digits}", ranks=2)
        at = command.index(BINARY)
        result = subprocess.run(command[:at] + [str(wrapper)] + command[at:], capture_output=True, text=True, env=ENVIRONMENT)
        self.assertEqual(result.returncode, 0, result.stderr)
        figures = parsed(result.stdout)
        everything = sorted(path for path in digits.rglob("*.png"))
        hidden = [path for i, path in enumerate(everything) if i % 2 == 1 and path.parent.name == "7" and path not in names[:5]]
        self.assertGreater(len(hidden), 3)
        self.assertEqual(figures["skipped"]["undecodable"], len(hidden))
        self.assertEqual(figures["images"], len(everything) - len(hidden))
        self.assertIn(hidden[0].name, result.stderr)

    def test_a_run_that_belongs_to_a_colleague_is_evaluated_and_nothing_is_written_there(self):
        settings = [*QUICK, "--set", f"evaluation.images={self.digits()}", "--json"]
        figures = parsed(self.succeed("run", *settings, ranks=2).stdout)
        run = self.folder / "run"

        def state():
            return {str(path.relative_to(run)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
                    for path in [run, *run.rglob("*")]}
        before = state()
        mount = f"mount --bind '{run}' '{run}' && mount -o remount,bind,ro '{run}'"
        read_only = subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True).returncode == 0
        for data_free in ([], ["--set", "evaluation.images="]):
            command = self.command("evaluate", *settings, *data_free, ranks=2)
            if read_only:
                command = ["unshare", "-m", "sh", "-c", mount + ' && exec "$@"', "sh", *command]
            result = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(parsed(result.stdout).get("student") == figures["student"], not data_free)
            self.assertEqual(state(), before)


class Doubts(WithDigits):
    def test_pictures_that_are_not_read_are_counted_and_said_once(self):
        images = self.folder / "labelled"
        for name in ("0/a.png", "0/b.jpg", "0/c.bmp", "0/d.TIFF", "1/e.gif", "1/f.webp", "1/more/g.png", "h.png"):
            picture(images / name, 100)
        (images / "0" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
        result = self.evaluate_teacher(images, ranks=2)
        figures = parsed(result.stdout)
        self.assertEqual(figures["images"], 2)
        self.assertEqual(figures["skipped"], {"unsupported_format": 4, "undecodable": 1, "misplaced": 2})
        said = [line for line in result.stderr.splitlines() if "not read" in line]
        self.assertEqual(len(said), 1, result.stderr)
        for part in ("4 pictures", "1 .bmp", "1 .gif", "1 .tiff", "1 .webp"):
            self.assertIn(part, said[0])
        self.assertEqual(sum("warnings" in key for key in figures), 1)

    def test_a_class_list_with_a_byte_order_mark_and_carriage_returns_is_read(self):
        digits, classes = self.digits(), self.folder / "classes.txt"
        classes.write_bytes(b"\xef\xbb\xbf" + b"".join(b"%d \r\n" % digit for digit in range(10)))
        figures = parsed(self.evaluate_teacher(digits, "--set", f"evaluation.classes={classes}").stdout)
        self.assertGreater(figures["teacher"]["top1"], 0.97)

    def named_teacher(self, names):
        folder = self.folder / "named"
        shutil.copytree(TEACHER, folder)
        config = json.loads((folder / "config.json").read_text())
        config["label_names"] = names
        (folder / "config.json").write_text(json.dumps(config))
        return ["--set", f"teacher.weights={folder}"]

    def test_a_class_list_in_another_order_than_the_models_names_gets_one_warning_with_the_line(self):
        names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        digits, classes = self.digits(), self.folder / "classes.txt"
        for digit, name in enumerate(names):
            (digits / str(digit)).rename(digits / name)
        teacher = self.named_teacher(names)
        for order, line in ((names, None), (sorted(names), "line 1 is 'eight'")):
            classes.write_text("\n".join(order) + "\n")
            result = self.evaluate_teacher(digits, "--set", f"evaluation.classes={classes}", *teacher, ranks=2)
            warnings = parsed(result.stdout).get("warnings", [])
            if line is None:
                self.assertEqual(warnings, [])
                continue
            self.assertEqual(len(warnings), 2, warnings)  # the list, and what comes of it
            self.assertIn(line, warnings[0])
            self.assertIn("no better than guessing", warnings[1])
            for warning in warnings:
                self.assertEqual(result.stderr.count(warning), 1, result.stderr)

    def test_labels_that_do_not_fit_the_model_are_noticed_by_the_teachers_answers(self):
        digits = self.digits()
        for digit in range(10):
            (digits / str(digit)).rename(digits / f"was {digit}")
        for digit in range(10):
            (digits / f"was {digit}").rename(digits / str((digit + 1) % 10))
        figures = parsed(self.evaluate_teacher(digits).stdout)
        self.assertEqual(len(figures["warnings"]), 1)
        self.assertIn("no better than guessing among 10 classes", figures["warnings"][0])


class WithoutLabels(ProgramTest):
    def test_the_kinds_of_the_held_out_images_stand_beside_the_figures(self):
        settings = [*QUICK, "--set", "synthesis.optimised_share=0.5", "--set", "synthesis.start=leaves"]
        result = parsed(self.succeed("run", *settings, "--json").stdout)
        self.assertIn("optimised", result["kinds"])
        self.assertIn("as they start (leaves)", result["kinds"])
        self.assertIn(result["kinds"], self.succeed("evaluate", *settings).stdout)

    def test_nothing_to_look_at_is_refused_before_anything_is_made(self):
        for stage, words in (("run", []), ("run", ["--dry-run"]), ("evaluate", []), ("evaluate", ["--json"])):
            result = self.refused("evaluation.images", stage, *words, "--set", "synthesis.held_out_images=0", ranks=2)
            self.assertIn("held_out_images", result.stderr)
            self.assertEqual(result.stdout, "")
        self.refused("--teacher-only needs labelled images", "evaluate", "--teacher-only")
        self.assertFalse((self.folder / "run").exists())
        self.succeed("finetune", "--print-config", "--set", "synthesis.held_out_images=0")


class Sensitivity(ProgramTest):
    def test_a_divergence_that_is_no_number_is_null_and_said(self):
        self.prepared("run", *QUICK)
        sound = parsed(self.succeed("sensitivity", *QUICK, "--json").stdout)
        self.assertNotIn("undefined", sound)
        break_student(self.files("checkpoints/step-00000000.h5")[0])
        broken = parsed(self.succeed("sensitivity", *QUICK, "--json", ranks=2).stdout)
        self.assertIsNone(broken["kl_all"])
        self.assertIn("NaN or infinite", broken["undefined"])
        self.assertEqual([node["name"] for node in broken["nodes"]], [node["name"] for node in sound["nodes"]])
        text = self.succeed("sensitivity", *QUICK).stdout
        self.assertIn("not finite", text)
        self.assertNotRegex(text, r"\b(nan|inf)\b")


class StandardOutput(ProgramTest):
    def results(self):
        """Every command line that prints a result, by name."""
        self.prepared("run", *QUICK)
        one = [BINARY]
        shard = str(self.files("shards/*.h5")[0])
        return {
            "evaluate": self.command("evaluate", *QUICK, ranks=0),
            "evaluate --json": self.command("evaluate", *QUICK, "--json", ranks=0),
            "run": self.command("run", *QUICK, ranks=0),
            "sensitivity": self.command("sensitivity", *QUICK, ranks=0),
            "dry-run": self.command("run", *QUICK, "--dry-run", ranks=0),
            "print-config": self.command("run", "--print-config", ranks=0),
            "doctor": one + ["doctor", str(self.folder)],
            "doctor --json": one + ["doctor", str(self.folder), "--json"],
            "status": one + ["status", str(self.folder / "run")],
            "status --json": one + ["status", str(self.folder / "run"), "--json"],
            "inspect": one + ["inspect", shard],
            "keys": one + ["keys"],
            "version": one + ["--version"],
            "help": one + ["--help"],
            "help of a command": one + ["run", "--help"],
        }

    def test_a_result_that_is_not_taken_ends_in_70_and_one_line(self):
        commands = self.results()
        reader, writer = os.pipe()
        os.close(reader)  # SIGPIPE is ignored by Python, and so by what it starts; the shell below restores it
        with open("/dev/full", "wb") as full, os.fdopen(writer, "wb") as broken:
            for name, command in commands.items():
                for output, where in ((full, "full"), (broken, "broken"), (None, "closed")):
                    if where != "full" and name not in ("keys", "status", "evaluate --json", "version"):
                        continue
                    script = 'exec "$@"' + (" >&-" if output is None else "")
                    result = subprocess.run(["env", "--default-signal=PIPE", "sh", "-c", script, "sh", *command], stdout=output,
                                            stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
                    self.assertEqual(result.returncode, 70, f"{name} {where}: {result.stderr}")
                    said = [line for line in result.stderr.splitlines() if "standard output" in line]
                    self.assertEqual(len(said), 1, f"{name} {where}: {result.stderr}")

    def test_all_ranks_end_with_the_code_of_the_one_that_prints(self):
        self.prepared("run", *QUICK)
        wrapper = self.folder / "wrapper"  # mpirun reads what its ranks print, so rank 0 is turned to /dev/full behind it
        wrapper.write_text('#!/bin/sh\n[ "$OMPI_COMM_WORLD_RANK" = 0 ] && exec "$@" >/dev/full\nexec "$@"\n')
        wrapper.chmod(0o755)
        for words in (["evaluate", *QUICK], ["sensitivity", *QUICK], ["run", "--print-config"]):
            command = self.command(*words, ranks=2)
            at = command.index(BINARY)
            result = subprocess.run(command[:at] + [str(wrapper)] + command[at:], capture_output=True, text=True,
                                    env=ENVIRONMENT, timeout=120)
            self.assertEqual(result.returncode, 70, result.stderr)
            self.assertEqual(result.stderr.count("standard output does not take"), 1, result.stderr)


if __name__ == "__main__":
    unittest.main()
