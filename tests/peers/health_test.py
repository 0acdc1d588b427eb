#!/usr/bin/env python3
"""The balancer checks the endpoints of its file itself: illness, refusal, recovery, and all of them ill at once."""
import collections
import http.client
import http.server
import json
import os
import threading
import unittest

from balancer import PATIENCE_S, BalancerTest, main, wait_for


class Server(http.server.ThreadingHTTPServer):
    """One endpoint: /healthz as `well` says, anything else its name."""
    daemon_threads = True

    def __init__(self, name, port=0):
        self.name, self.well, self.served = name, True, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(handler):
                check = handler.path == "/healthz"
                body = b"" if check else self.name.encode()
                self.served += not check
                handler.send_response(503 if check and not self.well else 200)
                handler.send_header("Content-Length", str(len(body)))
                handler.end_headers()
                handler.wfile.write(body)

            def log_message(handler, *_):
                pass

        super().__init__(("127.0.0.1", port), Handler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def end(self):
        self.shutdown()
        self.server_close()


class Health(BalancerTest):
    CHECK = {"http": "/healthz", "interval": "200ms", "timeout": "1s", "rise": 2, "fall": 2}

    @classmethod
    def config(cls):
        cls.servers = {name: Server(name) for name in ("a", "b", "c")}
        os.chmod(cls.dir, 0o755)  # the balancer reads the file again as another user
        config = super().config()
        config["services"] = {"web": {"endpoints": [{"address": f"127.0.0.1:{s.port}"} for s in cls.servers.values()],
                                      "health_check": cls.CHECK}}
        config["routes"] = [{"host": ["*"], "service": "web"}]
        return config

    @classmethod
    def tearDownClass(cls):
        for server in cls.servers.values():
            server.end()

    def setUp(self):
        for server in self.servers.values():
            server.well = True
        self.wait_ready("a", "b", "c")

    def endpoints(self):
        services = json.loads(self.admin("GET", "/v1/services")[1])
        by_port = {str(server.port): name for name, server in self.servers.items()}
        return {by_port[e["address"].rpartition(":")[2]]: e for s in services for e in s["endpoints"]}

    def wait_ready(self, *names):
        wait_for(lambda: f"ready are not {names}: {self.endpoints()}",
                 lambda: {name for name, e in self.endpoints().items() if e["ready"]} == set(names))

    def ask(self, count=30):
        """Who answers so many requests in a row, and with what."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        answers = collections.Counter()
        for _ in range(count):
            client.request("GET", "/")
            answer = client.getresponse()
            body = answer.read().decode()
            answers[body if answer.status == 200 else answer.status] += 1
        client.close()
        return answers

    def test_a_new_balancer_is_ready_when_it_has_looked(self):
        wait_for("ready", lambda: self.admin("GET", "/readyz")[0] == 200)
        self.assertEqual(set(self.ask()), {"a", "b", "c"})

    def test_an_ill_one_gets_nothing_and_comes_back_when_it_is_well(self):
        self.servers["b"].well = False
        self.wait_ready("a", "c")
        shown = self.endpoints()["b"]
        self.assertEqual((shown["health"], shown["reason"], shown["checked_by"]), ("unhealthy", "unhealthy: HTTP 503", "balancer"))
        self.assertEqual(set(self.ask()), {"a", "c"})
        self.assertIn('fairlead_lb_endpoint_health{service="web.default",health="unhealthy"} 1', self.metrics())
        self.servers["b"].well = True
        self.wait_ready("a", "b", "c")
        self.assertEqual(set(self.ask()), {"a", "b", "c"})

    def test_all_ill_at_once_serve_on_but_not_who_refuses(self):
        port = self.servers["c"].port
        self.servers["c"].end()
        self.servers["a"].well = self.servers["b"].well = False
        wait_for(lambda: f"not open: {self.endpoints()}", lambda: [self.endpoints()[n]["fails_open"] for n in "abc"] == [True, True, False])
        self.assertEqual(set(self.ask()), {"a", "b"})
        self.assertEqual(self.endpoints()["c"]["reason"], "unhealthy: connection refused")
        self.assertIn('fairlead_lb_service_fails_open{service="web.default"} 1', self.metrics())
        self.servers["a"].well = True
        self.wait_ready("a")
        self.assertEqual(set(self.ask()), {"a"})
        self.servers["c"] = Server("c", port)

    def test_a_reload_of_the_check_takes_nothing_out(self):
        with open(f"{self.dir}/fairlead.yaml") as file:
            config = json.load(file)
        config["services"]["web"]["health_check"] = {**self.CHECK, "rise": 3}
        with open(f"{self.dir}/fairlead.yaml", "w") as file:
            json.dump(config, file)
        stop, failures = threading.Event(), []

        def load():
            while not stop.is_set():
                failures.extend(key for key in self.ask(20) if key not in ("a", "b", "c"))
        thread = threading.Thread(target=load)
        thread.start()
        answer = self.admin("POST", "/v1/reload")
        self.wait_ready("a", "b", "c")
        stop.set()
        thread.join()
        self.assertEqual(answer[0], 200, answer)
        self.assertEqual(failures, [])


if __name__ == "__main__":
    main()
