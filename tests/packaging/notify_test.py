#!/usr/bin/env python3
"""What the units expect of the programs (sd_notify(3)): fairlead lb with systemd's side played by this test.

Uses build/release/bin/fairlead, or FAIRLEAD_BINARY.
"""
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


def status_of(path, target):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(PATIENCE)
        s.connect(path)
        s.sendall(f"GET {target} HTTP/1.1\r\nHost: lb\r\n\r\n".encode())
        return int(s.recv(4096).split()[1])


class Notify(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.systemd.close)
        self.systemd.bind(f"{folder.name}/notify")
        os.chmod(f"{folder.name}/notify", 0o777)  # the program gives root up
        self.systemd.settimeout(PATIENCE)
        self.admin = f"{folder.name}/lb.sock"
        with open(f"{folder.name}/fairlead.yaml", "w", encoding="utf-8") as f:
            f.write(f"state_dir: {folder.name}/state\n"
                    f"lb: {{agents: ['unix:{folder.name}/no-agent.sock'], admin_socket: '{self.admin}', "
                    "listen: '127.0.0.1:0', workers: 1}\n")
        self.program = subprocess.Popen([FAIRLEAD, "lb", "-c", f"{folder.name}/fairlead.yaml"], stderr=subprocess.DEVNULL,
                                        env={**os.environ, "NOTIFY_SOCKET": f"{folder.name}/notify",
                                             "WATCHDOG_USEC": "300000"})
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

    def test_is_started_for_systemd_while_its_agent_is_away(self):
        self.wait_for("READY=1")
        self.assertEqual(503, status_of(self.admin, "/readyz"))

    def test_feeds_the_watchdog_again_and_again(self):
        for _ in range(3):
            self.wait_for("WATCHDOG=1")

    def test_says_that_it_stops(self):
        self.wait_for("READY=1")
        self.program.send_signal(signal.SIGTERM)
        self.wait_for("STOPPING=1")
        self.assertEqual(0, self.program.wait(PATIENCE))


if __name__ == "__main__":
    unittest.main()
