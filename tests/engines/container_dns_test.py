#!/usr/bin/env python3
"""Names from inside of containers: the resolvers that programs really have, and a client that asks on while agent and name
server are killed and started again."""
import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading

from lab import DNS_ADDRESS, HERE, LabTest, main

sys.path.insert(1, f"{os.path.dirname(HERE)}/peers")
import dns_clients_test as clients  # noqa: E402

NAME = "web.demo.svc.fl.internal"


class Clients(LabTest):
    """glibc's and musl's getaddrinfo, c-ares, dig and kdig, by dockerd's own resolver and straight at ours."""

    @classmethod
    def prepare(cls):
        cls.lab.start_engine()
        cls.lab.start_fairlead()
        os.makedirs(f"{cls.lab.dir}/clients")

    def setUp(self):
        self.address = self.lab.run_server("web-1")
        self.lab.run_sleeper("asker", "--label", "fairlead.project=demo", "--dns", DNS_ADDRESS, "-v", "/usr:/usr:ro", "-v",
                             f"{self.lab.dir}/clients:/clients:ro")
        self.lab.wait_dns(NAME, [self.address])

    def compiled(self, name, compiler, text, *options):
        if shutil.which(compiler) is None:
            self.skipTest(f"{compiler} is not installed")
        with open(f"{self.lab.dir}/{name}.c", "w") as file:
            file.write(text)
        subprocess.run([compiler, "-O1", "-o", f"{self.lab.dir}/clients/{name}", f"{self.lab.dir}/{name}.c", *options], check=True)
        return f"/clients/{name}"

    def look_up(self, *argv):
        done = self.lab.docker("exec", "asker", *argv)
        return {words[0]: words[1:] for words in map(str.split, done.stdout.splitlines())}

    def check_getaddrinfo(self, program):
        self.assertEqual(self.look_up(program, NAME, "web-1.ct.fl.internal", "nobody.fl.internal"),
                         {NAME: [self.address], "web-1.ct.fl.internal": [self.address], "nobody.fl.internal": ["NONAME"]})

    def test_glibc(self):
        self.check_getaddrinfo(self.compiled("glibc", "gcc", clients.GETADDRINFO))

    def test_musl(self):
        self.check_getaddrinfo(self.compiled("musl", "musl-gcc", clients.GETADDRINFO, "-static"))

    def test_c_ares(self):
        program = self.compiled("cares", "gcc", clients.CARES, "-lcares")
        self.check_getaddrinfo(program)
        service = f"_80._tcp.{NAME}"
        self.assertEqual(self.look_up(program, service)[service][:2], ["1", "80"])

    def test_dig_and_kdig(self):
        for dig in ("dig", "kdig"):
            for how in ("+notcp", "+tcp"):
                said = self.lab.docker("exec", "asker", f"/usr/bin/{dig}", f"@{DNS_ADDRESS}", NAME, how, "+short").stdout
                self.assertEqual(said.split(), [self.address], f"{dig} {how}")
        # One label, straight at ours: of the asker's project.
        self.assertEqual(self.lab.docker("exec", "asker", "/usr/bin/dig", f"@{DNS_ADDRESS}", "web", "+short").stdout, self.address)


class Poller(threading.Thread):
    """Asks without a pause. What it is told unmarked (RFC 8914: 3, 19) has all of `required` and nothing beyond `allowed`."""

    def __init__(self, addresses):
        super().__init__(daemon=True)
        self.required, self.allowed = set(addresses), set(addresses)
        self.ended, self.asked = threading.Event(), 0
        self.answered, self.marked, self.wrong = 0, 0, []
        labels = b"".join(bytes([len(label)]) + label.encode() for label in NAME.split("."))
        self.query = struct.pack("!5H", 0x100, 1, 0, 0, 1) + labels + struct.pack("!BHHBHHIH", 0, 1, 1, 0, 41, 1232, 0, 0)

    def run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.2)
            while not self.ended.is_set():
                self.asked = (self.asked + 1) % 65536
                required, allowed = set(self.required), set(self.allowed)
                with contextlib.suppress(OSError):  # nobody there, or too late: it is asked again
                    client.connect(("127.0.0.1", 5300))
                    client.send(struct.pack("!H", self.asked) + self.query)
                    answer = client.recv(4096)
                    if struct.unpack("!H", answer[:2])[0] == self.asked:
                        self.judge(answer, required & self.required, allowed | self.allowed)

    def judge(self, answer, required, allowed):
        count = struct.unpack("!H", answer[6:8])[0]
        at = len(self.query) + 2 - 11  # behind the question; every record has a pointer as its owner
        told = {socket.inet_ntoa(answer[at + 16 * i + 12:at + 16 * i + 16]) for i in range(count)}
        self.answered += 1
        if answer[3] & 15 == 0 and b"\0\x0f\0\2\0\3" in answer[at + 16 * count:]:
            self.marked += 1
        elif not required <= told <= allowed:
            self.wrong.append((answer[3] & 15, told, required, allowed))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()


class KilledInTurn(LabTest):
    @classmethod
    def prepare(cls):
        cls.lab.start_engine()
        cls.lab.start_programs()

    def test_no_answer_is_wrong_while_agent_and_name_server_are_killed_in_turn(self):
        agent, dns = self.lab.programs["agent"], self.lab.programs["dns"]
        addresses = {f"web-{i}": self.lab.run_server(f"web-{i}") for i in range(2)}
        self.lab.wait_dns(NAME, addresses.values())
        with Poller(addresses.values()) as poller:
            for i in range(2, 5):
                for program in (dns, agent):
                    program.end(signal.SIGKILL)
                    before = poller.answered
                    if program is agent:
                        self.lab.wait_for("answers without the agent", lambda: poller.answered > before + 100)
                    program.start()
                    self.lab.wait_ready()
                    self.lab.wait_ready(7855)
                # One more, and one less.
                name, gone = f"web-{i}", f"web-{i - 2}"
                subnet = {f"10.213.40.{n}" for n in range(256)}
                poller.allowed = subnet
                addresses[name] = self.lab.run_server(name)
                self.lab.wait_dns(NAME, addresses.values())
                poller.required, poller.allowed = set(addresses.values()) - {addresses[gone]}, set(addresses.values())
                self.lab.docker("rm", "-f", gone)
                del addresses[gone]
                self.lab.wait_dns(NAME, addresses.values())
                poller.required = poller.allowed = set(addresses.values())
        self.assertEqual(poller.wrong[:3], [], f"{len(poller.wrong)} of {poller.answered}")
        self.assertGreater(poller.marked, 0)
        self.assertGreater(poller.answered - poller.marked, 300)


if __name__ == "__main__":
    main()
