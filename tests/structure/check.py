#!/usr/bin/env python3
"""The architecture as a test: who may include whom, headers that stand alone, calls that have a seam of their own.

docs/architecture.md shows the table in words. Exit status 0 when all holds; else one line a fault.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Folder -> folders it may include besides itself. Modules beside each other see only each other's public headers.
MAY_INCLUDE = {
    "base": [],
    "base/net": ["base"],
    "base/io": ["base", "base/net"],
    "base/dns": ["base", "base/net", "base/io"],
    "base/tls": ["base", "base/net", "base/io"],
    "base/http": ["base", "base/net", "base/io"],
    "base/grpc": ["base", "base/net", "base/io"],
    "base/sim": ["base", "base/net", "base/io"],
    "ipam": ["base", "base/net", "base/io"],
    "dataplane": ["base", "base/net"],
    "discovery": ["base", "base/net", "base/io", "proto"],
    "discovery/dns": ["base", "base/net", "base/io", "discovery"],
    "discovery/health": ["base", "base/net", "base/io", "base/http", "base/grpc", "base/tls", "discovery"],
    "lb": ["base", "base/net", "base/io", "base/tls", "base/http"],
    "runtime-shim": ["base", "base/net", "base/io", "base/http", "base/grpc", "proto"],
    "runtime-shim/programs": ["base", "base/net", "base/http"],
    "app": ["base", "base/net", "base/io", "base/dns", "base/tls", "base/http", "ipam", "dataplane", "discovery", "discovery/dns",
            "discovery/health", "lb",
            "runtime-shim"],
}
# The public headers through which modules beside each other meet.
PUBLIC = {
    "ipam/ipam.h": ["runtime-shim"],
    "dataplane/dataplane.h": ["runtime-shim"],
    "discovery/row.h": ["lb", "runtime-shim"],
    "discovery/fail_open.h": ["lb"],
    "discovery/health/monitor.h": ["lb"],
    "discovery/health/row_checks.h": ["lb"],
    "discovery/consumer.h": ["lb"],
    "discovery/rule.h": ["lb"],
    "discovery/rule_match.h": ["lb"],
    "discovery/middleware.h": ["lb"],
    "discovery/labels.h": ["runtime-shim"],
    "discovery/names.h": ["lb", "runtime-shim"],
}
# Tests may also use the simulator and the doubles of other modules.
TEST_ONLY = ["base/sim"]
TEST_DOUBLES = ["ipam/memory_lease_store.h"]

# Calls that belong behind a seam, and the files that are the seam.
BANNED = [
    (r"\b(clock_gettime|gettimeofday|std::chrono::\w+_clock::now|time\(nullptr\)|time\(NULL\))", "time: use Clock",
     ["base/clock.cc"]),
    (r"\bstd::(random_device|mt19937)|\b(srand|rand|getrandom|drand48)\(", "randomness: use Random", ["base/random.cc"]),
    (r"\b(sleep_for|sleep_until|usleep|nanosleep)\(|[^\w.>:]sleep\(", "sleep: wait by condition or by a timer", []),
    (r"\b(try|catch)\s*[({]|\bthrow\b", "exceptions: only at the edge of a library that throws",
     ["app/config_reader.cc", "app/command_line.cc", "ipam/pool_json.cc",
      "discovery/nginx_multiports.cc"]),
]


def sources():
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.cc", "*.h"], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout.split()
    return [n for n in names if n.split("/")[0] in {m.split("/")[0] for m in MAY_INCLUDE}]


def folder_of(path):
    return os.path.dirname(path)


def is_test(path):
    return re.search(r"(_test|_fuzz|_bench)\.cc$|_fixture\.h$|_contract\.h$|_checker\.h$|/testing\.|double", path) is not None


def code_only(text):
    """Without comments and string literals."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text)


def include_faults(path, text):
    here = folder_of(path)
    for target in re.findall(r'#include "([^"]+)"', text):
        there = folder_of(target)
        if there.endswith("pb") or target.endswith(".pb.h"):
            there = "proto"
        if there == here or there in MAY_INCLUDE.get(here, []) or here in PUBLIC.get(target, []):
            continue
        if is_test(path) and (there in TEST_ONLY or target in TEST_DOUBLES or there in ("base", "base/net", "base/io", "base/http")):
            continue
        yield f"{path}: may not include {target} (see MAY_INCLUDE in tests/structure/check.py)"


def banned_faults(path, text):
    for pattern, why, seams in BANNED:
        if path in seams:
            continue
        for line_number, line in enumerate(code_only(text).split("\n"), 1):
            if re.search(pattern, line):
                yield f"{path}:{line_number}: {why}: {line.strip()}"


def proved_by_its_source(header):
    """The build shows that a header stands alone when its own source includes it first."""
    try:
        with open(os.path.join(ROOT, header[:-2] + ".cc"), encoding="utf-8") as f:
            first = re.search(r'#include ["<]([^">]+)[">]', f.read())
    except OSError:
        return False
    return first is not None and first[1] == header


def header_faults(paths):
    """Each header compiles by itself: the build shows it for most, the rest get a compiler run each."""
    paths = [p for p in paths if not proved_by_its_source(p)]
    flags = subprocess.run(["pkg-config", "--cflags", "libnl-route-3.0"], capture_output=True, text=True).stdout.split()
    generated = next((d for d in ("build/release/gen", "build/debug/gen", "build/release/proto", "build/debug/proto")
                      if os.path.isdir(os.path.join(ROOT, d))), None)
    running = []
    def reap(limit):
        while len(running) > limit:
            header, process = running.pop(0)
            output = process.communicate()[0]
            if process.returncode:
                yield f"{header}: does not compile by itself:\n{output[:600]}"
    for header in paths:
        command = ["clang++-19", "-std=c++23", "-fsyntax-only", "-x", "c++", "-Wno-pragma-once-outside-header", "-I", ROOT,
                   *flags] + (["-isystem", os.path.join(ROOT, generated)] if generated else []) + [os.path.join(ROOT, header)]
        running.append((header, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)))
        yield from reap(3)
    yield from reap(0)


def main():
    faults = []
    paths = sources()
    for path in paths:
        with open(os.path.join(ROOT, path), encoding="utf-8") as f:
            text = f.read()
        faults += include_faults(path, text)
        faults += banned_faults(path, text)
        if path.endswith(".h") and "#pragma once" not in text:
            faults.append(f"{path}: has no #pragma once")
    faults += header_faults([p for p in paths if p.endswith(".h")])
    for fault in faults:
        print(fault)
    print(f"{len(paths)} files, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
