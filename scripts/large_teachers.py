"""Memory, messages and time of large vision transformers on many GPUs, from their shapes; see scripts/large_teachers."""
from dataclasses import dataclass

from scaling_model import Network, Rank, finetuning_efficiency

MATRIX_RATE = 783e12 * 0.32  # operations a second: ViT-B in bf16, 128 views at a time, on an H200 (docs/lab/gpu.md)
ACTIVATIONS = 32             # values a token, channel and block: ViT-B's 7.6 GiB for 64 views there
NETWORK = Network("assumed", latency=5e-6, bandwidth=20e9)  # as in the table above it
VIEWS, ITERATIONS, IMAGES_PER_RANK, GPU = 64, 1000, 16, 80e9
RANKS, WIDE = (8, 64, 1024), 64


@dataclass
class Shape:
    name: str
    blocks: int
    width: int
    hidden: int
    tokens: int
    matrices: int = 2  # of the MLP; SwiGLU has three

    def block_parameters(self):
        return 4 * self.width ** 2 + self.matrices * self.width * self.hidden

    def parameters(self):
        return self.blocks * self.block_parameters()

    def multiply_adds(self):
        return self.blocks * (self.tokens * self.block_parameters() + 2 * self.tokens ** 2 * self.width)


SHAPES = [Shape("ViT-B/16", 12, 768, 3072, 197), Shape("ViT-L/16", 24, 1024, 4096, 197), Shape("ViT-H/14", 32, 1280, 5120, 257),
          Shape("ViT-g/14", 40, 1408, 6144, 257), Shape("DINOv3's ViT-7B/16", 40, 4096, 8192, 201, matrices=3)]


def row(shape):
    gradients_of_inputs, of_all = 4, 6  # operations for a multiply-add, forward and back
    synthesis = ITERATIONS * gradients_of_inputs * shape.multiply_adds() / MATRIX_RATE
    synthesis_bytes = 2 * shape.parameters() + 2 * ACTIVATIONS * VIEWS * shape.blocks * shape.tokens * shape.width
    networks, caches = 3, 3  # teacher, student, calibrated student; a section's inputs, exact inputs and targets
    training_bytes = 4 * (networks * shape.parameters() + caches * 1024 * shape.tokens * shape.width)
    block = Rank("GPU", of_all * shape.multiply_adds() / shape.blocks / MATRIX_RATE)
    message = 4 * shape.block_parameters()
    shares = [finetuning_efficiency(NETWORK, block, IMAGES_PER_RANK, message, ranks) for ranks in RANKS]
    step = IMAGES_PER_RANK * block.image_seconds
    wait = NETWORK.all_reduce(message, WIDE)
    limit = "memory: three networks" if training_bytes > GPU else "messages" if shares[-1] < 0.5 else "products"
    return [shape.name, f"{shape.parameters() / 1e6:,.0f} M", f"{synthesis_bytes / 1e9:.1f} GB", f"{synthesis:.2g} s",
            f"{training_bytes / 1e9:.1f} GB", f"{message / 1e6:.0f} MB", f"{1e3 * step:.2g} ms",
            ", ".join(f"{share:.0%}" for share in shares), f"{4 * wait / block.image_seconds:.0f}", limit]


def main():
    head = ["teacher", "weights", "synthesis", "an image", "training", "a message", "a step",
            "efficiency on " + ", ".join(f"{ranks:,}" for ranks in RANKS), f"for 80 % on {WIDE}", "limit"]
    for cells in [head, ["---"] * len(head), *map(row, SHAPES)]:
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
