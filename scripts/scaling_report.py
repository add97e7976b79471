"""The table, the prediction and the plot of scripts/scaling."""
import argparse
import pathlib
import statistics

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

import scaling_measure
from scaling_model import Network, Rank, fitted, finetuning_efficiency, synthesis_efficiency

MANY = (8, 16, 32, 64, 128, 256, 512, 1024)
# DeiT-Base against DeiT-Tiny: 17.6 and 1.26 GFLOP per image (timm's tables of 224x224 models).
BASE_OVER_TINY = 17.6 / 1.26
BLOCK_BYTES = 4 * (4 * 768 * 768 + 2 * 768 * 3072)  # the trained weights of one block of width 768, fp32
IMAGES_PER_RANK = 16
UNITS = 10_000 // 16


def parse():
    parser = argparse.ArgumentParser(description="see the head of scripts/scaling")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--job", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent / "jobs" / "deit_tiny_w8a8.toml")
    parser.add_argument("--launcher", default="mpirun --bind-to core -n {ranks}")
    parser.add_argument("--iterations", type=int, default=30, help="of synthesis")
    parser.add_argument("--steps", type=int, default=20, help="of fine-tuning, per section")
    parser.add_argument("--gpu-image-ms", type=float, default=2.0, help="assumed: one image of one block-wise step on a GPU")
    parser.add_argument("--gpu-latency-us", type=float, default=5.0, help="assumed: per hop")
    parser.add_argument("--gpu-bandwidth", type=float, default=20.0, help="assumed: GB/s per rank")
    return parser.parse_args()


def efficiency(measured, stage, law, ranks, base):
    """Median over repetitions of throughput against the same repetition of the smallest rank count, with its range."""
    pairs = zip(measured[f"{stage}/{law}/{ranks}"], measured[f"{stage}/{law}/{base}"])
    values = [many / one * base / ranks for many, one in pairs]
    return statistics.median(values), min(values), max(values)


def measured_table(options, measured):
    base = min(options.ranks)
    lines = ["| stage | scaling | ranks | per second | efficiency (lowest to highest of the repetitions) |", "|---|---|---|---|---|"]
    for stage in scaling_measure.STAGES:
        for law in ("strong", "weak"):
            for ranks in options.ranks:
                rate = statistics.median(measured[f"{stage}/{law}/{ranks}"])
                middle, low, high = efficiency(measured, stage, law, ranks, base)
                unit = "views" if stage == "synthesize" else "images"
                lines.append(f"| {stage} | {law} | {ranks} | {rate:.1f} {unit} | {middle:.1%} ({low:.1%} to {high:.1%}) |")
    return lines


def scenarios(options, measured):
    reduce = measured["all_reduce"]
    tiny = 1 / statistics.median(measured[f"finetune/strong/{min(options.ranks)}"])
    here = (fitted("as measured here", reduce["ranks"], reduce["timings"]), Rank("one core of this machine", tiny * BASE_OVER_TINY))
    gpu = (Network("assumed", options.gpu_latency_us * 1e-6, options.gpu_bandwidth * 1e9),
           Rank("an assumed GPU", options.gpu_image_ms * 1e-3))
    return here, gpu


def prediction_table(pairs):
    (here, core), (fabric, gpu) = pairs
    lines = [f"| ranks | synthesis of {UNITS} units | fine-tuning, {core.name} | fine-tuning, {gpu.name} |", "|---|---|---|---|"]
    for ranks in MANY:
        shares = [finetuning_efficiency(network, rank, IMAGES_PER_RANK, BLOCK_BYTES, ranks) for network, rank in pairs]
        lines.append(f"| {ranks} | {synthesis_efficiency(UNITS, ranks):.1%} | {shares[0]:.1%} | {shares[1]:.1%} |")
    return lines


def assumptions(pairs):
    lines = ["The model (scripts/scaling_model.py) is a ring all-reduce after each step. Assumptions:", ""]
    for network, rank in pairs:
        lines.append(f"* {rank.name}: {rank.image_seconds * 1e3:.1f} ms per image and step; all-reduce {network.name}: "
                     f"{network.latency * 1e6:.1f} us per hop, {network.bandwidth / 1e9:.2f} GB/s.")
    lines += [f"* {IMAGES_PER_RANK} images per rank and step (weak scaling), {BLOCK_BYTES / 1e6:.1f} MB of gradients per block of DeiT-Base.",
              f"* A core's time is DeiT-Tiny's measured one times {BASE_OVER_TINY:.1f}, the ratio of operations.",
              "* Synthesis: 10,000 images in units of 16; it exchanges nothing, so only what does not divide is lost.",
              "* No contention between nodes, no slow node, no start-up."]
    return lines


def draw(options, measured, pairs, path):
    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    base = min(options.ranks)
    for stage, colour in zip(scaling_measure.STAGES, ("tab:blue", "tab:orange")):
        for law, marker in (("strong", "o"), ("weak", "s")):
            triples = [efficiency(measured, stage, law, ranks, base) for ranks in options.ranks]
            middle = [value for value, _, _ in triples]
            errors = [[value - low for value, low, _ in triples], [high - value for value, _, high in triples]]
            axes.errorbar(options.ranks, middle, errors, marker=marker, color=colour, linestyle="none", capsize=3,
                          label=f"{stage}, {law}, measured")
    axes.plot(MANY, [synthesis_efficiency(UNITS, ranks) for ranks in MANY], color="tab:blue", label="synthesis, predicted")
    for (network, rank), style in zip(pairs, ("-", "--")):
        axes.plot(MANY, [finetuning_efficiency(network, rank, IMAGES_PER_RANK, BLOCK_BYTES, ranks) for ranks in MANY],
                  color="tab:orange", linestyle=style, label=f"fine-tuning, {rank.name}, predicted")
    axes.set(xscale="log", xlabel="ranks", ylabel="efficiency", ylim=(0, 1.1))
    axes.set_xticks([*options.ranks, *MANY], [*map(str, options.ranks), *map(str, MANY)], fontsize=7)
    axes.legend(fontsize=7, loc="lower left")
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main():
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    measured = scaling_measure.measure_all(options, options.out)
    pairs = scenarios(options, measured)
    text = ["# Scaling", "", "## Measured", "", *measured_table(options, measured), "", "## Predicted for DeiT-Base", "",
            *prediction_table(pairs), "", *assumptions(pairs), ""]
    (options.out / "scaling.md").write_text("\n".join(text))
    draw(options, measured, pairs, options.out / "scaling.png")
    print("\n".join(text))


if __name__ == "__main__":
    main()
