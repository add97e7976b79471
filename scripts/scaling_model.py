"""Predicts efficiency on many ranks from a rank's own speed and the cost of an all-reduce.

Ring all-reduce of n bytes over p ranks (Thakur, Rabenseifner, Gropp, IJHPCA 19(1), 2005): 2 (p-1) a + 2 (p-1)/p n/b, latency a,
bandwidth b. Block-wise fine-tuning sums the gradients of one block per step, after the backward pass of that block: nothing
overlaps, so a step takes t_images + t_all_reduce. Synthesis exchanges nothing; it loses only what does not divide.
"""
import math
from dataclasses import dataclass


@dataclass
class Network:
    name: str
    latency: float  # seconds
    bandwidth: float  # bytes per second

    def all_reduce(self, size, ranks):
        return 2 * (ranks - 1) * self.latency + 2 * (ranks - 1) / ranks * size / self.bandwidth


@dataclass
class Rank:
    """What computes: its name and the seconds of one image of one block-wise step."""
    name: str
    image_seconds: float


def fitted(name, ranks, timings):
    """Latency from the smallest message, bandwidth from the largest two."""
    small, middle, large = timings[0], timings[-2], timings[-1]
    latency = small["seconds"] / (2 * (ranks - 1))
    per_byte = (large["seconds"] - middle["seconds"]) / (large["bytes"] - middle["bytes"])
    return Network(name, latency, 2 * (ranks - 1) / ranks / per_byte)


def finetuning_efficiency(network, rank, images_per_rank, block_bytes, ranks):
    compute = images_per_rank * rank.image_seconds
    return compute / (compute + network.all_reduce(block_bytes, ranks))


def synthesis_efficiency(units, ranks):
    return units / (ranks * math.ceil(units / ranks))
