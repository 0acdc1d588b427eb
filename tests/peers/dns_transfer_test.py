#!/usr/bin/env python3
"""A corporate secondary takes our zones: Debian's Knot and BIND, told by NOTIFY, by AXFR, both signed. Each runs in a folder of its
own as a child of this test; without the package the test of that server is skipped."""
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

from balancer import PATIENCE_S, free_port, main, wait_for
from lab import FAIRLEAD, Program

SECRET = "c2VjcmV0IG9mIGEgdGVzdCwgbm90IG9mIGEgc2VydmVy"
ZONES = ("fl.internal", "ns.example.com")


def knot(folder, port, server_port):
    """Configuration and command of a knotd that is secondary of both zones."""
    with open(f"{folder}/knot.conf", "w") as file:
        file.write(f"""
server:
    listen: 127.0.0.1@{port}
    rundir: {folder}/run
log:
  - target: stderr
    any: info
database:
    storage: {folder}/db
key:
  - id: secondary
    algorithm: hmac-sha256
    secret: {SECRET}
remote:
  - id: primary
    address: 127.0.0.1@{server_port}
    key: secondary
acl:
  - id: told
    address: 127.0.0.1
    key: secondary
    action: notify
template:
  - id: default
    storage: {folder}/db
    zonefile-sync: -1
    journal-content: none
zone:
""" + "".join(f"  - domain: {zone}\n    master: primary\n    acl: told\n" for zone in ZONES))
    os.makedirs(f"{folder}/run", exist_ok=True)
    os.makedirs(f"{folder}/db", exist_ok=True)
    return ["knotd", "-c", f"{folder}/knot.conf"]


def bind(folder, port, server_port):
    with open(f"{folder}/named.conf", "w") as file:
        file.write(f"""
options {{ directory "{folder}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file "{folder}/pid";
  session-keyfile "{folder}/session.key"; recursion no; notify no; dnssec-validation no; minimal-responses no-auth; }};
controls {{ }};
key "secondary" {{ algorithm hmac-sha256; secret "{SECRET}"; }};
""" + "".join(f"""zone "{zone}" {{ type secondary; file "{zone}"; allow-notify {{ key secondary; }};
  primaries {{ 127.0.0.1 port {server_port} key secondary; }}; }};
""" for zone in ZONES))
    return ["named", "-g", "-c", f"{folder}/named.conf", "-n", "1"]


class Transfer(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="fairlead-peers-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def write_records(self, text):
        with open(f"{self.dir}/records.zone", "w") as file:
            file.write(text)

    def start(self, make):
        """The name server with its secondary."""
        self.port, self.secondary_port = free_port(), free_port()
        folder = f"{self.dir}/secondary"
        os.makedirs(folder)
        argv = make(folder, self.secondary_port, self.port)
        if shutil.which(argv[0]) is None:
            self.skipTest(f"{argv[0]} is not installed")
        with open(f"{self.dir}/tsig.key", "w") as file:
            file.write(f'key "secondary" {{\n  algorithm hmac-sha256;\n  secret "{SECRET}";\n}};\n')
        self.write_records("www A 192.0.2.1\n")
        with open(f"{self.dir}/fairlead.yaml", "w") as file:
            file.write(f"""
state_dir: {self.dir}/state
node: {{name: host1}}
lb: {{agents: []}}
dns:
  listen: ["127.0.0.1:{self.port}"]
  http: 127.0.0.1:0
  records: [{self.dir}/records.zone]
  transfer: {{allow: [127.0.0.0/8], notify: ["127.0.0.1:{self.secondary_port}"], tsig_key_file: {self.dir}/tsig.key}}
""")
        os.chmod(self.dir, 0o755)  # the name server and BIND do not stay root
        self.server = Program(self.dir, "dns", [FAIRLEAD, "dns", "-c", f"{self.dir}/fairlead.yaml"]).start()
        self.addCleanup(self.server.end, signal.SIGTERM)
        wait_for(self.server.tail, lambda: "listening" in self.server.log())
        self.secondary = Program(self.dir, argv[0], argv).start()
        self.addCleanup(self.secondary.end, signal.SIGKILL)

    def ask(self, name, rrtype="A", port=None):
        argv = ["dig", "+short", "+tries=1", "+time=2", "@127.0.0.1", "-p", str(port or self.secondary_port), name, rrtype]
        return subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S).stdout.split("\n")[:-1]

    def follow(self):
        tail = lambda: self.secondary.tail() + self.server.tail()
        wait_for(tail, lambda: self.ask("www.fl.internal") == ["192.0.2.1"])
        wait_for(tail, lambda: self.ask("ns.example.com", "NS") == ["ns.fl.internal."])
        self.assertEqual(self.ask("fl.internal", "SOA"), self.ask("fl.internal", "SOA", self.port))
        # A change: NOTIFY brings it long before the zone's refresh time of an hour.
        self.write_records("www A 192.0.2.2\nnew TXT \"here now\"\n*.wild A 192.0.2.3\n")
        self.server.process.send_signal(signal.SIGHUP)
        wait_for(tail, lambda: self.ask("www.fl.internal") == ["192.0.2.2"])
        self.assertEqual(self.ask("new.fl.internal", "TXT"), ['"here now"'])
        self.assertEqual(self.ask("a.b.wild.fl.internal"), ["192.0.2.3"])
        self.assertEqual(self.ask("fl.internal", "SOA"), self.ask("fl.internal", "SOA", self.port))

    def test_knot_follows_the_zones(self):
        self.start(knot)
        self.follow()

    def test_bind_follows_the_zones(self):
        self.start(bind)
        self.follow()

    def test_dig_and_kdig_take_a_zone_with_the_key_only(self):
        self.start(knot)
        key = f"hmac-sha256:secondary:{SECRET}"
        for dig in ("dig", "kdig"):
            if shutil.which(dig) is None:
                continue
            base = [dig, "@127.0.0.1", "-p", str(self.port), "fl.internal"]
            run = lambda *more: subprocess.run([*base, *more], capture_output=True, text=True, timeout=PATIENCE_S).stdout
            whole = run("AXFR", "-y", key)
            self.assertIn("192.0.2.1", whole, dig)
            self.assertNotIn("BADSIG", whole)
            self.assertEqual(whole.count("SOA"), 2)
            self.assertNotIn("192.0.2.1", run("AXFR"))
            wrong = run("SOA", "-y", "hmac-sha256:secondary:b3RoZXI=")
            self.assertIn("BADSIG", wrong)
            self.assertIn("ANSWER: 0", wrong)
            signed = run("SOA", "-y", key)
            self.assertIn("NOERROR", signed)
            self.assertNotIn("verify failure", signed.lower())


if __name__ == "__main__":
    main()
