#!/usr/bin/env python3
"""Containers come and go under load; names and balancer follow, and nobody edits a file."""
import json
import os
import unittest.mock

from lab import DNS_ADDRESS, HERE, HOST, LabTest, main
from load import Load

NAME = "web.demo.svc.fl.internal"


class Scaling(LabTest):
    def setUp(self):
        self.file = f"{self.lab.dir}/fairlead.yaml"
        self.edited = os.stat(self.file).st_mtime_ns

    def assert_follows(self, addresses):
        """Names, balancer and its list are exactly these containers."""
        self.lab.wait_dns(NAME, addresses.values())
        self.lab.wait_serving(addresses)
        self.assertEqual(self.lab.services()["web.demo"], {name: f"{ip}:80" for name, ip in addresses.items()})

    def test_three_to_ten_to_two_under_load_loses_no_request(self):
        addresses = {f"web-{i}": self.lab.run_server(f"web-{i}") for i in range(3)}
        self.assert_follows(addresses)
        with Load() as load:
            for i in range(3, 10):
                addresses[f"web-{i}"] = self.lab.run_server(f"web-{i}")
            self.assert_follows(addresses)
            self.assertEqual(load.failures, [], f"while scaling up, of {load.total()} requests")

            for i in range(8):
                self.lab.docker("rm", "-f", f"web-{i}")
                del addresses[f"web-{i}"]
            self.assert_follows(addresses)
            before = load.snapshot()
            self.lab.wait_for("requests go on", lambda: sum(load.snapshot().values()) > sum(before.values()) + 50)
            self.assertEqual(load.answered_since(before), set(addresses))
        # The requests are GETs: what a killed container had in progress is tried elsewhere.
        self.assertEqual(load.failures, [], f"of {load.total()} requests")
        self.assertEqual(os.stat(self.file).st_mtime_ns, self.edited)
        print(f"\n  {load.total()} requests on {load.connections} connections, {len(load.failures)} failed", end=" ")

    def compose_file(self):
        """compose's version 2.4, as 1.29 reads it, with a service that finishes its requests at SIGTERM."""
        labels = {"fairlead.service": "web", "fairlead.project": "demo", "fairlead.port": "80", "fairlead.host": HOST}
        return self.lab.write("compose.json", json.dumps({
            "version": "2.4", "networks": {"default": {"external": {"name": "demo"}}},
            "services": {"web": {"image": "lab", "labels": labels, "stop_grace_period": "20s", "dns": DNS_ADDRESS,
                                 "volumes": ["/usr:/usr:ro", f"{HERE}:/srv:ro"],
                                 "command": ["/usr/bin/python3", "-SE", "/srv/backend.py", "80"]}}}))

    def scale(self, file, count):
        self.lab.compose(file, "up", "-d", "--no-recreate", "--scale", f"web={count}")
        ids = self.lab.docker("ps", "-q", "--filter", "label=com.docker.compose.service=web").stdout.split()
        self.assertEqual(len(ids), count)
        at = [self.lab.inspect(one) for one in ids]
        addresses = {one["Config"]["Hostname"]: one["NetworkSettings"]["Networks"]["demo"]["IPAddress"] for one in at}
        self.lab.wait_dns(NAME, addresses.values())
        self.lab.wait_serving(addresses)  # by the host name: compose gives its containers names of its own form

    def test_compose_two_to_twenty_to_two_under_load_loses_no_request(self):
        file = self.compose_file()
        self.addCleanup(self.lab.compose, file, "down", "-t", "1")
        with unittest.mock.patch.dict(os.environ, {"COMPOSE_PARALLEL_LIMIT": "8", "COMPOSE_HTTP_TIMEOUT": "240"}):
            self.scale(file, 2)
            with Load() as load:
                self.scale(file, 20)
                self.assertEqual(load.failures, [], f"while scaling up, of {load.total()} requests")
                self.scale(file, 2)
            self.assertEqual(load.failures, [], f"of {load.total()} requests")
        self.assertEqual(os.stat(self.file).st_mtime_ns, self.edited)
        print(f"\n  {load.total()} requests on {load.connections} connections, {len(load.failures)} failed", end=" ")


if __name__ == "__main__":
    main()
