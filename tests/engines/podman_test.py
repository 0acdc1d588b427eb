#!/usr/bin/env python3
"""Podman with CNI, and Fairlead as the IPAM of Debian's CNI plugins: the same name has the same address.

Real: Podman 4 (network_backend = "cni") and /usr/lib/cni/{bridge,macvlan,ptp}, in the lab's own namespaces with storage,
configuration and CNI cache of their own. netavark's external plugins and nerdctl are not in Debian 12; they are tested
by transcript (runtime-shim/netavark_test.cc, cni_test.cc).
"""
import concurrent.futures
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import unittest

from lab import BIN, FAIRLEAD, NODE, Lab, Program, http_get, main, wait_for

ROUNDS = int(os.environ.get("FAIRLEAD_ENGINE_ROUNDS", "5"))
DEBIAN_CNI = "/usr/lib/cni"
NETWORK = "podnet"
PREFIX = "10.213.60."


class PodmanHost:
    """An agent, and Podman with folders of its own; Docker where a lab is given."""

    def __init__(self, lab=None):
        self.dir = tempfile.mkdtemp(dir=os.environ["FAIRLEAD_LAB_DIR"])
        self.made = []
        for folder in ("/run/netns", "/var/lib/cni", "/run/cni"):  # what Podman and CNI write outside of --root
            if not os.path.isdir(folder):
                os.makedirs(folder)
                self.made.append(folder)
            subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
        self.socket = f"{self.dir}/run/api.sock"
        self.plugins = f"{self.dir}/plugins"
        os.makedirs(self.plugins)
        for name in os.listdir(DEBIAN_CNI):
            os.symlink(f"{DEBIAN_CNI}/{name}", f"{self.plugins}/{name}")
        for name in ("fairlead", "fairlead-cni"):
            os.symlink(f"{BIN}/fairlead-cni", f"{self.plugins}/{name}")
        self.write("fairlead.yaml", {
            "node": {"name": NODE}, "state_dir": f"{self.dir}/state", "api": {"socket": self.socket},
            "discovery": {"socket": f"{self.dir}/run/discovery.sock"},
            "engines": {"docker": {"socket": lab.docker_socket} if lab else {
                "socket": f"{self.dir}/no-docker.sock", "plugin_dir": f"{self.dir}/plugin-sockets"}},
            "pools": [{"name": "shop", "prefixes": [{"cidr": PREFIX + "0/24"}]},
                      {"name": "lan", "prefixes": [{"cidr": "10.213.61.0/24"}, {"cidr": "fd00:61::/64"}]}]})
        self.agent = Program(self.dir, "agent", [FAIRLEAD, "agent", "-c", f"{self.dir}/fairlead.yaml"])
        self.write_podman()

    def write(self, name, value):
        path = f"{self.dir}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(value if isinstance(value, str) else json.dumps(value, indent=1))
        return path

    def write_podman(self):
        self.write(f"cni/{NETWORK}.conflist", {"cniVersion": "1.0.0", "name": NETWORK, "plugins": [
            {"type": "fairlead-cni", "pool": "shop", "bridge": "fl-pod", "socket": self.socket,
             "capabilities": {"ips": True, "mac": True, "aliases": True, "portMappings": True}}]})
        # A hybrid cgroup hierarchy needs runc; some machines forbid to raise limits.
        self.write("containers.conf", f"""
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=1024:4096"]
[network]
network_backend = "cni"
network_config_dir = "{self.dir}/cni"
cni_plugin_dirs = ["{self.plugins}"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{self.dir}/podman/tmp"
""")
        self.write("policy.json", {"default": [{"type": "insecureAcceptAnything"}]})
        self.environment = {**os.environ, "CONTAINERS_CONF": f"{self.dir}/containers.conf"}
        self.podman_argv = ["podman", "--root", f"{self.dir}/podman/root", "--runroot", f"{self.dir}/podman/run",
                            "--storage-driver", "vfs"]

    def start(self):
        self.start_agent()
        root = f"{self.dir}/image/bin"
        os.makedirs(root)
        shutil.copy("/bin/busybox", f"{root}/busybox")
        for applet in ("sh", "sleep", "ip"):
            os.symlink("busybox", f"{root}/{applet}")
        tar = subprocess.run(["tar", "-C", f"{self.dir}/image", "-c", "."], capture_output=True, check=True).stdout
        with open(f"{self.dir}/image.tar", "wb") as file:
            file.write(tar)
        self.podman("import", f"{self.dir}/image.tar", "lab")

    def start_agent(self):
        self.agent.start()

        def answers():
            if not self.agent.running():
                raise AssertionError(self.agent.tail())
            status = self.cni("STATUS", {"cniVersion": "1.1.0", "name": "n", "type": "fairlead-cni", "pool": "shop",
                                         "socket": self.socket}, "", "")
            return status[0] == 0
        wait_for(lambda: f"the agent answers\n{self.agent.tail()}", answers)

    def podman(self, *arguments, check=True):
        done = subprocess.run([*self.podman_argv, *arguments], capture_output=True, text=True, env=self.environment)
        done.stdout, done.stderr = done.stdout.strip(), done.stderr.strip()
        if check and done.returncode:
            raise AssertionError(f"podman {' '.join(arguments)}: {done.stderr}\n{self.agent.tail()}")
        return done

    def run(self, name, *options, check=True):
        return self.podman("run", "-d", "--name", name, "--network", NETWORK, "--stop-timeout", "0", "--cgroup-parent",
                           "/" + os.path.basename(os.environ["FAIRLEAD_LAB_DIR"]), *options, "lab", "sleep", "86400", check=check)

    def address(self, name):
        """What Podman says, which must be what the container has."""
        told = json.loads(self.podman("inspect", name).stdout)[0]["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]
        has = self.podman("exec", name, "ip", "-4", "-o", "addr", "show", "eth0").stdout
        assert f" {told}/24 " in has, f"{name} is told to have {told}, but {has}"
        return told

    def run_address(self, name, *options):
        self.run(name, *options)
        return self.address(name)

    def remove_containers(self):
        self.podman("rm", "-f", "-a", "-t", "0")

    def leases(self):
        done = subprocess.run([FAIRLEAD, "--api", f"unix:{self.socket}", "ip", "ls", "-o", "json"], capture_output=True, text=True)
        return json.loads(done.stdout)

    def close(self):
        self.podman("rm", "-f", "-a", "-t", "0", check=False)
        self.agent.end()
        for folder in ("/run/netns", "/var/lib/cni", "/run/cni"):
            subprocess.run(["umount", "-R", "-l", folder])
        for folder in self.made:
            os.rmdir(folder)

    # --- CNI by hand, as libcni calls

    def cni(self, command, config, container, netns, name="", **more):
        """Status and the JSON (or text) of stdout."""
        environment = {"PATH": os.environ["PATH"], "CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_NETNS": netns,
                       "CNI_IFNAME": "eth0", "CNI_PATH": self.plugins, "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAME={name}", **more}
        done = subprocess.run([f"{self.plugins}/{config['type']}"], input=json.dumps(config), capture_output=True, text=True,
                              env=environment)
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else done.stderr


class PodmanTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.host = PodmanHost()
        cls.addClassCleanup(cls.host.close)
        cls.host.start()

    def tearDown(self):
        if not self.host.agent.running():
            self.host.start_agent()
        self.host.remove_containers()


class NamedContainers(PodmanTest):
    def test_keep_their_address_whatever_ends_and_starts(self):
        host = self.host
        host.run_address("other")
        first = host.run_address("web")
        ways = {
            "stop and start": lambda: (host.podman("stop", "web"), host.podman("start", "web")),
            "restart": lambda: host.podman("restart", "-t", "0", "web"),
            "kill and start": lambda: (host.podman("kill", "web"), host.podman("wait", "web"), host.podman("start", "web")),
            "rm and run": lambda: (host.podman("rm", "-f", "-t", "0", "web"), host.run("web")),
            "kill -9 of the agent": lambda: (host.agent.end(signal.SIGKILL), host.start_agent(), host.podman("restart", "-t", "0", "web")),
            "another one in between": lambda: (host.podman("stop", "web"), host.podman("restart", "-t", "0", "other"), host.podman("start", "web")),
        }
        chosen = list(ways)
        for number in range(ROUNDS):
            random.Random(number).shuffle(chosen)
            for way in chosen:
                with self.subTest(way, round=number):
                    ways[way]()
                    self.assertEqual(host.address("web"), first)
        self.assertIn(first, [lease["address"] for lease in host.leases() if lease["name"] == "web"])

    def test_a_renamed_container_has_the_address_of_its_new_name_from_its_next_start(self):
        host = self.host
        old = host.run_address("before")
        host.podman("rename", "before", "after")
        host.podman("restart", "-t", "0", "after")
        new = host.address("after")
        self.assertNotEqual(new, old)
        self.assertEqual(host.run_address("before"), old)
        host.podman("restart", "-t", "0", "after")
        self.assertEqual(host.address("after"), new)

    def test_eight_at_once_have_their_own(self):
        host = self.host
        names = [f"p{i}" for i in range(8)]
        wanted = None
        for number in range(ROUNDS):
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                list(pool.map(host.run, names))
            addresses = {name: host.address(name) for name in names}
            self.assertEqual(len(set(addresses.values())), 8)
            wanted = wanted or addresses
            self.assertEqual(addresses, wanted, f"round {number}")
            host.remove_containers()

    def test_reach_each_other_and_their_gateway(self):
        host = self.host
        peer = host.run_address("peer")
        host.run("web")
        pid = host.podman("inspect", "-f", "{{.State.Pid}}", "web").stdout
        for target in (peer, PREFIX + "1"):
            ping = subprocess.run(["nsenter", "-t", pid, "-n", "busybox", "ping", "-c", "1", "-W", "5", target], capture_output=True, text=True)
            self.assertEqual(ping.returncode, 0, ping.stdout + ping.stderr)


class WantedAddresses(PodmanTest):
    def test_ip_and_mac_are_honoured(self):
        host = self.host
        self.assertEqual(host.run_address("fixed", "--ip", PREFIX + "77", "--mac-address", "02:00:00:00:00:77"), PREFIX + "77")
        self.assertIn("02:00:00:00:00:77", host.podman("exec", "fixed", "ip", "link", "show", "eth0").stdout)

    def test_a_taken_one_is_refused_with_its_holders_name(self):
        host = self.host
        host.run("holder", "--ip", PREFIX + "88")
        refused = host.run("second", "--ip", PREFIX + "88", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("holder", refused.stderr)


class BesideDocker(unittest.TestCase):
    """Podman's network and Docker's are one: of one name, on one bridge."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.lab.start_engine()
        cls.host = PodmanHost(cls.lab)
        cls.addClassCleanup(cls.host.close)
        cls.host.start()

    def setUp(self):
        wait_for("docker takes the network", lambda: not self.lab.docker(
            "network", "create", "-d", "fairlead", "--ipam-driver", "fairlead", "--subnet", PREFIX + "0/24", "--gateway", PREFIX + "1",
            "--ipam-opt", "pool=shop", "-o", "bridge=fl-pod", NETWORK, check=False).returncode)

    def tearDown(self):
        self.host.remove_containers()
        self.lab.remove_containers()
        self.lab.docker("network", "rm", NETWORK, check=False)

    def docker_run(self, name, **more):
        return self.lab.docker("run", "-d", *self.lab.sleeper(name, network=NETWORK), **more)

    def test_a_name_runs_in_one_of_them_and_the_other_is_told_who_has_it(self):
        address = self.host.run_address("web")
        holder = self.host.podman("inspect", "-f", "{{.Id}}", "web").stdout[:12]
        refused = self.docker_run("web", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn(f"address {address} of name web on network {NETWORK} is in use by container {holder} of Podman", refused.stderr)
        self.assertEqual(self.host.address("web"), address)
        self.host.podman("stop", "web")
        self.lab.docker("start", "web")
        self.assertEqual(self.lab.address("web", NETWORK), address)
        refused = self.host.podman("start", "web", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("is in use by container web of Docker", refused.stderr)
        self.assertEqual(self.lab.address("web", NETWORK), address)
        self.lab.docker("stop", "web")
        self.host.podman("start", "web")
        self.assertEqual(self.host.address("web"), address)

    def test_the_bridge_stays_for_podman_when_docker_removes_the_network(self):
        there = lambda: not subprocess.run(["ip", "link", "show", "fl-pod"], capture_output=True).returncode
        for name in ("one", "two"):
            self.host.run(name)
        self.docker_run("three")
        self.lab.docker("rm", "-f", "three")
        self.lab.docker("network", "rm", NETWORK)
        self.assertTrue(there())
        pid = self.host.podman("inspect", "-f", "{{.State.Pid}}", "one").stdout
        for target in (PREFIX + "1", self.host.address("two")):
            ping = subprocess.run(["nsenter", "-t", pid, "-n", "busybox", "ping", "-c", "1", "-W", "5", target], capture_output=True, text=True)
            self.assertEqual(ping.returncode, 0, ping.stdout + ping.stderr)
        self.assertIn("\nfairlead_attachments 2\n", http_get(7853, "/metrics")[1])
        self.host.podman("rm", "-f", "-t", "0", "one")
        self.assertTrue(there())
        self.host.podman("rm", "-f", "-t", "0", "two")
        wait_for("the bridge goes with the last container", lambda: not there())


class AgentAway(PodmanTest):
    def test_stops_pass_and_starts_fail_clearly_until_it_is_back(self):
        host = self.host
        first = host.run_address("web")
        host.run("gone")
        host.agent.end(signal.SIGKILL)
        host.podman("stop", "web")
        host.podman("rm", "-f", "-t", "0", "gone")
        refused = host.run("new", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("try later: the agent is away", refused.stderr)
        host.start_agent()
        host.podman("start", "web")
        self.assertEqual(host.address("web"), first)
        held = {lease["name"]: lease["state"] for lease in host.leases()}
        self.assertEqual(held.get("gone"), "detached", held)


class ByHand(PodmanTest):
    """CNI's verbs without an engine; namespaces are of `ip netns`."""

    def setUp(self):
        self.namespaces = []
        for command in ("link add lan0 type veth peer name lan1", "link set lan0 up", "link set lan1 up"):
            subprocess.run(["ip", *command.split()], check=True)

    def tearDown(self):
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "del", name])
        for link in ("lan0", "cni-br0"):
            subprocess.run(["ip", "link", "del", link], stderr=subprocess.DEVNULL)
        super().tearDown()

    def namespace(self, name):
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.namespaces.append(name)
        return f"/run/netns/{name}"

    def ipam(self, **more):
        return {"type": "fairlead", "pool": "lan", "socket": self.host.socket, "state_dir": f"{self.host.dir}/state", **more}

    def config(self, kind, **more):
        return {"cniVersion": "1.0.0", "name": f"{kind}-net", "type": kind, "ipam": self.ipam(), **more}

    def addresses(self, namespace):
        shown = subprocess.run(["ip", "-n", namespace, "-j", "addr", "show", "eth0"], capture_output=True, text=True, check=True).stdout
        return sorted(f"{a['local']}/{a['prefixlen']}" for a in json.loads(shown)[0]["addr_info"] if a["scope"] == "global")

    def test_fairlead_is_the_ipam_of_debians_plugins(self):
        for kind, options in (("bridge", {"bridge": "cni-br0", "isGateway": True}), ("macvlan", {"master": "lan0"}), ("ptp", {})):
            with self.subTest(kind):
                config = self.config(kind, **options)
                one, two = self.namespace(f"{kind}-1"), self.namespace(f"{kind}-2")
                code, result = self.host.cni("ADD", config, "c1", one, "web")
                self.assertEqual(code, 0, result)
                given = sorted(ip["address"] for ip in result["ips"])
                self.assertEqual(len(given), 2, "both families")
                self.assertEqual(self.addresses(f"{kind}-1"), given)
                check = {**config, "prevResult": result}
                self.assertEqual(self.host.cni("CHECK", check, "c1", one, "web")[0], 0)
                code, other = self.host.cni("ADD", config, "c2", two, "db")
                self.assertEqual(code, 0, other)
                self.assertFalse(set(self.addresses(f"{kind}-2")) & set(given))
                for _ in range(2):
                    self.assertEqual(self.host.cni("DEL", check, "c1", one, "web")[0], 0)
                code, again = self.host.cni("ADD", config, "c3", one, "web")
                self.assertEqual(code, 0, again)
                self.assertEqual(sorted(ip["address"] for ip in again["ips"]), given)
                for container, netns, name in (("c3", one, "web"), ("c2", two, "db")):
                    self.assertEqual(self.host.cni("DEL", config, container, netns, name)[0], 0)

    def test_as_ipam_a_known_name_is_served_without_the_agent(self):
        config = self.config("macvlan", master="lan0")
        netns = self.namespace("away-1")
        code, result = self.host.cni("ADD", config, "c1", netns, "web")
        self.assertEqual(code, 0, result)
        self.host.agent.end(signal.SIGKILL)
        self.assertEqual(self.host.cni("DEL", config, "c1", netns, "web")[0], 0)
        code, again = self.host.cni("ADD", config, "c2", netns, "web")
        self.assertEqual(code, 0, again)
        self.assertEqual(again["ips"], result["ips"])
        code, new = self.host.cni("ADD", config, "c3", self.namespace("away-2"), "new")
        self.assertEqual((code, new["code"]), (1, 11), new)
        self.host.start_agent()
        self.assertEqual(self.host.cni("DEL", config, "c2", netns, "web")[0], 0)

    def test_add_check_del_and_gc_of_an_own_network(self):
        config = {"cniVersion": "1.1.0", "name": "own-net", "type": "fairlead-cni", "pool": "lan", "bridge": "fl-own",
                  "socket": self.host.socket}
        paths = [self.namespace(f"own-{i}") for i in range(2)]
        results = []
        for i, path in enumerate(paths):
            code, result = self.host.cni("ADD", config, f"c{i}", path, f"name{i}")
            self.assertEqual(code, 0, result)
            results.append(result)
            self.assertEqual(self.addresses(f"own-{i}"), sorted(ip["address"] for ip in result["ips"]))
            self.assertEqual(self.host.cni("CHECK", {**config, "prevResult": result}, f"c{i}", path, f"name{i}")[0], 0)
        subprocess.run(["ip", "-n", "own-0", "addr", "flush", "dev", "eth0"], check=True)
        code, missing = self.host.cni("CHECK", config, "c0", paths[0], "name0")
        self.assertEqual((code, missing["code"]), (1, 102))
        self.assertIn("eth0 has lost its address", missing["msg"])
        self.host.agent.end(signal.SIGKILL)  # what is to go is known after a restart, too
        self.host.start_agent()
        code, said = self.host.cni("GC", {**config, "cni.dev/valid-attachments": [{"containerID": "c1", "ifname": "eth0"}]}, "", "")
        self.assertEqual(code, 0, said)
        left = lambda: subprocess.run(["ip", "-n", "own-0", "link", "show", "eth0"], capture_output=True).returncode
        wait_for("the interface is gone", left)
        self.assertEqual(self.host.cni("CHECK", config, "c1", paths[1], "name1")[0], 0)
        code, again = self.host.cni("ADD", config, "c9", paths[0], "name0")
        self.assertEqual(again["ips"], results[0]["ips"])
        for container, path in (("c9", paths[0]), ("c1", paths[1])):
            self.assertEqual(self.host.cni("DEL", config, container, "")[0], 0, "without its namespace's path")

    def test_status_version_and_a_bad_configuration(self):
        config = {"cniVersion": "1.1.0", "name": "own-net", "type": "fairlead-cni", "pool": "lan", "socket": self.host.socket}
        self.assertEqual(self.host.cni("STATUS", config, "", "")[0], 0)
        self.assertEqual(self.host.cni("STATUS", {**config, "pool": "none"}, "", "")[1]["code"], 50)
        self.assertIn("1.1.0", self.host.cni("VERSION", config, "", "")[1]["supportedVersions"])
        code, said = self.host.cni("ADD", {**config, "pol": "lan"}, "c1", "/run/netns/none", "web")
        self.assertEqual(said["code"], 7)
        self.assertIn('do you mean "pool"', said["msg"])


if __name__ == "__main__":
    main()
