"""Jobs that are interrupted and come back: nothing is lost, and the end is the same."""
import random
import time
import unittest

from slurm_test import JOB, SlurmTest, long_test


class Preemption(SlurmTest):
    def assert_attempts(self, job, attempts):
        self.assertEqual(self.log(job).count("eidolon: attempt"), attempts, self.log(job))

    def test_told_to_stop_it_saves_goes_back_to_the_queue_and_finishes(self):
        job = self.submit("preemptible.sbatch")
        for pattern in ("units/unit-*.h5", "checkpoints/step-000000[1-9]*.h5"):
            self.wait_for_file(pattern, job)
            restarts = self.tasks(job)[0]["Restarts"]
            self.signal(job, "--signal=USR2", "--batch")
            self.wait_until(lambda: self.tasks(job)[0]["Restarts"] != restarts, "requeued", job)
        self.finish(job)
        self.assert_attempts(job, 3)
        self.assertEqual(self.log(job).count("exit code 75, back to the queue"), 2)
        self.assert_as_if_calm(2)

    @long_test
    def test_a_more_urgent_job_sends_it_back_to_the_queue(self):
        job = self.submit("preemptible.sbatch")
        self.wait_for_file("units/unit-*.h5", job)
        urgent = self.cluster.run("sbatch", "--parsable", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null",
                                  "--wrap=sleep 1", cwd=self.folder).stdout.strip()
        self.finish(urgent)
        self.finish(job)
        self.assert_attempts(job, 2)
        self.assert_as_if_calm(2)

    def test_near_its_time_limit_it_comes_back(self):
        # Slurm counts the limit in minutes and sends the signal up to a minute early: here, soon after the start.
        job = self.submit("preemptible.sbatch", "--set", "synthesis.iterations=400", options=["--time=1", "--signal=B:USR2@55"])
        self.wait_for_restart(job)
        self.assertIn("exit code 75, back to the queue", self.log(job))
        self.signal(job)
        self.wait_for_end(job)
        self.assertEqual(self.states(job), {"CANCELLED"})  # for good

    def test_attempts_that_save_nothing_end(self):
        (self.folder / "stuck").write_text("#!/bin/sh\nexit 75\n")
        (self.folder / "stuck").chmod(0o755)
        job = self.submit("preemptible.sbatch", environment={"EIDOLON_PROGRAM": str(self.folder / "stuck")})
        self.wait_until(lambda: "three attempts in a row saved nothing" in self.log(job), "given up", job)
        self.assertEqual(self.wait_for_end(job), [75])
        self.assert_attempts(job, 3)

    def cancel_and_submit_again(self, template):
        job = self.submit(template)
        self.wait_for_file("units/unit-*.h5", job)
        self.signal(job)
        self.wait_for_end(job)
        self.assertEqual(self.states(job), {"CANCELLED"})
        self.finish(self.submit(template))
        self.assert_as_if_calm(2)

    def test_a_cancelled_job_goes_on_when_submitted_again(self):
        self.cancel_and_submit_again("run.sbatch")

    @long_test
    def test_a_cancelled_job_of_srun_goes_on_when_submitted_again(self):
        self.cancel_and_submit_again("run_srun.sbatch")

    def test_stopped_while_fine_tuning_it_goes_on_with_half_the_ranks(self):
        job = self.submit("run.sbatch")
        self.wait_for_file("checkpoints/step-000000[1-9]*.h5", job)
        self.signal(job, "--signal=USR2", "--batch")
        self.assertEqual(self.wait_for_end(job), [75])
        self.assertIn("submit the same line again", self.log(job))
        self.finish(self.submit("run.sbatch", options=["--nodes=1"]))
        self.assert_shards_as_if_calm(2)
        # Sums in another order, and quantizers round their last bits away. Measured: 0.03; another order of the images gives
        # 0.04, and all of fine-tuning moves the student by 0.13.
        self.assertLess(self.distance("run", self.calm_run(2)), 0.06)

    @long_test
    def test_without_a_signal_the_program_stops_by_its_own_clock(self):
        self.submit_and_wait_for_the_clock("mpirun")
        self.submit_and_wait_for_the_clock("srun")

    def submit_and_wait_for_the_clock(self, launcher):
        options = ["--time=1", "--signal=B:CONT@10"]  # a signal that means nothing to the template
        job = self.submit("run.sbatch", "--set", "synthesis.iterations=2000", options=options, run=launcher,
                          environment={"EIDOLON_LAUNCHER": launcher})
        self.assertEqual(self.wait_for_end(job), [75])
        self.assertEqual(self.states(job), {"FAILED"}, "not TIMEOUT")

    @long_test
    def test_many_interruptions_and_still_the_same_end(self):
        settings = ["--set", "synthesis.iterations=150", "--set", "finetuning.iterations=400"]
        job = self.submit("preemptible.sbatch", *settings)
        running = lambda: self.tasks(job)[0]["JobState"] == "RUNNING"
        for _ in range(6):
            self.wait_until(running, "running", job)
            restarts = self.tasks(job)[0]["Restarts"]
            time.sleep(random.uniform(4, 8))
            self.signal(job, "--signal=USR2", "--batch")
            self.wait_until(lambda: self.tasks(job)[0]["Restarts"] != restarts, "requeued", job)
        self.finish(job, seconds=400)
        self.assert_attempts(job, 7)
        self.succeed("run", *JOB, *settings, ranks=2, run="calm")
        self.assert_same("run", "calm")


if __name__ == "__main__":
    unittest.main()
