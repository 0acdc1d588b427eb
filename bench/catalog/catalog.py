#!/usr/bin/env python3
"""What the catalog costs: `fairlead agent` and `fairlead lb` behind a scripted dockerd (engine.py), in the namespaces of
tests/engines/lab.py.

    catalog.py [--rounds N] [--save]    tables; --save puts them into bench/README.md
    catalog.py --smoke                  a hundredth of everything, no verdict
    catalog.py --only host|fleet|branches

Containers have compose's labels, EXPOSE a port and say nothing else, so the agent looks once whether it answers before it
publishes them: a start is an event, an inspection, a connection to the container and two rows. CPU is that of the whole
process (clock_getcpuclockid(3)) minus what it has at rest; memory is Rss of smaps_rollup.

`event to request` is taken from outside: from the engine's write of a container's start until the balancer has answered
a request to its service, which is asked again and again (0.1 ms each, which is in it).
"""
import json
import os
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path += [f"{ROOT}/tests/engines", f"{ROOT}/bench", HERE]
import engine as scripted  # noqa: E402
import lab  # noqa: E402
import page  # noqa: E402

LBLOAD = f"{ROOT}/bench/lb/lbload"
BENCH_HOST, SERVE_PORT = "bench.ns.example.com", 7001
BRANCH_ZONE = "br.example.com"
MUST = {"p50": 1.0, "p99": 5.0, "cpu": 0.15, "host": 60, "fleet": 150, "change": 100, "moved": 1.05, "burst": 100}


def cpu_of(pid):
    """Seconds of CPU that a process has had, threads that ended included (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def memory_of(pid):
    """MiB: now, and at most so far."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        now = next(int(line.split()[1]) for line in file if line.startswith("Rss:"))
    with open(f"/proc/{pid}/status") as file:
        most = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
    return now / 1024, most / 1024


def percentile(figures, share):
    return sorted(figures)[min(len(figures) - 1, int(share * len(figures)))]


class Host:
    """Agent and balancer behind an engine with these containers, all of them taken in."""

    def __init__(self, containers):
        self.lab = lab.Lab()
        self.engine = scripted.Engine(self.lab.docker_socket)
        self.numbers = self.engine.add(containers)
        self.lab.config(pools=[], networks=[], dns={"branch_zone": BRANCH_ZONE},
                        engines={"docker": {"socket": self.lab.docker_socket, "plugin_dir": f"{self.lab.dir}/plugins"}},
                        services={"bench": {"endpoints": [{"address": f"127.0.0.1:{SERVE_PORT}"}]}},
                        routes=[{"host": BENCH_HOST, "service": "bench"}])
        self.lab.start_program("agent")
        self.lab.start_program("lb")
        self.pids = {name: self.lab.programs[name].pid for name in ("agent", "lb")}
        for port in (7853, 7854):
            lab.wait_for(lambda: f"{self.lab.readyz(port)}\n{self.lab.tails()}", lambda: self.lab.readyz(port)[0] == 200, 600)
        self.wait_rows(len(containers))
        self.rest()
        self.wait_saved()

    def metric(self, port, name):
        text = lab.http_get(port, "/metrics", timeout=60)[1]
        at = text.find(f"\n{name} ")
        return float(text[at + len(name) + 2:text.index("\n", at + 1)]) if at >= 0 else 0

    def wait_rows(self, count):
        lab.wait_for(f"{count} rows at the balancer", lambda: self.metric(7854, "fairlead_discovery_endpoints") >= count, 600)

    def wait_saved(self):
        """Until the balancer has written what it learned at the start: from then on it writes what changes. A large state waits its turn."""
        changes = f"{self.lab.dir}/state/lb/catalog.state.changes"
        for turn in range(600):
            if not self.numbers or os.path.exists(changes) and os.path.getsize(changes):
                return self.rest()
            self.engine.at_once(self.numbers[:1], turn % 2 == 1)
            time.sleep(0.5)
        raise AssertionError("the balancer does not write its changes")

    def cpu(self):
        return {name: cpu_of(pid) for name, pid in self.pids.items()}

    def rest(self, seconds=0.5):
        """Waits until both programs have (nearly) nothing to do."""
        quiet = 0
        deadline = time.monotonic() + 100
        while quiet < 3:
            before = sum(self.cpu().values())
            time.sleep(seconds)
            quiet = quiet + 1 if sum(self.cpu().values()) - before < 0.01 * seconds else 0
            if time.monotonic() > deadline:
                raise AssertionError("they do not come to rest")

    def spent(self, work):
        """CPU seconds by program that work() has cost, until they are at rest again; and its wall time."""
        at_rest = self.cpu()
        time.sleep(1)
        before = self.cpu()
        idle = {name: before[name] - at_rest[name] for name in before}  # in a second
        began = time.monotonic()
        work()
        wall = time.monotonic() - began
        self.rest()
        after = self.cpu()
        lasted = time.monotonic() - began
        return {name: after[name] - before[name] - idle[name] * lasted for name in after}, wall

    def close(self):
        self.lab.close()
        self.engine.close()


class Asker:
    """One connection to the balancer that asks for a host again and again."""

    def __init__(self):
        self.connection = socket.create_connection(("127.0.0.1", lab.LB_PORT))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def status(self, host):
        self.connection.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host)
        said = b""
        while True:
            said += self.connection.recv(65536)
            head, end, body = said.partition(b"\r\n\r\n")
            if end and len(body) >= int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
                return said[9:12]

    def until(self, host, status, patience=30):
        deadline = time.monotonic() + patience
        while True:
            said = self.status(host)
            if said == status:
                return time.monotonic()
            if time.monotonic() > deadline:
                raise AssertionError(f"{host}: {said}, not {status}")


def zone_host(service, project):
    return f"{service}.{project}.lb.fl.internal".encode()


def event_to_request(host, numbers, names):
    """Milliseconds from each container's start until a request to its service is answered."""
    asker, figures = Asker(), []
    for number, name in zip(numbers, names):
        asker.until(name, b"503")
        figures.append(1e3 * (-host.engine.at_once([number], True) + asker.until(name, b"200")))
    return figures


def turn_all(host, numbers, running, rate):
    def work():
        host.engine.by_and_by(numbers, running, rate)
        host.engine.done()
    return host.spent(work)


def changes(host, numbers, rate, rounds):
    """Medians of CPU seconds a change: stops of all of them, then starts."""
    agent, lb, pace = [], [], []
    for _ in range(rounds):
        for running in (False, True):
            cpu, wall = turn_all(host, numbers, running, rate)
            agent.append(cpu["agent"] / len(numbers))
            lb.append(cpu["lb"] / len(numbers))
            pace.append(len(numbers) / wall)
    stop = statistics.median(agent[0::2]), statistics.median(lb[0::2])
    start = statistics.median(agent[1::2]), statistics.median(lb[1::2])
    return {"stop": stop, "start": start, "pace": statistics.median(pace)}


def ready_gauge(host, services):
    text = lab.http_get(7854, "/metrics")[1]
    total = 0
    for line in text.splitlines():
        if line.startswith("fairlead_lb_endpoint_state{") and 'state="ready"' in line and any(f'service="{s}"' in line for s in services):
            total += float(line.rsplit(" ", 1)[1])
    return total


def burst(host, numbers, services):
    """Milliseconds from the event of 1,000 starts in one write until the balancer has every one of them."""
    began = host.engine.at_once(numbers, True)
    while ready_gauge(host, services) < len(numbers):
        if time.monotonic() > began + 60:
            raise AssertionError(f"{ready_gauge(host, services)} of {len(numbers)} are ready")
        time.sleep(0.005)  # a scrape takes its time from what is measured
    return 1e3 * (time.monotonic() - began)


def many(count, services, project, running=True, **labels):
    return [(f"s{i % services}", project, labels, running) for i in range(count)]


def measure_host(options, out):
    """One host: 2,000 containers in 200 services, and what one and many changes take."""
    scale = 100 if options.smoke else 1
    running, probes, bursts = 2000 // scale, 200 // scale, 1000 // scale
    empty = Host([])
    out["empty"] = memory_of(empty.pids["agent"])
    out["empty lb"] = memory_of(empty.pids["lb"])
    empty.close()
    containers = many(running, max(1, running // 10), "shop")
    probed = [(f"p{i}", "probe", {}, False) for i in range(probes)]
    host = Host(containers)
    try:
        out["host"], out["host lb"] = memory_of(host.pids["agent"]), memory_of(host.pids["lb"])
        numbers = host.numbers[:1000 // scale]
        out["changes"] = changes(host, numbers, 1000, options.rounds)
    finally:
        host.close()
    services = [f"s{i}.burst" for i in range(20)]
    host = Host(containers + probed + many(bursts, 20, "burst", running=False))
    try:
        probe_numbers = host.numbers[running:running + probes]
        burst_numbers = host.numbers[running + probes:]
        figures = []
        for _ in range(options.rounds):
            figures += event_to_request(host, probe_numbers, [zone_host(f"p{i}", "probe") for i in range(probes)])
            host.engine.at_once(probe_numbers, False)
            host.rest()
        out["event"] = figures
        out["burst"] = []
        for _ in range(options.rounds):
            out["burst"].append(burst(host, burst_numbers, services))
            host.rest()
            host.engine.at_once(burst_numbers, False)
            host.rest()
    finally:
        host.close()


def p99_of_windows(windows, busy):
    """p99, in µs, of quiet and of busy windows of a second each that take turns within one load; in a busy one runs busy()."""
    load = subprocess.Popen([LBLOAD, "http", "--to", f"127.0.0.1:{lab.LB_PORT}", "--conns", "16", "--rate", "5000", "--warm", "2",
                             "--window", "1", "--secs", str(2 * windows + 1.5)], stdout=subprocess.PIPE, text=True)
    figures = []
    for line in load.stdout:  # its window has ended, the next one has begun
        figures.append(float(line))
        if len(figures) % 2 == 1 and len(figures) < 2 * windows:
            busy()
    load.wait()
    figures = figures[:2 * windows]
    if len(figures) < 2 * windows:
        raise AssertionError(f"the load ended after {len(figures)} windows")
    return figures[0::2], figures[1::2]


def moved_and_noise(quiet, busy):
    """What the changes make of the p99, and what the machine alone makes of it: quiet windows beside those in between."""
    median = statistics.median
    halves = median(quiet[0::2]), median(quiet[1::2])
    return median(busy) / median(quiet), max(halves) / min(halves)


def measure_fleet(options, out):
    """100,000 endpoints in 10,000 services."""
    scale = 100 if options.smoke else 1
    count = 100_000 // scale
    host = Host([(f"s{i % (count // 10)}", f"p{i % (count // 10) // 10}", {}, True) for i in range(count)])
    responder = subprocess.Popen([LBLOAD, "serve", "--port", str(SERVE_PORT)])
    try:
        out["fleet"], out["fleet lb"] = memory_of(host.pids["agent"]), memory_of(host.pids["lb"])
        some = host.numbers[::max(1, count // 500)]
        out["one"] = changes(host, some, 100, options.rounds)
        turns = [True]  # of them, the next way: up, down, up…

        def change():
            turns.append(not turns[-1])
            host.engine.by_and_by(some[:90], turns[-1], 100)  # done before the window ends
            host.engine.done()
        out["quiet"], out["busy"] = p99_of_windows(4 if options.smoke else 10 * options.rounds, change)
    finally:
        responder.kill()
        responder.wait()
        host.close()


def branch(number, running=True):
    return ("web", "shop", {"fairlead.project": "shop", "fairlead.branch": f"feature/{number}", "fairlead.service": "web"}, running)


def measure_branches(options, out):
    """5,000 branches of a project with one container each, and the next ones; beside 50."""
    scale = 100 if options.smoke else 1
    for count in (50, 5000 // scale):
        host = Host([branch(i) for i in range(count)] + [branch(i, False) for i in range(count, count + 100)])
        try:
            figures = {"agent": memory_of(host.pids["agent"])[0], "lb": memory_of(host.pids["lb"])[0]}
            figures["one"] = changes(host, host.numbers[count:], 100, options.rounds)
            host.engine.at_once(host.numbers[count:], True)
            Asker().until(f"feature-{count + 99}.shop.{BRANCH_ZONE}".encode(), b"200")
            out[f"branches {count}"] = figures
        finally:
            host.close()


def verdict(missed, what, figure, must, unit="", form="{:.2f}"):
    text = form.format(figure)
    if figure > must:
        missed.append(f"{what}: {text}{unit}, must be at most {must:g}{unit}")
    return f"{text}{unit} | {must:g}{unit} | {'met' if figure <= must else '**missed**'} |"


def micros(pair):
    return f"agent {pair[0] * 1e6:.0f}, balancer {pair[1] * 1e6:.0f} µs"


def host_lines(out, missed):
    change = out["changes"]
    mean = sum(change["stop"] + change["start"]) / 2
    agent = (change["stop"][0] + change["start"][0]) / 2
    return [
        "| agent with 2,000 containers, memory | " + verdict(missed, "2,000 containers", out["host"][0], MUST["host"], " MiB", "{:.0f}") +
        f" {out['empty'][0]:.0f} MiB without any; at most {out['host'][1]:.0f}; balancer {out['host lb'][0]:.0f}, {out['empty lb'][0]:.0f} without any |",
        "| event to request: p50 | " + verdict(missed, "event to request, p50", percentile(out["event"], 0.5), MUST["p50"], " ms") +
        f" {len(out['event'])} starts |",
        "| event to request: p99 | " + verdict(missed, "event to request, p99", percentile(out["event"], 0.99), MUST["p99"], " ms") +
        f" at most {max(out['event']):.2f} ms |",
        f"| {1000:,} changes a second: CPUs | " + verdict(missed, "1,000 changes/s", mean * 1000, MUST["cpu"]) +
        f" agent {agent * 1000:.2f}; a stop: {micros(change['stop'])}; a start: {micros(change['start'])}; {change['pace']:.0f} a second |",
        "| 1,000 starts in one write | " + verdict(missed, "burst", statistics.median(out["burst"]), MUST["burst"], " ms", "{:.0f}") +
        f" {min(out['burst']):.0f} to {max(out['burst']):.0f} ms |"]


def fleet_lines(out, missed):
    one = out["one"]
    lb = max(one["stop"][1], one["start"][1]) * 1e6
    ratio, noise = moved_and_noise(out["quiet"], out["busy"])
    told = noise < MUST["moved"]
    moved = verdict(missed if told else [], "p99 moved", ratio, MUST["moved"], "", "{:.2f} of quiet")
    if not told:  # the machine moves it more than the changes may
        moved = moved.replace(" met |", " **not told** |").replace(" **missed** |", " **not told** |")
    return [
        "| agent with 100,000 endpoints of 10,000 services, memory | " +
        verdict(missed, "100,000 endpoints", out["fleet"][0], MUST["fleet"], " MiB", "{:.0f}") +
        f" at most {out['fleet'][1]:.0f} MiB; balancer {out['fleet lb'][0]:.0f} |",
        "| one change among them: CPU of the balancer | " + verdict(missed, "one change", lb, MUST["change"], " µs", "{:.0f}") +
        f" a stop {one['stop'][1] * 1e6:.0f}, a start {one['start'][1] * 1e6:.0f} µs |",
        "| p99 of 5,000 requests/s beside 100 changes/s | " + moved +
        f" {statistics.median(out['busy']):.0f} µs beside {statistics.median(out['quiet']):.0f} in {len(out['quiet'])} windows each, in turn; "
        f"quiet windows among themselves {noise:.2f} |"]


def branch_lines(out):
    lines = ["", "| branches with one container each | agent, MiB | balancer, MiB | start of one more | stop |", "|---|---|---|---|---|"]
    for name, figures in out.items():
        if name.startswith("branches"):
            lines.append(f"| {int(name.split()[1]):,} | {figures['agent']:.0f} | {figures['lb']:.0f} | {micros(figures['one']['start'])} "
                         f"| {micros(figures['one']['stop'])} |")
    return lines if len(lines) > 3 else []


def run(options):
    out, missed = {}, []
    if not os.path.exists(LBLOAD):
        subprocess.run(["make", "-s", "-C", f"{ROOT}/bench/lb"], check=True)
    backends = scripted.Backends()
    try:
        for name, measure in (("host", measure_host), ("fleet", measure_fleet), ("branches", measure_branches)):
            if options.only in ("", name):
                measure(options, out)
    finally:
        backends.close()
    lines = [f"{options.rounds} rounds; Linux {os.uname().release}, load average {os.getloadavg()[0]:.0f} on {os.cpu_count()} CPUs at the end.", "",
             "| | measured | must be at most | | |", "|---|---|---|---|---|"]
    lines += host_lines(out, missed) if "host" in out else []
    lines += fleet_lines(out, missed) if "fleet" in out else []
    lines += branch_lines(out)
    return "catalog table", "\n".join(lines), missed


if __name__ == "__main__":
    page.main(__doc__, 5, run, lab.main, only="")
