#!/usr/bin/env python3
"""Host names as endpoints, asked of a real name server (`fairlead dns` with `dns.records`): in a balancer that has a file alone,
and registered with an agent. The name server changes its answers, is killed, and comes back."""
import json
import os
import signal
import subprocess

from lab import FAIRLEAD, HOST, LabTest, Program, UnixConnection, http_get, main, wait_for

NAMES_PORT, LB_PORT, STATUS_PORT, PORT = 5390, 8081, 7954, 9100
ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
ZONE = "$ORIGIN hosts.test.\n$TTL 1\n@ SOA ns admin {serial} 60 60 60 1\n@ NS ns\nns A 127.0.0.1\n"
SERVER = """
import sys, http.server
class H(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    body = sys.argv[1].encode()
    self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers(); self.wfile.write(body)
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), H).serve_forever()
"""


class HostNames(LabTest):
    @classmethod
    def prepare(cls):
        lab = cls.lab
        for address in ADDRESSES:
            server = Program(lab.dir, f"server-{address}", ["/usr/bin/python3", "-c", SERVER, address, str(PORT)]).start()
            cls.addClassCleanup(server.end, signal.SIGKILL)
        cls.serial = 0
        names = lab.write_json("names.yaml", {
            "node": {"name": "names"}, "state_dir": f"{lab.dir}/names-state",
            "dns": {"listen": [f"127.0.0.1:{NAMES_PORT}"], "zone": "other.test", "records": [f"{lab.dir}/hosts.zone"], "http": "127.0.0.1:7955"},
            "lb": {"agents": []}})
        cls.names = Program(lab.dir, "names", [FAIRLEAD, "dns", "-c", names])
        resolver = {"nameservers": [f"127.0.0.1:{NAMES_PORT}"]}
        balancer = lab.write_json("lb.yaml", {
            "state_dir": f"{lab.dir}/lb-state", "resolver": resolver,
            "lb": {"agents": [], "listen": f"127.0.0.1:{STATUS_PORT}", "admin_socket": f"{lab.dir}/lb-alone.sock"},
            "listeners": [{"name": "alone", "bind": f"127.0.0.1:{LB_PORT}"}],
            "services": {"web": {"endpoints": [{"address": f"web.hosts.test:{PORT}"}]}},
            "routes": [{"host": ["*"], "service": "web"}]})
        cls.alone = Program(lab.dir, "lb-alone", [FAIRLEAD, "lb", "-c", balancer])
        cls.set_records({"web": ADDRESSES[:1]})
        cls.addClassCleanup(cls.names.end, signal.SIGKILL)
        cls.alone.start()
        cls.addClassCleanup(cls.alone.end)
        lab.up = Program(lab.dir, "up", [FAIRLEAD, "up", "-c", lab.config(engines={"docker": {"socket": ""}}, networks=[], resolver=resolver)]).start()
        for port in (7853, STATUS_PORT):
            lab.wait_for(lambda: f"ready: {lab.readyz(port)}", lambda: lab.readyz(port)[0] == 200)

    @classmethod
    def set_records(cls, hosts):
        """The name server says this from now on."""
        cls.serial += 1
        cls.lab.write("hosts.zone", ZONE.format(serial=cls.serial) +
                      "".join(f"{name} A {address}\n" for name, addresses in hosts.items() for address in addresses))
        cls.names.end(signal.SIGKILL)
        cls.names.start()
        for name, addresses in hosts.items():
            wait_for(lambda: f"{name}\n{cls.names.tail()}", lambda: cls.lab.dig(f"{name}.hosts.test", port=NAMES_PORT) == sorted(addresses))

    def tearDown(self):
        self.fairlead("endpoint", "rm", "web.demo", f"web.hosts.test:{PORT}", "-y", check=False)

    def fairlead(self, *arguments, check=True):
        return subprocess.run([FAIRLEAD, *arguments, "-c", f"{self.lab.dir}/fairlead.yaml"], capture_output=True, text=True,
                              check=check).stdout

    def endpoints_alone(self):
        connection = UnixConnection(f"{self.lab.dir}/lb-alone.sock")
        connection.request("GET", "/v1/services")
        services = json.loads(connection.getresponse().read())
        connection.close()
        return services[0]["endpoints"]

    def wait_used(self, addresses, port=LB_PORT):
        def answered():
            return {body for status, body in (http_get(port, "/", HOST) for _ in range(8)) if status == 200}
        self.lab.wait_for(lambda: f"{addresses} answer, but {answered()}\n{self.alone.tail()}", lambda: answered() == set(addresses))

    def metric(self, name, port=STATUS_PORT):
        lines = [line for line in http_get(port, "/metrics")[1].splitlines() if line.startswith(name)]
        return float(lines[0].split()[-1]) if lines else 0.0

    def test_a_balancer_alone_follows_the_name_and_keeps_what_it_knows(self):
        self.set_records({"web": ADDRESSES[:1]})
        self.wait_used(ADDRESSES[:1])
        self.set_records({"web": ADDRESSES[1:]})
        self.wait_used(ADDRESSES[1:])
        failed = self.metric('fairlead_hostnames_answers_total{result="failed"}')
        self.names.end(signal.SIGKILL)
        self.lab.wait_for(lambda: f"says why: {self.endpoints_alone()}", lambda: all(row["note"] and row["ready"] for row in self.endpoints_alone()))
        self.assertGreater(self.metric('fairlead_hostnames_answers_total{result="failed"}'), failed)
        self.assertTrue(self.alone.says("host name is not resolved", "web.hosts.test"))
        self.wait_used(ADDRESSES[1:])
        self.set_records({})  # no such name: it stays for a while
        self.lab.wait_for(lambda: f"NXDOMAIN is said: {self.endpoints_alone()}",
                          lambda: all("NXDOMAIN" in row["note"] for row in self.endpoints_alone()))
        self.wait_used(ADDRESSES[1:])
        self.set_records({"web": ADDRESSES[:1]})
        self.wait_used(ADDRESSES[:1])
        self.assertEqual([row["note"] for row in self.endpoints_alone()], [""])

    def test_a_registered_name_is_an_endpoint_for_each_of_its_addresses(self):
        self.set_records({"web": ADDRESSES[:2]})
        self.fairlead("endpoint", "add", "web.demo", f"web.hosts.test:{PORT}", "--host", HOST)
        self.lab.wait_dns("web.demo.svc.fl.internal", ADDRESSES[:2])
        self.wait_used(ADDRESSES[:2], 8080)
        self.set_records({"web": ADDRESSES[1:]})
        self.lab.wait_dns("web.demo.svc.fl.internal", ADDRESSES[1:])
        self.wait_used(ADDRESSES[1:], 8080)
        self.names.end(signal.SIGKILL)
        self.lab.wait_for(lambda: f"says why: {self.fairlead('endpoint', 'ls')}",
                          lambda: self.fairlead("endpoint", "ls").count("ready (web.hosts.test: ") == 2)
        before = self.lab.child("agent")
        os.kill(before, signal.SIGKILL)
        self.lab.wait_for("the agent is started again", lambda: self.lab.child("agent") not in (None, before))
        self.set_records({"web": ADDRESSES[1:]})
        self.lab.wait_dns("web.demo.svc.fl.internal", ADDRESSES[1:])
        self.fairlead("endpoint", "rm", "web.demo", f"web.hosts.test:{PORT}", "-y")
        self.lab.wait_dns("web.demo.svc.fl.internal", [])


if __name__ == "__main__":
    main()
