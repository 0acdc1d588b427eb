#!/usr/bin/env python3
"""The catalog equals the engine: after random operations by several at once, cuts of the event stream, kill -9 of the agent and
restarts of dockerd in between. What is compared: the agent's rows, the balancer's endpoints and the name server's answers.

FAIRLEAD_CATALOG_STEPS operations (500; tools/soak: 10,000), by FAIRLEAD_CATALOG_SEED.
"""
import concurrent.futures
import json
import os
import random
import select
import signal
import socket
import threading

from lab import Lab, LabTest, UnixConnection, http_get, main

STEPS = int(os.environ.get("FAIRLEAD_CATALOG_STEPS", "500"))
SEED = int(os.environ.get("FAIRLEAD_CATALOG_SEED", "1"))
HANDS, ROUND = 4, 25  # operators at once; operations between two comparisons
MOST = 12             # containers of each operator
SERVICE = "churn.demo"


class Wire:
    """Between agent and dockerd: everything that is said passes here, until it is cut."""

    def __init__(self, path, target):
        self.path, self.target = path, target
        self.lock, self.ends = threading.Lock(), set()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.target)
            except OSError:
                client.close()  # dockerd is away
                server.close()
                continue
            threading.Thread(target=self.carry, args=(client, server), daemon=True).start()

    def carry(self, client, server):
        """Until one of the two ends, or both are cut."""
        with self.lock:
            self.ends |= {client, server}
        other = {client: server, server: client}
        try:
            while True:
                for end in select.select(other, [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    other[end].sendall(data)
        except OSError:
            pass  # cut
        finally:
            with self.lock:
                self.ends -= {client, server}
                client.close()
                server.close()

    def cut(self):
        with self.lock:
            for end in self.ends:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it has ended itself


class Dockerd:
    """Docker's API: a command of the client takes as long as several of these."""

    def __init__(self, path):
        self.path = path

    def call(self, method, path, body=None):
        connection = UnixConnection(self.path)
        connection.timeout = 60
        connection.request(method, "/v1.41" + path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, json.loads(text) if text.strip() else None

    def containers(self):
        """Id to name, state and address of each container, as an inspection says."""
        found = {}
        for entry in self.call("GET", "/containers/json?all=1")[1]:
            status, one = self.call("GET", f"/containers/{entry['Id']}/json")
            if status != 200:
                continue
            state = one["State"]["Status"]
            addresses = sorted(at["IPAddress"] for at in one["NetworkSettings"]["Networks"].values() if at["IPAddress"])
            found[one["Id"]] = (one["Name"][1:], state if state in ("created", "running", "paused", "restarting") else "exited", addresses)
        return found


class Hand:
    """One operator, with containers of its own. What does not fit a container's state is refused, which is a step, too."""

    def __init__(self, number, docker, network):
        self.number, self.docker, self.network = number, docker, network
        self.random = random.Random(f"{SEED}/{number}")
        self.made, self.names, self.refused = 0, [], 0

    def create(self):
        self.made += 1
        name = f"h{self.number}-{self.made}"
        eats = self.random.random() < 0.1
        command = ["sh", "-c", "sleep 0.2; exec tail /dev/zero"] if eats else ["sleep", "86400"]
        labels = {"fairlead.service": "churn", "fairlead.project": "demo", "fairlead.port": "80", "fairlead.check": "none"}
        limits = {"Memory": 16 << 20, "MemorySwap": 16 << 20} if eats else {}
        status, answer = self.docker.call("POST", f"/containers/create?name={name}", {
            "Image": "lab", "Cmd": command, "Labels": labels, "StopTimeout": 0,
            "HostConfig": {"NetworkMode": self.random.choice([self.network, "bridge"]), **limits}})
        assert status == 201, answer
        self.names.append(name)
        return name

    def step(self):
        what = self.random.choice(["run", "run", "create", "start", "start", "kill", "reload", "stop", "restart", "pause", "unpause", "rename", "rm"])
        if len(self.names) >= MOST:
            what = "rm"
        if what in ("run", "create") or not self.names:
            name = self.create()
            if what == "run":
                self.docker.call("POST", f"/containers/{name}/start")
            return
        at = self.random.randrange(len(self.names))
        name, path = self.names[at], f"/containers/{self.names[at]}"
        method, target = {"kill": ("POST", f"{path}/kill"), "reload": ("POST", f"{path}/kill?signal=HUP"), "rm": ("DELETE", f"{path}?force=1"),
                          "rename": ("POST", f"{path}/rename?name={name.split('_')[0]}_{self.random.randrange(10**6)}"),
                          "stop": ("POST", f"{path}/stop?t=0"), "restart": ("POST", f"{path}/restart?t=0")}.get(what, ("POST", f"{path}/{what}"))
        status, _ = self.docker.call(method, target)
        if status >= 400:
            self.refused += 1
        elif what == "rm":
            self.names.pop(at)
        elif what == "rename":
            self.names[at] = target.split("name=")[1]


class ChurnLab(Lab):
    """The agent hears dockerd through a wire that can be cut."""

    def config(self, **changes):
        self.wire = getattr(self, "wire", None) or Wire(f"{self.dir}/wire.sock", self.docker_socket)
        return super().config(engines={"docker": {"socket": self.wire.path}}, **changes)


class CatalogTest(LabTest):
    @classmethod
    def setUpClass(cls):
        cls.lab = ChurnLab(docker0=True)
        cls.addClassCleanup(cls.lab.close)
        cls.prepare()
        cls.docker = Dockerd(cls.lab.docker_socket)

    def rows(self):
        return [row for row in json.loads(http_get(7853, "/v1/endpoints")[1]) if row["source"] == "docker"]

    def seen(self):
        """The agent's rows, the balancer's endpoints, the names' addresses."""
        rows = {row["engine_id"]: (row["name"], row["state"], [row["address"].split(":")[0]] if row["address"] else []) for row in self.rows()}
        return rows, self.lab.services().get(SERVICE, {}), self.lab.dig("churn.demo.svc.fl.internal")

    def wanted(self):
        containers = self.docker.containers()
        balanced = {name: f"{addresses[0]}:80" if addresses else "" for name, state, addresses in containers.values()}
        return containers, balanced, sorted(addresses[0] for _, state, addresses in containers.values() if state == "running")

    def differences(self):
        (rows, balanced, names), (containers, wanted, running) = self.seen(), self.wanted()
        different = {key[:12]: (rows.get(key), containers.get(key)) for key in {*rows, *containers} if rows.get(key) != containers.get(key)}
        endpoints = {name: (balanced.get(name), wanted.get(name)) for name in {*balanced, *wanted} if (balanced.get(name) or "") != (wanted.get(name) or "")}
        return {**({"rows": different} if different else {}), **({"balancer": endpoints} if endpoints else {}),
                **({"names": (names, running)} if names != running else {})}

    def wait_equal(self, when):
        self.lab.wait_for(lambda: f"{when}: as seen, as it is: {self.differences()}", lambda: not self.differences())


class Churn(CatalogTest):
    def test_rows_balancer_and_names_equal_the_engine(self):
        hands = [Hand(number, self.docker, "demo") for number in range(HANDS)]
        choose, happened = random.Random(SEED), {}
        with concurrent.futures.ThreadPoolExecutor(HANDS) as pool:
            for done in range(0, STEPS, ROUND):
                disturbance = choose.choice(["none", "none", "cut", "cut", "agent", "dockerd TERM", "dockerd KILL"])
                happened[disturbance] = happened.get(disturbance, 0) + 1
                work = [pool.submit(self.steps, hand, ROUND // HANDS + (hand.number < ROUND % HANDS)) for hand in hands]
                if disturbance == "cut":
                    self.lab.wire.cut()
                elif disturbance == "agent":
                    self.lab.kill_agent()
                for each in work:
                    each.result()
                if disturbance.startswith("dockerd"):
                    self.lab.dockerd.end(getattr(signal, "SIG" + disturbance.split()[1]))
                    self.lab.start_dockerd()
                self.wait_equal(f"after {done + ROUND} operations, {disturbance}")
        print(f"\n  {STEPS} operations, {sum(hand.refused for hand in hands)} refused by their container's state, {happened}", end=" ")

    @staticmethod
    def steps(hand, count):
        for _ in range(count):
            hand.step()


class Ends(CatalogTest):
    def test_an_oom_kill_takes_a_container_out_at_once(self):
        self.lab.docker("run", "-d", "--name", "hungry", "--network", "demo", "--memory", "16m", "--memory-swap", "16m", "--label",
                        "fairlead.service=churn", "--label", "fairlead.project=demo", "--label", "fairlead.port=80", "--label", "fairlead.check=none",
                        "lab", "sh", "-c", "while ! test -f /tmp/go; do sleep 0.05; done; exec tail /dev/zero")
        self.lab.wait_dns("churn.demo.svc.fl.internal", [self.lab.address("hungry")])
        self.lab.docker("exec", "hungry", "touch", "/tmp/go")
        self.lab.wait_dns("churn.demo.svc.fl.internal", [])
        state = self.lab.inspect("hungry")["State"]
        self.assertEqual((state["OOMKilled"], state["ExitCode"]), (True, 137))
        self.wait_equal("after the OOM kill")

    def test_a_renamed_container_goes_on_under_its_new_name(self):
        self.lab.run_server("before", "--label", "fairlead.service=churn")
        self.lab.wait_serving(["before"])
        address = self.lab.address("before")
        self.lab.docker("rename", "before", "after")
        self.lab.wait_for("the new name has the address", lambda: self.lab.address_of("after") == [address])
        self.assertEqual(self.lab.get()[0], 200)
        self.assertEqual([row["name"] for row in self.rows()], ["after"])


class Dialects(LabTest):
    options = {"docker0": True}

    def serve(self, name, *options, network="bridge"):
        """A server without any label of Fairlead's."""
        self.lab.docker("run", "-d", "--name", name, "--hostname", name, "--network", network, "--stop-timeout", "0", "-v", "/usr:/usr:ro",
                        "-v", f"{os.path.dirname(os.path.abspath(__file__))}:/srv:ro", "--expose", "80", *options,
                        "lab", "/usr/bin/python3", "-SE", "/srv/backend.py", "80")

    def answer(self, host, path="/"):
        status, body = self.lab.get(path, host)
        return body["name"] if status == 200 else status

    def test_labels_of_traefik_nginx_proxy_and_registrator_route_without_any_of_ours(self):
        self.serve("traefik", "--label", "traefik.enable=true", "--label",
                   "traefik.http.routers.shop.rule=Host(`shop.example`) && PathPrefix(`/api`) && !Path(`/api/private`)", "--label",
                   "traefik.http.services.shop.loadbalancer.server.port=80")
        self.serve("nginx-proxy", "-e", "VIRTUAL_HOST=nginx.example,*.wild.example", "-e", "VIRTUAL_PORT=80")
        self.serve("registrator", "-e", "SERVICE_80_NAME=billing", "-e", "SERVICE_80_TAGS=urlprefix-fabio.example/pay")
        wanted = {("shop.example", "/api/x"): "traefik", ("shop.example", "/"): 404, ("shop.example", "/api/private"): 404,
                  ("nginx.example", "/"): "nginx-proxy", ("a.wild.example", "/"): "nginx-proxy",
                  ("fabio.example", "/pay"): "registrator", ("fabio.example", "/"): 404}
        seen = {}

        def look():
            seen.update({request: self.answer(*request) for request in wanted})
            return seen == wanted
        self.lab.wait_for(lambda: f"{wanted}, but {seen}", look)
        self.lab.wait_dns("billing.default.svc.fl.internal", [self.lab.address("registrator", "bridge")])


if __name__ == "__main__":
    main()
