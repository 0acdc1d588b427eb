#!/usr/bin/env python3
"""What differs between records, engine and kernel because somebody or a crash got in between: `verify` names each, `verify
--repair` mends what is safe, and after that nothing differs."""
import json
import sqlite3
import subprocess

from lab import FAIRLEAD, NETWORK, LabTest, UnixConnection, main, wait_for

PLUGIN = "/run/docker/plugins/fairlead.sock"
BRIDGE = "fl-lab"
LOST = "fa17" * 16  # an id of Docker's form that Docker does not know


class Verify(LabTest):
    def fairlead(self, *words):
        done = subprocess.run([FAIRLEAD, *words, "-o", "json", "--api", f"unix:{self.lab.dir}/run/api.sock"], capture_output=True, text=True)
        self.assertIn(done.returncode, (0, 1), done.stdout + done.stderr)
        return done.returncode, json.loads(done.stdout)

    def drifts(self):
        return sorted((drift["kind"], drift["where"]) for drift in self.fairlead("verify")[1])

    def assert_drifts(self, *wanted):
        self.lab.wait_for(lambda: f"{wanted}, but {self.drifts()}", lambda: self.drifts() == sorted(wanted))

    def repair(self):
        code, done = self.fairlead("verify", "--repair")
        self.assertEqual((code, done["left"]), (0, []))
        self.assertEqual(self.fairlead("verify"), (0, []))

    def call(self, name, **body):
        """A call of dockerd's, of which dockerd knows nothing: what its crash leaves of one under way."""
        connection = UnixConnection(PLUGIN)
        connection.request("POST", f"/{name}", json.dumps(body))
        answer = json.loads(connection.getresponse().read())
        connection.close()
        self.assertNotIn("Err", answer)
        self.assertNotIn("Error", answer)
        return answer

    def pool_id(self):
        with sqlite3.connect(f"file:{self.lab.dir}/state/agent/docker-plugin.db?mode=ro", uri=True) as db:
            return next(id for id, body in db.execute("SELECT id, body FROM object WHERE kind = 'pool'")
                        if json.loads(body)["pool"] == "demo")

    def network_id(self):
        return self.lab.docker("network", "inspect", "-f", "{{.Id}}", NETWORK).stdout

    def host_interface(self, endpoint):
        links = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
        return next(link["ifname"] for link in links if link.get("ifalias") == f"fairlead:{endpoint}")

    def links(self):
        return {link["ifname"] for link in json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)}

    def endpoint_of(self, name):
        return self.lab.inspect(name)["NetworkSettings"]["Networks"][NETWORK]["EndpointID"]

    def ip(self, *words):
        subprocess.run(["ip", *words], check=True)

    def speaks(self, name):
        done = subprocess.run(["busybox", "ping", "-c1", "-W2", self.lab.address(name)], capture_output=True)
        return done.returncode == 0

    def test_a_bridge_that_was_deleted_is_made_again_with_its_containers_on_it(self):
        self.lab.run_sleeper("web")
        self.assertTrue(self.speaks("web"))
        self.ip("link", "del", BRIDGE)
        self.assertFalse(self.speaks("web"))
        self.assert_drifts(("bridge-gone", NETWORK))
        self.repair()
        self.lab.wait_for("the container is reached again, without a restart", lambda: self.speaks("web"))

    def test_the_interface_of_a_running_container_is_for_a_person_to_bring_back(self):
        address = self.lab.run_sleeper("web")
        endpoint = self.endpoint_of("web")
        self.ip("link", "del", self.host_interface(endpoint))
        self.assert_drifts(("interface-gone", endpoint[:12]))
        code, done = self.fairlead("verify", "--repair")
        self.assertEqual((code, [drift["repair"] for drift in done["left"]]), (1, ["docker restart web"]))
        self.lab.docker("restart", "-t", "0", "web")
        self.assertEqual(self.lab.address("web"), address)
        self.assertTrue(self.speaks("web"))
        self.assert_drifts()

    def test_an_endpoint_without_container_whose_interface_is_gone_is_forgotten(self):
        network = self.network_id()
        address = self.call("IpamDriver.RequestAddress", PoolID=self.pool_id(), Address="", Options=None)["Address"]
        self.call("NetworkDriver.CreateEndpoint", NetworkID=network, EndpointID=LOST, Options={},
                  Interface={"Address": address, "AddressIPv6": "", "MacAddress": ""})
        self.call("NetworkDriver.Join", NetworkID=network, EndpointID=LOST, SandboxKey="/x", Options={})
        self.ip("link", "del", self.host_interface(LOST))
        self.lab.wait_for("the interface is told", lambda: ("interface-gone", LOST[:12]) in self.drifts())
        self.repair()
        other = self.lab.run_sleeper("web")
        self.assertNotEqual(other, "")

    def test_an_interface_of_no_container_is_removed(self):
        self.ip("link", "add", f"flh{LOST[:12]}", "type", "veth", "peer", "name", f"flc{LOST[:12]}")
        self.ip("link", "set", f"flh{LOST[:12]}", "alias", f"fairlead:{LOST}", "up")
        self.assert_drifts(("unknown-interface", LOST[:12]))
        self.repair()
        self.lab.wait_for("it is gone", lambda: f"flh{LOST[:12]}" not in self.links())

    def test_an_address_that_a_start_left_is_given_back(self):
        address = self.call("IpamDriver.RequestAddress", PoolID=self.pool_id(), Address="", Options=None)["Address"]
        code, drifts = self.fairlead("verify")
        self.assertEqual((code, [drift["kind"] for drift in drifts]), (1, ["lease-left"]))
        self.assertIn(address.split("/")[0], drifts[0]["what"])
        _, done = self.fairlead("verify", "--repair")
        self.assertIn("may be starting", done["repairs"][0]["outcome"])
        wait_for("the agent gives it back by itself, a minute later", lambda: self.fairlead("verify") == (0, []), seconds=150)

    def test_a_network_that_the_engine_has_no_longer_is_forgotten_with_its_bridge(self):
        pool = self.call("IpamDriver.RequestPool", AddressSpace="fairlead-local", Pool="10.213.77.0/24", SubPool="", Options={}, V6=False)
        data = {"AddressSpace": "fairlead-local", "Pool": pool["Pool"], "Gateway": "10.213.77.1/24"}
        self.call("NetworkDriver.CreateNetwork", NetworkID=LOST, Options={"com.docker.network.generic": {"bridge": "fl-lost"}},
                  IPv4Data=[data], IPv6Data=[])
        self.assertIn("fl-lost", self.links())
        self.assert_drifts(("network-gone", LOST))
        self.repair()
        self.assertNotIn("fl-lost", self.links())


if __name__ == "__main__":
    main()
