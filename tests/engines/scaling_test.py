#!/usr/bin/env python3
"""Containers come and go under load; names and balancer follow, and nobody edits a file."""
import os

from lab import HOST, LabTest, main
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


if __name__ == "__main__":
    main()
