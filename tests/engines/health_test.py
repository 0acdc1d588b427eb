#!/usr/bin/env python3
"""Health decides who gets traffic: by label, by the engine's HEALTHCHECK, and by the port alone. Names and balancer read the
same row, and a restart of the agent takes nothing from anybody."""
import json
import os
import signal
import subprocess

from lab import FAIRLEAD, LabTest, main
from load import Load

NAME = "web.demo.svc.fl.internal"
CHECKED = ("--label", "fairlead.check=http:/healthz")


class Health(LabTest):
    def endpoint(self, name):
        """What an operator is told of it."""
        rows = subprocess.run([FAIRLEAD, "endpoint", "ls", "-o", "json", "-c", f"{self.lab.dir}/fairlead.yaml"],
                              capture_output=True, text=True, check=True).stdout
        return next((row for row in json.loads(rows) if row["name"] == name), {})

    def wait_health(self, name, health, reason=""):
        def seen():
            row = self.endpoint(name)
            return row.get("health") == health and reason in (row.get("reason") or "")
        self.lab.wait_for(lambda: f"{name} is {health} ({reason}), but {self.endpoint(name)}", seen)

    def test_one_that_never_becomes_healthy_gets_no_request(self):
        well = self.lab.run_server("web-well", *CHECKED)
        self.lab.wait_serving(["web-well"])
        with Load() as load:
            self.lab.run_server("web-ill", "-e", "ILL=1", *CHECKED)
            self.wait_health("web-ill", "unhealthy", "HTTP 503")
            before = load.snapshot()
            self.lab.wait_for("requests go on", lambda: sum(load.snapshot().values()) > sum(before.values()) + 50)
        self.assertEqual(load.failures, [])
        self.assertEqual(set(load.answered), {"web-well"})
        self.assertEqual(self.lab.dig(NAME), [well])

    def test_illness_takes_out_of_names_and_balancer_and_recovery_brings_back(self):
        addresses = {name: self.lab.run_server(name, *CHECKED) for name in ("web-a", "web-b")}
        self.lab.wait_serving(addresses)
        self.lab.wait_dns(NAME, addresses.values())
        self.lab.docker("exec", "web-b", "touch", "/tmp/ill")
        self.wait_health("web-b", "unhealthy", "HTTP 503")
        self.lab.wait_serving(["web-a"])
        self.lab.wait_dns(NAME, [addresses["web-a"]])
        self.lab.docker("exec", "web-b", "rm", "/tmp/ill")
        self.lab.wait_serving(addresses)
        self.lab.wait_dns(NAME, addresses.values())

    def test_a_port_that_is_opened_late_is_used_when_it_is_open(self):
        self.lab.run_server("web-first")
        self.lab.wait_serving(["web-first"])
        late = self.lab.server("web-late")
        at = late.index("lab") + 1
        late[at:] = ["sh", "-c", "while ! test -e /tmp/open; do sleep 0.1; done; exec " + " ".join(late[at:])]
        with Load() as load:
            self.lab.docker("run", "-d", *late)
            self.wait_health("web-late", "starting", "connection refused")
            self.assertEqual(set(load.snapshot()), {"web-first"})
            self.lab.docker("exec", "web-late", "touch", "/tmp/open")
            self.lab.wait_for("it serves", lambda: "web-late" in load.snapshot())
        self.assertEqual(load.failures, [])

    def late(self, name):
        """Starts one that listens when /tmp/open is there."""
        late = self.lab.server(name, *CHECKED)
        at = late.index("lab") + 1
        late[at:] = ["sh", "-c", "while ! test -e /tmp/open; do sleep 0.1; done; exec " + " ".join(late[at:])]
        self.lab.docker("run", "-d", *late)

    def test_while_its_agent_is_silent_the_balancer_looks_itself(self):
        names = ["web-a", "web-b"]
        for name in names:
            self.lab.run_server(name, *CHECKED)
        self.lab.wait_serving(names)
        self.late("web-late")
        self.wait_health("web-late", "starting", "connection refused")
        agent = self.lab.child("agent")
        with Load() as load:
            os.kill(agent, signal.SIGSTOP)
            try:
                self.lab.docker("exec", "web-late", "touch", "/tmp/open")
                self.lab.wait_for("the one that was starting comes in", lambda: "web-late" in load.snapshot())
                self.lab.docker("exec", "web-b", "touch", "/tmp/ill")
                self.lab.wait_serving(["web-a", "web-late"])
            finally:
                os.kill(agent, signal.SIGCONT)
            self.wait_health("web-b", "unhealthy", "HTTP 503")
            self.lab.docker("exec", "web-b", "rm", "/tmp/ill")
            self.lab.wait_serving([*names, "web-late"])
        self.assertEqual(load.failures, [], f"of {load.total()} requests")

    def all_fall_ill(self, addresses, file, out):
        """By a file of that name all of them fail their checks, and serve on; then the first one is well again. `out` never serves."""
        names = list(addresses)
        for name in names:
            self.lab.docker("exec", name, "touch", file)
        self.lab.wait_for("it is shown", lambda: [self.endpoint(name).get("fails_open") for name in [*names, out]] == [True] * len(names) + [False])
        self.lab.wait_dns(NAME, addresses.values())
        self.lab.wait_serving(names)
        self.lab.docker("exec", names[0], "rm", file)
        self.lab.wait_dns(NAME, [addresses[names[0]]])
        self.lab.wait_serving([names[0]])

    def test_all_ill_at_once_serve_on_in_names_and_balancer_alike(self):
        names = ["web-a", "web-b"]
        addresses = {name: self.lab.run_server(name, *CHECKED) for name in names}
        never = self.lab.run_server("web-never", "-e", "ILL=1", *CHECKED)
        self.wait_health("web-never", "unhealthy", "HTTP 503")
        self.lab.wait_serving(names)
        with Load() as load:
            self.all_fall_ill(addresses, "/tmp/ill", "web-never")
        self.assertEqual(load.failures, [], f"of {load.total()} requests")
        self.assertNotIn(never, self.lab.dig(NAME))

    def test_the_engines_healthcheck_gates_as_well(self):
        self.lab.run_server("web-a")
        self.lab.run_server("web-b", "--health-cmd", "test -e /tmp/well", "--health-interval", "1s", "--health-retries", "1")
        self.wait_health("web-b", "unhealthy")
        self.lab.wait_serving(["web-a"])
        self.lab.docker("exec", "web-b", "touch", "/tmp/well")
        self.lab.wait_serving(["web-a", "web-b"])

    def test_all_called_ill_by_their_healthcheck_serve_on_but_not_one_that_refuses(self):
        checked = ("--health-cmd", "test ! -e /tmp/sick", "--health-interval", "1s", "--health-retries", "1")
        names = ["web-a", "web-b"]
        addresses = {name: self.lab.run_server(name, *checked) for name in names}
        deaf = self.lab.server("web-deaf", *checked)
        at = deaf.index("lab") + 1
        deaf[at:] = ["sleep", "86400"]  # its port refuses; what the engine asks it passes
        self.lab.docker("run", "-d", *deaf)
        for name in [*names, "web-deaf"]:
            self.wait_health(name, "healthy")
        with Load() as load:
            self.lab.docker("exec", "web-deaf", "touch", "/tmp/sick")
            self.wait_health("web-deaf", "unhealthy")
            self.all_fall_ill(addresses, "/tmp/sick", "web-deaf")
        self.assertEqual(load.failures, [], f"of {load.total()} requests")

    def test_a_grpc_server_says_itself_whether_it_serves(self):
        run = self.lab.server("cart", "--label", "fairlead.check=grpc", service="cart", port=50051)
        run[run.index("/srv/backend.py")] = "/srv/grpc_backend.py"
        self.lab.docker("run", "-d", *run)
        self.wait_health("cart", "healthy")
        self.lab.docker("exec", "cart", "touch", "/tmp/ill")
        self.wait_health("cart", "unhealthy", "gRPC: NOT_SERVING")

    def test_paused_renamed_and_killed_ones_leave_and_come_back(self):
        names = ["web-a", "web-b"]
        for name in names:
            self.lab.run_server(name, "--restart", "on-failure")
        self.lab.wait_serving(names)
        self.lab.docker("pause", "web-b")
        self.lab.wait_serving(["web-a"])
        self.lab.docker("unpause", "web-b")
        self.lab.wait_serving(names)
        self.lab.docker("rename", "web-b", "web-c")
        self.wait_health("web-c", "healthy")
        self.lab.docker("kill", "--signal", "KILL", "web-c")
        self.lab.wait_serving(["web-a"])
        self.lab.docker("start", "web-c")
        self.lab.wait_serving(names)  # its host name is still web-b

    def test_a_new_agent_takes_nothing_from_the_traffic(self):
        names = ["web-a", "web-b"]
        self.lab.run_server("web-a", *CHECKED)
        self.lab.run_server("web-b")
        self.lab.wait_serving(names)
        with Load() as load:
            for _ in range(3):
                self.lab.kill_agent()
                before = load.snapshot()
                self.lab.wait_for("both serve on", lambda: load.answered_since(before) == set(names))
        self.assertEqual(load.failures, [], f"of {load.total()} requests")


if __name__ == "__main__":
    main()
