#!/usr/bin/env python3
"""Branch environments: containers with project and branch labels have names and routes, and nothing else is said."""
import concurrent.futures
import json
import itertools
import os
import socket
import struct
import subprocess
import threading

from lab import FAIRLEAD, HERE, LabTest, http_get, main

ZONE = "ns.example.com"
BRANCHES = int(os.environ.get("FAIRLEAD_BRANCHES", "200"))


class Poller(threading.Thread):
    """Asks for every branch's name over and over, and keeps the changes of each one's answer: none, there, none."""

    def __init__(self, names):
        super().__init__(daemon=True)
        self.queries = {name: self.query(f"{name}.shop.{ZONE}") for name in names}
        self.changes = {name: [False] for name in names}
        self.ended = threading.Event()
        self.asked, self.unanswered = 0, 0

    @staticmethod
    def query(name):
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        return struct.pack("!6H", 0, 0, 1, 0, 0, 0)[2:] + labels + struct.pack("!BHH", 0, 1, 1)

    def run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", 5300))
            client.settimeout(2)
            for name in itertools.cycle(self.queries):
                if self.ended.is_set():
                    return
                self.ask(client, name)

    def ask(self, client, name):
        self.asked = (self.asked + 1) % 65536
        client.send(struct.pack("!H", self.asked) + self.queries[name])
        try:
            answer = client.recv(4096)
            while struct.unpack("!H", answer[:2])[0] != self.asked:
                answer = client.recv(4096)
        except OSError:
            self.unanswered += 1
            return
        there = struct.unpack("!H", answer[6:8])[0] > 0
        if there != self.changes[name][-1]:
            self.changes[name].append(there)

    def __exit__(self, *_):
        self.ended.set()
        self.join()

    def __enter__(self):
        self.start()
        return self


class Branches(LabTest):
    options = {"docker0": True}

    def serve(self, branch, service, name):
        self.lab.docker("run", "-d", "--name", name, "--hostname", name, "--network", "demo", "--stop-timeout", "0",
                        "--label", "fairlead.project=shop", "--label", f"fairlead.branch={branch}", "--label", f"fairlead.service={service}",
                        "--label", "fairlead.port=80", "-v", "/usr:/usr:ro", "-v", f"{HERE}:/srv:ro",
                        "lab", "/usr/bin/python3", "-SE", "/srv/backend.py", "80")

    def answer(self, host):
        status, body = self.lab.get("/", host)
        return body["name"] if status == 200 else status

    def wait_answers(self, wanted):
        seen = {}

        def look():
            seen.update({host: self.answer(host) for host in wanted})
            return seen == wanted
        self.lab.wait_for(lambda: f"{wanted}, but {seen}", look)

    def envs(self):
        shown = subprocess.run([FAIRLEAD, "--api", f"unix:{self.lab.dir}/run/api.sock", "env", "ls", "-o", "json"], capture_output=True,
                               text=True, check=True).stdout
        return {env["branch"]: env for env in json.loads(shown)}

    def test_dotted_and_one_label_names_lead_to_the_branch(self):
        self.serve("feat/X", "web", "x-web")
        self.serve("feat/X", "api", "x-api")
        self.serve("other", "api", "other-api")
        wanted = {"feat-x.shop": "x-web", "any.thing.feat-x.shop": "x-web", "feat-x--shop": "x-web", "web--feat-x--shop": "x-web",
                  "api.feat-x.shop": "x-api", "api--feat-x--shop": "x-api", "other.shop": "other-api", "other--shop": "other-api",
                  "api--other--shop": "other-api", "nobody.shop": 404}
        self.wait_answers({f"{name}.{ZONE}": who for name, who in wanted.items()})
        for name in ("feat-x.shop", "a.feat-x.shop", "feat-x--shop", "api--feat-x--shop"):
            self.assertTrue(self.lab.dig(f"{name}.{ZONE}"), name)
        env = self.envs()["feat-x"]
        self.assertEqual((env["host"], env["ready"], env["services"]), (f"feat-x.shop.{ZONE}", 2, ["api", "web"]))
        self.lab.docker("rm", "-f", "x-web")
        self.wait_answers({f"feat-x.shop.{ZONE}": "x-api", f"web--feat-x--shop.{ZONE}": 404})
        self.lab.docker("rm", "-f", "x-api")
        self.wait_answers({f"feat-x.shop.{ZONE}": 404, f"other.shop.{ZONE}": "other-api"})
        self.lab.wait_for("the name is gone", lambda: not self.lab.dig(f"feat-x.shop.{ZONE}"))
        self.assertEqual(set(self.envs()), {"other"})

    def test_a_branch_is_removed_with_its_containers_and_nothing_else(self):
        self.serve("feat/gone", "web", "gone-web")
        self.serve("feat/gone", "api", "gone-api")
        self.serve("stays", "web", "stays-web")
        self.lab.wait_for("both are there", lambda: {name: env["ready"] for name, env in self.envs().items()} == {"feat-gone": 2, "stays": 1})
        removed = subprocess.run([FAIRLEAD, "--api", f"unix:{self.lab.dir}/run/api.sock", "env", "rm", "shop", "feat/gone", "-y"],
                                 capture_output=True, text=True)
        self.assertEqual((removed.returncode, removed.stdout), (0, "removed containers gone-api, gone-web of shop/feat/gone\n"), removed.stderr)
        self.assertEqual(self.lab.names("-a"), ["stays-web"])
        self.lab.wait_for("the branch is gone", lambda: set(self.envs()) == {"stays"})

    def start(self, number):
        self.lab.docker("run", "-d", "--network", "bridge", "--name", f"b{number}", "--stop-timeout", "0",
                        "--label", "fairlead.project=shop", "--label", f"fairlead.branch=b/{number}", "--label", "fairlead.port=80",
                        "--label", "fairlead.check=none", "lab", "sleep", "86400")

    def test_two_hundred_branches_start_and_stop_and_no_answer_is_early_missing_or_stale(self):
        wanted = {f"b-{number}" for number in range(BRANCHES)}
        with Poller(wanted) as poller, concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(self.start, range(BRANCHES)))
            self.lab.wait_for("all are listed", lambda: {name for name, env in self.envs().items() if env["ready"]} == wanted)
            routes = json.loads(http_get(7853, "/v1/routes")[1])
            hosts = {route["host"] for route in routes if route["source"] == "branch"}
            self.assertLessEqual({f"{name}.shop.{ZONE}" for name in wanted} | {f"{name}--shop.{ZONE}" for name in wanted}, hosts)
            self.lab.wait_for("all have names", lambda: all(poller.changes[name][-1] for name in wanted))
            list(pool.map(lambda number: self.lab.docker("rm", "-f", f"b{number}"), range(BRANCHES)))
            self.lab.wait_for("none is left", lambda: not self.envs())
            self.assertFalse([route for route in json.loads(http_get(7853, "/v1/routes")[1]) if route["source"] == "branch"])
            self.lab.wait_for("no name is left", lambda: not any(poller.changes[name][-1] for name in wanted))
        # From its first answer to its container's end a name was never missing, and once it was gone it stayed gone.
        self.assertEqual({name: seen for name, seen in poller.changes.items() if seen != [False, True, False]}, {})
        self.assertEqual(poller.unanswered, 0)


if __name__ == "__main__":
    main()
