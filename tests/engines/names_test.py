#!/usr/bin/env python3
"""Whose address it is, with a real dockerd 20.10: pinned containers that start together, starts that had to be guessed,
labels, several subnets, both families, compose's orders of recreation, live-restore, a host that boots.
"""
import json
import re
import signal
import time

import lab
from lab import GATEWAY, NETWORK, RANGE, SUBNET, UnixConnection

PARALLEL = 8
AT_BOOT = 12
TWO, SIX = "two", "six"

POOLS = [
    {"name": "demo", "project": "demo", "quarantine": "0s",
     "prefixes": [{"cidr": SUBNET, "gateway": GATEWAY, "ranges": [RANGE]}]},
    {"name": "two", "prefixes": [{"cidr": "10.213.51.0/30"}, {"cidr": "10.213.52.0/24"}]},
    {"name": "six", "prefixes": [{"cidr": "10.213.61.0/24"}, {"cidr": "fd00:213:61::/64"}]},
    {"name": "dmz", "prefixes": [{"cidr": "10.213.70.0/24", "gateway": "10.213.70.254"}]},
]
NETWORKS = [{"name": NETWORK, "pool": "demo", "bridge": "fl-lab"}, {"name": TWO, "pool": "two", "bridge": "fl-two"},
            {"name": SIX, "pool": "six", "bridge": "fl-six"}]


class NamesLabTest(lab.LabTest):
    @classmethod
    def prepare(cls):
        cls.lab.start_engine()
        cls.lab.start_fairlead(pools=POOLS, networks=NETWORKS)
        for name in (TWO, SIX):
            cls.lab.wait_for(f"network {name}", lambda n=name: not cls.lab.docker("network", "inspect", n, check=False).returncode)

    def setUp(self):
        self.docker = self.lab.docker

    def shim(self, call, **request):
        connection = UnixConnection(f"{self.lab.dir}/run/api.sock")
        connection.request("POST", f"/v1/shim/{call}", json.dumps(request), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        self.assertEqual(answer.status, 200, body)
        return json.loads(body)

    def create(self, name, *options, network=NETWORK, pin=True):
        made = self.docker("create", *self.lab.sleeper(name, *options, network=network)).stdout
        if pin:
            self.shim("pin", when="create", container=made)
        return made

    def pinned(self, name, network=NETWORK):
        at = self.lab.inspect(name)["NetworkSettings"]["Networks"].get(network)  # between two of a pin's calls: of none
        return ((at or {}).get("IPAMConfig") or {}).get("IPv4Address", "")

    def guessed(self):
        metrics = lab.http_get(7853, "/metrics")[1]
        return int(re.search(r'fairlead_engine_names_total{by="provisional"} (\d+)', metrics)[1])

    def together(self, verb, names, *options):
        done = [self.lab.docker_async(verb, *options, name) for name in names]
        for process in done:
            _, error = process.communicate()
            self.assertEqual(process.returncode, 0, error)

    def addresses(self, names):
        return [self.lab.address(name) for name in names]


class PinnedContainers(NamesLabTest):
    def test_pinned_containers_that_start_together_have_their_own_every_time(self):
        names = [f"p{i}" for i in range(PARALLEL)]
        for name in names:
            self.create(name, "--network-alias", f"alias-{name}")
        own = [self.pinned(name) for name in names]
        self.assertEqual(len(set(own)), PARALLEL)
        for cycle in range(3 * lab.ROUNDS):
            self.together("start", names)
            self.assertEqual(self.addresses(names), own)
            self.together("restart", names, "-t", "0")
            self.assertEqual(self.addresses(names), own)
            self.together("stop", names, "-t", "0")
        self.together("rm", names)
        for name in reversed(names):
            self.create(name)
        self.together("start", names)
        self.assertEqual(self.addresses(names), own)

    def test_a_pin_keeps_aliases_and_options(self):
        self.create("web", "--network-alias", "www")
        at = self.lab.inspect("web")["NetworkSettings"]["Networks"][NETWORK]
        self.assertIn("www", at["Aliases"])
        self.docker("start", "web")
        self.assertEqual(self.lab.address("web"), at["IPAMConfig"]["IPv4Address"])

    def test_containers_older_than_the_authorization_are_pinned_before_their_start(self):
        names = [f"old{i}" for i in range(6)]
        own = [self.lab.run_sleeper(name) for name in names]
        self.together("stop", names, "-t", "0")
        for name in names:
            self.shim("pin", when="start", container=name)
        self.together("start", names)
        self.assertEqual(self.addresses(names), own)

    def test_a_running_container_is_not_touched(self):
        self.lab.run_sleeper("web")
        before = self.lab.inspect("web")["NetworkSettings"]["Networks"]
        self.shim("pin", when="start", container="web")
        self.assertEqual(self.lab.inspect("web")["NetworkSettings"]["Networks"], before)

    def test_a_start_that_had_to_be_guessed_is_certain_after_the_next_stop(self):
        names = [f"g{i}" for i in range(PARALLEL)]
        for name in names:
            self.create(name, pin=False)
        before = self.guessed()
        self.together("start", names)
        guessed = self.guessed() - before
        self.assertGreater(guessed, 0, "nobody had to be guessed: the starts were too far apart")
        for name in names:
            self.lab.wait_for(f"{name} is known", lambda n=name: self.lab.address_of(n) == [self.lab.address(n)])
        self.together("stop", names, "-t", "0")
        # Of starts that lie further apart some are told by what only they can ask; those need no pin.
        self.lab.wait_for(f"the {guessed} guessed ones are pinned", lambda: sum(bool(self.pinned(name)) for name in names) >= guessed)
        own = [self.pinned(name) for name in names]
        self.together("start", names)
        now = self.addresses(names)
        self.assertEqual(len(set(now)), PARALLEL)
        self.assertEqual([at for at, pin in zip(now, own) if pin], [pin for pin in own if pin])


class ComposeRecreates(NamesLabTest):
    def labels(self, project="shop"):
        return ["--label", f"com.docker.compose.project={project}"]

    def recreate_v1(self, pin):
        own = self.start("shop_web_1", pin)
        self.docker("stop", "-t", "0", "shop_web_1")
        self.docker("rename", "shop_web_1", "0123456789ab_shop_web_1")
        self.create("shop_web_1", *self.labels(), pin=pin)
        self.docker("start", "shop_web_1")
        self.docker("rm", "0123456789ab_shop_web_1")
        self.assertEqual(self.lab.address("shop_web_1"), own)

    def recreate_v2(self, pin):
        own = self.start("shop-web-1", pin)
        self.create("0123456789ab_shop-web-1", *self.labels(), pin=pin)
        self.docker("stop", "-t", "0", "shop-web-1")
        self.docker("rm", "shop-web-1")
        self.docker("rename", "0123456789ab_shop-web-1", "shop-web-1")
        self.docker("start", "shop-web-1")
        self.assertEqual(self.lab.address("shop-web-1"), own)

    def start(self, name, pin):
        self.create(name, *self.labels(), pin=pin)
        self.docker("start", name)
        return self.lab.address(name)

    def test_v1_pinned(self):
        self.recreate_v1(True)

    def test_v1_by_name(self):
        self.recreate_v1(False)

    def test_v2_pinned(self):
        self.recreate_v2(True)

    def test_v2_by_name(self):
        self.recreate_v2(False)


class LabelsAndSubnets(NamesLabTest):
    def routes(self, name):
        return self.docker("exec", name, "ip", "route").stdout

    def test_a_label_gives_the_address_and_a_conflict_names_the_holder(self):
        self.assertEqual(self.lab.run_sleeper("web", "--label", "fairlead.ip=10.213.40.150"), "10.213.40.150")
        refused = self.docker("run", "-d", *self.lab.sleeper("thief", "--label", "fairlead.ip=10.213.40.150"), check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("web", refused.stderr)

    def test_a_pool_by_label_brings_its_gateway(self):
        address = self.lab.run_sleeper("web", "--label", "fairlead.pool=dmz", "--label", "fairlead.ip=10.213.70.9")
        self.assertEqual(address, "10.213.70.9")
        self.assertIn("default via 10.213.70.254", self.routes("web"))
        reached = self.docker("exec", "web", "busybox", "ping", "-c", "1", "-W", "5", "10.213.70.254", check=False)
        self.assertEqual(reached.returncode, 0, reached.stdout)
        self.docker("restart", "-t", "0", "web")
        self.assertEqual(self.lab.address("web"), "10.213.70.9")

    def test_a_network_of_two_subnets_fills_both_with_the_right_gateways(self):
        seen = set()
        for i in range(3):
            address = self.lab.run_sleeper(f"n{i}", network=TWO) or self.lab.address(f"n{i}", TWO)
            gateway = address.rsplit(".", 1)[0] + ".1"
            seen.add(gateway)
            self.assertIn(f"default via {gateway}", self.routes(f"n{i}"))
            self.docker("restart", "-t", "0", f"n{i}")
            self.assertEqual(self.lab.address(f"n{i}", TWO), address)
        self.assertIn("10.213.52.1", seen)

    def test_both_families_stay(self):
        self.docker("run", "-d", *self.lab.sleeper("web", network=SIX))
        before = self.lab.inspect("web")["NetworkSettings"]["Networks"][SIX]
        self.assertTrue(before["GlobalIPv6Address"].startswith("fd00:213:61:"))
        self.docker("rm", "-f", "web")
        self.docker("run", "-d", *self.lab.sleeper("other", network=SIX))
        self.create("web", network=SIX)
        self.docker("start", "web")
        after = self.lab.inspect("web")["NetworkSettings"]["Networks"][SIX]
        for field in ("IPAddress", "GlobalIPv6Address", "MacAddress"):
            self.assertEqual(after[field], before[field])
        self.assertIn("default via fd00:213:61::1", self.docker("exec", "web", "ip", "-6", "route").stdout)

    def test_leases_outlive_their_network(self):
        create = ["network", "create", "-d", "fairlead", "--ipam-driver", "fairlead", "--subnet", "10.213.90.0/24", "-o", "bridge=fl-tmp", "tmp"]
        self.docker(*create)
        self.docker("run", "-d", *self.lab.sleeper("first", network="tmp"))
        self.docker("run", "-d", *self.lab.sleeper("web", network="tmp"))
        own = self.lab.address("web", "tmp")
        self.docker("rm", "-f", "first", "web")
        self.docker("network", "rm", "tmp")
        self.docker(*create)
        self.docker("run", "-d", *self.lab.sleeper("web", network="tmp"))
        self.assertEqual(self.lab.address("web", "tmp"), own)
        self.docker("rm", "-f", "web")
        self.docker("network", "rm", "tmp")


class EngineRestarts(NamesLabTest):
    options = {"dockerd_options": ["--live-restore"]}

    def restart(self, how):
        self.lab.dockerd.end(how)
        began = time.monotonic()
        self.lab.start_dockerd()
        return time.monotonic() - began

    def test_live_containers_keep_their_addresses_over_restarts_of_the_engine(self):
        own = {name: self.lab.run_sleeper(name) for name in ("web", "app")}
        self.create("resting")
        for how in (signal.SIGKILL, signal.SIGTERM):
            self.restart(how)
            self.assertEqual({name: self.lab.address(name) for name in own}, own)
            self.docker("restart", "-t", "0", "web")
            self.assertEqual(self.lab.address("web"), own["web"])
        fresh = self.lab.run_sleeper("fresh")
        self.assertNotIn(fresh, [*own.values(), self.pinned("resting")])


class Boot(NamesLabTest):
    def test_a_host_that_boots_gives_everybody_an_address_and_the_pinned_ones_their_own(self):
        names = [f"b{i}" for i in range(AT_BOOT)]
        for name in names:
            self.create(name, "--restart", "always", pin=int(name[1:]) % 2 == 0)
            self.docker("start", name)
        own = self.addresses(names)
        self.lab.dockerd.end(signal.SIGTERM)
        began = time.monotonic()
        self.lab.start_dockerd()
        self.lab.wait_for("all run", lambda: set(names) <= set(self.lab.names()))
        took = time.monotonic() - began
        now = self.addresses(names)
        self.assertEqual(len(set(now)), AT_BOOT)
        self.assertEqual(now[::2], own[::2])
        print(f"{AT_BOOT} containers up {took:.1f} s after dockerd was started, {sum(a == b for a, b in zip(now, own))} at their own address")


if __name__ == "__main__":
    lab.main()
