#!/usr/bin/env python3
"""Fairlead comes to a host whose compose containers have run for long: all of them are there, and nothing was restarted."""
import json
import os
import subprocess
import time
import unittest.mock

from lab import FAIRLEAD, HERE, LabTest, main

SERVICES, EACH = 10, 3


class Installed(LabTest):
    @classmethod
    def prepare(cls):
        cls.lab.start_engine()

    def compose_file(self):
        """On the project's own network, as compose makes it; nothing in it knows of Fairlead."""
        one = {"image": "lab", "expose": ["80"], "scale": EACH, "volumes": ["/usr:/usr:ro", f"{HERE}:/srv:ro"],
               "command": ["/usr/bin/python3", "-SE", "/srv/backend.py", "80"]}
        services = {f"app{i}": one for i in range(SERVICES)}
        services["batch"] = {"image": "lab", "command": ["sleep", "86400"]}
        return self.lab.write("compose.json", json.dumps({"version": "2.4", "services": services}))

    def fairlead(self, *arguments):
        done = subprocess.run([FAIRLEAD, *arguments, "--api", f"unix:{self.lab.dir}/run/api.sock"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def ready(self):
        return {service["name"]: service["ready"] for service in json.loads(self.fairlead("service", "ls", "-o", "json"))}

    def started(self):
        return {name: self.lab.inspect(name)["State"]["StartedAt"] for name in self.lab.names()}

    def test_thirty_compose_containers_are_there_within_a_minute_and_none_is_restarted(self):
        file = self.compose_file()
        self.addCleanup(self.lab.compose, file, "down", "-t", "1")
        # No COMPOSE_PARALLEL_LIMIT: with more services than that, 1.29 waits for itself (each holds a place while its containers want one).
        with unittest.mock.patch.dict(os.environ, {"COMPOSE_HTTP_TIMEOUT": "240"}):
            self.lab.compose(file, "up", "-d")
        before = self.started()
        self.assertEqual(len(before), SERVICES * EACH + 1)

        began = time.monotonic()
        self.lab.start_fairlead()
        wanted = {f"app{i}.shop": EACH for i in range(SERVICES)}
        self.lab.wait_for(lambda: f"all are ready: {self.ready()}", lambda: self.ready().items() >= wanted.items())
        took = time.monotonic() - began  # said, not asserted: machines differ, and the wait has its own end

        self.assertEqual(self.started(), before)
        for name in wanted:
            self.assertEqual(self.lab.get(host=f"{name}.lb.fl.internal")[0], 200)
            self.assertEqual(len(self.lab.dig(f"{name}.svc.fl.internal")), EACH)
        self.assertIn("no port", self.fairlead("service", "inspect", "batch.shop"))
        self.assertEqual(self.ready()["batch.shop"], 0)
        print(f"\n  {len(before)} containers known {took:.1f} s after the start", end=" ")


if __name__ == "__main__":
    main()
