"""Runs the program on several rank counts and reads its speed from the last heartbeats.

Strong scaling: the work of the smallest measurement, on more ranks. Weak scaling: work that grows with the ranks. Throughput is
work over the seconds of the slowest rank, from the beginning of the stage's loop to its end; loading the teacher is not in it.
"""
import json
import os
import pathlib
import shlex
import shutil
import subprocess

STAGES = ("synthesize", "finetune")
UNIT_IMAGES = 8
BATCH = 16  # global batch of strong scaling, and per rank of weak scaling


def run(launcher, ranks, *arguments):
    command = shlex.split(launcher.format(ranks=ranks)) + [os.environ["EIDOLON_BINARY"], *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{shlex.join(command)} ended with {result.returncode}:\n{result.stderr[-3000:]}")
    return result.stdout


def throughput(run_dir):
    """Work per second of the launch heard of last: its work over the time of its slowest rank."""
    launch = sorted((run_dir / "heartbeat").iterdir())[-1]
    beats = [json.loads(path.read_text()) for path in launch.glob("rank-*.json")]
    if beats[0]["unit"] == "images":  # fine-tuning counts the images of all ranks
        return min(beat["rate"] for beat in beats)
    return sum(beat["done"] for beat in beats) / max(beat["done"] / beat["rate"] for beat in beats)


def settings(options, scale):
    """`scale`: the work, in multiples of one rank's."""
    units = scale * max(options.ranks) if options.strong else scale
    return {
        "synthesis.images": units * UNIT_IMAGES, "synthesis.held_out_images": 0, "synthesis.unit_images": UNIT_IMAGES,
        "synthesis.method": "sardfq", "synthesis.iterations": options.iterations,
        "run.threads": 1, "run.device": "cpu", "run.checkpoint_seconds": 3600, "finetuning.iterations": options.steps,
        "finetuning.batch": BATCH if options.strong else BATCH * scale,
    }


def measure(options, stage, ranks, folder):
    """Throughput of one launch. Fine-tuning works on noise, which costs nothing to make and as much to train on."""
    shutil.rmtree(folder, ignore_errors=True)
    scale = 1 if options.strong else ranks
    chosen = settings(options, scale)
    if stage == "finetune":
        chosen |= {"synthesis.method": "gaussian", "synthesis.images": 4 * BATCH * scale, "quantization.calibration_images": 8}
    flags = [word for key, value in chosen.items() for word in ("--set", f"{key}={value}")]
    if stage == "finetune":
        run(options.launcher, 1, "synthesize", options.job, "--run-dir", folder, *flags)
    run(options.launcher, ranks, stage, options.job, "--run-dir", folder, *flags)
    return throughput(folder)


def measure_all(options, out):
    """{"synthesize/strong/2": [repetitions], ...}, rank counts taking turns so that a slow minute hits all alike."""
    store = out / "measured.json"
    measured = json.loads(store.read_text()) if store.exists() else {}
    for repetition in range(options.repeat):
        for stage in STAGES:
            for law in ("strong", "weak"):
                options.strong = law == "strong"
                for ranks in options.ranks:
                    values = measured.setdefault(f"{stage}/{law}/{ranks}", [])
                    if len(values) > repetition:
                        continue
                    values.append(measure(options, stage, ranks, out / "run"))
                    print(f"{stage} {law} {ranks} ranks: {values[-1]:.2f} per second", flush=True)
                    store.write_text(json.dumps(measured, indent=1))
    if "all_reduce" not in measured:
        report = json.loads(run(options.launcher, max(options.ranks), "doctor", str(out), "--json"))
        measured["all_reduce"] = {"ranks": report["ranks"], "timings": report["all_reduce"]["cpu"]}
        store.write_text(json.dumps(measured, indent=1))
    return measured
