#!/usr/bin/env python3
"""What it costs to give a container an interface and to take it away: Fairlead beside Debian's CNI plugins and beside
Docker's bridge driver, interleaved in one run, in the namespaces of tests/engines/lab.py.

    attach.py [--rounds N] [--save]    the tables; --save puts them into bench/README.md
    attach.py --smoke                  two rounds, no verdict

CPU is user and system time of every process that takes part: the plugin with its children (wait4), the agent and the
engine with all that they start (control groups). Wall is what the engine waits for. Medians of rounds. The
kernel's own threads are counted for nobody.

Docker is measured twice. `connect` takes a running container onto a network and off it: the driver's work and dockerd's
own. Its floor is a plugin that does nothing. `start` is `docker start` and `docker stop`, beside the floor of `--network
none`: what a network adds to it is its share. Docker's own drivers run in an engine of their own that no agent follows.
"""
import http.server
import json
import os
import statistics
import socketserver
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path += [f"{ROOT}/tests/engines", f"{ROOT}/bench"]
import lab  # noqa: E402
import page  # noqa: E402

CNI = "/usr/lib/cni"
MUST_CPU, MUST_WALL = 0.5, 0.7
AT_REST_S = 0.15  # longer than the agent's first look after Join
AT_REST_CPU_S = 0.0015  # of so much time: containerd and its shims at rest use 4 ms a second


class Group:
    """A control group of programs: the CPU that they and all that they start have had, in seconds."""

    def __init__(self, name, *programs):
        v1 = os.path.isdir("/sys/fs/cgroup/cpuacct")
        lab_name = os.path.basename(os.environ["FAIRLEAD_LAB_DIR"])  # by this name the lab removes it
        self.folder = f"/sys/fs/cgroup/{'cpuacct/' if v1 else ''}{lab_name}-{name}"
        os.makedirs(self.folder)
        for program in programs:
            with open(f"{self.folder}/cgroup.procs", "w") as file:
                file.write(str(program.pid))
        self.file = open(f"{self.folder}/{'cpuacct.usage' if v1 else 'cpu.stat'}")
        self.unit = 1e9 if v1 else 1e6

    def cpu(self):
        self.file.seek(0)
        return int(self.file.readline().split()[-1]) / self.unit


class Samples:
    def __init__(self):
        self.figures = []

    def add(self, *figures):
        self.figures.append(figures)

    def medians(self):
        return dict(zip(("attach", "detach", "cpu", "agent"), (statistics.median(f) * 1e3 for f in zip(*self.figures))))


class Cni:
    """ADD and DEL of one plugin by hand, as an engine calls it."""

    def __init__(self, config, agent=None):
        self.config, self.agent = config, agent

    def call(self, command, name):
        plugins = f"{os.environ['FAIRLEAD_LAB_DIR']}/plugins"
        return page.run_cni(f"{plugins}/{self.config['type']}", self.config, command, name, PATH=os.environ["PATH"],
                            CNI_NETNS="/run/netns/bench", CNI_PATH=plugins)

    def round(self, number):
        before = self.agent.cpu() if self.agent else 0
        attach, first = self.call("ADD", f"web{number % 8}")
        detach, second = self.call("DEL", f"web{number % 8}")
        settle()  # the agent's reaper is part of the cost
        agent = self.agent.cpu() - before if self.agent else 0
        return attach, detach, first + second + agent, agent


class Engine:
    """A dockerd with its containerd, and the agent that follows it."""

    def __init__(self, host, agent=None):
        self.host, self.agent = host, agent
        self.engine = Group(os.path.basename(host.dir), host.containerd, host.dockerd)

    def cpu(self):
        return self.engine.cpu() + self.cpu_of_agent()

    def cpu_of_agent(self):
        return self.agent.cpu() if self.agent else 0

    def settle(self):
        """Until nobody works any more: shims end, the agent asks and reaps behind the answer."""
        settle()
        before, since = self.cpu(), time.monotonic()

        def at_rest():
            nonlocal before, since
            now = self.cpu()
            if now - before > AT_REST_CPU_S:
                before, since = now, time.monotonic()
            return time.monotonic() - since > AT_REST_S
        lab.wait_for("the engine is at rest", at_rest)

    def post(self, path, body=None):
        """Wall of a call of dockerd's API, without the client's own cost."""
        connection = lab.UnixConnection(self.host.docker_socket)
        start = time.perf_counter()
        connection.request("POST", path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        wall = time.perf_counter() - start
        connection.close()
        if answer.status not in (200, 204):
            raise RuntimeError(f"{path}: {said.decode()}")
        return wall

    def measured(self, attach, detach):
        all_of_it, agent = self.cpu(), self.cpu_of_agent()
        up = attach()
        self.settle()
        down = detach()
        self.settle()
        return up, down, self.cpu() - all_of_it, self.cpu_of_agent() - agent


class Connect:
    """Connect and disconnect of a running container."""

    def __init__(self, engine, network):
        self.engine, self.network = engine, network

    def round(self, number):
        container = {"Container": f"bench{number % 4}"}
        return self.engine.measured(lambda: self.engine.post(f"/networks/{self.network}/connect", container),
                                    lambda: self.engine.post(f"/networks/{self.network}/disconnect", {**container, "Force": True}))


class Start:
    """Start and stop of a container on that network, the only one there: of several at rest this dockerd does not tell which
    one asks for an address, and finding out takes the agent 40 ms."""

    def __init__(self, engine, network):
        self.engine, self.network = engine, network
        engine.host.docker("create", *engine.host.sleeper(f"on-{network}", network=network))

    def round(self, _):
        at = f"/containers/on-{self.network}"
        return self.engine.measured(lambda: self.engine.post(f"{at}/start"), lambda: self.engine.post(f"{at}/stop?t=0"))


class Nothing(http.server.BaseHTTPRequestHandler):
    """A remote driver that answers at once and makes no interface: what dockerd costs with any plugin."""
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece
    ANSWERS = {"/Plugin.Activate": {"Implements": ["NetworkDriver", "IpamDriver"]},
               "/NetworkDriver.GetCapabilities": {"Scope": "local"}, "/IpamDriver.GetCapabilities": {},
               "/IpamDriver.GetDefaultAddressSpaces": {"LocalDefaultAddressSpace": "n", "GlobalDefaultAddressSpace": "g"},
               "/IpamDriver.RequestPool": {"PoolID": "nothing", "Pool": "10.213.66.0/24"},
               "/IpamDriver.RequestAddress": {"Address": "10.213.66.9/24"},
               "/NetworkDriver.CreateEndpoint": {"Interface": {"MacAddress": "02:00:0a:d5:42:09"}},
               "/NetworkDriver.Join": {"DisableGatewayService": True}}

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.dumps(self.ANSWERS.get(self.path, {})).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve_nothing():
    os.makedirs("/run/docker/plugins", exist_ok=True)
    server = socketserver.ThreadingUnixStreamServer("/run/docker/plugins/nothing.sock", Nothing)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


def settle():
    """Until the kernel has let go of every interface that is on its way out: it holds the lock that the next one needs,
    and whose interface that was must not be at another's cost."""
    lab.wait_for("interfaces are gone", lambda: not [name for name in os.listdir("/sys/class/net") if name.startswith("flh")])


def measure(contenders, rounds):
    """Each contender once a round, in turning order, from rest."""
    samples = {name: Samples() for name in contenders}
    names = list(contenders)
    for number in range(rounds + 2):
        for name in names[number % len(names):] + names[:number % len(names)]:
            figures = contenders[name].round(number)
            if number >= 2:  # the first ones make bridges
                samples[name].add(*figures)
    return {name: s.medians() for name, s in samples.items()}


def prepare_cni(host, agent):
    folder = f"{os.environ['FAIRLEAD_LAB_DIR']}/plugins"
    os.makedirs(folder)
    for name in ("bridge", "host-local"):
        os.symlink(f"{CNI}/{name}", f"{folder}/{name}")
    for name in ("fairlead", "fairlead-cni"):
        os.symlink(f"{lab.BIN}/fairlead-cni", f"{folder}/{name}")
    os.makedirs("/run/netns", exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run/netns"], check=True)
    subprocess.run(["ip", "netns", "add", "bench"], check=True)
    socket = f"{host.dir}/run/api.sock"
    local = {"type": "host-local", "dataDir": f"{host.dir}/host-local", "ranges": [[{"subnet": "10.213.62.0/24"}]],
             "routes": [{"dst": "0.0.0.0/0"}]}
    return {
        "CNI: fairlead-cni": Cni({"cniVersion": "1.0.0", "name": "fl", "type": "fairlead-cni", "pool": "cni", "bridge": "bench0",
                                  "socket": socket}, agent),
        "CNI: bridge + host-local": Cni({"cniVersion": "1.0.0", "name": "br", "type": "bridge", "bridge": "bench1",
                                         "isGateway": True, "ipam": local}),
        "CNI: bridge + fairlead as IPAM": Cni({"cniVersion": "1.0.0", "name": "mix", "type": "bridge", "bridge": "bench2", "isGateway": True,
                                               "ipam": {"type": "fairlead", "pool": "cni2", "socket": socket}}, agent),
    }


def prepare_docker(host, plain, agent):
    """Containers that are connected sit on a network whose name sorts before the others': else dockerd would move the
    default gateway with every call, and search the machine's connections for those of the old one."""
    serve_nothing()
    ours, own = Engine(host, agent), Engine(plain)
    plain.docker("network", "create", "--subnet", "10.213.64.0/24", "plain")
    plain.docker("network", "create", "-d", "nothing", "--ipam-driver", "nothing", "nothing")
    for at, subnet in ((host, "10.213.65.0/24"), (plain, "10.213.67.0/24")):
        at.docker("network", "create", "--subnet", subnet, "base")
        for i in range(4):
            at.docker("run", "-d", *at.sleeper(f"bench{i}", network="base"))
    return {"Docker connect: fairlead": Connect(ours, lab.NETWORK), "Docker connect: bridge": Connect(own, "plain"),
            "Docker connect: a plugin that does nothing": Connect(own, "nothing"),
            "Docker start: fairlead": Start(ours, lab.NETWORK), "Docker start: none, with the agent": Start(ours, "none"),
            "Docker start: bridge": Start(own, "plain"), "Docker start: a plugin that does nothing": Start(own, "nothing"),
            "Docker start: none": Start(own, "none")}


# Whom a contender is compared with, and the floor of each where there is one.
BASE_OF = {"CNI: fairlead-cni": "CNI: bridge + host-local", "CNI: bridge + fairlead as IPAM": "CNI: bridge + host-local",
           "Docker connect: fairlead": "Docker connect: bridge", "Docker start: fairlead": "Docker start: bridge",
           "Docker connect: a plugin that does nothing": "Docker connect: bridge",
           "Docker start: a plugin that does nothing": "Docker start: bridge"}
FLOOR_OF = {"Docker start: fairlead": "Docker start: none, with the agent", "Docker start: bridge": "Docker start: none",
            "Docker start: a plugin that does nothing": "Docker start: none",
            "Docker connect: fairlead": "Docker connect: a plugin that does nothing",
            "Docker connect: bridge": "Docker connect: a plugin that does nothing"}
JUDGED_WHOLE = ("CNI: fairlead-cni",)
JUDGED_SHARE = ("Docker start: fairlead",)


def ratios(medians, judged, name, base, missed):
    """Texts of attach and CPU against `base`, with a verdict where there is one."""
    texts = []
    for key, must in (("attach", MUST_WALL), ("cpu", MUST_CPU)):
        ratio = medians[name][key] / medians[base][key]
        texts.append(f"{ratio:.2f}" + (f" {'met' if ratio <= must else '**missed**'}" if name in judged else ""))
        if name in judged and ratio > must:
            missed.append(f"{name}: {key} {ratio:.2f} > {must}")
    return texts


def shares(medians):
    return {name: {key: medians[name][key] - medians[floor][key] for key in medians[name]} for name, floor in FLOOR_OF.items()}


def table(medians, rounds):
    lines, missed = [f"{rounds} rounds each, interleaved; Linux {os.uname().release}.", ""], []
    for title, figures, judged in (("", medians, JUDGED_WHOLE), ("what the network adds to its floor", shares(medians), JUDGED_SHARE)):
        lines += [f"| {title} | attach, ms | detach, ms | CPU of both, ms | of it the agent | attach: ratio (must 0.7) | CPU: ratio (must 0.5) |",
                  "|---|---|---|---|---|---|---|"]
        for name, m in figures.items():
            wall, cpu = ratios(figures, judged, name, BASE_OF[name], missed) if name in BASE_OF else ("", "")
            lines.append(f"| {name} | {m['attach']:.1f} | {m['detach']:.1f} | {m['cpu']:.1f} | {m['agent']:.1f} | {wall} | {cpu} |")
        lines.append("")
    return "\n".join(lines).rstrip(), missed


def run(options):
    host, plain = lab.Lab(), lab.Lab()
    try:
        host.start_engine()
        plain.start_engine()
        pools = [{"name": "demo", "prefixes": [{"cidr": lab.SUBNET, "gateway": lab.GATEWAY, "ranges": [lab.RANGE]}]},
                 {"name": "cni", "prefixes": [{"cidr": "10.213.61.0/24"}]}, {"name": "cni2", "prefixes": [{"cidr": "10.213.63.0/24"}]}]
        host.start_programs(pools=pools)
        host.wait_for("the network is there", lambda: not host.docker("network", "inspect", lab.NETWORK, check=False).returncode)
        agent = Group("agent", host.programs["agent"])
        medians = measure(prepare_cni(host, agent), options.rounds)
        medians.update(measure(prepare_docker(host, plain, agent), options.rounds))
    finally:
        subprocess.run(["umount", "-l", "/run/netns"], stderr=subprocess.DEVNULL)
        host.close()
        plain.close()
    return "attach table", *table(medians, options.rounds)


if __name__ == "__main__":
    page.main(__doc__, 30, run, lab.main)
