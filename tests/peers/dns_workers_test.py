#!/usr/bin/env python3
"""`fairlead dns` with two workers: both answer over UDP and TCP from one zone, a change is seen at both when it is made, and the
filter of system calls holds for every thread."""
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import unittest

from balancer import PATIENCE_S, free_port, main, wait_for
from lab import FAIRLEAD, Program, http_get

SOCKETS = 32


def question(name, number):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", number, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)


class Workers(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="fairlead-peers-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        os.chmod(self.dir, 0o755)
        self.port, self.http = free_port(), free_port()
        self.write(1)
        with open(f"{self.dir}/fairlead.yaml", "w") as file:
            file.write(json.dumps({"state_dir": f"{self.dir}/state", "node": {"name": "host1"}, "lb": {"agents": []},
                                   "dns": {"listen": [f"127.0.0.1:{self.port}"], "http": f"127.0.0.1:{self.http}", "workers": 2,
                                           "records": [f"{self.dir}/records.zone"]}}))
        self.server = Program(self.dir, "dns", [FAIRLEAD, "dns", "-c", f"{self.dir}/fairlead.yaml"]).start()
        self.addCleanup(self.server.end, signal.SIGTERM)
        wait_for(self.server.tail, lambda: "listening" in self.server.log())
        self.clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(SOCKETS)]
        for client in self.clients:
            self.addCleanup(client.close)
            client.settimeout(PATIENCE_S)
            client.connect(("127.0.0.1", self.port))

    def write(self, number):
        with open(f"{self.dir}/records.zone", "w") as file:
            file.write(f"www A 192.0.2.{number}\n")

    def ask(self, client):
        """The last byte of the address that one of the workers answers, by the client's port."""
        client.send(question("www.fl.internal", 7))
        answer = client.recv(512)
        self.assertEqual(struct.unpack(">4H", answer[:8])[3], 1)
        return answer[-1]

    def ask_tcp(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as stream:
            message = question("www.fl.internal", 8)
            stream.sendall(struct.pack(">H", len(message)) + message)
            answer = b""
            while len(answer) < 2 or len(answer) < 2 + struct.unpack(">H", answer[:2])[0]:
                answer += stream.recv(512)
        return answer[-1]

    def threads(self):
        """Of each thread of the server: its name, whether system calls are filtered, how often it has waited."""
        found = {}
        for tid in os.listdir(f"/proc/{self.server.pid}/task"):
            with open(f"/proc/{self.server.pid}/task/{tid}/status") as status:
                text = status.read()
            field = lambda name: re.search(rf"^{name}:\s+(\S+)$", text, re.M)[1]
            found[field("Name")] = (field("Seccomp"), int(field("voluntary_ctxt_switches")))
        return found

    def test_both_answer_and_are_confined(self):
        before = self.threads()
        for client in self.clients:
            self.assertEqual(self.ask(client), 1)
        for _ in range(SOCKETS):
            self.assertEqual(self.ask_tcp(), 1)
        after = self.threads()
        self.assertIn("dns-1", after)
        for name, (filtered, waited) in after.items():
            self.assertEqual(filtered, "2", name)  # SECCOMP_MODE_FILTER
            if name != "dns-disk":
                self.assertGreater(waited, before[name][1], f"{name} was asked nothing")
        metrics = http_get(self.http, "/metrics")[1]
        self.assertIn(f'fairlead_dns_queries_total{{rcode="NOERROR"}} {2 * SOCKETS}\n', metrics)  # the sum of both

    def test_a_change_is_one_moment_for_both(self):
        """Answers go back and forth between the workers: once one has the new address, none has the old one."""
        for number in range(2, 12):
            self.write(number)
            self.server.process.send_signal(signal.SIGHUP)
            seen = number - 1
            for turn in range(100_000):
                got = self.ask_tcp() if turn % 50 == 49 else self.ask(self.clients[turn % SOCKETS])
                self.assertIn(got, (seen, number), "an older answer after a newer one")
                seen = got
                if seen == number and turn % SOCKETS == SOCKETS - 1:
                    break
            for client in self.clients:
                self.assertEqual(self.ask(client), number)


if __name__ == "__main__":
    main()
