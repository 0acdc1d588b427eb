#!/usr/bin/env python3
"""containerd as a source of the catalog: containers of `ctr`, with nerdctl's labels, on Debian's CNI bridge, on our own CNI plugin and on
the host's network.

Real: Debian's containerd and ctr with folders of their own, CNI, the balancer and the name server. nerdctl is not in Debian 12: its
labels are written by hand, as its documents have them.
"""
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import tarfile

from lab import BIN, FAIRLEAD, HERE, HOST, NODE_ADDRESS, LabTest, Program, http_get, main

STEPS = int(os.environ.get("FAIRLEAD_CATALOG_STEPS", "500")) // 10
PREFIX, OWN_PREFIX = "10.213.63.", "10.213.64."
STATES = {"CREATED": "created", "RUNNING": "running", "PAUSED": "paused", "STOPPED": "exited"}


class Containerd(LabTest):
    @classmethod
    def prepare(cls):
        lab = cls.lab
        # ctr has no other places for CNI: these are the lab's own, in its mount namespace.
        for folder in ("/var/lib/cni", "/etc/cni", "/opt"):
            subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
        os.makedirs("/etc/cni/net.d")
        os.makedirs("/opt/cni/bin")
        for name in os.listdir("/usr/lib/cni"):
            os.symlink(f"/usr/lib/cni/{name}", f"/opt/cni/bin/{name}")
        os.symlink(f"{BIN}/fairlead-cni", "/opt/cni/bin/fairlead-cni")
        root = f"{lab.dir}/rootfs"
        for folder in ("bin", "usr", "tmp", "etc", "srv", "proc", "sys", "dev", "run"):
            os.makedirs(f"{root}/{folder}")
        shutil.copy("/bin/busybox", f"{root}/bin/busybox")
        cls.root = root
        cls.bridge()
        lab.start_containerd()
        lab.up = Program(lab.dir, "up", [FAIRLEAD, "up", "-c", lab.config(
            engines={"docker": {"socket": ""}, "containerd": {"socket": f"{lab.dir}/containerd.sock", "namespaces": ["default", "other"]}},
            networks=[], pools=[{"name": "own", "prefixes": [{"cidr": OWN_PREFIX + "0/24"}]}])]).start()
        lab.wait_for(lambda: f"ready: {lab.readyz()}", lambda: lab.readyz()[0] == 200)

    @staticmethod
    def network(conflist):
        with open("/etc/cni/net.d/net.conflist", "w") as file:
            json.dump(conflist, file)

    @classmethod
    def bridge(cls):
        cls.network({"cniVersion": "1.0.0", "name": "plain", "plugins": [
            {"type": "bridge", "bridge": "plain0", "isGateway": True, "ipam": {
                "type": "host-local", "ranges": [[{"subnet": PREFIX + "0/24"}]]}}]})

    def tearDown(self):
        if not self.lab.containerd.running():
            self.lab.start_containerd()
        for namespace in ("default", "other"):
            for name in self.ctr("c", "ls", "-q", namespace=namespace).split():
                self.remove(name, namespace)
        for folder in os.listdir("/var/lib/cni"):  # of what was removed ctr leaves its addresses
            shutil.rmtree(f"/var/lib/cni/{folder}")
        self.bridge()
        self.wait_equal("after the test")

    def ctr(self, *arguments, namespace="default", check=True):
        done = subprocess.run(["ctr", "-a", f"{self.lab.dir}/containerd.sock", "-n", namespace, *arguments], capture_output=True, text=True)
        if check and done.returncode:
            raise AssertionError(f"ctr {' '.join(arguments)}: {done.stderr}\n{self.lab.containerd.tail()}")
        return done.stdout

    def run_web(self, name, *options, port=80, namespace="default", network=("--cni",), labels=()):
        labels = {"fairlead.service": "web", "fairlead.project": "demo", "fairlead.port": str(port), "fairlead.host": HOST, **dict(labels)}
        self.ctr("run", "-d", *network, "--cgroup", f"/{os.path.basename(os.environ['FAIRLEAD_LAB_DIR'])}/{namespace}-{name}",
                 *(part for key, value in labels.items() for part in ("--label", f"{key}={value}")), *options,
                 "--rootfs", self.root, name, "/bin/busybox", "sh", "-c",
                 f"/bin/busybox mkdir -p /tmp/{name}; echo {name} > /tmp/{name}/index.html; exec /bin/busybox httpd -f -p {port} -h /tmp/{name}",
                 namespace=namespace)

    def remove(self, name, namespace="default"):
        self.ctr("t", "kill", "-s", "KILL", name, namespace=namespace, check=False)
        self.ctr("t", "rm", "-f", name, namespace=namespace, check=False)
        self.ctr("c", "rm", name, namespace=namespace, check=False)

    def rows(self):
        return {row["engine_id"]: row for row in json.loads(http_get(7853, "/v1/endpoints")[1]) if row["source"] == "containerd"}

    def truth(self):
        """What containerd has: the containers with the state of their tasks; without one it is none or over."""
        found = {}
        for namespace in ("default", "other"):
            tasks = {line.split()[0]: line.split()[2] for line in self.ctr("t", "ls", namespace=namespace).splitlines()[1:]}
            for name in self.ctr("c", "ls", "-q", namespace=namespace).split():
                found[f"{namespace}/{name}"] = STATES[tasks[name]] if name in tasks else "no task"
        return found

    def wait_equal(self, when):
        def equal():
            rows, truth = self.rows(), self.truth()
            return rows.keys() == truth.keys() and all(
                row["state"] == truth[key] or (truth[key] == "no task" and row["state"] in ("created", "exited")) for key, row in rows.items())
        self.lab.wait_for(lambda: f"{when}: the catalog has { {key: row['state'] for key, row in self.rows().items()} }, containerd {self.truth()}", equal)

    def wait_row(self, name, namespace="default", **wanted):
        def row():
            return self.rows().get(f"{namespace}/{name}")
        self.lab.wait_for(lambda: f"{name} has {wanted}, but {row()}",
                          lambda: row() is not None and all(row()[key] == value for key, value in wanted.items()))
        return row()

    def serving(self):
        answers = (self.lab.get() for _ in range(12))
        return {body.strip() if status == 200 else f"status {status}" for status, body in answers}

    def wait_serving(self, *names):
        self.lab.wait_for(lambda: f"{names} serve, but {self.serving()}", lambda: self.serving() == set(names))

    def test_containers_serve_under_their_names(self):
        self.run_web("c1", labels={"nerdctl/name": "web-1", "nerdctl/networks": '["plain"]'})
        self.run_web("c2")
        self.wait_serving("c1", "c2")
        first, second = self.wait_row("c1", ready=True), self.wait_row("c2", ready=True)
        self.assertEqual((first["name"], second["name"]), ("web-1", "c2"))
        self.assertTrue(first["address"].startswith(PREFIX), first)
        self.assertEqual(self.lab.dig("web.demo.svc.fl.internal"), sorted(row["address"].split(":")[0] for row in (first, second)))
        engines = json.loads(http_get(7853, "/v1/status")[1])["engines"]
        self.assertEqual({engine["name"]: engine["connected"] for engine in engines}, {"containerd": True})
        self.remove("c1")
        self.wait_serving("c2")

    def image(self, name, exposed):
        """An image of busybox that exposes these ports, as `docker save` writes it."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            tar.add("/bin/busybox", "bin/busybox")
        layer = layer.getvalue()
        config = json.dumps({"architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine], "os": "linux",
                             "config": {"ExposedPorts": {port: {} for port in exposed}},
                             "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
        manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
        with tarfile.open(f"{self.lab.dir}/image.tar", "w") as tar:
            for path, content in (("config.json", config), ("layer.tar", layer), ("manifest.json", manifest)):
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        self.ctr("image", "import", "--snapshotter", "native", f"{self.lab.dir}/image.tar")

    def test_what_the_image_exposes_is_the_port(self):
        self.image("docker.io/library/exposing:1", ["8093/tcp", "53/udp"])
        self.ctr("run", "-d", "--cni", "--snapshotter", "native", "--cgroup", f"/{os.path.basename(os.environ['FAIRLEAD_LAB_DIR'])}/exposing",
                 "--label", "fairlead.service=web", "--label", "fairlead.project=demo", "docker.io/library/exposing:1", "exposing",
                 "/bin/busybox", "httpd", "-f", "-p", "8093", "-h", "/")
        row = self.wait_row("exposing", state="running", ready=True)
        self.assertTrue(row["address"].startswith(PREFIX) and row["address"].endswith(":8093"), row)

    def test_the_hosts_network_and_a_published_port(self):
        self.run_web("on-host", network=("--net-host",), port=8091)
        self.wait_row("on-host", address=f"{NODE_ADDRESS}:8091", ready=True)
        self.run_web("published", network=(), labels={"nerdctl/ports": '[{"HostPort":8092,"ContainerPort":80,"Protocol":"tcp","HostIP":"0.0.0.0"}]'})
        self.wait_row("published", address=f"{NODE_ADDRESS}:8092")

    def test_an_address_of_our_own_plugin_is_a_fairlead_networks(self):
        self.network({"cniVersion": "1.0.0", "name": "own", "plugins": [
            {"type": "fairlead-cni", "pool": "own", "bridge": "fl-own", "socket": f"{self.lab.dir}/run/api.sock"}]})
        self.run_web("mine")
        row = self.wait_row("mine", ready=True, address_rule="address on Fairlead network own")
        self.assertTrue(row["address"].startswith(OWN_PREFIX), row)

    def test_namespaces_are_apart(self):
        self.run_web("same")
        self.run_web("same", namespace="other")
        rows = [self.wait_row("same", namespace=namespace, ready=True) for namespace in ("default", "other")]
        self.assertNotEqual(rows[0]["address"], rows[1]["address"])
        self.assertNotEqual(rows[0]["uid"], rows[1]["uid"])

    def test_every_state_is_seen(self):
        self.run_web("c1")
        uid = self.wait_row("c1", state="running", ready=True)["uid"]
        for command, wanted in ((("t", "pause", "c1"), {"state": "paused", "ready": False}), (("t", "resume", "c1"), {"state": "running", "ready": True}),
                                (("t", "exec", "--exec-id", "probe", "c1", "/bin/busybox", "true"), {"state": "running", "ready": True}),
                                (("t", "kill", "-s", "KILL", "c1"), {"state": "exited", "ready": False}),
                                (("t", "rm", "c1"), {"state": "exited", "ready": False})):
            with self.subTest(command[1]):
                self.ctr(*command)
                self.wait_row("c1", **wanted)
                self.wait_equal(command[1])
        self.ctr("t", "start", "-d", "c1")
        self.assertNotEqual(self.wait_row("c1", state="running")["uid"], uid, "another run")

    def test_a_restarted_agent_knows_the_same_run(self):
        self.run_web("c1")
        uid = self.wait_row("c1", ready=True)["uid"]
        before = self.lab.child("agent")
        os.kill(before, signal.SIGKILL)
        self.lab.wait_for("the agent is started again", lambda: self.lab.child("agent") not in (None, before))
        self.lab.wait_for(lambda: f"ready: {self.lab.readyz()}", lambda: self.lab.readyz()[0] == 200)
        self.assertEqual(self.wait_row("c1", ready=True)["uid"], uid)

    def test_equals_containerd_after_random_operations_and_restarts_of_it(self):
        choose = random.Random(int(os.environ.get("FAIRLEAD_CATALOG_SEED", "5")))
        for step in range(STEPS):
            names = sorted(key for key in self.truth() if key.startswith("default/"))
            name = choose.choice(names).split("/")[1] if names else None
            what = choose.choice(["run", "run", "kill", "delete task", "start", "pause", "resume", "rm", "containerd"])
            if what == "run":
                self.run_web(f"r{step}")
            elif what == "containerd":
                self.lab.containerd.end(signal.SIGKILL)
                self.lab.start_containerd()
                self.lab.wait_for("containerd answers", lambda: "CONTAINER" in self.ctr("c", "ls", check=False))
            elif name:
                if what == "rm":
                    self.remove(name)
                else:
                    self.ctr("t", *{"kill": ("kill", "-s", "KILL", name), "delete task": ("rm", "-f", name), "start": ("start", "-d", name),
                                    "pause": ("pause", name), "resume": ("resume", name)}[what], check=False)
            if step % 5 == 4:
                self.wait_equal(f"step {step}, {what}")
        self.wait_equal("at the end")


if __name__ == "__main__":
    main()
