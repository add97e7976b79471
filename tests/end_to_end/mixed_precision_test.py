"""Which node costs how much, and what a job does with it."""
import json
import unittest

from program import ProgramTest

NOISE = ["--set", "synthesis.method=gaussian", "--set", "finetuning.method=none"]


class MixedPrecision(ProgramTest):
    def table(self, *settings, ranks=1, run="run"):
        self.succeed("synthesize", *NOISE, *settings, run=run)
        return json.loads(self.succeed("sensitivity", *NOISE, *settings, "--json", ranks=ranks, run=run).stdout)

    def test_every_quantized_node_is_listed_and_ranks_share_the_work(self):
        one, two = self.table(), self.table(ranks=2, run="two")
        self.assertEqual([node["name"] for node in one["nodes"]], [node["name"] for node in two["nodes"]])
        for a, b in zip(one["nodes"], two["nodes"]):
            self.assertAlmostEqual(a["kl_alone"], b["kl_alone"], delta=1e-4 + 0.01 * a["kl_alone"])
        self.assertTrue(all(0 <= node["kl_alone"] < one["kl_all"] * 1.5 + 0.01 for node in one["nodes"]), one)

    def test_more_bits_for_the_dearest_nodes_lower_the_divergence(self):
        before = self.table("--set", "quantization.activation_bits=3", "--set", "quantization.weight_bits=3")
        dearest = sorted(before["nodes"], key=lambda node: -node["kl_alone"])[:6]
        rules = ", ".join(f"{node['name']}: 8" for node in dearest)
        after = self.table("--set", "quantization.activation_bits=3", "--set", "quantization.weight_bits=3",
                           "--set", f"quantization.bits_for={rules}", run="ruled")
        self.assertLess(after["kl_all"], before["kl_all"])
        self.assertEqual({node["name"] for node in after["nodes"] if node["bits"] == 8}, {node["name"] for node in dearest})

    def test_a_rule_for_no_node_is_refused(self):
        self.refused("no node of this model matches 'blocks.77.*'", "run", *NOISE, "--set", "quantization.bits_for=blocks.77.*: 8")
        self.assertFalse(self.files("shards/*"), "before the hours of synthesis")


if __name__ == "__main__":
    unittest.main()
