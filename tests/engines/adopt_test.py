#!/usr/bin/env python3
"""A network of Docker's own is adopted while its containers run; they keep their addresses on a Fairlead network."""
import json
import subprocess

from lab import FAIRLEAD, LabTest, main

OLD, SUBNET, BRIDGE = "legacy", "10.213.90.0/24", "br-legacy"


class Adoption(LabTest):
    @classmethod
    def prepare(cls):
        super().prepare()
        cls.lab.docker("network", "create", "--subnet", SUBNET, "--gateway", "10.213.90.254", "--ip-range", "10.213.90.0/25",
                       "-o", f"com.docker.network.bridge.name={BRIDGE}", OLD)
        cls.addClassCleanup(cls.lab.docker, "network", "rm", OLD, check=False)

    def fairlead(self, *words, code=0):
        done = subprocess.run([FAIRLEAD, *words, "--api", f"unix:{self.lab.dir}/run/api.sock"], capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def lease(self, name, network):
        leases = json.loads(self.fairlead("ip", "ls", "-o", "json"))
        return next((lease for lease in leases if lease["name"] == name and lease["network"] == network), None)

    def test_a_container_keeps_its_address_from_the_old_network_on_the_new_one(self):
        self.lab.docker("run", "-d", *self.lab.sleeper("first", network=OLD))
        self.lab.docker("run", "-d", *self.lab.sleeper("second", network=OLD))
        address = self.lab.address("second", OLD)
        adopted = json.loads(self.fairlead("adopt", "--bridge", BRIDGE, "--to", "newnet", "-o", "json"))
        self.assertEqual({c["name"]: c["address"] for c in adopted["containers"]},
                         {name: self.lab.address(name, OLD) for name in ("first", "second")})
        self.assertTrue(self.lease("second", "newnet")["observed"])
        self.lab.wait_dns("second.lab.ct.fl.internal", [address])

        # Re-created on the old network in the other order, they change places; the observed leases follow.
        self.lab.docker("rm", "-f", "first", "second")
        self.lab.docker("run", "-d", *self.lab.sleeper("second", network=OLD))
        self.lab.docker("run", "-d", *self.lab.sleeper("first", network=OLD))
        address = self.lab.address("second", OLD)
        self.lab.wait_for("the observed lease follows", lambda: self.lease("second", "newnet")["address"] == address)

        # On a Fairlead network on the same bridge the address is the container's own.
        self.lab.docker("rm", "-f", "second")
        self.fairlead("network", "create", "newnet", "--pool", adopted["pool"], "--bridge", BRIDGE)
        self.addCleanup(self.lab.docker, "network", "rm", "newnet", check=False)
        self.lab.docker("run", "-d", *self.lab.sleeper("second", network="newnet"))
        self.assertEqual(self.lab.address("second", "newnet"), address)
        self.lab.wait_for("it is managed", lambda: not self.lease("second", "newnet")["observed"])
        self.lab.docker("rm", "-f", "first", "second")
        # Nothing is freed because its container is gone: that is the operator's word.
        self.lab.wait_for("it is told", lambda: "observed-gone" in self.fairlead("verify", code=1))
        self.fairlead("ip", "release", "first", "--network", "newnet", "-y")

    def test_verify_finds_nothing_on_a_healthy_host(self):
        self.lab.run_sleeper("web")
        self.lab.wait_for("nothing differs", lambda: self.fairlead_code("verify") == 0)
        self.lab.docker("rm", "-f", "web")
        self.lab.wait_for("nothing differs", lambda: self.fairlead_code("verify") == 0)

    def fairlead_code(self, *words):
        return subprocess.run([FAIRLEAD, *words, "--api", f"unix:{self.lab.dir}/run/api.sock"], capture_output=True).returncode


if __name__ == "__main__":
    main()
