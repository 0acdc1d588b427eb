#!/usr/bin/env python3
"""Podman as a source of the catalog, by its API socket: its containers are rows like Docker's, beside Docker's.

Real: Podman 4 with its service, Debian's CNI bridge, dockerd, the balancer and the name server.
"""
import json
import os
import random
import signal
import subprocess
import unittest

from lab import BIN, FAIRLEAD, HOST, LB_PORT, NODE, NODE_ADDRESS, Lab, Program, http_get, main, wait_for
from podman_test import NETWORK as MANAGED
from podman_test import PodmanHost

STEPS = int(os.environ.get("FAIRLEAD_CATALOG_STEPS", "500")) // 10  # a Podman command takes as long as ten of Docker's
NETWORK, PREFIX = "plain", "10.213.62."
STATES = {"created": "created", "configured": "created", "initialized": "created", "running": "running", "paused": "paused"}


class PodmanService(PodmanHost):
    """Podman with its service, followed by an agent; a network of Debian's CNI bridge, which is none of ours."""

    def __init__(self, lab):
        super().__init__(lab)
        os.chmod(self.dir, 0o755)  # balancer and name server run as another user
        self.podman_socket = f"{self.dir}/podman.sock"
        self.service = Program(self.dir, "podman-service", [*self.podman_argv, "system", "service", "--time=0",
                                                            f"unix://{self.podman_socket}"], self.environment)
        self.write(f"cni/{NETWORK}.conflist", {"cniVersion": "1.0.0", "name": NETWORK, "plugins": [
            {"type": "bridge", "bridge": "plain0", "isGateway": True,
             "ipam": {"type": "host-local", "dataDir": f"{self.dir}/host-local", "ranges": [[{"subnet": PREFIX + "0/24"}]]}}]})
        with open(f"{self.dir}/fairlead.yaml") as file:
            config = json.load(file)
        config["engines"]["podman"] = {"socket": self.podman_socket}
        config["lb"] = {"agents": [f"unix:{self.dir}/run/discovery.sock"], "admin_socket": f"{self.dir}/run/lb.sock"}
        config["listeners"] = [{"name": "web", "bind": f"127.0.0.1:{LB_PORT}"}]
        self.write("fairlead.yaml", config)
        self.consumers = [Program(self.dir, name, [FAIRLEAD, name, "-c", f"{self.dir}/fairlead.yaml"]) for name in ("lb", "dns")]

    def start(self):
        self.start_service()
        super().start()
        for consumer in self.consumers:
            consumer.start()
        for port in (7853, 7854, 7855):
            wait_for(lambda: f"ready at {port}\n{self.agent.tail()}", lambda: self.ready(port))

    def start_service(self):
        if os.path.exists(self.podman_socket):
            os.unlink(self.podman_socket)
        self.service.start()
        wait_for(lambda: self.service.tail(), lambda: os.path.exists(self.podman_socket))

    def ready(self, port=7853):
        try:
            return http_get(port, "/readyz")[0] == 200
        except OSError:
            return False

    def close(self):
        for consumer in self.consumers:
            consumer.end()
        super().close()
        self.service.end()

    def run_web(self, name, *options, network=NETWORK, port=80, command=None, check=True):
        """A container that serves its own name on `port`."""
        return self.podman("run", "-d", "--name", name, "--network", network, "--stop-timeout", "0", "--cgroup-parent",
                           "/" + os.path.basename(os.environ["FAIRLEAD_LAB_DIR"]), "--label", "fairlead.service=web",
                           "--label", "fairlead.project=demo", "--label", f"fairlead.port={port}", "--label", f"fairlead.host={HOST}",
                           *options, "lab", "sh", "-c",
                           command or f"busybox mkdir /www; echo {name} > /www/index.html; exec busybox httpd -f -p {port} -h /www", check=check)

    def rows(self):
        """The catalog's endpoints of Podman, by container id."""
        return {row["engine_id"]: row for row in json.loads(http_get(7853, "/v1/endpoints")[1]) if row["source"] == "podman"}

    def truth(self):
        """What Podman has: id to name, state and addresses. Infra containers of pods are left out."""
        ids = [line["Id"] for line in json.loads(self.podman("ps", "-a", "--format", "json").stdout) if not line["IsInfra"]]
        found = json.loads(self.podman("inspect", *ids).stdout) if ids else []
        return {one["Id"]: (one["Name"], STATES.get(one["State"]["Status"], "exited"),
                            sorted(at["IPAddress"] for at in (one["NetworkSettings"]["Networks"] or {}).values() if at["IPAddress"]))
                for one in found}

    def catalog(self):
        return {row["engine_id"]: (row["name"], row["state"], [row["address"].split(":")[0]] if row["address"] else [])
                for row in self.rows().values()}

    def wait_equal(self, when):
        def different():
            catalog, truth = self.catalog(), self.truth()
            return f"{when}: the catalog has {catalog}, Podman {truth}"
        wait_for(different, lambda: self.catalog() == self.truth())

    def serving(self, requests=12):
        answers = set()
        for _ in range(requests):
            status, body = http_get(LB_PORT, "/", HOST)
            answers.add(json.loads(body)["name"] if body.startswith("{") else body.strip() if status == 200 else f"status {status}")
        return answers


class PodmanCatalog(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(docker0=True)
        cls.addClassCleanup(cls.lab.close)
        cls.lab.start_engine()
        cls.host = PodmanService(cls.lab)
        cls.addClassCleanup(cls.host.close)
        cls.host.start()

    def tearDown(self):
        if not self.host.service.running():
            self.host.start_service()
        self.host.podman("pod", "rm", "-f", "-a", check=False)
        self.host.remove_containers()
        self.lab.remove_containers()
        self.host.wait_equal("after the test")

    def row(self, name):
        return next((row for row in self.host.rows().values() if row["name"] == name), None)

    def wait_row(self, name, **wanted):
        def fits():
            row = self.row(name)
            return row is not None and all(row[key] == value for key, value in wanted.items())
        wait_for(lambda: f"{name} has {wanted}, but {self.row(name)}", fits)
        return self.row(name)

    def wait_serving(self, names):
        wait_for(lambda: f"{names} serve, but {self.host.serving()}", lambda: self.host.serving() == set(names))

    def test_containers_of_both_engines_are_one_service(self):
        self.host.run_web("podman-web")
        self.lab.run_server("docker-web", network="bridge")
        self.wait_serving(["podman-web", "docker-web"])
        row = self.wait_row("podman-web", service="web.demo", state="running", ready=True, node=NODE)
        self.assertTrue(row["address"].startswith(PREFIX), row)
        self.assertTrue(row["address_rule"], row)
        engines = json.loads(http_get(7853, "/v1/status")[1])["engines"]
        self.assertEqual({engine["name"]: engine["connected"] for engine in engines}, {"docker": True, "podman": True})
        dig = self.lab.dig("web.demo.svc.fl.internal")
        self.assertEqual(dig, sorted([row["address"].split(":")[0], self.lab.address("docker-web", "bridge")]))
        self.host.podman("rm", "-f", "-t", "0", "podman-web")
        self.wait_serving(["docker-web"])

    def test_a_container_on_our_network_is_preferred_there(self):
        self.host.run_web("both", network=f"{NETWORK},{MANAGED}")
        row = self.wait_row("both", ready=True)
        self.assertEqual(row["address"].rsplit(":")[0], json.loads(self.host.podman("inspect", "both").stdout)[0]
                         ["NetworkSettings"]["Networks"][MANAGED]["IPAddress"])

    def test_the_hosts_network_and_published_ports(self):
        self.host.run_web("on-host", network="host", port=8091)
        self.wait_row("on-host", address=f"{NODE_ADDRESS}:8091", ready=True)

    def test_a_pods_container_is_reached_at_the_pods_address(self):
        self.host.podman("pod", "create", "--name", "pod", "--infra-image", "lab", "--infra-command", "sleep 86400", "--network", NETWORK)
        self.host.podman("run", "-d", "--pod", "pod", "--name", "member", "--stop-timeout", "0", "--label", "fairlead.port=80",
                         "lab", "sh", "-c", "exec busybox httpd -f -p 80 -h /")
        row = self.wait_row("member", state="running", ready=True)
        self.assertTrue(row["address"].startswith(PREFIX), row)
        self.assertEqual([row["name"] for row in self.host.rows().values()], ["member"], "the infra container is nobody's endpoint")

    def test_health_decides_as_podman_finds_it(self):
        self.host.run_web("checked", "--health-cmd", "busybox test -f /well", "--health-interval", "disable", "--health-retries", "1")
        self.wait_row("checked", state="running", ready=False)
        self.host.podman("exec", "checked", "busybox", "touch", "/well")
        self.host.podman("healthcheck", "run", "checked")
        self.wait_row("checked", health="healthy", ready=True)
        self.host.podman("exec", "checked", "busybox", "rm", "/well")
        self.host.podman("healthcheck", "run", "checked", check=False)
        self.wait_row("checked", health="unhealthy", ready=False)

    def test_a_rename_and_every_state_are_seen(self):
        self.host.run_web("before")
        self.wait_row("before", ready=True)
        steps = ((("rename", "before", "after"), {"state": "running", "ready": True}), (("pause", "after"), {"state": "paused", "ready": False}),
                 (("unpause", "after"), {"state": "running", "ready": True}), (("kill", "after"), {"state": "exited", "ready": False}),
                 (("start", "after"), {"state": "running", "ready": True}), (("restart", "-t", "0", "after"), {"state": "running", "ready": True}),
                 (("stop", "after"), {"state": "exited", "ready": False}))
        for command, wanted in steps:
            with self.subTest(command[0]):
                self.host.podman(*command)
                self.wait_row("after", **wanted)
                self.host.wait_equal(command[0])

    def test_a_stop_drains_while_the_container_finishes(self):
        flags = f"{self.host.dir}/flags"  # no command can be run in a container that is being stopped
        os.mkdir(flags)
        self.host.run_web("slow", "--stop-timeout", "60", "-v", f"{flags}:/flags", command="busybox mkdir /www; busybox httpd -p 80 -h /www; "
                          "trap 'while test ! -e /flags/done; do sleep 0.1; done; exit 0' TERM; while true; do sleep 0.1; done")
        self.wait_row("slow", ready=True, draining=False)
        stop = subprocess.Popen([*self.host.podman_argv, "stop", "slow"], env=self.host.environment, stdout=subprocess.DEVNULL)
        self.wait_row("slow", state="running", draining=True, ready=False, reason="draining")
        open(f"{flags}/done", "w").close()
        self.assertEqual(stop.wait(60), 0)
        self.wait_row("slow", state="exited", draining=False)

    def test_equals_podman_after_random_operations_and_restarts_of_either_side(self):
        host, choose = self.host, random.Random(int(os.environ.get("FAIRLEAD_CATALOG_SEED", "5")))
        made = 0
        for step in range(STEPS):
            names = sorted(name for name, _, _ in host.truth().values())
            name = choose.choice(names) if names else None
            what = choose.choice(["run", "run", "create", "start", "stop", "kill", "pause", "unpause", "rename", "rm", "service", "agent"])
            if what == "service":
                host.service.end(choose.choice([signal.SIGTERM, signal.SIGKILL]))
                if name:
                    host.podman("rm", "-f", "-t", "0", name)  # while nobody looks
                host.start_service()
            elif what == "agent":
                host.agent.end(signal.SIGKILL)
                host.start_agent()
                wait_for("ready again", host.ready)
            elif what in ("run", "create"):
                made += 1
                host.podman(what, *(["-d"] if what == "run" else []), "--name", f"c{made}", "--network", NETWORK, "--stop-timeout", "0",
                            "--label", "fairlead.port=80", "lab", "sleep", "86400")
            elif name:
                more = {"rename": [name, f"{name}-{step}"], "rm": ["-f", "-t", "0", name]}.get(what, [name])
                host.podman(what, *more, check=False)  # of a state that does not fit: refused, which is a step, too
            if step % 10 == 9:
                host.wait_equal(f"step {step}, {what} {name}")
        host.wait_equal("at the end")


if __name__ == "__main__":
    main()
