#!/usr/bin/env python3
"""fairlead.listen: a label opens a TCP port of the balancer, and the last container that asks for it closes it."""
import json
import os
import socket
import subprocess

from lab import FAIRLEAD, LabTest, main

PORT, OTHER, OUTSIDE = 25432, 25433, 19999


class Listen(LabTest):
    options = {"docker0": True}

    @classmethod
    def prepare(cls):
        cls.lab.start_engine()
        config = {"agents": [f"unix:{cls.lab.dir}/run/discovery.sock"], "admin_socket": f"{cls.lab.dir}/run/lb.sock",
                  "dynamic_ports": "20000-29999"}
        cls.lab.start_fairlead(lb=config)

    def echo(self, name, service, port=PORT):
        """Says its name to whoever connects, and sends back what comes."""
        self.lab.docker("run", "-d", "--network", "bridge", "--name", name, "--stop-timeout", "0", "--label", f"fairlead.service={service}",
                        "--label", "fairlead.project=demo", "--label", "fairlead.port=7", "--label", f"fairlead.listen={port}",
                        "-v", "/usr:/usr:ro", "lab", "/usr/bin/python3", "-SEc", f"""
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"{name}\\n")
        for line in self.rfile:
            self.wfile.write(line)
socketserver.ThreadingTCPServer(("", 7), Echo).serve_forever()
""")

    @staticmethod
    def connect(port=PORT):
        client = socket.create_connection(("127.0.0.1", port), timeout=10)
        lines = client.makefile("rb")
        return client, lines

    def who(self, port=PORT):
        try:
            client, lines = self.connect(port)
            with client:
                return lines.readline().decode().strip()
        except ConnectionRefusedError:
            return "refused"
        except ConnectionResetError:
            return "reset"

    def wait_who(self, wanted, port=PORT):
        self.lab.wait_for(lambda: f"{wanted} at {port}, but {self.who(port)}", lambda: self.who(port) == wanted)

    def problems(self, service):
        shown = subprocess.run([FAIRLEAD, "--api", f"unix:{self.lab.dir}/run/api.sock", "service", "inspect", service, "-o", "json"],
                               capture_output=True, text=True, check=True).stdout
        return " ".join(json.loads(shown)["problems"])

    def test_a_port_comes_and_goes_with_the_containers_that_ask_for_it(self):
        self.assertEqual(self.who(), "refused")
        self.echo("db-1", "db")
        self.wait_who("db-1")
        client, lines = self.connect()
        self.assertEqual(lines.readline(), b"db-1\n")
        self.echo("db-2", "db")
        self.lab.wait_for("both serve", lambda: {self.who() for _ in range(8)} == {"db-1", "db-2"})
        self.lab.docker("rm", "-f", "db-2")
        self.lab.wait_for("one serves", lambda: {self.who() for _ in range(8)} == {"db-1"})
        client.sendall(b"still here\n")
        self.assertEqual(lines.readline(), b"still here\n")
        self.lab.docker("rm", "-f", "db-1")
        self.wait_who("refused")

    def test_the_older_container_holds_a_port_and_the_other_is_told(self):
        self.echo("old", "old", OTHER)
        self.wait_who("old", OTHER)
        self.echo("young", "young", OTHER)
        self.lab.wait_for("the younger is told", lambda: "service old.demo has it" in self.problems("young.demo"))
        self.assertEqual({self.who(OTHER) for _ in range(8)}, {"old"})
        self.assertEqual(self.problems("old.demo"), "")
        self.lab.docker("rm", "-f", "old")
        self.wait_who("young", OTHER)
        self.assertEqual(self.problems("young.demo"), "")

    def test_ports_that_labels_may_not_open_are_refused_with_the_reason(self):
        with socket.create_server(("127.0.0.1", PORT)):
            self.echo("taken", "taken")
            self.echo("outside", "outside", OUTSIDE)
            self.lab.wait_for("the range is named", lambda: "outside of lb.dynamic_ports 20000-29999" in self.problems("outside.demo"))
            self.lab.wait_for("the port is taken", lambda: "in use" in self.problems("taken.demo"))
        self.assertEqual(self.who(OUTSIDE), "refused")
        os.kill(self.lab.child("lb"), 1)  # SIGHUP: the port is free now
        self.wait_who("taken")


if __name__ == "__main__":
    main()
