#!/usr/bin/env python3
"""What the documents name exists: tests, files, links. One line a fault."""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def git_files(*patterns):
    return subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *patterns], cwd=ROOT, capture_output=True,
                          text=True, check=True).stdout.split()


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def test_names():
    names = set()
    for path in git_files("*_test.cc", "*.h"):
        for suite, name in re.findall(r"\b(?:TYPED_)?TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\)", read(path)):
            names |= {f"{suite}.{name}", name}
    return names


def faults_of(page, files, tests):
    text = read(page)
    folder = os.path.dirname(page)
    base = re.search(r"Paths are\s+below\s+`([\w/-]+)/`", text)  # a page may say where its short paths are
    places = ["", folder + "/"] + ([base.group(1) + "/"] if base else [])
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        if not os.path.exists(os.path.join(ROOT, folder, target)):
            yield f"{page}: link to {target}, which is not there"
    for quoted in re.findall(r"`([^`\n]+)`", text):
        if re.fullmatch(r"[A-Z]\w+\.[A-Z]\w{9,}", quoted) and quoted not in tests:
            yield f"{page}: test {quoted} does not exist"
        if re.fullmatch(r"[\w./-]+\.(cc|h|py|proto|service|socket|conf)", quoted):
            if not any(place + quoted in files for place in places) and not any(f.endswith("/" + quoted) for f in files):
                yield f"{page}: file {quoted} does not exist"


def main():
    files, tests = set(git_files()), test_names()
    pages = [p for p in git_files("*.md") if p == "README.md" or p.startswith(("docs/", "packaging/"))]
    faults = [fault for page in pages for fault in faults_of(page, files, tests)]
    for fault in faults:
        print(fault)
    print(f"{len(pages)} pages, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
