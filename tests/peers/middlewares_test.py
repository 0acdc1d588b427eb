#!/usr/bin/env python3
"""Middlewares and sticky cookies of the file, between curl and backends of ours."""
import json
import os
import subprocess

from balancer import PATIENCE_S, Backend, BalancerTest, main, wait_for

# "secret" and "other" by bcrypt, at a cost that users have
USERS = ["carol:$2b$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u", "dave:$2b$10$abcdefghijklmnopqrstuug7uV/rfOsuPOAUg70eqWWWMjvHc6jZm"]


class Middlewares(BalancerTest):
    @classmethod
    def config(cls):
        config = super().config()
        backend = config["services"]["backend"]["endpoints"][0]["address"]
        cls.second = Backend()
        cls.addClassCleanup(cls.second.server_close)
        cls.addClassCleanup(cls.second.shutdown)
        config["services"]["sticky"] = {"sticky": {"cookie": {"name": "lb", "httponly": True}}, "endpoints": [
            {"address": backend}, {"address": f"127.0.0.1:{cls.second.server_address[1]}"}]}
        os.chmod(cls.dir, 0o755)  # started as root the balancer is another user by the time of a reload
        config["middlewares"] = {
            "tls": {"redirectscheme": {"scheme": "https", "permanent": True}},
            "strip": {"stripprefix": {"prefixes": ["/api"]}},
            "fields": {"headers": {"customrequestheaders": {"X-Script-Name": "shop"},
                                   "customresponseheaders": {"X-Served-By": "fairlead", "Server": ""}}},
            "auth": {"basicauth": {"users": USERS, "headerfield": "X-User", "removeheader": True}},
            "file": {"basicauth": {"usersfile": f"{cls.dir}/users"}},
            "nobody": {"ipallowlist": {"sourcerange": ["192.0.2.0/24"]}},
            "here": {"ipallowlist": {"sourcerange": ["127.0.0.0/8"]}},
            "inner": {"chain": {"middlewares": ["here", "fields", "strip"]}},
        }
        for host, names in (("tls", ["tls"]), ("api", ["inner"]), ("auth", ["auth"]), ("file", ["file"]), ("nobody", ["nobody"]),
                            ("lost", ["elsewhere@docker"])):
            config["routes"].append({"host": [f"{host}.test"], "service": "backend", "middlewares": names})
        config["routes"].append({"host": ["sticky.test"], "service": "sticky"})
        return config

    def curl(self, host, path="/", *options):
        """Status, fields in lower case, and the body, of one request."""
        run = subprocess.run(["curl", "-sS", "-i", "--max-time", str(PATIENCE_S), "--resolve", f"{host}:{self.port}:127.0.0.1",
                              *options, f"http://{host}:{self.port}{path}"], capture_output=True, text=True, check=True)
        head, body = "", run.stdout.replace("\r\n", "\n")
        while not head or head.split()[1] == "100":  # curl waits for it with a long body
            head, _, body = body.partition("\n\n")
        lines = head.splitlines()
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        return int(lines[0].split()[1]), fields, body

    def test_a_redirect_is_followed_where_it_leads(self):
        status, fields, _ = self.curl("tls.test", "/a?b=c")
        self.assertEqual((status, fields["location"]), (301, "https://tls.test/a?b=c"))
        self.assertEqual(self.curl("tls.test", "/", "-X", "POST", "-d", "x")[0], 308)

    def test_a_chain_changes_path_and_fields(self):
        status, fields, body = self.curl("api.test", "/api/users", "-H", "X-Script-Name: forged")
        told = json.loads(body)["headers"]
        self.assertEqual(status, 200)
        self.assertEqual((told["X-Forwarded-Prefix"], told["X-Script-Name"]), ("/api", "shop"))
        self.assertEqual(fields["x-served-by"], "fairlead")
        self.assertNotIn("server", fields)

    def test_bodies_go_through(self):
        path = f"{self.dir}/body"
        with open(path, "wb") as file:
            file.write(b"x" * 3_000_000)
        status, fields, body = self.curl("api.test", "/api/", "--data-binary", f"@{path}")
        self.assertEqual((status, json.loads(body)["length"]), (200, 3_000_000))
        self.assertEqual(fields["x-served-by"], "fairlead")

    def test_users_of_a_file_and_older_hashes(self):
        def users(*lines):
            with open(f"{self.dir}/users", "w") as file:
                file.write("\n".join(lines))
        hashes = {kind: subprocess.run(["openssl", "passwd", "-apr1", kind], capture_output=True, text=True, check=True).stdout.strip()
                  for kind in ("apr1", "later")}
        users("# ours", f"apr1:{hashes['apr1']}", "sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=")
        self.assertEqual(self.curl("file.test", "/", "-u", "apr1:apr1")[0], 503)  # there was no file when the route came
        self.assertEqual(self.admin("POST", "/v1/reload")[0], 200)
        for user, expected in (("apr1:apr1", 200), ("apr1:other", 401), ("sha:secret", 200), ("sha:apr1", 401), ("later:later", 401)):
            self.assertEqual(self.curl("file.test", "/", "-u", user)[0], expected, user)
        users(f"later:{hashes['later']}")
        self.assertEqual(self.admin("POST", "/v1/reload")[0], 200)
        self.assertEqual([self.curl("file.test", "/", "-u", user)[0] for user in ("apr1:apr1", "later:later")], [401, 200])

    def test_passwords(self):
        status, fields, _ = self.curl("auth.test")
        self.assertEqual((status, fields["www-authenticate"]), (401, 'Basic realm="traefik"'))
        for user, expected in (("carol:secret", 200), ("carol:Secret", 401), ("carol:other", 401), ("dave:other", 200),
                               ("mallory:secret", 401), ("carol:secret", 200)):
            status, _, body = self.curl("auth.test", "/", "-u", user, "-H", "X-User: root")
            self.assertEqual(status, expected, user)
            if expected == 200:
                told = json.loads(body)["headers"]
                self.assertEqual(told["X-User"], user.split(":")[0])
                self.assertNotIn("Authorization", told)
        wait_for("four hashes", lambda: "fairlead_lb_passwords_computed_total 4" in self.metrics())

    def test_addresses(self):
        self.assertEqual(self.curl("nobody.test", "/", "-H", "X-Forwarded-For: 192.0.2.1")[0], 403)
        self.assertEqual(self.curl("api.test", "/api/")[0], 200)

    def test_a_route_without_its_guard_is_shut(self):
        status, _, body = self.curl("lost.test")
        self.assertEqual(status, 503)
        self.assertIn("middleware elsewhere@docker is not defined", body)
        run = subprocess.run(["curl", "-sS", "--unix-socket", f"{self.dir}/lb.sock", "http://lb/v1/routes"], capture_output=True,
                             text=True, check=True)
        shut = next(route for route in json.loads(run.stdout) if route["host"] == "lost.test")
        self.assertEqual(shut["fault"], "middleware elsewhere@docker is not defined")

    def test_a_cookie_brings_its_client_back(self):
        jar = f"{self.dir}/jar"
        _, fields, _ = self.curl("sticky.test", "/", "-c", jar)
        self.assertIn("HttpOnly", fields["set-cookie"])
        cookie = fields["set-cookie"].split(";")[0]
        for _ in range(10):
            self.assertNotIn("set-cookie", self.curl("sticky.test", "/", "-b", cookie)[1])
        others = {self.curl("sticky.test")[1]["set-cookie"].split(";")[0] for _ in range(4)}
        self.assertEqual(len(others), 2)
        status, fields, _ = self.curl("sticky.test", "/", "-b", "lb=0123456789abcdef")
        self.assertEqual(status, 200)
        self.assertIn("set-cookie", fields)


if __name__ == "__main__":
    main()
