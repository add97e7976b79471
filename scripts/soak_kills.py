"""Kills the program again and again, and proves that nothing is lost or changed by it.

First a small job runs in peace. Then it is started over and over, and SIGKILL hits one of its ranks or its launcher at a random
moment: in synthesis on 1 to 4 ranks, in fine-tuning on 2, which is what its bits depend on. After each kill every file with a
finished name must be whole, and none may have gone but by the rule for old checkpoints. A round that reaches its end must have
the same shards and the same student, byte for byte, as the run in peace; then the next round begins in a new run directory. After
the last kill the round may end undisturbed. Exit code 0: all of this held. Otherwise what did not is said, and DIR is kept.
"""

import argparse
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent
BINARY = os.environ.get("EIDOLON_BINARY", str(SOURCE / "build" / "eidolon"))
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_NUM_THREADS="1",
                   OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_mpi_yield_when_idle="1",
                   OMPI_MCA_hwloc_base_binding_policy="none")
JOB = f"""
[teacher]
weights = "{SOURCE / 'jobs' / 'demo' / 'teacher'}"
[synthesis]
method = "sardfq"
images = 20
held_out_images = 4
unit_images = 4
iterations = 50
precision = "fp32"
[quantization]
calibration_images = 16
[finetuning]
batch = 8
iterations = 60
[run]
threads = 1
device = "cpu"
checkpoint_seconds = 0.3
"""
STAGES = ("synthesize", "finetune")
LONGEST_LIFE = 8  # seconds until a kill; the start alone takes one to three


class Lost(Exception):
    """Something that must hold does not."""


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def is_sound(path):
    """Whether the seal holds: its second line is the hash of all that follows the first 512 bytes."""
    data = path.read_bytes()
    return data[:512].split(b"\n")[1] == b"sha256 " + sha256(data[512:]).encode()


def processes_of(run):
    """Process id -> rank (None: the launcher) of what runs in this run directory."""
    found = {}
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if str(run).encode() in (process / "cmdline").read_bytes().split(b"\0"):
                rank = (process / "environ").read_bytes().partition(b"OMPI_COMM_WORLD_RANK=")[2].partition(b"\0")[0]
                found[int(process.name)] = int(rank) if rank else None
        except OSError:  # it ended meanwhile
            pass
    return found


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Round:
    """One run directory, from nothing to the finished student."""

    def __init__(self, folder, name):
        self.job, self.run, self.log = folder / "job.toml", folder / name, folder / f"{name}.log"
        self.shards = set()
        self.newest_step = -1

    def start(self, stage, ranks):
        command = ["mpirun", "-n", str(ranks), BINARY, stage, str(self.job), "--run-dir", str(self.run)]
        with self.log.open("ab") as log:
            log.write(f"--- {stage} on {ranks} ranks\n".encode())
            log.flush()
            return subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT, start_new_session=True)

    def last_words(self):
        return self.log.read_text(errors="replace").rpartition("--- ")[2]

    def check(self, calm):
        """What stands under a finished name is whole, is what the run in peace made, and stays."""
        shards = {path.name: path.read_bytes() for path in self.run.glob("shards/*.h5")}
        for name, data in shards.items():
            if sha256(data) != calm.shard_hashes[name]:
                raise Lost(f"{self.run}: {name} differs from the run in peace")
        if gone := self.shards - set(shards):
            raise Lost(f"{self.run}: {gone} had been finished and is gone")
        self.shards = set(shards)
        steps = sorted(self.run.glob("checkpoints/step-*.h5"))
        for path in [*steps, *self.run.glob("units/unit-*.h5")]:
            if not is_sound(path):
                raise Lost(f"{path} is damaged")
        newest = int(steps[-1].stem.partition("-")[2]) if steps else -1
        if newest < self.newest_step or (steps and steps[0].name != "step-00000000.h5"):
            raise Lost(f"{self.run}: checkpoints were {self.newest_step}, are {[path.name for path in steps]}")
        self.newest_step = newest

    def remember(self):
        """Of the run in peace: what all others are held against."""
        self.shard_hashes = {path.name: sha256(path.read_bytes()) for path in self.run.glob("shards/*.h5")}
        self.student = sorted(self.run.glob("checkpoints/step-*.h5"))[-1]

    def require_same_end(self, calm):
        student = self.run / "checkpoints" / calm.student.name
        if self.shards != set(calm.shard_hashes) or student.read_bytes() != calm.student.read_bytes():
            raise Lost(f"{self.run}: shards or student differ from the run in peace")
        if left := [path for name in ("units/*", "shards/*.json", "finetuning.owner.json") for path in self.run.glob(name)]:
            raise Lost(f"{self.run}: {left} stayed behind")


def kill_one(draw, process, run):
    """One of the ranks or the launcher; returns who it was, or nothing if all have ended before."""
    victims = processes_of(run)
    if process.poll() is not None or not victims:
        return None
    pid = draw.choice(sorted(victims))
    kill(pid)
    return "the launcher" if victims[pid] is None else f"rank {victims[pid]}"


def wait_for_the_end(draw, process, run):
    """The launcher ends its ranks. Orphans of a killed launcher are left to themselves or outrun by the next start."""
    process.wait(120)
    deadline = time.monotonic() + (60 if draw.random() < 0.5 else 0)
    while processes_of(run) and time.monotonic() < deadline:
        time.sleep(0.1)


def attempt(draw, current, stage, calm, life):
    """One start. Returns (whether the stage is done, who was killed)."""
    ranks = draw.randint(1, 4) if stage == "synthesize" else 2
    process = current.start(stage, ranks)
    try:
        process.wait(life)
        killed = None
    except subprocess.TimeoutExpired:
        killed = kill_one(draw, process, current.run)
    wait_for_the_end(draw, process, current.run)
    current.check(calm)
    if killed or process.returncode == 0:
        return process.returncode == 0, killed
    if process.returncode == 64 and "belongs to" in current.last_words():  # of orphans, which live on for a moment
        return False, None
    raise Lost(f"{current.run}: {stage} ended with {process.returncode}: {current.last_words()}")


def run_in_peace(folder):
    calm = Round(folder, "calm")
    for stage in STAGES:
        if calm.start(stage, 2).wait(600) != 0:
            raise Lost(calm.last_words())
    calm.remember()
    return calm


def soak(folder, kills, seed):
    draw = random.Random(seed)
    began = time.monotonic()
    calm = run_in_peace(folder)
    done, rounds = 0, 0
    while done < kills:
        rounds += 1
        current = Round(folder, f"round-{rounds:02d}")
        for stage in STAGES:
            finished = False
            while not finished:
                life = draw.uniform(0, LONGEST_LIFE) if done < kills else 600
                finished, killed = attempt(draw, current, stage, calm, life)
                if killed:
                    done += 1
                    print(f"kill {done}: {killed} after {life:.1f} s of {stage}; {len(current.shards)} of "
                          f"{len(calm.shard_hashes)} shards, newest step {current.newest_step}", flush=True)
        current.require_same_end(calm)
        parts = len(list(current.run.rglob("*.part")))
        print(f"round {rounds}: the same shards and student as in peace; {parts} unfinished files of killed writers", flush=True)
    return f"{done} kills, {rounds} rounds, nothing lost or changed, {time.monotonic() - began:.0f} s"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--folder", type=pathlib.Path, help="empty or new; where the runs lie (default: a temporary folder)")
    given = options.parse_args()
    folder = (given.folder or pathlib.Path(tempfile.mkdtemp(prefix="eidolon-soak-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        sys.exit(f"soak: {folder} is not empty; it would be removed at the end")
    (folder / "job.toml").write_text(JOB)
    try:
        print("soak: " + soak(folder, given.kills, given.seed))
    except Lost as error:
        sys.exit(f"soak: {error} (seed {given.seed}, {folder})")
    finally:
        for run in (path for path in folder.iterdir() if path.is_dir()):
            for pid in processes_of(run):
                kill(pid)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
