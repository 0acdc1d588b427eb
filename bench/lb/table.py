#!/usr/bin/env python3
"""The balancer's cost beside HAProxy as one table per layout, with what it must be, what is the goal, and a verdict.

Each workload is one run of bench.py with its peers interleaved; figures are medians. `own`: the balancer has a CPU for
itself (LB_CPUS=0,1); `one`: everything on one CPU (LB_CPUS=0,0). Limits and gates stand in limits.json. --check: exit
status 1 when a figure is above its gate, or when a workload has errors or no figure.

--save: keeps the medians in results.json (also of a part: the rest stays) and writes the tables from there into bench/README.md and README.md, between
their `<!-- balancer … -->` marks; --render writes them without measuring, --render --check only looks whether they agree.
"""
import argparse, json, os, platform, re, statistics, subprocess, sys, tempfile
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.dirname(HERE))
import page  # noqa: E402
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


RESULTS = f"{HERE}/results.json"
FIGURES = ("cpu_us_per_req", "all_us_per_req", "gib_per_cpu_s", "p99_us", "bytes_per_conn")


def reduced(rows):
    """One row a peer: medians of its rounds, all its errors."""
    out = {}
    for row in rows:
        if row.get("port", "http") in ("http", 0):
            out.setdefault(row["peer"], []).append(row)
    return [{"peer": peer, "port": "http", "errors": sum(row["errors"] for row in mine),
             **{key: round(statistics.median(values), 3) for key in FIGURES
                if (values := [row[key] for row in mine if key in row])}} for peer, mine in out.items()]


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


def rounds_of(work, options):
    """A p99, and the CPU of the whole machine, need more rounds than the CPU of one process."""
    return 3 * options.rounds if work in ("transit", "l4") and not options.smoke else options.rounds


def measure(work, layout, options):
    """The single results of one run of bench.py."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [sys.executable, f"{HERE}/bench.py", "--peers", WORK[work][1], "--base", WORK[work][2], "--json", out.name]
        command += ["--mem", str(options.connections)] if work == "memory" else [
            "--work", work, "--rounds", str(rounds_of(work, options)), "--secs", str(options.secs)]
        done = subprocess.run(command, env={**os.environ, "LB_CPUS": LAYOUTS[layout][0]}, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{work}, {layout}: bench.py failed: {done.stderr.strip()[-600:]}")
        return json.load(open(out.name))


def layout_table(layout, saved, limits):
    """Its table as text, and what is above a gate."""
    lines = [f"### {LAYOUTS[layout][1]} (`LB_CPUS={LAYOUTS[layout][0]}`), {saved['rounds']} rounds of {saved['secs']:g} s", "",
             "| workload | peer | cost | ratio to HAProxy | must | goal | verdict | errors |", "|---|---|---|---|---|---|---|---|"]
    faults = []
    for work, rows in saved["results"][layout].items():
        more, faulty = judge(work, rows, limits[layout])
        lines += more
        faults += [f"{layout}: {fault}" for fault in faulty]
    return "\n".join(lines), faults


def summary(saved):
    """A line a workload: what each costs with a CPU of its own, and the ratio to HAProxy in both layouts."""
    lines = ["| workload | Fairlead | HAProxy | nginx | unit | ratio to HAProxy | all on one CPU |", "|---|---|---|---|---|---|---|"]
    for work, (what, _, base, unit) in WORK.items():
        if work not in saved["results"].get("own", {}):
            continue
        cells, ratios = [], []
        for layout in ("own", "one"):
            rows = saved["results"].get(layout, {}).get(work, [])
            mine, reference = cost(work, rows, "fairlead"), cost(work, rows, base)
            ratios.append(f"**{mine / reference:.2f}**" if mine and reference else "")
            if layout == "own":
                for figure in (mine, reference, cost(work, rows, "nginx")):
                    cells.append("-" if figure is None else f"{figure:.2f}" if figure < 100 else f"{figure:.0f}")
        lines.append(f"| {what} | {' | '.join(cells)} | {unit} | {' | '.join(ratios)} |")
    return "\n".join(lines)


def machine():
    """What the figures are of: CPU, kernel, versions of the peers."""
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    said = [model[1] if model else platform.machine(), f"Linux {platform.release()}"]
    for command in (["haproxy", "-v"], ["nginx", "-v"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"})
            said.append(f"{command[0]} " + re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr)[0])
        except (OSError, TypeError):
            pass
    return ", ".join(said)


def render(saved, limits, check):
    """Writes the tables between their marks; gives the files that differ."""
    tables = "\n\n".join(layout_table(layout, saved, limits)[0] for layout in saved["results"])
    differing = []
    for name, mark, text in (("bench/README.md", "balancer tables", f"On {saved['machine']}.\n\n{tables}"),
                             ("README.md", "balancer summary", summary(saved))):
        if page.put(name, mark, text, check):
            differing.append(name)
    return differing


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--layout", default="own,one")
    options.add_argument("--work", default=",".join(WORK))
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--secs", type=float, default=2)
    options.add_argument("--connections", type=int, default=9000, help="idle ones, for memory")
    options.add_argument("--smoke", action="store_true", help="once and short: that it runs, not what it shows")
    options.add_argument("--check", action="store_true", help="exit status 1 above a gate of limits.json")
    options.add_argument("--save", action="store_true", help="keep the results and write the documents' tables")
    options.add_argument("--render", action="store_true", help="only write the documents' tables from the kept results")
    options = options.parse_args()
    if options.smoke:
        options.rounds, options.secs, options.connections = 1, 0.2, 500
    with open(f"{HERE}/limits.json") as file:
        limits = json.load(file)
    if options.render:
        with open(RESULTS) as file:
            differing = render(json.load(file), limits, options.check)
        for name in differing:
            print(f"{name}: {'its tables are not those of bench/lb/results.json; run bench/lb/table.py --render' if options.check else 'written'}")
        sys.exit(1 if options.check and differing else 0)
    saved = {"machine": machine(), "rounds": options.rounds, "secs": options.secs, "results": {}}
    faults = []
    for layout in options.layout.split(","):
        works = [work for work in options.work.split(",") if work in limits[layout]]
        saved["results"][layout] = {work: reduced(measure(work, layout, options)) for work in works}
        text, faulty = layout_table(layout, saved, limits)
        print(f"\n{text}", flush=True)
        faults += faulty
    print()
    for fault in faults:
        print("above the gate:", fault)
    if options.save:
        if os.path.exists(RESULTS):  # workloads that were not measured now stay as they were
            with open(RESULTS) as file:
                before = json.load(file)["results"]
            for layout in LAYOUTS:
                rows = {**before.get(layout, {}), **saved["results"].get(layout, {})}
                saved["results"][layout] = {work: rows[work] for work in WORK if work in rows}
        with open(RESULTS, "w") as file:
            json.dump(saved, file, indent=1)
            file.write("\n")
        render(saved, limits, check=False)
    sys.exit(1 if options.check and faults else 0)


if __name__ == "__main__":
    main()
