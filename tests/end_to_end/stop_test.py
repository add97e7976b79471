"""However a job is stopped, its state is on disk, its exit code tells, and the next start reaches the same bytes."""
import json
import os
import signal
import subprocess
import sys
import time
import unittest

from program import SOURCE, Launch, ProgramTest

# Only the stop itself writes a state: none falls due before.
LONG_UNITS = ["--set", "synthesis.images=8", "--set", "synthesis.held_out_images=4", "--set", "synthesis.unit_images=4",
              "--set", "synthesis.iterations=60", "--set", "run.checkpoint_seconds=3600"]
LONG_PHASES = ["--set", "synthesis.method=gaussian", "--set", "run.checkpoint_seconds=3600"]
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background inherits that SIGINT is ignored
PROMPT = 10  # seconds; a stop takes one iteration and one checkpoint, on a machine that may be busy


class Stop(ProgramTest):
    def at_work_on(self, stage, run="run"):
        """Whether a running rank 0 is in this stage, by its heartbeat."""
        def begun():
            beats = [json.loads(beat.read_text()) for beat in self.files("heartbeat/*/rank-0000.json", run)]
            return any(beat["stage"] == stage and not beat["ended"] for beat in beats)
        return begun

    def assert_stops(self, launch, code=75):
        began = time.monotonic()
        self.assertEqual(launch.code(60), code, launch.output())
        self.assertLess(time.monotonic() - began, PROMPT, launch.output())
        if code == 75:
            self.assertIn("run the same command again", launch.output())

    def assert_all_units_are_on_disk(self, run):
        begun = self.files("units/unit-*.h5", run) + self.files("shards/*.h5", run)
        self.assertEqual(len(begun), 3, begun)
        self.assertEqual(self.files("shards/*.claim.json", run), [])


class Synthesis(Stop):
    def started(self, run, *settings, ranks, environment=None):
        """A synthesis whose three units are all being made."""
        launch = self.start("synthesize", *LONG_UNITS, *settings, ranks=ranks, run=run, environment=environment)
        launch.wait_until(lambda: len(self.files("shards/*.claim.json", run)) == 3)
        time.sleep(0.5)
        return launch

    def assert_ends_like_calm(self, run):
        self.succeed("synthesize", *LONG_UNITS, ranks=2, run=run)
        self.assertEqual(self.hashes("shards/*.h5", run), self.hashes("shards/*.h5", "calm"))

    def test_every_way_to_stop(self):
        self.succeed("synthesize", *LONG_UNITS, ranks=2, run="calm")
        # The fourth rank has no unit.
        for how, rank in ((signal.SIGUSR2, None), (signal.SIGUSR2, 0), (signal.SIGUSR2, 3), (signal.SIGTERM, 1)):
            with self.subTest(how=how.name, rank=rank):
                run = f"{how.name}-{rank}"
                launch = self.started(run, ranks=4)
                launch.signal(how, rank)
                self.assert_stops(launch)
                self.assert_all_units_are_on_disk(run)
        with self.subTest("end of the allocation"):
            end = time.time() + 12
            launch = self.started("ended", "--set", "synthesis.iterations=6000", ranks=3, environment={"EIDOLON_END_TIME": str(int(end))})
            self.assert_stops(launch)
            self.assertLess(time.time(), end)
            self.assert_all_units_are_on_disk("ended")
        for how in (signal.SIGTERM, signal.SIGINT):
            with self.subTest("terminated launcher", how=how.name):
                launch = self.started(f"terminated-{how.name}", ranks=3)
                launch.signal(how)  # Open MPI's launcher gives its ranks a moment, then kills them
                self.assert_stops(launch, code=1)
        self.assert_ends_like_calm("SIGUSR2-3")
        self.assert_ends_like_calm("terminated-SIGTERM")
        self.assert_ends_like_calm("terminated-SIGINT")


class Interrupt(Stop):
    """Ctrl-C at a terminal, which sends SIGINT to every process of the group; without mpirun, which would take it for itself."""

    def press_ctrl_c(self, launch):
        os.killpg(launch.process.pid, signal.SIGINT)

    def started(self, run, *before):
        launch = Launch([*before, *self.command("synthesize", *LONG_UNITS, ranks=0, run=run)], ranks=0)
        self.addCleanup(launch.end)
        launch.wait_until(lambda: self.at_work_on("synthesize", run)())
        return launch

    def test_the_first_saves_and_the_next_start_reaches_the_same_bytes(self):
        self.succeed("synthesize", *LONG_UNITS, ranks=0, run="calm")
        launch = self.started("run")
        self.press_ctrl_c(launch)
        self.assert_stops(launch)
        self.assertIn("Ctrl-C again ends at once", launch.output())
        self.assertEqual(len(self.files("units/unit-*.h5")), 1, launch.output())
        self.assertEqual(self.files("shards/*.claim.json"), [])
        self.succeed("synthesize", *LONG_UNITS, ranks=0)
        self.assertEqual(self.hashes("shards/*.h5"), self.hashes("shards/*.h5", "calm"))

    def test_the_second_ends_at_once(self):
        settings = [*LONG_UNITS, "--set", "synthesis.method=gaussian"]
        self.succeed("synthesize", *settings, ranks=0)
        self.files("shards/*.h5")[-1].unlink()  # it is waited for, and nothing looks for a stop meanwhile
        launch = self.start("finetune", *settings, ranks=0)
        launch.wait_until(lambda: "waiting for 1 shards" in launch.output())
        self.press_ctrl_c(launch)
        launch.wait_until(lambda: "Ctrl-C again ends at once" in launch.output())
        self.press_ctrl_c(launch)
        self.assert_stops(launch, code=-signal.SIGINT)

    def test_for_others_is_not_heard_in_the_background(self):
        launch = self.started("run", "sh", "-c", "trap '' INT; exec \"$@\"", "sh")  # as a shell starts COMMAND &
        self.press_ctrl_c(launch)
        self.assertEqual(launch.code(), 0, launch.output())
        self.assertNotIn("Ctrl-C", launch.output())


class Finetuning(Stop):
    def test_every_way_to_stop(self):
        # Twice what the launch that its allocation ends is given.
        iterations = self.iterations_taking(12, *LONG_PHASES)
        settings = [*LONG_PHASES, "--set", f"run.shards={self.folder / 'trial' / 'shards'}", "--set", f"finetuning.iterations={iterations}"]
        self.succeed("finetune", *settings, ranks=2, run="calm")
        for how, rank in ((signal.SIGUSR2, 1), (signal.SIGTERM, 0), (None, None)):
            with self.subTest(how=how, rank=rank):
                run = f"stopped-{how}-{rank}"
                environment = {} if how else {"EIDOLON_END_TIME": str(int(time.time()) + 6)}
                launch = self.start("finetune", *settings, ranks=2, run=run, environment=environment)
                launch.wait_until(self.at_work_on("finetune", run))
                if how:
                    launch.signal(how, rank)
                self.assert_stops(launch)
                self.assertEqual(len(self.files("checkpoints/step-*.h5", run)), 2)
                self.assertEqual(self.files("finetuning.owner.json", run), [])
                self.succeed("finetune", *settings, ranks=2, run=run)
                self.assert_same_student(run, "calm")


class Evaluation(Stop):
    def test_a_stopped_evaluation_exits_75_and_a_second_start_ends_well(self):
        digits = self.folder / "digits"
        subprocess.run([sys.executable, str(SOURCE / "scripts" / "write_demo_images"), str(digits)], check=True, capture_output=True)
        evaluation = ["--set", "finetuning.method=none", "--set", "synthesis.method=gaussian",
                      "--set", f"evaluation.images={digits}", "--json"]
        calm = json.loads(self.succeed("run", *evaluation, ranks=2).stdout)
        launch = self.start("run", *evaluation, "--set", "evaluation.batch=1", ranks=2)
        launch.wait_until(self.at_work_on("evaluate"))
        launch.signal(signal.SIGUSR2, rank=1)
        self.assert_stops(launch)
        self.assertNotIn("top1", launch.output())
        self.assertEqual(json.loads(self.succeed("evaluate", *evaluation, ranks=2).stdout), calm)


if __name__ == "__main__":
    unittest.main()
