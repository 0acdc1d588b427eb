#!/usr/bin/env python3
"""Interleaved load-balancer benchmark: CPU per request of several load balancers, side by side. See README.md."""
import argparse, getpass, json, os, re, resource, shutil, signal, socket, statistics, subprocess, sys, tempfile, time
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
from peers import PEERS
BASE = int(os.environ.get("LB_PORTS", "20000"))          # peers from BASE, ten ports each; responders just below
B0, B1, BULK = BASE - 10, BASE - 9, BASE - 5
CPU_LOAD, CPU_LB = (int(x) for x in os.environ.get("LB_CPUS", "0,1").split(","))   # "0,0": everything on one CPU
LBLOAD = HERE + "/lbload"
RUN = ""                                                 # directory of configurations, certificate and logs of this run
NOFILE = 0
procs = []
responder = None                                         # the process behind the peers

def on(cpu):
    return lambda: os.sched_setaffinity(0, {cpu})

def spawn(cmd, cpu, env=None, log="x"):
    out = open(f"{RUN}/{log}.log", "wb")
    try:
        p = subprocess.Popen(cmd, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=RUN, env={**os.environ, **(env or {})},
                             start_new_session=True, preexec_fn=on(cpu))
    except FileNotFoundError:
        raise SystemExit(f"no such program: {cmd[0]} (see the LB_* variables in README.md)")
    procs.append(p)
    return p

def tree(pid):
    """pid and all its descendants."""
    kids = {}
    for d in os.listdir("/proc"):
        if d.isdigit():
            try: ppid = int(open(f"/proc/{d}/stat").read().rsplit(")", 1)[1].split()[1])
            except OSError: continue
            kids.setdefault(ppid, []).append(int(d))
    todo, got = [pid], []
    while todo:
        x = todo.pop(); got.append(x); todo += kids.get(x, [])
    return got

def need_free(port):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try: s.bind(("127.0.0.1", port)); s.listen()
    except OSError: raise SystemExit(f"port {port} is taken: stop its owner or move this run with LB_PORTS=<first port>")
    finally: s.close()

def wait_port(port, t=8):
    end = time.time() + t
    while time.time() < end:
        s = socket.socket()
        try: s.connect(("127.0.0.1", port)); return True
        except OSError: time.sleep(0.05)
        finally: s.close()
    return False

class Peer:
    def __init__(self, name, index):
        self.name, spec = name, PEERS[name]
        self.does = spec["does"].split()
        if spec.get("direct"):                      # no load balancer: the load generator talks to the responder
            self.ps, self.port = [], [B0, B0, BULK]
            return
        base = BASE + 10 * index
        self.port = [base + i for i in range(5)]
        for p in self.port: need_free(p)
        v = {f"P{i}": str(base + i) for i in range(5)}
        v.update(B0=str(B0), B1=str(B1), BULK=str(BULK), RUN=RUN, NAME=name, CONF=f"{RUN}/{name}.conf", CERT=f"{RUN}/cert.pem", USER=getpass.getuser(),
                 NOFILE=str(NOFILE), WORKERCONN=str(NOFILE - 100), MAXCONN=str((NOFILE - 1200) // 2),
                 **{k: x() if callable(x) else x for k, x in spec.get("vars", {}).items()})
        sub = lambda s: re.sub(r"@([A-Z0-9]+)@", lambda m: v.get(m[1], m[0]), s)
        if "template" in spec:
            more = "\n".join(line for what, line in spec.get("listeners", {}).items() if what in self.does)
            with open(f"{RUN}/{name}.conf", "w") as f: f.write(sub(open(os.path.join(HERE, "peers", spec["template"])).read().replace("@LISTENERS@", more)))
        cmds = spec.get("cmds") or [spec["cmd"]]
        self.ps = [spawn([sub(a) for a in c], CPU_LB, {k: sub(x) for k, x in spec.get("env", {}).items()}, f"{name}-{i}") for i, c in enumerate(cmds)]
        for i in spec.get("ports", [0]):
            if not wait_port(base + i): raise SystemExit(f"{name} did not open port {base+i}:\n" + open(f"{RUN}/{name}-0.log").read()[-600:])
        time.sleep(0.2)
    def pids(self): return [x for p in self.ps for x in tree(p.pid)]
    def rss_kib(self):
        n = 0
        for pid in self.pids():
            try: n += int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1])
            except (OSError, TypeError): pass
        return n

def others():
    """The responders and the kernel's own threads (a sockmap proxy moves bytes in kworkers)."""
    got = [procs[0].pid, responder.pid]
    for d in os.listdir("/proc"):
        if d.isdigit():
            try: c = open(f"/proc/{d}/comm").read()
            except OSError: continue
            if c.startswith((f"kworker/{CPU_LOAD}:", f"kworker/{CPU_LB}:", "ksoftirqd")): got.append(int(d))
    return got

def cpu_ns(pids):
    n = 0
    for p in pids:
        try:
            for t in os.listdir(f"/proc/{p}/task"): n += int(open(f"/proc/{p}/task/{t}/schedstat").read().split()[0])
        except OSError: pass
    return n

def lbload(*a):
    r = subprocess.run([LBLOAD, *map(str, a)], capture_output=True, text=True, preexec_fn=on(CPU_LOAD))
    if r.returncode: raise RuntimeError(r.stderr)
    return json.loads(r.stdout)

def h2load(peer, url, secs, conns, streams):
    """CPU over the whole h2load run divided by all its requests (set-up included)."""
    tool = shutil.which("h2load")
    if not tool: raise SystemExit("the tls and h2 workloads need h2load (Debian package nghttp2-client)")
    pids = peer.pids(); a = cpu_ns(pids); t0 = time.time()
    r = subprocess.run([tool, "-t1", f"-c{conns}", f"-m{streams}", "-D", str(max(1, int(secs))), *url], capture_output=True, text=True, preexec_fn=on(CPU_LOAD))
    cpu, el = cpu_ns(pids) - a, max(time.time() - t0, 1e-9)
    m = re.search(r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded", r.stdout)
    ok = int(m[3]) if m else 0
    return dict(req=ok, rps=ok / el, cpu_us_per_req=cpu / 1e3 / ok if ok else 0, errors=int(m[2]) - ok if m else -1, cpu_util=cpu / 1e9 / el)

def watch(p):
    return ["--watch", ",".join(map(str, p.pids())), "--also", ",".join(map(str, others()))]

def w_http(path, conns=64, close=False, port=0):
    def f(p, secs, rate=0):
        a = ["http", "--to", f"127.0.0.1:{p.port[port]}", "--conns", conns, "--secs", secs, "--warm", 0.3, "--path", path, "--lb-cpu", CPU_LB, *watch(p)]
        if close: a.append("--close")
        if rate: a += ["--rate", rate]
        return lbload(*a)
    return f
def start_responder():
    global responder
    responder = spawn([LBLOAD, "serve", "--port", str(B0), "--ports", "2"], CPU_LOAD, log="serve")
    if not wait_port(B0): raise SystemExit("the responders did not start")
def w_transit(p, secs, rate=0):
    """The generator is the responder, too: it takes the responder's ports while it runs."""
    responder.terminate(); responder.wait()
    try:
        return lbload("transit", "--port", B0, "--ports", 2, "--to", f"127.0.0.1:{p.port[0]}", "--conns", 64, "--secs", secs, "--warm", 0.3,
                      "--lb-cpu", CPU_LB, "--watch", ",".join(map(str, p.pids())), *(["--rate", rate] if rate else []))
    finally: start_responder()
def w_bulk(p, secs, rate=0):
    return lbload("bulk", "--to", f"127.0.0.1:{p.port[2]}", "--conns", 4, "--secs", secs, "--warm", 0.3, *watch(p))
WORK = {
    "ka128":  ("http", w_http("/b/128"), "(a) HTTP/1.1 keep-alive, 64 connections, 128 B"),
    "ka128half": ("http", w_http("/b/128"), "(a2) the same at half of the weakest peer's load"),
    "transit": ("http", w_transit, "(h) from the client's write to the backend's read, both in one process, half load, 128 B"),
    "ka16k":  ("http", w_http("/b/16384"), "(b) HTTP/1.1 keep-alive, 64 connections, 16 KiB"),
    "l4":     ("l4",   w_http("/b/128", port=1), "(c) L4 passthrough, 64 connections, 128 B"),
    "l4_16k": ("l4",   w_http("/b/16384", port=1), "(c2) L4 passthrough, 64 connections, 16 KiB"),
    "bulk":   ("bulk", w_bulk, "(d) L4 bulk, 4 connections"),
    "close":  ("http", w_http("/b/128", close=True), "(e) new client connection per request, 128 B"),
    "l4close": ("l4",  w_http("/b/128", close=True, port=1), "(e2) L4, new connection on both sides per request"),
    "tls":    ("tls",  lambda p, s, rate=0: h2load(p, ["--h1", f"https://127.0.0.1:{p.port[3]}/b/128"], s, 64, 1), "(f) TLS 1.3 termination, HTTP/1.1 keep-alive, 128 B"),
    "h2":     ("h2",   lambda p, s, rate=0: h2load(p, [f"http://127.0.0.1:{p.port[4]}/b/128"], s, 16, 16), "(g) HTTP/2 clear text, 16 connections x 16 streams, 128 B"),
}

HALF_LOAD = ("ka128half", "transit")                     # always in open loop, whatever --rate says

def med(xs): return statistics.median(xs) if xs else float("nan")
def num(x, digits=0): return "-" if x != x else f"{x:.{digits}f}"

def table(results, work, base):
    rows = [r for r in results if r["work"] == work]
    names = list(dict.fromkeys(r["peer"] for r in rows))
    bulk = work == "bulk"
    key, thr, every = ("gib_per_cpu_s", "gib_per_s", "all_cpu_s_per_gib") if bulk else ("cpu_us_per_req", "rps", "all_us_per_req")
    m = {n: {k: med([r[k] for r in rows if r["peer"] == n and k in r]) for k in (key, thr, every, "p50_us", "p99_us", "p999_us", "cpu_util", "loadgen_util")} for n in names}
    print(f"\n### {WORK[work][2]}" + (f", open loop at {rows[0]['rate']:.0f}/s" if rows and rows[0].get("rate") else ""))
    print(f"| peer | {'GiB/CPU-s' if bulk else 'CPU µs/req'} | min..max | ratio to {base} | {'GiB/s' if bulk else 'req/s'} | p50/p99/p99.9 µs | LB CPU util | load gen util | all CPU {'s/GiB' if bulk else 'µs/req'} | errors |\n|---|---|---|---|---|---|---|---|---|---|")
    for n in names:
        x, mine = m[n], [r for r in rows if r["peer"] == n]
        ratio = x[key] / m[base][key] if base in m and m[base][key] else float("nan")
        lat = "-" if x["p50_us"] != x["p50_us"] else f"{x['p50_us']:.0f}/{x['p99_us']:.0f}/{x['p999_us']:.0f}"
        print(f"| {n} | {num(x[key], 2)} | {min(r[key] for r in mine):.2f}..{max(r[key] for r in mine):.2f} | {num(ratio, 2)} | {num(x[thr], 2 if bulk else 0)} | {lat} | "
              f"{num(x['cpu_util'], 2)} | {num(x['loadgen_util'], 2)} | {num(x[every], 2)} | {sum(r['errors'] for r in mine)} |")

def memory(peers, n):
    results = []
    print(f"| peer | port | RSS before KiB | with {n} connections KiB | bytes per connection | bad |\n|---|---|---|---|---|---|")
    for p in peers:
        for port, what in ((0, "http"), (1, "l4")):
            if what not in p.does or not p.ps: continue
            r0 = p.rss_kib()
            more = ["--src", "8"] if n > 20000 else []
            h = subprocess.Popen([LBLOAD, "idle", "--to", f"127.0.0.1:{p.port[port]}", "--conns", str(n), "--hold", "3", "--probe", *more], stdout=subprocess.PIPE, text=True, preexec_fn=on(CPU_LOAD))
            line = json.loads(h.stdout.readline()); time.sleep(1); r1 = p.rss_kib(); h.wait()
            results.append(dict(work="memory", peer=p.name, port=what, bytes_per_conn=(r1 - r0) * 1024 / n, errors=line["bad"]))
            print(f"| {p.name} | {what} | {r0} | {r1} | {(r1 - r0) * 1024 / n:.0f} | {line['bad']} |", flush=True)
            time.sleep(1)
    return results

def certificate():
    """A self-signed certificate for the tls workload, made anew in every run directory."""
    os.umask(0o077)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                    "-subj", "/CN=bench", "-keyout", f"{RUN}/k.pem", "-out", f"{RUN}/c.pem"], check=True, capture_output=True)
    with open(f"{RUN}/cert.pem", "w") as f: f.write(open(f"{RUN}/c.pem").read() + open(f"{RUN}/k.pem").read())
    os.umask(0o022)

def stop_all():
    for p in procs:
        for pid in tree(p.pid)[::-1]:
            try: os.kill(pid, signal.SIGTERM)
            except OSError: pass
    time.sleep(0.3)
    for p in procs:
        if p.poll() is None:
            try: os.killpg(p.pid, signal.SIGKILL)
            except OSError: pass
        p.wait()

def main():
    global RUN, NOFILE
    ap = argparse.ArgumentParser(description=__doc__.split(" See")[0], epilog="peers: " + " ".join(PEERS) + " — workloads: " + " ".join(WORK))
    ap.add_argument("--peers", default="fairlead,haproxy,nginx", help="comma-separated, default %(default)s")
    ap.add_argument("--work", default="ka128", help="comma-separated workloads, default %(default)s")
    ap.add_argument("--rounds", type=int, default=5); ap.add_argument("--secs", type=float, default=2, help="measured seconds per peer and round")
    ap.add_argument("--rate", type=float, default=0, help="requests/s, open loop; 0: closed loop; -1: half of the weakest peer's saturation in this run")
    ap.add_argument("--base", default="", help="peer the ratios refer to; default: haproxy, else the first one that is not 'direct'")
    ap.add_argument("--mem", type=int, default=0, metavar="N", help="measure memory with N idle connections, then exit")
    ap.add_argument("--json", default="", metavar="FILE", help="write every single result there")
    ap.add_argument("--peers-file", default="", metavar="FILE", help="JSON file with further peers, see peers.py")
    ap.add_argument("--run-dir", default=os.environ.get("LB_RUN", ""), help="directory for configurations and logs, kept; default: a temporary one, removed at the end")
    a = ap.parse_args()
    if a.peers_file: PEERS.update(json.load(open(a.peers_file)))
    names, work = a.peers.split(","), a.work.split(",")
    for n in names:
        if n not in PEERS: ap.error(f"unknown peer {n}")
    for w in work:
        if w not in WORK: ap.error(f"unknown workload {w}")
    base = a.base or ("haproxy" if "haproxy" in names else next((n for n in names if n != "direct"), names[0]))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    NOFILE = min(hard, 200000) if hard != resource.RLIM_INFINITY else 200000
    resource.setrlimit(resource.RLIMIT_NOFILE, (NOFILE, hard))
    subprocess.run(["make", "-s", "-C", HERE], check=True)
    RUN = os.path.abspath(a.run_dir) if a.run_dir else tempfile.mkdtemp(prefix="lb-harness-")
    os.makedirs(RUN, exist_ok=True); os.chmod(RUN, 0o755)
    results = []
    try:
        certificate()
        for p in (B0, B1, BULK): need_free(p)
        spawn([LBLOAD, "bulk-serve", "--port", str(BULK)], CPU_LOAD, log="bulkserve")
        start_responder()
        if not wait_port(BULK): raise SystemExit("the responders did not start")
        peers = [Peer(n, i) for i, n in enumerate(names)]
        if a.mem: results = memory(peers, a.mem)
        for w in work if not a.mem else []:
            need, fn, _ = WORK[w]
            use = [p for p in peers if need in p.does]
            rate = -1 if w in HALF_LOAD else a.rate
            if rate == -1: rate = 0.5 * min(fn(p, a.secs)["rps"] for p in use if p.ps)
            for rnd in range(a.rounds):
                for p in (use if rnd % 2 == 0 else use[::-1]):
                    results.append(dict(work=w, peer=p.name, round=rnd, rate=rate, **fn(p, a.secs, rate)))
            table(results, w, base); sys.stdout.flush()
        if a.json:
            with open(a.json, "w") as f: json.dump(results, f, indent=0)
    finally:
        stop_all()
        if not a.run_dir: shutil.rmtree(RUN, ignore_errors=True)

if __name__ == "__main__":
    main()
