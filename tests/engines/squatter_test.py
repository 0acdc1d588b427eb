#!/usr/bin/env python3
"""A machine on the LAN that took an address which nobody gave it: found before a container gets the same one, and named."""
import json
import subprocess

from lab import FAIRLEAD, NETWORK, LabTest, main

POOL = "10.213.40.0/24"
SQUATTER_MAC = "02:5c:5c:5c:5c:5c"


class Squatter:
    """A namespace behind a port of the network's bridge, as a VM on the LAN is."""

    def __init__(self, bridge):
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        self.run("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
        self.run("ip", "link", "set", "lan0", "master", bridge, "up")
        self.run("ip", "link", "set", "lan1", "address", SQUATTER_MAC)
        while subprocess.run(["ip", "link", "set", "lan1", "netns", str(self.holder.pid)], capture_output=True).returncode:
            pass  # until the namespace is there
        self.inside("ip", "link", "set", "lan1", "up")

    def run(self, *command):
        subprocess.run(command, check=True)

    def inside(self, *command):
        self.run("nsenter", "-t", str(self.holder.pid), "-n", *command)

    def take(self, address):
        self.inside("ip", "addr", "add", f"{address}/24", "dev", "lan1")

    def leave(self, address):
        self.inside("ip", "addr", "del", f"{address}/24", "dev", "lan1")

    def end(self):
        self.holder.kill()
        self.holder.wait()


class SquattersAreFound(LabTest):
    @classmethod
    def prepare(cls):
        super().prepare()
        cls.squatter = Squatter("fl-lab")
        cls.addClassCleanup(cls.squatter.end)

    def fairlead(self, *arguments, check=True):
        done = subprocess.run([FAIRLEAD, *arguments, "--api", f"unix:{self.lab.dir}/run/api.sock"], capture_output=True,
                              text=True)
        if check:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def reserve(self, name):
        return self.fairlead("ip", "reserve", name, "-o", "json").stdout

    def test_a_free_choice_goes_around_it_and_the_squatter_is_named(self):
        # What the name would get: known before it exists.
        first = json.loads(self.reserve("early"))[0]["address"]
        self.fairlead("ip", "release", "early", "-y")
        self.squatter.take(first)
        self.addCleanup(self.squatter.leave, first)
        given = self.lab.run_sleeper("early")
        self.assertNotEqual(given, first)
        self.assertIn(SQUATTER_MAC, self.fairlead("ip", "ls").stdout)
        self.assertIn(first, self.fairlead("ip", "ls").stdout)

    def test_an_address_that_was_asked_for_is_refused_with_the_squatters_mac(self):
        self.squatter.take("10.213.40.77")
        self.addCleanup(self.squatter.leave, "10.213.40.77")
        refused = self.lab.docker("run", "-d", *self.lab.sleeper("asked", "--ip", "10.213.40.77"), check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("10.213.40.77", refused.stderr)
        self.assertIn(SQUATTER_MAC, refused.stderr)

    def test_a_reserved_one_is_refused_and_stays_the_names(self):
        reserved = json.loads(self.reserve("late"))[0]["address"]
        self.squatter.take(reserved)
        self.addCleanup(self.squatter.leave, reserved)
        refused = self.lab.docker("run", "-d", *self.lab.sleeper("late"), check=False)
        self.assertIn(SQUATTER_MAC, refused.stderr)
        self.assertEqual(json.loads(self.fairlead("ip", "inspect", "late", "-o", "json").stdout)[0]["address"], reserved)

    def test_our_own_containers_are_not_taken_for_squatters(self):
        first = self.lab.run_sleeper("own")
        self.lab.docker("restart", "own")
        self.assertEqual(self.lab.address("own"), first)
        self.assertNotEqual(self.lab.run_sleeper("other"), first)


if __name__ == "__main__":
    main()
