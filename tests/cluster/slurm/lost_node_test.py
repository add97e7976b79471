"""A node that dies in the middle, with all its processes and without a last packet: the job comes back and ends the same."""
import unittest

from slurm_test import SlurmTest, long_test


class LostNode(SlurmTest):
    def lose_a_node(self, pattern, launcher):
        """Cuts node 2 off when a file of the pattern exists, brings it back when Slurm has noticed, and waits for the end."""
        job = self.submit("preemptible.sbatch", environment={"EIDOLON_LAUNCHER": launcher}, run=launcher)
        self.wait_for_file(pattern, job, run=launcher)
        self.cluster.lose_node("n2")
        self.wait_until(lambda: self.tasks(job)[0]["Restarts"] != "0", "requeued", job)
        self.cluster.start_node("n2")
        self.finish(job)
        self.assert_as_if_calm(2, run=launcher)

    def test_during_synthesis_by_mpirun(self):
        self.lose_a_node("units/unit-*.h5", "mpirun")

    def test_during_fine_tuning_by_srun(self):
        self.lose_a_node("checkpoints/step-000000[1-9]*.h5", "srun")

    @long_test
    def test_during_fine_tuning_by_mpirun(self):
        self.lose_a_node("checkpoints/step-000000[1-9]*.h5", "mpirun")

    @long_test
    def test_during_synthesis_by_srun(self):
        self.lose_a_node("units/unit-*.h5", "srun")


if __name__ == "__main__":
    unittest.main()
