"""Steady requests to the balancer, at a bounded rate, each accounted for."""
import collections
import http.client
import json
import threading

from lab import HOST, LB_PORT

Failure = collections.namedtuple("Failure", "client error")


class Load:
    """`keep_alive` clients stay on their connection, `fresh` ones make one per request. As a context it ends with it."""

    def __init__(self, keep_alive=3, fresh=2, interval_s=0.03, path="/"):
        self.interval_s, self.path = interval_s, path
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.answered = collections.Counter()  # by the name that answered
        self.failures = []
        self.connections = 0
        self.clients = [threading.Thread(target=self.client, args=(kind,))
                        for kind in ["keep-alive"] * keep_alive + ["fresh"] * fresh]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for client in self.clients:
            client.join()

    def client(self, kind):
        connection = None
        while not self.ended.wait(self.interval_s):  # the rate
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", LB_PORT, timeout=10)
                with self.lock:
                    self.connections += 1
            try:
                connection.request("GET", self.path, headers={"Host": HOST})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 200:
                    self.account(json.loads(body)["name"], None)
                else:
                    self.account(None, Failure(kind, f"status {answer.status}: {body.decode().strip()}"))
            except (OSError, http.client.HTTPException) as error:
                self.account(None, Failure(kind, repr(error)))
                connection.close()
                connection = None
                continue
            if kind == "fresh" or answer.will_close:
                connection.close()
                connection = None
        if connection:
            connection.close()

    def account(self, name, failure):
        with self.lock:
            if failure:
                self.failures.append(failure)
            else:
                self.answered[name] += 1

    def total(self):
        with self.lock:
            return sum(self.answered.values()) + len(self.failures)

    def answered_since(self, before):
        """Names that answered since the copy `before` of `answered` was made."""
        with self.lock:
            return {name for name, count in self.answered.items() if count > before[name]}

    def snapshot(self):
        with self.lock:
            return self.answered.copy()
