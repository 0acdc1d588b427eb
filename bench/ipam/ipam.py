#!/usr/bin/env python3
"""What it costs to get an address and to give it back: Fairlead beside Debian's host-local, interleaved in one run, each
with an empty /16 and with one of 65,000 leases; and how many durable acquisitions 64 clients get.

    ipam.py [--rounds N] [--save]    tables; --save puts them into bench/README.md
    ipam.py --smoke                  two rounds with 500 leases, no verdict

host-local and `fairlead-cni` are run as `bridge` runs its IPAM plugin: a process a call, configuration on stdin. "By the
agent's socket" is what that process asks: POST /v1/shim/cni, a connection a call. Each round has a name that was not
there before; it is released by DEL. CPU is user and system time of the plugin's process (wait4) and of the agent.
Neither the client here nor the kernel's own threads are counted. host-local syncs nothing to the disk, Fairlead each lease.
"""
import json
import os
import selectors
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path += [f"{ROOT}/tests/engines", f"{ROOT}/bench"]
import lab  # noqa: E402
import page  # noqa: E402

HOST_LOCAL = "/usr/lib/cni/host-local"
MUST_RATIO, MUST_GROWTH, MUST_RATE = 0.3, 1.10, 20_000
FULL, CLIENTS = 65_000, 64
SOCKET = "by the agent's socket"  # the contender that the musts are said of
SLOW_EVERY = 6  # host-local with 65,000 leases takes half a second a call: its turn is every sixth round


def cpu_of(pid):
    """Seconds of CPU that a process has had, threads that ended included (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def address(number):
    return f"10.99.{number // 256}.{number % 256}"


class HostLocal:
    def __init__(self, folder, leases):
        self.every = SLOW_EVERY if leases else 1
        self.config = {"cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": {
            "type": "host-local", "dataDir": folder, "ranges": [[{"subnet": "10.99.0.0/16"}]]}}
        os.makedirs(f"{folder}/net")
        for number in range(2, 2 + leases):
            with open(f"{folder}/net/{address(number)}", "w") as file:
                file.write(f"held{number}\r\neth0")

    def call(self, command, name):
        return run_plugin(HOST_LOCAL, self.config, command, name)

    def agent_cpu(self):
        return 0


class Agent:
    """An agent without engines, and so many leases in its pool."""

    def __init__(self, port, leases):
        self.host = lab.Lab()
        self.api = f"{self.host.dir}/run/api.sock"
        self.host.config(pools=[{"name": "net", "retain": "forever", "prefixes": [{"cidr": "10.99.0.0/16"}]}], networks=[], listeners=[],
                         api={"socket": self.api, "listen": f"127.0.0.1:{port}"},
                         engines={"docker": {"socket": f"{self.host.dir}/none.sock", "plugin_dir": f"{self.host.dir}/plugins"}})
        self.start()
        if leases:
            self.host.programs["agent"].end()
            self.fill(leases)
            self.start()
        self.pid = self.host.programs["agent"].pid

    def start(self):
        self.host.start_program("agent")
        lab.wait_for(lambda: self.host.tails(), self.answers)

    def answers(self):
        try:
            Socket(self).call("STATUS", "any")
        except (OSError, RuntimeError):
            return False
        return True

    def fill(self, leases):
        store = sqlite3.connect(f"{self.host.dir}/state/agent/leases.db")
        revision = store.execute("SELECT revision FROM store").fetchone()[0]
        rows = [("net", lab.NODE, f"held{n}", 4, "net", address(n), "02:00:00:00:00:01", "", 1, 0, 0, 1, 1, revision)
                for n in range(2, 2 + leases)]
        store.executemany("INSERT INTO leases(network, scope, name, family, pool, ip, mac, project, attached, provisional, ephemeral,"
                          " since_wall, acquired_wall, revision) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", rows)
        store.commit()
        store.close()

    def agent_cpu(self):
        return cpu_of(self.pid)


class Exec:
    """fairlead-cni as the IPAM of `bridge`."""
    every = 1

    def __init__(self, agent):
        self.agent_cpu = agent.agent_cpu
        self.config = {"cniVersion": "1.0.0", "name": "net", "type": "bridge",
                       "ipam": {"type": "fairlead", "pool": "net", "socket": agent.api}}

    def call(self, command, name):
        return run_plugin(f"{lab.BIN}/fairlead-cni", self.config, command, name)


class Socket:
    every = 1

    def __init__(self, agent):
        self.agent_cpu = agent.agent_cpu
        self.api = agent.api

    def call(self, command, name):
        text = request_of(command, name)
        start = time.perf_counter()
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.api)
        connection.sendall(text)
        answer = receive(connection)
        wall = time.perf_counter() - start
        connection.close()
        check(answer)
        return wall, 0


def run_plugin(program, config, command, name):
    return page.run_cni(program, config, command, name, CNI_NETNS="/run/netns/none", CNI_PATH="/usr/lib/cni")


def request_of(command, name):
    body = json.dumps({"command": command, "container_id": f"c-{name}", "netns": "/run/netns/none", "ifname": "eth0", "path": "",
                       "args": f"K8S_POD_NAME={name}",
                       "config": {"cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": {"type": "fairlead", "pool": "net"}}})
    return (f"POST /v1/shim/cni HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def complete(answer):
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return len(body) >= length


def receive(connection):
    answer = b""
    while not complete(answer):
        piece = connection.recv(65536)
        if not piece:
            raise RuntimeError(f"the agent closed: {answer}")
        answer += piece
    return answer


def check(answer):
    if b" 200 " not in answer[:20] or b'"error"' in answer:
        raise RuntimeError(answer.decode())


def measure(contenders, rounds):
    """Each contender once a round, in turning order. Medians in ms: acquire, release, both, CPU of both."""
    samples = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(rounds + 2):
        for name in names[number % len(names):] + names[:number % len(names)]:
            contender = contenders[name]
            if number % contender.every:
                continue
            before = contender.agent_cpu()
            key = f"round{number}-{names.index(name)}"
            acquire, first = contender.call("ADD", key)
            release, second = contender.call("DEL", key)
            if number >= 2 or contender.every > 1:
                samples[name].append((acquire, release, acquire + release, first + second + contender.agent_cpu() - before))
    return {name: [statistics.median(figures) * 1e3 for figures in zip(*mine)] for name, mine in samples.items()}


def sync_rate(folder, seconds):
    """Appends of 64 bytes with fdatasync a second: what a disk gives to one who waits for each."""
    with tempfile.NamedTemporaryFile(dir=folder, buffering=0) as file:
        count, start = 0, time.perf_counter()
        while time.perf_counter() < start + seconds:
            file.write(b"x" * 64)
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.perf_counter() - start)


def acquire_rates(folder, seconds):
    """Acquisitions a second with 64 clients in the process (ipam_bench): empty, and with 65,000 leases."""
    said = subprocess.run([f"{lab.BIN}/ipam_bench", "--benchmark_filter=BM_AcquireDurable", f"--benchmark_min_time={seconds}",
                           "--benchmark_format=json"], env={**os.environ, "TMPDIR": folder}, capture_output=True, check=True).stdout
    return [run["items_per_second"] for run in json.loads(said)["benchmarks"]]


def socket_rate(agent, each):
    """Durable changes a second by the agent's socket: 64 connections, each acquires and releases by turns. Of a few names
    each: the pool with 65,000 leases has room for 533 more."""
    selector = selectors.DefaultSelector()
    for client in range(CLIENTS):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(agent.api)
        requests = [request_of(command, f"burst-{client}-{i % 5}") for i in range(each) for command in ("DEL", "ADD")]
        connection.sendall(requests.pop())
        selector.register(connection, selectors.EVENT_READ, requests)
    start, done = time.perf_counter(), 0
    while selector.get_map():
        for key, _ in selector.select():
            check(receive(key.fileobj))
            done += 1
            if key.data:
                key.fileobj.sendall(key.data.pop())
            else:
                selector.unregister(key.fileobj)
                key.fileobj.close()
    return done / (time.perf_counter() - start)


def rates(agents, seconds, rounds, each):
    """Medians by disk ("disk", "memory") and what; interleaved."""
    samples = {}
    for number in range(rounds):
        for disk, folder in (("disk", os.environ["FAIRLEAD_LAB_DIR"]), ("memory", "/dev/shm")):
            mine = samples.setdefault(disk, {})
            mine.setdefault("sync", []).append(sync_rate(folder, seconds))
            for what, rate in zip(("empty", "full"), acquire_rates(folder, seconds)):
                mine.setdefault(what, []).append(rate)
        for what, agent in agents.items():
            samples["disk"].setdefault(f"socket {what}", []).append(socket_rate(agent, each))
    return {disk: {what: statistics.median(figures) for what, figures in mine.items()} for disk, mine in samples.items()}


def verdict(missed, what, figure, must, met, text):
    if not met:
        missed.append(f"{what}: {figure}, must be {must}")
    return f"{text} {'met' if met else '**missed**'}"


def cost_table(medians, leases, missed):
    lines = [f"| | acquire, ms | release, ms | both: p50, ms | both: CPU, ms | p50: of host-local (must {MUST_RATIO}) "
             f"| beside empty: p50, CPU (must {MUST_GROWTH:.2f}) |", "|---|---|---|---|---|---|---|"]
    for name, m in medians.items():
        who, state = name.split(": ")
        ours, judged = who != "host-local", who == SOCKET
        ratio = growth = ""
        if ours and state == "empty":
            r = m[2] / medians["host-local: empty"][2]
            ratio = verdict(missed, name, f"{r:.2f}", MUST_RATIO, r <= MUST_RATIO, f"{r:.2f}") if judged else f"{r:.2f}"
        elif ours:
            ratio = f"{m[2] / medians['host-local: full'][2]:.4f}"
        if state == "full":
            base = medians[f"{who}: empty"]
            wall, cpu = m[2] / base[2], m[3] / base[3]
            growth = f"{wall:.2f}, {cpu:.2f}"
            if judged:
                growth = verdict(missed, name, growth, MUST_GROWTH, max(wall, cpu) <= MUST_GROWTH, growth)
        title = f"{who}, {'empty' if state == 'empty' else f'{leases:,} leases'}"
        lines.append(f"| {title} | {m[0]:.2f} | {m[1]:.2f} | {m[2]:.2f} | {m[3]:.2f} | {ratio} | {growth} |")
    return lines


def rate_table(figures, leases, missed):
    lines = [f"| {CLIENTS} clients, a second | disk | in memory (tmpfs) |", "|---|---|---|"]
    rows = {"empty": "acquisitions in the process (`ipam_bench`), empty", "full": f"the same with {leases:,} leases",
            "socket empty": "acquisitions and releases by the agent's socket, empty", "socket full": f"the same with {leases:,} leases",
            "sync": "fdatasync of 64 bytes, one after the other"}
    for what, title in rows.items():
        cells = []
        for disk in ("disk", "memory"):
            rate = figures[disk].get(what)
            text = f"{rate:,.0f}" if rate else ""
            if what in ("empty", "full"):
                text = verdict(missed, f"{title} ({disk})", text, f"{MUST_RATE:,}", rate >= MUST_RATE, text)
            cells.append(text)
        must = f" (must {MUST_RATE:,})" if what in ("empty", "full") else ""
        lines.append(f"| {title}{must} | {cells[0]} | {cells[1]} |")
    return lines


def run(options):
    leases = 500 if options.smoke else FULL
    agents = {}
    try:
        agents = {"empty": Agent(7853, 0)}
        agents["full"] = Agent(7863, leases)
        folder = os.environ["FAIRLEAD_LAB_DIR"]
        contenders = {"host-local: empty": HostLocal(f"{folder}/host-local-empty", 0),
                      "host-local: full": HostLocal(f"{folder}/host-local-full", leases)}
        for state, agent in agents.items():
            contenders[f"fairlead-cni: {state}"] = Exec(agent)
        for state, agent in agents.items():
            contenders[f"{SOCKET}: {state}"] = Socket(agent)
        medians = measure(contenders, options.rounds)
        figures = rates(agents, 0.01 if options.smoke else 0.5, 1 if options.smoke else 3, 2 if options.smoke else 20)
    finally:
        for agent in agents.values():
            agent.host.close()
    missed = []
    text = "\n".join([f"{options.rounds} rounds, interleaved (host-local with {leases:,} leases every {SLOW_EVERY}th); Linux {os.uname().release}, "
                      f"load average {os.getloadavg()[0]:.0f} on {os.cpu_count()} CPUs at the end.", "",
                      *cost_table(medians, leases, missed), "", *rate_table(figures, leases, missed)])
    return "ipam table", text, missed


if __name__ == "__main__":
    page.main(__doc__, 60, run, lab.main)
