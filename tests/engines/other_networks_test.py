#!/usr/bin/env python3
"""Containers on networks that are not Fairlead's are balanced and named too; and nothing rewrites addresses."""
import socket
import threading

from lab import DNS_ADDRESS, GATEWAY, NODE_ADDRESS, LabTest, main

NAME = "web.demo.svc.fl.internal"


class OtherNetworks(LabTest):
    options = {"docker0": True}

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.lab.docker("network", "create", "--subnet", "10.213.81.0/24", "other")
        cls.addClassCleanup(cls.lab.docker, "network", "rm", "other", check=False)

    def assert_balanced(self, endpoints):
        """Names, balancer and its list are exactly these: name to address and port."""
        self.lab.wait_serving(endpoints)
        self.assertEqual(self.lab.services()["web.demo"], endpoints)
        self.lab.wait_dns(NAME, [address.split(":")[0] for address in endpoints.values()])

    def test_a_container_on_dockers_own_bridge_is_balanced_beside_one_of_ours(self):
        ours = self.lab.run_server("ours")
        theirs = self.lab.run_server("theirs", network="bridge")
        self.assert_balanced({"ours": f"{ours}:80", "theirs": f"{theirs}:80"})

    def test_a_container_with_a_published_port_is_balanced(self):
        address = self.lab.run_server("published", "-p", "18080:80", network="other")
        self.assert_balanced({"published": f"{address}:80"})

    def test_a_container_of_the_hosts_network_is_balanced_at_the_nodes_address(self):
        self.lab.run_server("on-host", network="host", port=8090)
        self.lab.wait_for("the service is known", lambda: self.lab.services().get("web.demo"))
        self.assertEqual(self.lab.services()["web.demo"], {"on-host": f"{NODE_ADDRESS}:8090"})
        self.lab.wait_for("it serves", lambda: self.lab.get()[0] == 200)
        self.lab.wait_dns(NAME, [NODE_ADDRESS])

    def test_bridge_macvlan_published_ports_and_the_hosts_network_are_one_service(self):
        self.lab.docker("network", "create", "-d", "macvlan", "--subnet", "198.51.100.0/24", "--ip-range", "198.51.100.128/25", "-o",
                        "parent=up1", "lan")
        self.addCleanup(self.lab.docker, "network", "rm", "lan", check=False)
        self.addCleanup(self.lab.remove_containers)
        ours = self.lab.run_server("ours")
        bridge = self.lab.run_server("on-bridge", network="bridge")
        lan = self.lab.run_server("on-lan", network="lan")
        published = self.lab.run_server("published", "-p", "18081:80", network="other")
        self.lab.run_server("on-host", "--label", "fairlead.port=8090", network="host", port=8090)
        wanted = {"ours": f"{ours}:80", "on-bridge": f"{bridge}:80", "on-lan": f"{lan}:80", "published": f"{published}:80",
                  "on-host": f"{NODE_ADDRESS}:8090"}
        # The one on the host's network has the host's name.
        self.lab.wait_serving(["ours", "on-bridge", "on-lan", "published", socket.gethostname()])
        self.assertEqual(self.lab.services()["web.demo"], wanted)
        self.lab.wait_dns(NAME, [address.split(":")[0] for address in wanted.values()])

    def test_containers_of_every_network_resolve_names(self):
        address = self.lab.run_server("ours")
        self.lab.wait_dns(NAME, [address])
        for network in ("demo", "bridge", "other", "host"):
            with self.subTest(network):
                self.lab.docker("run", "-d", *self.lab.sleeper("asker", network=network))
                told = self.lab.docker("exec", "asker", "nslookup", NAME, DNS_ADDRESS, check=False)
                self.assertIn(address, told.stdout, told.stderr)
                self.lab.docker("rm", "-f", "asker")


class NoTranslation(LabTest):
    def test_the_container_sees_who_connects_and_is_seen_itself(self):
        server = self.lab.run_server("server")
        client = self.lab.run_server("client", service="other")
        self.lab.wait_serving(["server"])
        # The balancer, on the host, connects from the bridge's address and tells whom it serves.
        answer = self.lab.get()[1]
        self.assertEqual((answer["client"], answer["forwarded_for"]), (GATEWAY, "127.0.0.1"))
        told = self.lab.docker("exec", "client", "wget", "-q", "-O", "-", f"http://{server}/").stdout
        self.assertIn(f'"client": "{client}"', told)
        self.assertEqual(self.seen_by_the_host(client), client)

    def seen_by_the_host(self, container_address):
        with socket.create_server((GATEWAY, 0)) as listener:
            seen = []

            def serve():
                connection, peer = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                    seen.append(peer[0])
            server = threading.Thread(target=serve)
            server.start()
            port = listener.getsockname()[1]
            self.lab.docker("exec", "client", "wget", "-q", "-O", "-", f"http://{GATEWAY}:{port}/")
            server.join()
        return seen[0]


if __name__ == "__main__":
    main()
