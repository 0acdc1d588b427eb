"""What the benchmarks share: the place of their tables in the documents, a CNI plugin as an engine runs it, and the frame
of those that run here or in the namespaces of tests/engines/lab.py."""
import argparse
import json
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def put(document, mark, text, check=False):
    """Text between `<!-- mark -->` and `<!-- end -->` of a document; true when it was another one. `check` writes nothing."""
    with open(f"{ROOT}/{document}") as file:
        before = file.read()
    if f"<!-- {mark} -->" not in before:
        sys.exit(f"{document}: no mark <!-- {mark} -->")
    after = re.sub(f"(<!-- {mark} -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}\n{text}\n\n{m[2]}", before, flags=re.S)
    if after != before and not check:
        with open(f"{ROOT}/{document}", "w") as file:
            file.write(after)
    return after != before


def run_cni(program, config, command, name, **environment):
    """Wall and CPU of a plugin's process and its children, in seconds."""
    environment = {"CNI_COMMAND": command, "CNI_CONTAINERID": f"c-{name}", "CNI_IFNAME": "eth0",
                   "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAME={name}", **environment}
    text = json.dumps(config).encode()
    start = time.perf_counter()
    plugin = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    plugin.stdin.write(text)
    plugin.stdin.close()
    said = plugin.stdout.read()
    _, status, usage = os.wait4(plugin.pid, 0)
    wall = time.perf_counter() - start
    plugin.returncode = status
    plugin.stdout.close()
    if status:
        raise RuntimeError(f"{program} {command}: {said.decode()}")
    return wall, usage.ru_utime + usage.ru_stime


def main(doc, rounds, run, inside=None, smoke=None, **more):
    """`run(options)` gives its table's mark, its text and the musts that it missed; `inside` is lab.main. `more` are options of
    this benchmark alone, with their defaults; `smoke` is what some of them are with --smoke."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    for name, default in {"rounds": rounds, **more}.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    options = parser.parse_args()
    if options.smoke:
        vars(options).update({"rounds": 2, **(smoke or {})})
    inside = inside or (lambda start: start())
    inside(lambda: report(options, *run(options)))


def report(options, mark, text, missed):
    print(text)
    if options.save:
        put("bench/README.md", mark, text)
    if missed and not options.smoke:
        print("\n".join(missed), file=sys.stderr)
        sys.exit(1)
