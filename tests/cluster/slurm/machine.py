"""A pretended host: its own network, processes, host name and mounts, on the file system of this machine.

It is one shell that obeys what is written to its standard input, and that shell is the first process of the host: when it ends,
the kernel ends every process of the host and takes its network away. The pipe closes when this Python ends, however it ends, so
nothing has to be found and cleaned up afterwards.
"""
import shlex
import subprocess


class Unavailable(Exception):
    """This machine cannot pretend to be a cluster; the text says why."""


NEW_HOST = ["unshare", "--pid", "--fork", "--kill-child", "--net", "--uts", "--mount", "--mount-proc"]


def probe():
    """Raises Unavailable where the system does not permit new hosts."""
    tried = subprocess.run([*NEW_HOST, "ip", "link", "add", "switch", "type", "bridge"], capture_output=True, text=True)
    if tried.returncode != 0:
        raise Unavailable(f"network namespaces: {tried.stderr.strip()}")


class Machine:
    def __init__(self, name, hosts_file):
        self.name = name
        # --kill-child: to kill the process that we hold is to kill the host.
        self.process = subprocess.Popen([*NEW_HOST, "bash", "-es"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self.pid = self.process.pid
        # Programs of two hosts must not meet in shared memory.
        self.obey(f"hostname {name}", f"mount --bind {shlex.quote(str(hosts_file))} /etc/hosts",
                  "mount -t tmpfs shm /dev/shm", "ip link set lo up")

    def obey(self, *lines):
        """Has the host run these lines of shell and waits; a line that ends in & goes on by itself."""
        done = "-- obeyed --\n"
        try:
            self.process.stdin.write("\n".join(lines) + "\necho " + done)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # its last words follow
        said = ""
        while not said.endswith(done):
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(f"host {self.name} ended: {said.strip()}")
            said += line

    def inside(self, *command, cwd="/"):
        """The words that run `command` on this host."""
        return [*enter(self.pid, cwd), *map(str, command)]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def enter(pid, cwd="/"):
    """The words before a command that run it on the host held by process `pid`."""
    spaces = f"/proc/{pid}/ns"
    return ["nsenter", f"--net={spaces}/net", f"--uts={spaces}/uts", f"--mount={spaces}/mnt",
            f"--pid={spaces}/pid_for_children", f"--wdns={cwd}"]


def make_switch(machine, address):
    machine.obey("ip link add switch type bridge", f"ip addr add {address}/24 dev switch", "ip link set switch up")


def plug_in(machine, address, switch):
    """A cable from `machine`, which gets the address, to the switch on the machine that holds it."""
    subprocess.run(["ip", "link", "add", "eth0", "netns", str(machine.pid), "type", "veth",
                    "peer", "name", machine.name, "netns", str(switch.pid)], check=True)
    switch.obey(f"ip link set {machine.name} master switch up")
    machine.obey(f"ip addr add {address}/24 dev eth0", "ip link set eth0 up")


def unplug(machine, switch):
    """Takes the cable away: what the machine still sends, such as the news that its connections have ended, reaches nobody."""
    switch.obey(f"ip link delete {machine.name}")
