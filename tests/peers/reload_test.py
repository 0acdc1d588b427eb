#!/usr/bin/env python3
"""A running `fairlead lb` is given a new file: what changes in place, what is refused, and that nothing breaks by it."""
import copy
import http.client
import json
import os
import signal
import ssl
import subprocess
import unittest

from balancer import PATIENCE_S, BalancerTest, main, wait_for


class Reload(BalancerTest):
    @classmethod
    def config(cls):
        os.chmod(cls.dir, 0o755)  # the balancer reads the file again as another user
        cls.issue()
        cls.first = super().config()
        cls.first["listeners"].append({"name": "secure", "bind": "127.0.0.1:0", "protocol": "https",
                                       "tls": {"certificates": [{"cert": f"{cls.dir}/web.pem", "key": f"{cls.dir}/web.key"}]}})
        return cls.first

    @classmethod
    def issue(cls, mode=0o644):
        key = f"{cls.dir}/web.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "3", "-subj", "/CN=web", "-keyout", key, "-out", f"{cls.dir}/web.pem"], check=True,
                       capture_output=True, timeout=PATIENCE_S)
        os.chmod(key, mode)

    def setUp(self):
        self.addCleanup(self.reload, lambda config: None)  # the first file again

    def write(self, change):
        config = copy.deepcopy(self.first)
        change(config)
        with open(f"{self.dir}/fairlead.yaml", "w") as file:
            json.dump(config, file)

    def reload(self, change):
        """Status and text of the answer to POST /v1/reload with this change of the first file."""
        self.write(change)
        status, body = self.admin("POST", "/v1/reload")
        body = json.loads(body)
        return status, body["error"]["message"] if "error" in body else ""

    def status_of(self, client, path):
        client.request("GET", path)
        answer = client.getresponse()
        answer.read()
        return answer.status

    def client(self):
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        self.addCleanup(client.close)
        client.connect()
        return client

    def shown_certificate(self):
        return ssl.get_server_certificate(("127.0.0.1", self.ports["secure"]), timeout=PATIENCE_S)

    def test_limits_change_for_the_next_request_of_an_open_connection(self):
        client = self.client()
        sock, long = client.sock, "/bytes/1?" + "a" * 100
        self.assertEqual(self.status_of(client, long), 200)
        self.assertEqual(self.reload(lambda config: config["listeners"][0].update(limits={"target": 64})), (200, ""))
        self.assertEqual(self.status_of(client, "/bytes/1"), 200)
        self.assertIs(client.sock, sock)
        self.assertEqual(self.status_of(client, long), 414)

    def test_a_signal_reloads_too(self):
        before = self.lb.log().count("configuration reloaded")
        self.write(lambda config: config["routes"].clear())
        self.lb.process.send_signal(signal.SIGHUP)
        wait_for(self.lb.tail, lambda: self.lb.log().count("configuration reloaded") > before)
        client = self.client()
        wait_for("no route", lambda: self.status_of(client, "/bytes/1") == 404)

    def assert_refused(self, change, *words):
        client = self.client()
        status, message = self.reload(change)
        self.assertNotEqual(status, 200)
        for word in words:
            self.assertIn(word, message)
        self.assertTrue(self.lb.says("configuration not reloaded; the old one stays", words[0]), self.lb.tail())
        self.assertEqual(self.status_of(client, "/bytes/1"), 200)

    def test_what_needs_a_restart_is_refused_and_named(self):
        self.assert_refused(lambda config: config["listeners"][0].update(bind="127.0.0.1:1", limits={"target": 64}),
                            "bind of listener web was 127.0.0.1:0 and is 127.0.0.1:1", "restart the balancer")
        self.assert_refused(lambda config: config["listeners"].append({"name": "more", "bind": "127.0.0.1:0"}),
                            "listener more is new", "restart the balancer")
        self.assert_refused(lambda config: config["lb"].update(listen="127.0.0.1:1", agents=["127.0.0.1:1"]),
                            "lb.agents, lb.listen are otherwise than at start", "restart the balancer")

    def test_a_fault_is_named_with_file_and_line(self):
        self.assert_refused(lambda config: config["listeners"][0].update(limits={"head": "huge"}),
                            "fairlead.yaml:1: listeners[0].limits.head", "write 65536, 64KiB")

    def test_a_certificate_that_cannot_be_used_leaves_the_old_one(self):
        before = self.shown_certificate()
        broken = f"{self.dir}/broken.pem"
        with open(broken, "w") as file:
            file.write("no certificate\n")
        def use(config, **files):
            config["listeners"][1]["tls"]["certificates"][0].update(files)
        self.assert_refused(lambda config: use(config, cert=broken), f"listener secure: {broken} holds no certificate")
        self.assert_refused(lambda config: use(config, key="/nowhere.key"), "listener secure: read /nowhere.key")
        self.assertEqual(self.shown_certificate(), before)

    def test_renewed_files_are_for_new_connections(self):
        before = self.shown_certificate()
        self.issue()
        self.assertEqual(self.reload(lambda config: None), (200, ""))
        self.assertNotEqual(self.shown_certificate(), before)

    @unittest.skipUnless(os.geteuid() == 0, "only root's balancer drops privileges")
    def test_a_renewed_key_of_root_only_leaves_the_old_certificate_and_says_what_to_do(self):
        before = self.shown_certificate()
        self.issue(mode=0o600)
        self.addCleanup(os.chmod, f"{self.dir}/web.key", 0o644)
        self.assert_refused(lambda config: None, f"listener secure: read {self.dir}/web.key: permission denied",
                            "make it readable for user ", "or restart the process as root")
        self.assertEqual(self.shown_certificate(), before)


if __name__ == "__main__":
    main()
