#!/usr/bin/env python3
"""What a DNS answer costs: `fairlead dns` beside Debian's Knot, NSD, unbound and dnsmasq with the same zones, interleaved in one run.

    dns.py [--rounds N] [--secs S] [--services N] [--only knot,nsd] [--save]    tables; --save puts them into bench/README.md
    dns.py --smoke                                                              a small fleet, short windows, no verdict

The name server is the program itself, from the state that an agent of a large fleet has left it (dns_fleet_state); the others
load what AXFR gives of it, so that all have the same records. Each server has CPU 1 and one worker, the client CPU 0; Knot
pins its threads itself and is pinned anew. NSD's response-rate limit is off. CPU is that of all the server's threads in exactly
the counted window, per answered query; of several rounds the least counts. `own` is bench/dns/src/dnsload.c, 256 outstanding
in batches; `dnsperf` is Debian's, 100 outstanding, its window begins and ends with it. dnsmasq has no SRV records (it searches
them one by one for every query) and is not asked over TCP (it forks for each connection).
"""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path += [f"{ROOT}/tests/engines", f"{ROOT}/tests/peers", f"{ROOT}/bench"]
import page  # noqa: E402
from balancer import free_port  # noqa: E402
from lab import BIN, FAIRLEAD, Program, wait_for  # noqa: E402

SERVER_CPU, CLIENT_CPU = "1", "0"
ZONES = ("fl.internal", "ns.example.com")
# Workload: contender of the must, most of it (of the better of Knot and NSD: "both").
MUSTS = {"A": ("both", 0.85), "A, EDNS": (None, 0), "wildcard": ("both", 0.95), "NXDOMAIN": ("both", 0.95),
         "SRV and addresses": ("nsd", 0.65), "TCP, A": ("knot", 1.0),
         "TCP, A, one at a time": ("knot", 1.0)}
MUST_THROUGHPUT = 1.2


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=600).stdout


class Bench:
    def __init__(self, options):
        self.options = options
        self.dir = tempfile.mkdtemp(prefix="fairlead-dns-")
        os.chmod(self.dir, 0o755)
        self.servers = {}
        self.ports = {}
        run("make", "-C", HERE)

    def close(self):
        for server in self.servers.values():
            server.end(signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self, name, argv, ready):
        """Pinned, with one worker; `ready` is a query that it answers when it has loaded."""
        server = Program(self.dir, name, ["taskset", "-c", SERVER_CPU, *argv]).start()
        self.servers[name] = server
        wait_for(server.tail, lambda: self.answers(name, ready), 300)
        run("taskset", "-a", "-c", "-p", SERVER_CPU, str(server.pid))  # Knot goes where it likes

    def answers(self, name, ready):
        if not self.servers[name].running():
            raise AssertionError(self.servers[name].tail())
        asked = subprocess.run(["dig", "+short", "+tries=1", "+time=1", "@127.0.0.1", "-p", str(self.ports[name]), ready, "A"],
                               capture_output=True, text=True)
        return asked.returncode == 0 and "10." in asked.stdout

    def fairlead(self):
        port = self.ports["fairlead"] = free_port()
        os.makedirs(f"{self.dir}/state/dns")
        run(f"{BIN}/dns_fleet_state", f"{self.dir}/state/dns/catalog.state", str(self.options.services), str(self.options.services // 10))
        with open(f"{self.dir}/fairlead.yaml", "w") as file:
            file.write(f"""
state_dir: {self.dir}/state
node: {{name: host1}}
lb: {{agents: ["unix:{self.dir}/none.sock"]}}
dns: {{listen: ["127.0.0.1:{port}"], http: "127.0.0.1:0", transfer: {{allow: [127.0.0.1]}}}}
""")
        self.start("fairlead", [FAIRLEAD, "dns", "-c", f"{self.dir}/fairlead.yaml"], "web1.demo.svc.fl.internal")
        self.records = 0
        for zone in ZONES:
            text = run("dig", "+noall", "+answer", "+onesoa", "@127.0.0.1", "-p", str(port), zone, "AXFR")
            self.records += text.count("\n")
            with open(f"{self.dir}/{zone}", "w") as file:
                file.write(text)

    def knot(self):
        port = self.ports["knot"] = free_port()
        os.makedirs(f"{self.dir}/knot")
        with open(f"{self.dir}/knot.conf", "w") as file:
            file.write(f"""
server:
    listen: 127.0.0.1@{port}
    rundir: {self.dir}/knot
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {self.dir}/knot
template:
  - id: default
    storage: {self.dir}
    zonefile-sync: -1
    journal-content: none
zone:
""" + "".join(f"  - domain: {zone}\n    file: {zone}\n" for zone in ZONES))
        self.start("knot", ["knotd", "-c", f"{self.dir}/knot.conf"], "web1.demo.svc.fl.internal")

    def nsd(self):
        port = self.ports["nsd"] = free_port()
        with open(f"{self.dir}/nsd.conf", "w") as file:
            file.write(f"""
server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: ""
  zonesdir: {self.dir}
  database: ""
  pidfile: ""
  xfrdfile: {self.dir}/xfrd.state
  zonelistfile: {self.dir}/zone.list
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
""" + "".join(f"zone:\n  name: {zone}\n  zonefile: {zone}\n" for zone in ZONES))
        self.start("nsd", ["nsd", "-d", "-c", f"{self.dir}/nsd.conf"], "web1.demo.svc.fl.internal")

    def unbound(self):
        port = self.ports["unbound"] = free_port()
        with open(f"{self.dir}/unbound.conf", "w") as file:
            file.write(f"""
server:
  interface: 127.0.0.1
  port: {port}
  num-threads: 1
  do-daemonize: no
  username: ""
  chroot: ""
  directory: {self.dir}
  pidfile: ""
  use-syslog: no
  module-config: iterator
  local-zone: fl.internal. static
  local-zone: ns.example.com. redirect
  local-data: "ns.example.com. 5 IN A 10.255.0.1"
remote-control:
  control-enable: no
server:
""")
            with open(f"{self.dir}/{ZONES[0]}") as zone:
                for line in zone:
                    owner, ttl, _, kind, data = line.split(None, 4)
                    file.write(f"  local-data: '{owner} {ttl} IN {kind} {data.strip()}'\n")
        self.start("unbound", ["unbound", "-d", "-c", f"{self.dir}/unbound.conf"], "web1.demo.svc.fl.internal")

    def dnsmasq(self):
        port = self.ports["dnsmasq"] = free_port()
        with open(f"{self.dir}/hosts", "w") as hosts, open(f"{self.dir}/{ZONES[0]}") as zone:
            for line in zone:
                owner, _, _, kind, data = line.split(None, 4)
                if kind == "A" and owner.startswith("web"):
                    hosts.write(f"{data.strip()} {owner.rstrip('.')}\n")
        with open(f"{self.dir}/dnsmasq.conf", "w") as file:
            file.write("no-resolv\nno-hosts\nbind-interfaces\nlisten-address=127.0.0.1\nuser=root\nlocal=/fl.internal/\n"
                       f"port={port}\naddn-hosts={self.dir}/hosts\naddress=/ns.example.com/10.255.0.1\nlog-facility=-\n")
        self.start("dnsmasq", ["dnsmasq", "-k", "-C", f"{self.dir}/dnsmasq.conf"], "web1.demo.svc.fl.internal")

    def queries(self):
        chance, services = random.Random(1), self.options.services
        forms = {"A": ("web{}.demo.svc.fl.internal A", services), "A, EDNS": ("web{}.demo.svc.fl.internal +A", services),
                 "wildcard": ("app.b{}.shop.ns.example.com A", services // 10), "NXDOMAIN": ("nobody{}.demo.svc.fl.internal A", services),
                 "SRV and addresses": ("_http._tcp.web{}.demo.svc.fl.internal +SRV", services), "TCP, A": ("web{}.demo.svc.fl.internal A", services),
                 "TCP, A, one at a time": ("web{}.demo.svc.fl.internal A", services)}
        for workload, (form, count) in forms.items():
            lines = [form.format(chance.randrange(count)) for _ in range(50_000)]
            with open(self.file(workload), "w") as file:
                file.write("\n".join(lines) + "\n")
            with open(self.file(workload) + ".dnsperf", "w") as file:
                file.write("\n".join(lines).replace("+", "") + "\n")

    def file(self, workload):
        return f"{self.dir}/{re.sub('[^A-Za-z]', '', workload)}.queries"

    def watched(self, name):
        """With its children: NSD answers in one of them."""
        pid = str(self.servers[name].pid)
        return ",".join([pid, *descendants(pid)])

    def own(self, name, workload):
        mode = ["tcp", "--conns", "20", "--outstanding", "1" if workload.endswith("time") else "16"] if workload.startswith("TCP") else ["udp", "--outstanding", "256"]
        got = json.loads(run("taskset", "-c", CLIENT_CPU, f"{HERE}/dnsload", *mode, "--to", f"127.0.0.1:{self.ports[name]}", "--queries",
                             self.file(workload), "--secs", str(self.options.secs), "--watch", self.watched(name)))
        wrong = got["nxdomain"] if workload != "NXDOMAIN" else got["noerror"]
        if wrong or got["answered"] == 0 or got["truncated"]:
            raise AssertionError(f"{name}, {workload}: {got}")
        return got

    def dnsperf(self, name, workload):
        before = cpu_ns(self.watched(name))
        text = run("taskset", "-c", CLIENT_CPU, "dnsperf", "-s", "127.0.0.1", "-p", str(self.ports[name]), "-d",
                   self.file(workload) + ".dnsperf", "-l", str(self.options.secs), *(["-e"] if "SRV" in workload or "EDNS" in workload else []),
                   *(["-m", "tcp", "-c", "20"] if workload.startswith("TCP") else []),
                   *(["-q", "20"] if workload.endswith("time") else []))
        done = int(re.search(r"Queries completed:\s+(\d+)", text)[1])
        return {"us": (cpu_ns(self.watched(name)) - before) / 1000 / done,
                "qps": float(re.search(r"Queries per second:\s+([\d.]+)", text)[1]),
                "lost": int(re.search(r"Queries lost:\s+(\d+)", text)[1])}


def descendants(pid):
    found = []
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        for child in children.read().split():
            found += [child, *descendants(child)]
    return found


def cpu_ns(pids):
    total = 0
    for pid in pids.split(","):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as stat:
                total += int(stat.read().split()[0])
    return total


def skips(name, workload):
    return name == "dnsmasq" and (workload.startswith("TCP") or "SRV" in workload)


def measure(bench):
    """Generator, contender, workload: the run with the least CPU; the most queries a second of all its runs."""
    best = {}
    for number in range(bench.options.rounds):
        for generator in ("own", "dnsperf"):
            for workload in MUSTS:
                for name in bench.servers:
                    if skips(name, workload):
                        continue
                    got = getattr(bench, generator)(name, workload)
                    key = (generator, name, workload)
                    kept = best.setdefault(key, got)
                    most = max(kept["qps"], got["qps"])
                    best[key] = {**(got if got["us"] < kept["us"] else kept), "qps": most}
        print(f"round {number + 1} of {bench.options.rounds}", file=sys.stderr)
    return best


def verdict(best, generator, workload):
    peer, most = MUSTS[workload]
    if peer is None:
        return ""
    us = lambda name: best[generator, name, workload]["us"]
    base = min(us("knot"), us("nsd")) if peer == "both" else us(peer)
    ratio = us("fairlead") / base
    return f"{ratio:.2f} of {'the better of Knot and NSD' if peer == 'both' else peer.upper() if peer == 'nsd' else 'Knot'} " \
           f"(must {most}): {'met' if ratio <= most else '**missed**'}"


def tables(bench, best):
    kernel = run("uname", "-r").strip()
    lines = [f"{bench.records:,} records; {bench.options.rounds} rounds of {bench.options.secs} s, interleaved; Linux {kernel}; "
             f"load average before: {bench.load}. CPU µs per answered query (thousands a second)."]
    for generator in ("own", "dnsperf"):
        lines += ["", f"| {generator} | " + " | ".join(bench.servers) + " | fairlead beside |", "|---|" + "---|" * (len(bench.servers) + 1)]
        for workload in MUSTS:
            cells = []
            for name in bench.servers:
                got = best.get((generator, name, workload))
                cells.append(f"{got['us']:.2f} ({got['qps'] / 1000:.0f})" if got else "–")
            lines.append(f"| {workload} | " + " | ".join(cells) + f" | {verdict(best, generator, workload)} |")
    ratio = best["own", "fairlead", "A"]["qps"] / best["own", "knot", "A"]["qps"]
    lines += ["", f"Throughput with the own generator, A: {ratio:.2f} of Knot's (must {MUST_THROUGHPUT}): "
              f"{'met' if ratio >= MUST_THROUGHPUT else '**missed**'}."]
    return "\n".join(lines)


def compare(options):
    bench = Bench(options)
    bench.load = open("/proc/loadavg").read().split()[0]
    try:
        for name in ("fairlead", "knot", "nsd", "unbound", "dnsmasq"):
            if name == "fairlead" or not options.only or name in options.only.split(","):
                getattr(bench, name)()
        bench.queries()
        text = tables(bench, measure(bench))
    finally:
        bench.close()
    return "dns table", text, []


if __name__ == "__main__":
    page.main(__doc__, 4, compare, secs=1.5, services=10_000, only="", smoke={"secs": 0.2, "services": 200})
