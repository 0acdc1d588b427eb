#!/usr/bin/env python3
"""What the units expect of the programs, with systemd's side played by this test: sd_notify(3), and the plugin socket
handed over as fairlead.socket does it (systemd-socket-activate(1)).

Uses build/release/bin/fairlead, or FAIRLEAD_BINARY. The agent needs root and runs in a network namespace of its own.
"""
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FAIRLEAD = os.environ.get("FAIRLEAD_BINARY", os.path.join(ROOT, "build", "release", "bin", "fairlead"))
PATIENCE = 30  # seconds until a test gives up


def listens(pid, path):
    """In that process' network namespace. The file alone is there already between bind and listen."""
    with open(f"/proc/{pid}/net/unix", encoding="utf-8") as table:
        return any(line.split()[3] == "00010000" and line.rstrip().endswith(path) for line in table if path in line)


def ask(path, method, target, content=""):
    """Status and body of one request over a unix socket."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(PATIENCE)
        s.connect(path)
        s.sendall(f"{method} {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(content)}\r\n"
                  f"Connection: close\r\n\r\n{content}".encode())
        answer = b"".join(iter(lambda: s.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


class Program(unittest.TestCase):
    """One program with a folder of its own, and systemd's end of its notifications."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.chmod(self.folder, 0o755)
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.systemd.close)
        self.systemd.bind(f"{self.folder}/notify")
        os.chmod(f"{self.folder}/notify", 0o777)  # the balancer gives root up
        self.systemd.settimeout(PATIENCE)

    def start(self, command, config, environment):
        with open(f"{self.folder}/fairlead.yaml", "w", encoding="utf-8") as f:
            f.write(config)
        self.program = subprocess.Popen([*command, "-c", f"{self.folder}/fairlead.yaml"],
                                        stderr=subprocess.DEVNULL, env={**os.environ, **environment})
        self.addCleanup(self.end)

    def end(self):
        if self.program.poll() is None:
            self.program.kill()
            self.program.wait()

    def wait_for(self, word):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.systemd.recv(4096).decode() == word:
                return
        self.fail(f"systemd was not told {word}")


class Balancer(Program):
    def setUp(self):
        super().setUp()
        self.admin = f"{self.folder}/lb.sock"
        self.start([FAIRLEAD, "lb"],
                   f"state_dir: {self.folder}/state\n"
                   f"lb: {{agents: ['unix:{self.folder}/no-agent.sock'], admin_socket: '{self.admin}', "
                   "listen: '127.0.0.1:0', workers: 1}\n",
                   {"NOTIFY_SOCKET": f"{self.folder}/notify", "WATCHDOG_USEC": "300000"})

    def test_is_started_for_systemd_while_its_agent_is_away(self):
        self.wait_for("READY=1")
        self.assertEqual(503, ask(self.admin, "GET", "/readyz")[0])

    def test_feeds_the_watchdog_again_and_again(self):
        for _ in range(3):
            self.wait_for("WATCHDOG=1")

    def test_says_that_it_stops(self):
        self.wait_for("READY=1")
        self.program.send_signal(signal.SIGTERM)
        self.wait_for("STOPPING=1")
        self.assertEqual(0, self.program.wait(PATIENCE))


class AgentBeforeDockerd(Program):
    """The host boots: systemd holds the plugin socket, dockerd is not there yet."""

    def setUp(self):
        super().setUp()
        self.plugin = f"{self.folder}/plugin.sock"
        self.start(["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
                    "systemd-socket-activate", "--listen", self.plugin, "--fdname", "plugin",
                    "-E", f"NOTIFY_SOCKET={self.folder}/notify", FAIRLEAD, "agent"],
                   f"state_dir: {self.folder}/state\n"
                   f"api: {{socket: {self.folder}/api.sock, listen: '127.0.0.1:0'}}\n"
                   f"discovery: {{socket: {self.folder}/discovery.sock}}\n"
                   f"engines: {{docker: {{socket: {self.folder}/no-docker.sock, plugin_dir: {self.folder}/plugins}}}}\n",
                   {})
        deadline = time.monotonic() + PATIENCE
        while self.program.poll() is None and not listens(self.program.pid, self.plugin) and time.monotonic() < deadline:
            time.sleep(0.01)

    def test_answers_the_call_that_waited_at_the_socket(self):
        status, body = ask(self.plugin, "POST", "/Plugin.Activate")
        self.assertEqual((200, '{"Implements":["NetworkDriver","IpamDriver"]}'), (status, body))
        self.assertFalse(os.path.exists(f"{self.folder}/plugins"), "it opened a socket of its own")

    def test_is_started_for_systemd_before_dockerd_is(self):
        ask(self.plugin, "POST", "/Plugin.Activate")
        self.wait_for("READY=1")
        self.assertEqual(503, ask(f"{self.folder}/api.sock", "GET", "/readyz")[0])

    def test_gives_an_address_without_dockerd(self):
        _, pool = ask(self.plugin, "POST", "/IpamDriver.RequestPool",
                      '{"AddressSpace":"fairlead-local","Pool":"10.213.9.0/24","SubPool":"","Options":{},"V6":false}')
        _, lease = ask(self.plugin, "POST", "/IpamDriver.RequestAddress",
                       json.dumps({"PoolID": json.loads(pool)["PoolID"], "Address": "10.213.9.7", "Options": {}}))
        self.assertEqual("10.213.9.7/24", json.loads(lease).get("Address"), lease)


if __name__ == "__main__":
    unittest.main()
