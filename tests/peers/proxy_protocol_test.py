#!/usr/bin/env python3
"""PROXY headers to programs that others wrote (nginx, HAProxy), and from them (curl, HAProxy)."""
import contextlib
import http.client
import json
import os
import socket
import subprocess

from balancer import PATIENCE_S, BalancerTest, free_port, main, wait_for

CLIENT = "127.0.0.5"  # ours, so that an answer cannot be right by chance


def listening(address="127.0.0.1"):
    """A socket for a program that takes it over: its port is known, and was never free."""
    opened = socket.create_server((address, 0))
    opened.set_inheritable(True)
    return opened


class ProxyProtocol(BalancerTest):
    @classmethod
    def config(cls):
        config = super().config()
        consumers = {"nginx": cls.start_nginx(), "haproxy": cls.start_haproxy()}
        for name, port in consumers.items():
            for version in ("v1", "v2"):
                for protocol in ("tcp", "http"):
                    service = f"{name}-{protocol}-{version}"
                    config["services"][service] = {"protocol": protocol, "proxy_protocol": version,
                                                   "endpoints": [{"address": f"127.0.0.1:{port}"}]}
                    if protocol == "tcp":
                        config["listeners"].append({"name": service, "bind": "127.0.0.1:0", "protocol": "tcp", "service": service})
                    else:
                        config["routes"].append({"host": [service], "service": service})
        config["listeners"].append({"name": "announced", "bind": "127.0.0.1:0", "proxy_protocol": "accept"})
        return config

    @classmethod
    def start_nginx(cls):
        """On a port that was free: it does not take a socket over without its master process."""
        while True:
            port = free_port()
            with open(f"{cls.dir}/nginx.conf", "w") as file:
                file.write(f"""
daemon off; master_process off; pid {cls.dir}/nginx.pid; error_log {cls.dir}/nginx-errors.log;
events {{}}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:{port} proxy_protocol;
    return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port";
  }}
}}
""")
            nginx = cls.start_peer("nginx", ["nginx", "-p", cls.dir, "-c", f"{cls.dir}/nginx.conf"])
            ready = f"{cls.dir}/nginx.pid"  # is written after the port was opened
            wait_for(nginx.tail, lambda: not nginx.running() or (os.path.exists(ready) and os.path.getsize(ready)))
            if nginx.running():
                return port

    @classmethod
    def start_haproxy(cls, *, name="haproxy", rest=None):
        """One that tells whom a PROXY header named, or one with `rest` of its configuration."""
        taken = listening()
        port = taken.getsockname()[1]
        with open(f"{cls.dir}/{name}.cfg", "w") as file:
            file.write(f"""
defaults
  mode http
  timeout connect 60s
  timeout client 60s
  timeout server 60s
listen peer
  bind fd@{taken.fileno()}{"" if rest else " accept-proxy"}
""" + (rest or '  http-request return status 200 content-type text/plain lf-string "%ci %cp %fp"\n'))
        cls.start_peer(name, ["haproxy", "-db", "-f", f"{cls.dir}/{name}.cfg"], pass_fds=[taken.fileno()])
        taken.close()
        return port

    def ask(self, port, host="any"):
        """The body of an answer, our own port, and the port we asked."""
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S, source_address=(CLIENT, 0))
        with contextlib.closing(client):
            client.request("GET", "/", headers={"Host": host})
            own = client.sock.getsockname()[1]
            answer = client.getresponse()
            self.assertEqual(answer.status, 200)
            return answer.read().decode(), own

    def assert_named(self, service, port, host):
        said, own = self.ask(port, host)
        self.assertEqual(said.split(), [CLIENT, str(own), str(port)], service)

    def test_they_learn_the_clients_address_of_bytes(self):
        for consumer in ("nginx", "haproxy"):
            for version in ("v1", "v2"):
                service = f"{consumer}-tcp-{version}"
                self.assert_named(service, self.ports[service], "any")

    def test_they_learn_each_clients_address_of_requests(self):
        for consumer in ("nginx", "haproxy"):
            for version in ("v1", "v2"):
                for _ in range(2):
                    self.assert_named(f"{consumer}-http-{version}", self.port, f"{consumer}-http-{version}")

    def forwarded_for(self, body):
        return {name.lower(): value for name, value in json.loads(body)["headers"].items()}["x-forwarded-for"]

    def test_the_header_of_curl_is_taken(self):
        done = subprocess.run(["curl", "-sS", "--max-time", str(PATIENCE_S), "--interface", CLIENT, "--haproxy-protocol",
                               f"http://127.0.0.1:{self.ports['announced']}/"], capture_output=True, check=True)
        self.assertEqual(self.forwarded_for(done.stdout), CLIENT)

    def test_the_headers_of_haproxy_are_taken(self):
        for option in ("send-proxy", "send-proxy-v2"):
            port = self.start_haproxy(name=option, rest=f"  server lb 127.0.0.1:{self.ports['announced']} {option}\n")
            said, _ = self.ask(port)
            self.assertEqual(self.forwarded_for(said), CLIENT, option)

    def test_one_without_a_header_is_refused_and_counted(self):
        with self.connect("announced") as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            with self.assertRaises(ConnectionResetError):
                client.recv(1)
        wait_for("counted", lambda: 'connections_refused_total{listener="announced",reason="no_proxy_header"} 1' in self.metrics())


if __name__ == "__main__":
    main()
