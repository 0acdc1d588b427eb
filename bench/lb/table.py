#!/usr/bin/env python3
"""The balancer's cost beside HAProxy as one table per layout, with what it must be, what is the goal, and a verdict.

Each workload is one run of bench.py with its peers interleaved; figures are medians. `own`: the balancer has a CPU for
itself (LB_CPUS=0,1); `one`: everything on one CPU (LB_CPUS=0,0). Limits and gates stand in limits.json. --check: exit
status 1 when a figure is above its gate, or when a workload has errors or no figure.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile
HERE = os.path.dirname(os.path.abspath(__file__))
LAYOUTS = {"own": ("0,1", "Own CPU for the balancer"), "one": ("0,0", "Everything on one CPU")}

# Workload -> (what, peers, the peer it is compared to, unit). Fairlead comes first.
WORK = {
    "ka128": ("keep-alive, 128 B, saturated", "fairlead,fairlead-epoll,haproxy,nginx", "haproxy", "CPU µs/request"),
    "ka128half": ("keep-alive, 128 B, half load", "fairlead,fairlead-epoll,haproxy,nginx", "haproxy", "CPU µs/request"),
    "ka16k": ("keep-alive, 16 KiB", "fairlead,fairlead-epoll,haproxy,nginx", "haproxy", "CPU µs/request"),
    "close": ("new client connection per request", "fairlead,fairlead-epoll,haproxy,nginx", "haproxy", "CPU µs/request"),
    "l4": ("TCP, 128 B: all CPU added", "fairlead,fairlead-epoll,haproxy,nginx,direct", "haproxy", "CPU µs/request, all, minus direct"),
    "bulk": ("TCP bulk", "fairlead,fairlead-epoll,haproxy-splice,nginx", "haproxy-splice", "CPU s/GiB"),
    "tls": ("TLS 1.3 keep-alive, 128 B", "fairlead,fairlead-epoll,haproxy,nginx", "haproxy", "CPU µs/request"),
    "transit": ("client's write to backend's read, half load, p99", "fairlead,fairlead-epoll,haproxy,nginx,direct", "haproxy", "µs minus direct"),
    "memory": ("idle keep-alive connection", "fairlead,fairlead-epoll,haproxy,nginx", "haproxy", "bytes of user memory"),
}


def median_of(rows, peer, key):
    values = [row[key] for row in rows if row["peer"] == peer and key in row]
    return statistics.median(values) if values else None


def cost(work, rows, peer):
    """What one unit of `work` costs with this peer; None without a figure."""
    if work == "bulk":
        rate = median_of(rows, peer, "gib_per_cpu_s")
        return 1 / rate if rate else None
    if work == "memory":
        return median_of([row for row in rows if row["port"] == "http"], peer, "bytes_per_conn")
    if work in ("l4", "transit"):  # the way without a balancer is taken off
        key = "all_us_per_req" if work == "l4" else "p99_us"
        with_it, without = median_of(rows, peer, key), median_of(rows, "direct", key)
        return with_it - without if with_it is not None and without is not None else None
    return median_of(rows, peer, "cpu_us_per_req") or None


def verdict(figure, limit):
    """In words: how a figure stands to its limit."""
    if figure is None:
        return "no figure"
    if figure > limit["must"]:
        return f"missed by {100 * (figure / limit['must'] - 1):.0f} %"
    if "goal" in limit and figure <= limit["goal"]:
        return "goal met"
    return "met"


def judge(work, rows, limits):
    """The lines of a workload, and what is above a gate. `limits`: those of its layout, and `epoll`."""
    what, peers, base, unit = WORK[work]
    limit = limits[work]
    absolute = work == "memory"
    reference = cost(work, rows, base)
    lines, faults = [], []
    # Below nothing added by HAProxy, a ratio says nothing.
    usable = reference is not None and (absolute or reference > 0)
    for peer in peers.split(","):
        mine = cost(work, rows, peer)
        if peer == "direct":
            continue
        errors = sum(row["errors"] for row in rows if row["peer"] == peer)
        ratio = mine / reference if mine is not None and usable and reference else None
        figure = mine if absolute else ratio
        must = goal = said = ""
        if peer == "fairlead":
            must, goal = (f"{limit[key]:g}" if key in limit else "" for key in ("must", "goal"))
            said = verdict(figure, limit)
            if figure is None or figure > limit["gate"]:
                faults.append(f"{what}: {'no figure' if figure is None else f'{figure:.2f}'}, gate {limit['gate']:g}")
            if errors:
                faults.append(f"{what}: {errors} errors")
        elif peer == "fairlead-epoll" and work in limits["epoll"]["of"]:
            ring = cost(work, rows, "fairlead")
            to_ring = mine / ring if mine and ring else None
            must = f"{limits['epoll']['must']:g} of the ring"
            said = verdict(to_ring, limits["epoll"]) + (f" ({to_ring:.2f})" if to_ring else "")
            if to_ring is not None and to_ring > limits["epoll"]["gate"]:
                faults.append(f"{what}, epoll: {to_ring:.2f} of the ring, gate {limits['epoll']['gate']:g}")
        lines.append(f"| {what} | {peer} | {'-' if mine is None else f'{mine:.2f}' if mine < 100 else f'{mine:.0f}'} {unit} | "
                     f"{'-' if ratio is None else f'{ratio:.2f}'} | {must} | {goal} | {said} | {errors} |")
    return lines, faults


def measure(work, layout, options):
    """The single results of one run of bench.py."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [sys.executable, f"{HERE}/bench.py", "--peers", WORK[work][1], "--base", WORK[work][2], "--json", out.name]
        command += ["--mem", str(options.connections)] if work == "memory" else [
            "--work", work, "--rounds", str(options.rounds), "--secs", str(options.secs)]
        done = subprocess.run(command, env={**os.environ, "LB_CPUS": LAYOUTS[layout][0]}, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{work}, {layout}: bench.py failed: {done.stderr.strip()[-600:]}")
        return json.load(open(out.name))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--layout", default="own,one")
    options.add_argument("--work", default=",".join(WORK))
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--secs", type=float, default=2)
    options.add_argument("--connections", type=int, default=9000, help="idle ones, for memory")
    options.add_argument("--smoke", action="store_true", help="once and short: that it runs, not what it shows")
    options.add_argument("--check", action="store_true", help="exit status 1 above a gate of limits.json")
    options = options.parse_args()
    if options.smoke:
        options.rounds, options.secs, options.connections = 1, 0.2, 500
    with open(f"{HERE}/limits.json") as file:
        limits = json.load(file)
    faults = []
    for layout in options.layout.split(","):
        print(f"\n### {LAYOUTS[layout][1]} (`LB_CPUS={LAYOUTS[layout][0]}`), {options.rounds} rounds of {options.secs:g} s\n")
        print("| workload | peer | cost | ratio to HAProxy | must | goal | verdict | errors |\n|---|---|---|---|---|---|---|---|")
        for work in options.work.split(","):
            if work not in limits[layout]:
                continue
            lines, faulty = judge(work, measure(work, layout, options), {**limits[layout], "epoll": limits["epoll"]})
            print("\n".join(lines), flush=True)
            faults += [f"{layout}: {fault}" for fault in faulty]
    print()
    for fault in faults:
        print("above the gate:", fault)
    sys.exit(1 if options.check and faults else 0)


if __name__ == "__main__":
    main()
