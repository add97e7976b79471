#!/usr/bin/env python3
"""A real Slurm with two nodes on one machine: what is submitted to it runs on "hosts" with networks and processes of their own.

    two_node_cluster.py shell              a cluster for as long as the shell lives: sinfo, sbatch, srun work in it
    two_node_cluster.py up FOLDER          one that stays; `shell FOLDER` enters it
    two_node_cluster.py down FOLDER

From Python it is a context manager. It needs root and the packages slurmctld, slurmd, slurm-client, munge and iproute2, and shares
nothing with another Slurm or munge on the machine: addresses, ports and names are known only inside its hosts.
"""
import atexit
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from machine import Machine, Unavailable, enter, make_switch, plug_in, probe, unplug

HERE = pathlib.Path(__file__).resolve().parent
CONTROLLER = "10.77.0.254"
NODES = {"n1": "10.77.0.1", "n2": "10.77.0.2"}
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "ip", "unshare", "nsenter")


class TwoNodeCluster:
    def __init__(self):
        require()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="eidolon-slurm-"))
        self.nodes = {}
        self.controller = None

    def start(self):
        atexit.register(self.stop)  # an interrupted test does not come to its own clean-up
        try:
            write_configuration(self.folder)
            self.start_controller()
            for name in NODES:
                self.start_node(name)
            self.wait_for("both nodes", lambda: self.idle_nodes() == len(NODES))
        except BaseException:
            self.stop()
            raise

    def stop(self):
        atexit.unregister(self.stop)
        for machine in [*self.nodes.values(), self.controller]:
            if machine:
                machine.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start_controller(self):
        self.controller = Machine("controller", self.folder / "hosts")
        make_switch(self.controller, CONTROLLER)
        f = self.folder
        self.controller.obey(
            f"munged --foreground --force --num-threads=2 --key-file={f}/munge.key --socket={f}/munge.socket --pid-file={f}/munged.pid "
            f"--log-file={f}/munged.log --seed-file={f}/munge.seed >{f}/munged.out 2>&1 &",
            f"until [ -S {f}/munge.socket ]; do sleep 0.1; done",
            f"slurmctld -D -f {f}/slurm.conf >{f}/slurmctld.out 2>&1 &")

    def start_node(self, name):
        """Starts the node, or starts it again, with what was on its disk."""
        node = self.nodes[name] = Machine(name, self.folder / "hosts")
        plug_in(node, NODES[name], self.controller)
        node.obey(f"slurmd -D -N {name} -f {self.folder}/slurm.conf >{self.folder}/slurmd.{name}.out 2>&1 &")

    def lose_node(self, name, quietly=True):
        """Kills every process of the node at once; quietly: without even a last packet, as when the power fails."""
        if quietly:
            unplug(self.nodes[name], self.controller)
        self.nodes.pop(name).kill()

    def run(self, *command, cwd="/", **options):
        """Runs a command on the controller, which serves as login node too."""
        options = {"capture_output": True, "text": True, "env": self.environment(os.environ), "timeout": 60, **options}
        return subprocess.run(self.controller.inside(*command, cwd=cwd), **options)

    def environment(self, base):
        outer = {name: value for name, value in base.items() if not name.startswith(("SLURM_", "SBATCH_", "PMIX_", "OMPI_COMM"))}
        return {**outer, "SLURM_CONF": f"{self.folder}/slurm.conf"}

    def idle_nodes(self):
        return self.run("sinfo", "-h", "-N", "-p", "spare", "-t", "idle", "-o", "%N").stdout.count("\n")

    def wait_for(self, what, true, seconds=60):
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                raise RuntimeError(f"no {what} after {seconds} s\n{self.last_words()}")
            time.sleep(0.2)

    def last_words(self):
        logs = [*self.folder.glob("*.out"), *self.folder.glob("*.log")]
        return "\n".join(f"{log.name}: {line}" for log in logs for line in log.read_text(errors="replace").splitlines()[-5:])


def require():
    if os.geteuid() != 0:
        raise Unavailable("network namespaces need root")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        raise Unavailable(f"{' '.join(missing)} not installed (Debian: slurmctld slurmd slurm-client munge iproute2)")
    probe()


def write_configuration(folder):
    folder.chmod(0o755)  # munge wants its socket within reach of every user
    (folder / "slurm.conf").write_text((HERE / "slurm.conf").read_text().replace("FOLDER", str(folder)))
    (folder / "hosts").write_text("127.0.0.1 localhost\n" + f"{CONTROLLER} controller\n" +
                                  "".join(f"{address} {name}\n" for name, address in NODES.items()))
    key = os.open(folder / "munge.key", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(key, os.urandom(128))
    os.close(key)
    for name in ("state", *(f"{kind}.{node}" for kind in ("tmp", "spool") for node in NODES)):
        (folder / name).mkdir()


def shell(pid, environment):
    return subprocess.run([*enter(pid, os.getcwd()), os.environ.get("SHELL", "bash")], env=environment).returncode


def keep(state):
    """Holds a cluster until it is told to end; its shell's needs stand in the file `state`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with TwoNodeCluster() as cluster:
        state.write_text(f"{os.getpid()} {cluster.controller.pid} {cluster.folder}\n")
        while True:
            signal.pause()


def up(state):
    keeper = subprocess.Popen([sys.executable, __file__, "keep", str(state)], start_new_session=True)
    while not state.exists():
        if keeper.poll() is not None:
            return keeper.returncode
        time.sleep(0.1)
    print(f"{sys.argv[0]} shell {state.parent}")
    return 0


def main(verb, folder=None):
    state = pathlib.Path(folder or ".") / "cluster"
    if verb == "shell" and folder is None:
        with TwoNodeCluster() as cluster:
            return shell(cluster.controller.pid, cluster.environment(os.environ))
    if verb == "up":
        return up(state)
    if verb == "keep":
        return keep(pathlib.Path(folder))
    keeper, controller, cluster_folder = state.read_text().split()
    if verb == "shell":
        return shell(controller, {**os.environ, "SLURM_CONF": f"{cluster_folder}/slurm.conf"})
    os.kill(int(keeper), signal.SIGTERM)
    state.unlink()
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in ("up", "down", "shell", "keep"):
        sys.exit(__doc__)
    try:
        sys.exit(main(*sys.argv[1:]))
    except Unavailable as why:
        sys.exit(f"unavailable: {why}")
