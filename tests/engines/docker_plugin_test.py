#!/usr/bin/env python3
"""The Docker plugin against a real dockerd: docker_plugin_test.py PATH_TO_docker_plugin_main

Needs root, dockerd (Debian's docker.io), a docker client and busybox-static. Runs in mount, network and pid
namespaces of its own with private /run/docker and /run/containerd: it neither sees nor touches another dockerd of the
machine, and leaves nothing behind.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PLUGIN = None
DOCKER = "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"
SUBNET = "10.213.7.0/24"


def wait_for(what, condition, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds} s")


class Host:
    """A dockerd and a plugin with folders of their own."""

    def __init__(self, daemon_options, environment):
        self.daemon_options, self.environment = daemon_options, {**os.environ, **environment}
        self.dir = tempfile.mkdtemp(prefix="fairlead-docker-")
        self.docker_socket = f"{self.dir}/docker.sock"
        self.plugin_socket = "/run/docker/plugins/fairlead.sock"
        os.makedirs("/run/docker/plugins", exist_ok=True)
        self.daemon = self.plugin = None

    def start_plugin(self):
        with open(f"{self.dir}/plugin.log", "ab") as log:
            self.plugin = subprocess.Popen([PLUGIN, self.dir, self.docker_socket, self.plugin_socket, "fairlead"],
                                           stdout=log, stderr=log, env=self.environment)
        wait_for("plugin socket", lambda: os.path.exists(self.plugin_socket))

    def kill_plugin(self, how=signal.SIGKILL):
        self.plugin.send_signal(how)
        self.plugin.wait()

    def start_daemon(self):
        with open(f"{self.dir}/dockerd.log", "ab") as log:
            self.daemon = subprocess.Popen(
                ["/usr/sbin/dockerd", "--data-root", f"{self.dir}/data", "--exec-root", f"{self.dir}/exec", "-p",
                 f"{self.dir}/pid", "-H", f"unix://{self.docker_socket}", "--iptables=false", "--ip-forward=false",
                 "--bridge=none", f"--cgroup-parent=/{os.path.basename(self.dir)}", *self.daemon_options], stdout=log, stderr=log)
        try:
            wait_for("dockerd", lambda: self.docker("version", check=False).returncode == 0)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.tail('dockerd.log')}") from None

    def stop_daemon(self, how=signal.SIGTERM):
        self.daemon.send_signal(how)
        self.daemon.wait()

    def docker(self, *arguments, check=True):
        done = subprocess.run([DOCKER, "-H", f"unix://{self.docker_socket}", *arguments], capture_output=True, text=True)
        if check and done.returncode != 0:
            raise AssertionError(f"docker {' '.join(arguments)}: {done.stderr}\n{self.tail()}")
        return done

    def tail(self, name="plugin.log"):
        with open(f"{self.dir}/{name}") as log:
            return "".join(log.readlines()[-30:])

    def asked(self, address):
        """How often dockerd asked for this very address."""
        with open(f"{self.dir}/plugin.log") as log:
            return sum("asked" in line and address in line for line in log)

    def address(self, name):
        return json.loads(self.docker("inspect", name).stdout)[0]["NetworkSettings"]["Networks"]["shopnet"]["IPAddress"]

    def import_busybox(self):
        root = f"{self.dir}/root"
        os.makedirs(f"{root}/bin")
        shutil.copy("/bin/busybox", f"{root}/bin/busybox")
        for applet in ("sh", "sleep", "ip", "true"):
            os.symlink("busybox", f"{root}/bin/{applet}")
        tar = subprocess.run(["tar", "-C", root, "-c", "."], capture_output=True, check=True).stdout
        subprocess.run([DOCKER, "-H", f"unix://{self.docker_socket}", "import", "-", "busybox"], input=tar,
                       capture_output=True, check=True)

    def close(self):
        if self.docker("version", check=False).returncode == 0:
            ids = self.docker("ps", "-aq").stdout.split()
            if ids:
                self.docker("rm", "-f", *ids, check=False)
            self.docker("network", "rm", "shopnet", check=False)
        if self.plugin and self.plugin.poll() is None:
            self.kill_plugin(signal.SIGTERM)
        if self.daemon and self.daemon.poll() is None:
            self.stop_daemon()
        # What a killed dockerd mounted is still there.
        with open("/proc/self/mounts") as mounts:
            for path in [line.split()[1] for line in mounts if line.split()[1].startswith(self.dir)]:
                subprocess.run(["umount", "-l", path], check=False)
        shutil.rmtree(self.dir)


class PluginTest(unittest.TestCase):
    daemon_options, environment = [], {}

    @classmethod
    def setUpClass(cls):
        if cls is PluginTest:
            raise unittest.SkipTest("the others' base")
        cls.host = Host(cls.daemon_options, cls.environment)
        cls.addClassCleanup(cls.host.close)
        cls.host.start_plugin()
        cls.host.start_daemon()
        cls.host.import_busybox()
        cls.host.docker("network", "create", "-d", "fairlead", "--ipam-driver", "fairlead", "--subnet", SUBNET,
                        "--gateway", "10.213.7.1", "--aux-address", "router=10.213.7.200", "-o", "bridge=flt0", "shopnet")

    def setUp(self):
        self.docker = self.host.docker

    def tearDown(self):
        ids = self.docker("ps", "-aq").stdout.split()
        if ids:
            self.docker("rm", "-f", *ids)

    def run_sleeper(self, name, *options):
        self.docker("run", "-d", "--name", name, "--network", "shopnet", "--stop-timeout", "0", *options, "busybox",
                    "/bin/sleep", "3600")
        return self.host.address(name)


class Replay(PluginTest):
    """dockerd with live-restore replays pools, gateway, auxiliary and live addresses to a plugin that wants it."""
    daemon_options, environment = ["--live-restore"], {"FAIRLEAD_TEST_REPLAY": "1"}

    def test_a_replay_takes_nothing_from_anybody(self):
        own = {name: self.run_sleeper(name) for name in ("web", "app")}
        for how in (signal.SIGKILL, signal.SIGTERM):
            self.host.stop_daemon(how)
            before = self.host.asked(own["web"])
            self.host.start_daemon()
            self.assertGreater(self.host.asked(own["web"]), before, "it was replayed")
            self.assertEqual({name: self.host.address(name) for name in own}, own)
            with open(f"{self.host.dir}/dockerd.log") as log:
                self.assertNotIn("Failed to allocate ipam pool", log.read())
            self.docker("restart", "-t", "0", "web")
            self.assertEqual(self.host.address("web"), own["web"])
        self.assertNotIn(self.run_sleeper("fresh"), own.values())


class DockerPluginTest(PluginTest):
    def test_a_container_gets_the_address_of_its_name_again_after_rm_and_run(self):
        self.run_sleeper("other")
        first = self.run_sleeper("web")
        self.docker("rm", "-f", "web")
        self.run_sleeper("third")
        self.assertEqual(self.run_sleeper("web"), first)

    def test_restart_keeps_the_address_beside_stopped_containers(self):
        stopped = self.run_sleeper("stopped")
        first = self.run_sleeper("web")
        self.docker("stop", "stopped")
        self.docker("restart", "web")
        self.assertEqual(self.host.address("web"), first)
        self.docker("start", "stopped")
        self.assertEqual(self.host.address("stopped"), stopped)

    def test_parallel_starts_get_unique_addresses(self):
        names = [f"p{i}" for i in range(6)]
        for name in names:
            self.docker("create", "--name", name, "--network", "shopnet", "busybox", "/bin/sleep", "3600")
        starts = [subprocess.Popen([DOCKER, "-H", f"unix://{self.host.docker_socket}", "start", name],
                                   stdout=subprocess.DEVNULL) for name in names]
        self.assertEqual([start.wait() for start in starts], [0] * 6)
        addresses = {self.host.address(name) for name in names}
        self.assertEqual(len(addresses), 6)
        self.assertNotIn("", addresses)

    def test_interface_routes_and_mac_inside(self):
        address = self.run_sleeper("web")
        inside = self.docker("exec", "web", "/bin/ip", "addr", "show", "eth0").stdout
        self.assertIn(f"inet {address}/24", inside)
        mac = json.loads(self.docker("inspect", "web").stdout)[0]["NetworkSettings"]["Networks"]["shopnet"]["MacAddress"]
        self.assertIn(mac, inside)
        routes = self.docker("exec", "web", "/bin/ip", "route").stdout
        self.assertIn("default via 10.213.7.1", routes)
        self.assertIn("169.254.53.53 dev eth0", routes)

    def test_addresses_survive_kill_9_of_the_plugin(self):
        first = self.run_sleeper("web")
        self.host.kill_plugin()
        self.host.start_plugin()
        self.docker("restart", "web")
        self.assertEqual(self.host.address("web"), first)

    def test_addresses_survive_a_restart_of_dockerd(self):
        first = self.run_sleeper("web")
        for how in (signal.SIGTERM, signal.SIGKILL):
            self.host.stop_daemon(how)
            self.host.start_daemon()
            self.docker("start", "web")
            self.assertEqual(self.host.address("web"), first)

    def test_two_containers_never_share_an_explicit_address(self):
        self.assertEqual(self.run_sleeper("web", "--ip", "10.213.7.77"), "10.213.7.77")
        refused = self.docker("run", "-d", "--name", "thief", "--network", "shopnet", "--ip", "10.213.7.77", "busybox",
                              "/bin/sleep", "3600", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("web", refused.stderr)
        self.assertEqual(self.host.address("web"), "10.213.7.77")

    def test_an_auxiliary_address_is_never_given(self):
        refused = self.docker("run", "-d", "--name", "web", "--network", "shopnet", "--ip", "10.213.7.200", "busybox",
                              "/bin/sleep", "3600", check=False)
        self.assertNotEqual(refused.returncode, 0)


def in_own_namespaces():
    if os.environ.get("FAIRLEAD_TEST_NAMESPACE"):
        for path in ("/run/docker", "/run/containerd"):
            os.makedirs(path, exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "none", path], check=True)
        return
    os.environ["FAIRLEAD_TEST_NAMESPACE"] = "1"
    # The shell is the first process in there: it reaps what a killed dockerd leaves, and with it everything ends.
    os.execvp("unshare", ["unshare", "-m", "-n", "-p", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
                          "/bin/sh", "-c", '"$@"; exit $?', "sh", sys.executable, *sys.argv])


if __name__ == "__main__":
    PLUGIN = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/release/bin/docker_plugin_main")
    in_own_namespaces()
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
