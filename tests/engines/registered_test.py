#!/usr/bin/env python3
"""Endpoints that are no containers, under an agent without any engine: registered by command, in names and balancer at once,
gone when they lapse, and there again after a kill -9 of the agent."""
import json
import os
import signal
import subprocess

from lab import FAIRLEAD, HOST, LabTest, Program, main

NAME = "web.demo.svc.fl.internal"
ADDRESSES = ("127.0.0.1", "127.0.0.2")
PORT = 9100


class Registered(LabTest):
    @classmethod
    def prepare(cls):
        cls.lab.up = Program(cls.lab.dir, "up", [FAIRLEAD, "up", "-c", cls.lab.config(
            engines={"docker": {"socket": ""}}, networks=[])]).start()
        cls.wait_ready()
        for address in ADDRESSES:
            server = Program(cls.lab.dir, f"server-{address}", [
                "/usr/bin/python3", "-c",
                "import sys, http.server\n"
                "class H(http.server.BaseHTTPRequestHandler):\n"
                "  def do_GET(self):\n"
                "    body = sys.argv[1].encode()\n"
                "    self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers()\n"
                "    self.wfile.write(body)\n"
                "http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), H).serve_forever()\n", address, str(PORT)]).start()
            cls.addClassCleanup(server.end, signal.SIGKILL)

    @classmethod
    def wait_ready(cls):
        cls.lab.wait_for(lambda: f"ready: {cls.lab.readyz()}", lambda: cls.lab.readyz()[0] == 200)

    def tearDown(self):
        for address in ADDRESSES:
            self.fairlead("endpoint", "rm", "web.demo", f"{address}:{PORT}", "-y", check=False)

    def fairlead(self, *arguments, check=True):
        return subprocess.run([FAIRLEAD, *arguments, "-c", f"{self.lab.dir}/fairlead.yaml"], capture_output=True, text=True,
                              check=check).stdout

    def add(self, address, *options):
        return self.fairlead("endpoint", "add", "web.demo", f"{address}:{PORT}", "--host", HOST, *options)

    def wait_used(self, *addresses):
        self.lab.wait_dns(NAME, addresses)

        def answered():
            return {body for status, body in (self.lab.get() for _ in range(8)) if status == 200}
        self.lab.wait_for(lambda: f"{addresses} answer, but {answered()}", lambda: answered() == set(addresses))

    def test_what_is_added_serves_and_what_is_removed_does_not(self):
        self.add(ADDRESSES[0])
        self.wait_used(ADDRESSES[0])
        self.add(ADDRESSES[1], "--check", "http:/")
        self.wait_used(*ADDRESSES)
        self.fairlead("endpoint", "rm", "web.demo", f"{ADDRESSES[0]}:{PORT}", "-y")
        self.wait_used(ADDRESSES[1])

    def test_one_that_is_not_renewed_lapses(self):
        self.add(ADDRESSES[0])
        self.add(ADDRESSES[1], "--ttl", "5s")
        self.wait_used(*ADDRESSES)
        self.assertIn("renewed", self.add(ADDRESSES[1], "--ttl", "5s"))
        self.wait_used(ADDRESSES[0])
        self.assertNotIn(ADDRESSES[1], self.fairlead("endpoint", "ls", "-o", "json"))

    def test_a_killed_agent_comes_back_with_them(self):
        self.add(ADDRESSES[0])
        self.add(ADDRESSES[1], "--ttl", "1h")
        self.wait_used(*ADDRESSES)
        before = self.lab.child("agent")
        os.kill(before, signal.SIGKILL)
        self.lab.wait_for("the agent is started again", lambda: self.lab.child("agent") not in (None, before))
        self.wait_ready()
        rows = {row["name"]: row for row in json.loads(self.fairlead("endpoint", "ls", "-o", "json"))}
        self.assertEqual(set(rows), {f"{address}:{PORT}" for address in ADDRESSES})
        self.assertIsNone(rows[f"{ADDRESSES[0]}:{PORT}"]["expires"])
        self.assertIsNotNone(rows[f"{ADDRESSES[1]}:{PORT}"]["expires"])
        self.wait_used(*ADDRESSES)


if __name__ == "__main__":
    main()
