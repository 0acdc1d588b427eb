#!/usr/bin/env python3
"""What a change costs `fairlead dns`, and when it is seen: an agent of a large fleet (dns_changes) takes one endpoint after
the other out of its service and puts it back.

    changes.py [--rounds N] [--changes N] [--save]    the table; --save puts it into bench/README.md
    changes.py --smoke                                a small fleet, few changes, no verdict

The name server has CPU 1; agent, client and generator share CPU 0. *visible* is from before the change is put into the
agent's catalog until the name server has answered with it; a name is asked again and again, so the way of the last
question is in it (the line *a question alone*). Load is 10,000 questions a second of dnsload's open loop: its losses and p99
are told. CPU is that of all threads of the name server per change, kernel included; beside the load it is what the server
has more than without the changes. A change that finds the server asleep pays for waking it: so does a question, at the same pace.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path += [f"{ROOT}/tests/engines", f"{ROOT}/tests/peers", f"{ROOT}/bench"]
import page  # noqa: E402
from balancer import free_port  # noqa: E402
from lab import BIN, FAIRLEAD, Program, http_get, wait_for  # noqa: E402

SERVER_CPU, CLIENT_CPU = "1", "0"
MUST_P99_US, MUST_CPU_US = 1000, 20
LOAD = 10_000
RATES = (100, 1000, 10_000)


class Fleet:
    def __init__(self, services, dir):
        self.dir, self.port, http = dir, free_port(), free_port()
        subprocess.run(["make", "-C", HERE], check=True, capture_output=True)
        with open(f"{dir}/fairlead.yaml", "w") as file:
            file.write(f"""
state_dir: {dir}/state
node: {{name: host1}}
lb: {{agents: ["unix:{dir}/discovery.sock"]}}
dns: {{listen: ["127.0.0.1:{self.port}"], http: "127.0.0.1:{http}"}}
""")
        with open(f"{dir}/queries", "w") as file:
            file.writelines(f"web{i * 7919 % services}.demo.svc.fl.internal A\n" for i in range(20_000))
        self.server = Program(dir, "dns", ["taskset", "-c", SERVER_CPU, FAIRLEAD, "dns", "-c", f"{dir}/fairlead.yaml"]).start()
        self.agent = subprocess.Popen(["taskset", "-c", CLIENT_CPU, f"{BIN}/dns_changes", f"{dir}/discovery.sock", str(services),
                                       str(services // 10), f"127.0.0.1:{self.port}"],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(f"{dir}/agent.log", "w"), text=True)
        if not self.agent.stdout.readline():
            raise AssertionError(open(f"{dir}/agent.log").read() + self.server.tail())
        text = http_get(http, "/metrics")[1]
        self.records = int(next(line.split()[1] for line in text.splitlines() if line.startswith("fairlead_dns_records ")))

    def ask(self, command):
        """What dns_changes says, and the CPU that the name server had for each of the N of the command."""
        before = self.cpu_us()
        self.agent.stdin.write(command + "\n")
        self.agent.stdin.flush()
        got = json.loads(self.agent.stdout.readline())
        return {**got, "us": (self.cpu_us() - before) / int(command.split()[1])}

    def cpu_us(self):
        """Of all its threads, those that ended too (clock_getcpuclockid(3))."""
        return time.clock_gettime((~self.server.pid << 3) | 2) * 1e6

    def load(self, rate, secs):
        """Questions of dnsload's open loop, beside what else is done until its result is read."""
        return subprocess.Popen(["taskset", "-c", CLIENT_CPU, f"{HERE}/dnsload", "udp", "--to", f"127.0.0.1:{self.port}", "--queries",
                                 f"{self.dir}/queries", "--rate", str(rate), "--secs", str(secs), "--watch", str(self.server.pid)],
                                stdout=subprocess.PIPE, text=True)

    def under_load(self, command, secs):
        load = self.load(LOAD, secs)
        got = self.ask(command)
        if load.poll() is not None:
            raise AssertionError(f"the load ended before: {command}")
        return {**got, "load": json.loads(load.communicate()[0])}

    def close(self):
        self.agent.kill()
        self.agent.wait()
        self.server.end(signal.SIGKILL)


def measure(fleet, options):
    """The best of the rounds, line by line."""
    best, count = {}, options.changes

    def keep(line, figure, got):
        if line not in best or got[figure] < best[line][figure]:
            best[line] = got

    for number in range(options.rounds):
        keep("alone", "p99_us", fleet.ask(f"alone {count} 10"))
        keep("quiet", "p99_us", fleet.ask(f"visible {count} 10"))
        keep("loaded", "p99_us", fleet.under_load(f"visible {count} {max(1, int(options.secs))}", options.secs + 1))
        for rate in RATES:
            keep(("question", rate), "us", json.loads(fleet.load(rate, options.secs).communicate()[0]))
            keep(("change", rate), "us", fleet.ask(f"paced {min(count, int(options.secs * rate))} {rate}"))
        for what in ("rest", "paced"):
            keep((what, "loaded"), "us", fleet.under_load(f"{what} {int(options.secs * 1000)} 1000", options.secs + 1))
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    return best


def verdict(figure, must, unit):
    return f"must be below {must} {unit}: {'met' if figure < must else '**missed**'}"


def table(fleet, best, options, load_average):
    kernel = subprocess.run(["uname", "-r"], capture_output=True, text=True).stdout.strip()
    loaded = best["loaded"]
    beside = best["paced", "loaded"]["us"] - best["rest", "loaded"]["us"]
    lines = [f"{fleet.records:,} records; the best of {options.rounds} rounds; Linux {kernel}; load average before: {load_average}.", "",
             "| a change is visible after | p50, µs | p99, µs | |", "|---|---|---|---|"]
    for line, name in (("alone", "a question alone, without a change"), ("quiet", "a change, nobody else asks")):
        lines.append(f"| {name} | {best[line]['p50_us']:.0f} | {best[line]['p99_us']:.0f} | |")
    lines.append(f"| a change beside {LOAD:,} questions a second | {loaded['p50_us']:.0f} | {loaded['p99_us']:.0f} | "
                 f"{verdict(loaded['p99_us'], MUST_P99_US, 'µs')}; of {loaded['load']['answered']:,} other questions {loaded['load']['lost']} lost, "
                 f"p99 {loaded['load']['p99_us']:.0f} µs |")
    lines += ["", "| CPU, µs | of a change | of a question at that pace | |", "|---|---|---|---|"]
    for rate in RATES:
        lines.append(f"| {rate:,} a second, nothing else | {best['change', rate]['us']:.1f} | {best['question', rate]['us']:.1f} | |")
    lines.append(f"| 1,000 a second beside {LOAD:,} questions | {beside:.1f} | | {verdict(beside, MUST_CPU_US, 'µs')} |")
    return "\n".join(lines)


def run(options):
    dir = tempfile.mkdtemp(prefix="fairlead-changes-")
    os.chmod(dir, 0o755)
    fleet = Fleet(options.services, dir)
    load_average = open("/proc/loadavg").read().split()[0]
    try:
        text = table(fleet, measure(fleet, options), options, load_average)
    finally:
        fleet.close()
        shutil.rmtree(dir, ignore_errors=True)
    return "dns changes table", text, []


if __name__ == "__main__":
    page.main(__doc__, 3, run, changes=4000, secs=3.0, services=4_200, smoke={"changes": 50, "secs": 0.2, "services": 200})
