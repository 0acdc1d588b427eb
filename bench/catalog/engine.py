"""A dockerd that is scripted: as many containers as one likes, of which only what the agent asks for exists. It answers
GET /version, /networks, /containers/json, /containers/ID/json and /events on a unix socket, with keep-alive, as fast
as Python can (a tenth of a millisecond), and starts and stops containers when its owner says so.

It runs as a process of its own; the owner talks to it by `Engine`. Beside it `Backends` answers requests at every address
of the containers.
"""
import json
import multiprocessing
import os
import select
import socket
import time

PORT = 3000  # that every container exposes
FIRST_ADDRESS = 10 << 24 | 64 << 16  # 10.64.0.0/10
DAY = "2026-11-21T"


def address(number):
    ip = FIRST_ADDRESS + 10 + number
    return ".".join(str(ip >> shift & 255) for shift in (24, 16, 8, 0))


class Container:
    """Number, names and labels are its own; the rest is the same for all."""
    __slots__ = ("number", "id", "service", "project", "labels", "starts", "running")

    def __init__(self, number, service, project, labels, running):
        self.number, self.service, self.project, self.labels = number, service, project, labels
        self.id = f"{number + 1:012x}{'c0de' * 13}"
        self.starts, self.running = int(running), running

    @property
    def name(self):
        return f"{self.project}-{self.service}-{self.number}"

    def all_labels(self):
        return {
            "com.docker.compose.config-hash": f"{self.number:064x}", "com.docker.compose.container-number": "1",
            "com.docker.compose.oneoff": "False", "com.docker.compose.project": self.project,
            "com.docker.compose.project.config_files": "docker-compose.yml",
            "com.docker.compose.project.working_dir": f"/srv/{self.project}", "com.docker.compose.service": self.service,
            "com.docker.compose.version": "1.29.2", "org.opencontainers.image.source": "https://git.example.com/shop/web", **self.labels}

    def moment(self):
        """Of its last start or stop: another one each time."""
        return f"{DAY}{self.starts // 3600 % 24:02}:{self.starts // 60 % 60:02}:{self.starts % 60:02}.123456789Z"

    def network(self):
        up = self.running
        return {"IPAMConfig": None, "Links": None, "Aliases": [self.service, self.id[:12]], "NetworkID": "net0" * 16,
                "EndpointID": f"{self.number:064x}" if up else "", "Gateway": "10.64.0.1" if up else "",
                "IPAddress": address(self.number) if up else "", "IPPrefixLen": 10 if up else 0, "IPv6Gateway": "",
                "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "MacAddress": f"02:42:0a:{self.number >> 16 & 255:02x}:"
                f"{self.number >> 8 & 255:02x}:{self.number & 255:02x}" if up else "", "DriverOpts": None}

    def summary(self):
        """Shorter than dockerd's: the list of 100,000 must stay below the agent's limit of an answer (64 MiB)."""
        state, status = ("running", "Up 2 hours") if self.running else ("exited", "Exited (0) 2 hours ago")
        return (f'{{"Id":"{self.id}","Names":["/{self.name}"],"State":"{state}","Status":"{status}","Labels":{{}},'
                f'"NetworkSettings":{{"Networks":{{"apps":{{"NetworkID":"{"net0" * 16}",'
                f'"IPAddress":"{address(self.number) if self.running else ""}","IPPrefixLen":10}}}}}}}}')

    def event(self, action):
        now = time.time_ns()
        return json.dumps({"status": action, "id": self.id, "from": "web:1.0", "Type": "container", "Action": action,
                           "Actor": {"ID": self.id, "Attributes": {**self.all_labels(), "image": "web:1.0", "name": self.name}},
                           "scope": "local", "time": now // 10**9, "timeNano": now}).encode() + b"\n"

    def details(self):
        """As long as dockerd's (5 KB) and with what it has in it."""
        up = self.running
        return {
            "Id": self.id, "Created": f"{DAY}00:00:00.000000001Z", "Path": "/docker-entrypoint.sh", "Args": ["serve", "--port", str(PORT)],
            "State": {"Status": "running" if up else "exited", "Running": up, "Paused": False, "Restarting": False, "OOMKilled": False,
                      "Dead": False, "Pid": 1000 + self.number if up else 0, "ExitCode": 0, "Error": "",
                      "StartedAt": self.moment(), "FinishedAt": f"{DAY}23:59:59Z" if up else self.moment()},
            "Image": f"sha256:{'ab' * 32}", "ResolvConfPath": f"/var/lib/docker/containers/{self.id}/resolv.conf",
            "HostnamePath": f"/var/lib/docker/containers/{self.id}/hostname", "HostsPath": f"/var/lib/docker/containers/{self.id}/hosts",
            "LogPath": f"/var/lib/docker/containers/{self.id}/{self.id}-json.log", "Name": f"/{self.name}", "RestartCount": 0,
            "Driver": "overlay2", "Platform": "linux", "MountLabel": "", "ProcessLabel": "", "AppArmorProfile": "docker-default",
            "ExecIDs": None,
            "HostConfig": {**HOST_CONFIG, "NetworkMode": "apps"}, "GraphDriver": {"Data": {
                key: f"/var/lib/docker/overlay2/{self.id}/{key}" for key in ("LowerDir", "MergedDir", "UpperDir", "WorkDir")}, "Name": "overlay2"},
            "Mounts": [],
            "Config": {"Hostname": self.id[:12], "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": False,
                       "AttachStderr": False, "ExposedPorts": {f"{PORT}/tcp": {}}, "Tty": False, "OpenStdin": False, "StdinOnce": False,
                       "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "VERSION=1.0.3",
                               "DATABASE_URL=postgres://db/app", "WORKERS=4"],
                       "Cmd": ["serve"], "Image": "web:1.0", "Volumes": None, "WorkingDir": "/app", "Entrypoint": ["/docker-entrypoint.sh"],
                       "OnBuild": None, "Labels": self.all_labels()},
            "NetworkSettings": {"Bridge": "", "SandboxID": f"{self.number:064x}", "HairpinMode": False, "LinkLocalIPv6Address": "",
                                "LinkLocalIPv6PrefixLen": 0, "Ports": {f"{PORT}/tcp": None} if up else {},
                                "SandboxKey": f"/var/run/docker/netns/{self.id[:12]}", "EndpointID": "", "Gateway": "", "IPAddress": "",
                                "IPPrefixLen": 0, "MacAddress": "", "Networks": {"apps": self.network()}}}


HOST_CONFIG = {
    "Binds": None, "ContainerIDFile": "", "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
    "PortBindings": {}, "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0}, "AutoRemove": False, "VolumeDriver": "",
    "VolumesFrom": [], "CapAdd": None, "CapDrop": None, "CgroupnsMode": "host", "Dns": None, "DnsOptions": None, "DnsSearch": None,
    "ExtraHosts": None, "GroupAdd": None, "IpcMode": "private", "Cgroup": "", "Links": None, "OomScoreAdj": 0, "PidMode": "",
    "Privileged": False, "PublishAllPorts": False, "ReadonlyRootfs": False, "SecurityOpt": None, "UTSMode": "", "UsernsMode": "",
    "ShmSize": 67108864, "Runtime": "runc", "ConsoleSize": [0, 0], "Isolation": "", "CpuShares": 0, "Memory": 0, "NanoCpus": 0,
    "CgroupParent": "", "BlkioWeight": 0, "BlkioWeightDevice": None, "BlkioDeviceReadBps": None, "BlkioDeviceWriteBps": None,
    "BlkioDeviceReadIOps": None, "BlkioDeviceWriteIOps": None, "CpuPeriod": 0, "CpuQuota": 0, "CpuRealtimePeriod": 0,
    "CpuRealtimeRuntime": 0, "CpusetCpus": "", "CpusetMems": "", "Devices": None, "DeviceCgroupRules": None, "DeviceRequests": None,
    "KernelMemory": 0, "KernelMemoryTCP": 0, "MemoryReservation": 0, "MemorySwap": 0, "MemorySwappiness": None, "OomKillDisable": False,
    "PidsLimit": None, "Ulimits": None, "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0,
    "MaskedPaths": ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"],
    "ReadonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]}
NETWORKS = json.dumps([{"Name": "apps", "Id": "net0" * 16, "Driver": "bridge", "Options": {}, "Containers": {},
                        "IPAM": {"Driver": "default", "Options": {}, "Config": [{"Subnet": "10.64.0.0/10", "Gateway": "10.64.0.1"}]}}]).encode()
VERSION = json.dumps({"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}).encode()


def answer(body, status=b"200 OK"):
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


class Server:
    """In the engine's process."""

    def __init__(self, path, control):
        self.containers, self.by_id, self.bodies = [], {}, {}
        self.subscribers, self.plan = [], []
        self.control = control
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(512)
        self.connections = {}  # by descriptor
        self.epoll = select.epoll()
        self.epoll.register(self.listener, select.EPOLLIN)
        self.epoll.register(control.fileno(), select.EPOLLIN)

    def run(self):
        while True:
            timeout = -1
            if self.plan:
                timeout = max(0, self.plan[0][0] - time.monotonic())
            for fd, _ in self.epoll.poll(timeout):
                if fd == self.listener.fileno():
                    self.accept()
                elif fd in self.connections:
                    self.serve(fd)
                elif not self.obey(*self.control.recv()):
                    return
            while self.plan and self.plan[0][0] <= time.monotonic():
                _, number, running = self.plan.pop(0)
                self.tell(self.turn(number, running))
                if not self.plan:
                    self.control.send(time.monotonic())

    def accept(self):
        connection, _ = self.listener.accept()
        self.connections[connection.fileno()] = connection
        self.epoll.register(connection, select.EPOLLIN)

    def serve(self, fd):
        connection = self.connections[fd]
        request = b""
        try:
            request = connection.recv(4096)
            if request:
                self.reply(connection, request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it waits no longer
        if not request or b"\r\nConnection: close" in request or connection in self.subscribers:
            self.epoll.unregister(fd)
            self.connections.pop(fd)  # closed, but for a subscriber's

    def reply(self, connection, request):
        path = request.split(b" ", 2)[1]
        path = path[path.index(b"/", 1):] if path.startswith(b"/v1") else path
        if path.startswith(b"/events"):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            self.subscribers.append(connection)
            return
        connection.sendall(self.page(path))

    def page(self, path):
        if path.startswith(b"/containers/json"):
            return answer(f"[{','.join([container.summary() for container in self.containers])}]".encode())
        if path.startswith(b"/containers/"):
            number = self.by_id.get(path[12:76])
            if number is not None:
                return self.bodies.pop(number, None) or self.body(number)
        if path.startswith(b"/networks"):
            return answer(NETWORKS)
        if path.startswith(b"/version"):
            return answer(VERSION)
        return answer(b'{"message":"there is no such thing"}', b"404 Not Found")

    def body(self, number):
        return answer(json.dumps(self.containers[number].details()).encode())

    def turn(self, number, running):
        container = self.containers[number]
        container.running = running
        container.starts += 1
        return container.event("start" if running else "die")

    def tell(self, events):
        for subscriber in self.subscribers:
            subscriber.sendall(b"%x\r\n%s\r\n" % (len(events), events))

    def obey(self, order, *what):
        if order == "end":
            return False
        if order == "add":
            for service, project, labels, running in what[0]:
                container = Container(len(self.containers), service, project, labels, running)
                self.by_id[container.id.encode()] = container.number
                self.containers.append(container)
            self.control.send(len(self.containers))
        elif order == "at once":
            events = b"".join([self.turn(number, what[1]) for number in what[0]])
            # What they will be asked is made before: it is the agent that is measured.
            self.bodies = {number: self.body(number) for number in what[0]}
            began = time.monotonic()
            self.tell(events)
            self.control.send(began)
        elif order == "by and by":
            numbers, running, rate = what
            began = time.monotonic()
            self.plan = [(began + i / rate, number, running) for i, number in enumerate(numbers)]
        return True


class Engine:
    """The scripted engine, for its owner."""

    def __init__(self, path):
        self.control, far = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=lambda: Server(path, far).run(), daemon=True)
        self.process.start()
        far.close()
        self.size = 0

    def add(self, containers):
        """[(service, project, labels, running)]; their numbers. No event tells of them: add before the agent lists, or turn them."""
        before = self.size
        for at in range(0, len(containers), 5000):
            self.control.send(("add", containers[at:at + 5000]))
            self.size = self.control.recv()
        return list(range(before, self.size))

    def at_once(self, numbers, running):
        """All events in one write. The time of it (time.monotonic())."""
        self.control.send(("at once", numbers, running))
        return self.control.recv()

    def by_and_by(self, numbers, running, rate):
        """So many events a second. Wait for the last one by done()."""
        self.control.send(("by and by", numbers, running, rate))

    def done(self):
        return self.control.recv()

    def close(self):
        self.control.send(("end",))
        self.process.join(5)


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def serve_backends():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", PORT))
    listener.listen(4096)
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    connections = {}
    while True:
        for fd, _ in epoll.poll():
            if fd == listener.fileno():
                connection, _ = listener.accept()
                connections[connection.fileno()] = connection
                epoll.register(connection, select.EPOLLIN)
                continue
            try:
                if connections[fd].recv(4096):
                    connections[fd].sendall(ANSWER)
                    continue
            except OSError:
                pass
            connections.pop(fd).close()


class Backends:
    def __init__(self):
        os.system("ip route add local 10.64.0.0/10 dev lo")
        self.process = multiprocessing.Process(target=serve_backends, daemon=True)
        self.process.start()

    def close(self):
        self.process.kill()
        self.process.join()
