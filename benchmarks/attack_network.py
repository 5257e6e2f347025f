"""URLs that lead inside, and names that nobody answers for: part of `make attack`.

The service, its callers, a name server and listeners live in a network of their own, in which forbidden addresses exist
and are listened on, and so does a public one: what must not be reached could be. Needs the right to make one (`unshare
--net --mount`) and `ip`.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

import httpx

from api.resolver import MAX_LOOKUPS
from benchmarks.attack_outcome import Outcome, smallest_edit
from benchmarks.server import Server, free_port

PUBLIC = "8.8.8.8"
INSIDE = ("10.0.0.1", "100.64.0.1", "169.254.169.254", "168.63.129.16", "172.16.0.1", "192.168.0.1", "198.18.0.1")
INSIDE_6 = ("fd00::1", "64:ff9b::7f00:1", "2002:7f00:1::", "3fff::1", "2001:db8::1")
SPELLINGS = (
    *("127.0.0.1", "127.1", "127.8.8.8", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "localhost", "0.0.0.0", "0"),  # noqa: S104
    *(*INSIDE, "169.254.43518", "0xa9fea9fe", "10.1", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
    *("[::ffff:169.254.169.254]", "[::127.0.0.1]", *(f"[{address}]" for address in INSIDE_6)),
    *("inside.example", "both.example", "metadata.example", "six.example"),
)
NAMES: Mapping[str, Sequence[str]] = {
    "public.example": (PUBLIC,),
    "inside.example": ("127.0.0.1",),
    "metadata.example": ("169.254.169.254",),
    "both.example": (PUBLIC, "10.0.0.1"),
    "six.example": ("::ffff:10.0.0.1", "fd00::1"),
}
ATTACKS = ("forbidden_urls", "slow_names")
ENVIRONMENT = {"COMPOSITION_MODELS__PROFILE": "tiny", "COMPOSITION_QUEUE__MAX_PENDING": "10000"}
OTHER_ROUTES = ("/api/v1/jobs", "/api/v1/jobs?status=failed", "/openapi.json", "/metrics", "/livez")
OTHER_ROUTES_LIMIT_S = 0.5
"""More than the worst of them took in the calm before: a machine that is busy otherwise is slow at both times."""
LIMIT_S = 900.0


@cache
def network_command() -> tuple[str, ...] | None:
    """What begins a command in a network of its own; None where none can be made."""
    for command in (("unshare", "--net", "--mount"), ("unshare", "--user", "--map-root-user", "--net", "--mount")):
        try:
            tried = subprocess.run([*command, "ip", "link", "set", "lo", "up"], check=False, capture_output=True)
        except FileNotFoundError:
            return None
        if tried.returncode == 0:
            return command
    return None


def network_attacks(folder: Path, *, timed: bool = True) -> dict[str, Outcome]:
    """Both attacks on one service in a network of its own, by name; none where no network can be made.

    `timed` false judges no times, for machines that others use too.
    """
    command = network_command()
    if command is None:
        return {}
    here = [sys.executable, "-m", "benchmarks.attack_network", str(folder), *(["--timed"] if timed else [])]
    done = subprocess.run([*command, *here], check=False, capture_output=True, text=True, timeout=LIMIT_S)
    if done.returncode:
        return dict.fromkeys(ATTACKS, Outcome(holds=False, figures={"error": done.stderr[-2000:]}))
    return {name: Outcome(**told) for name, told in json.loads(done.stdout.splitlines()[-1]).items()}


class Listener(socketserver.ThreadingTCPServer):
    """On every address: counts its callers by the address that they called, and answers with a photograph."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, family: socket.AddressFamily, port: int, photo: bytes) -> None:
        self.address_family = family
        self.called: Counter[str] = Counter()
        self.photo = photo
        any_address = "::" if family is socket.AF_INET6 else "0.0.0.0"  # noqa: S104  of the network of our own
        super().__init__((any_address, port), Answer, bind_and_activate=False)
        if family is socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.server_bind()
        self.server_activate()


class Answer(socketserver.BaseRequestHandler):
    """/photo is one; /to/URL redirects there."""

    def handle(self) -> None:
        server = self.server
        assert isinstance(server, Listener)
        server.called[str(self.request.getsockname()[0])] += 1
        path = self.request.recv(65536).split(b" ")[1:2]
        if path and path[0].startswith(b"/to/"):
            target = unquote(path[0][4:].decode())
            self.request.sendall(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        head = f"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {len(server.photo)}\r\n\r\n"
        self.request.sendall(head.encode() + server.photo)


class NameServer(socketserver.ThreadingUDPServer):
    """Answers for NAMES; `rebinding.example` is public at first and inside ever after; for all other names, silence."""

    daemon_threads = True
    asked: ClassVar[Counter[str]] = Counter()

    def addresses_of(self, name: str, family: int) -> Sequence[str] | None:
        """None: silence."""
        if name == "rebinding.example":
            first = self.asked[f"{name} {family}"] == 1
            return (PUBLIC,) if first else ("127.0.0.1",)
        return NAMES.get(name)


class Lookup(socketserver.BaseRequestHandler):
    """One question (RFC 1035, 4.1)."""

    def handle(self) -> None:
        server, (query, reply_to) = self.server, self.request
        assert isinstance(server, NameServer)
        labels, at = [], 12
        while (length := query[at]) > 0:
            labels.append(query[at + 1 : at + 1 + length].decode())
            at += 1 + length
        (kind,) = struct.unpack(">H", query[at + 1 : at + 3])
        name, family = ".".join(labels).lower(), {1: 4, 28: 6}.get(kind, 0)
        server.asked[f"{name} {family}"] += 1
        addresses = server.addresses_of(name, family)
        if addresses is None:
            return
        found = [a for a in map(ipaddress.ip_address, addresses) if a.version == family]
        records = b"".join(
            struct.pack(">HHHIH", 0xC00C, kind, 1, 0, len(a.packed)) + a.packed for a in found
        )  # time to live 0: asked again each time
        head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(found), 0, 0)
        reply_to.sendto(head + query[12 : at + 5] + records, self.client_address)


def _make_network(folder: Path) -> None:
    for address in (PUBLIC, *INSIDE):
        _run("ip", "addr", "add", f"{address}/32", "dev", "lo")
    for address in INSIDE_6:
        _run("ip", "-6", "addr", "add", f"{address}/128", "dev", "lo")
    _run("ip", "link", "set", "lo", "up")
    resolver = folder / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\noptions timeout:5 attempts:2\n")
    _run("mount", "--bind", str(resolver), "/etc/resolv.conf")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _try_forbidden_urls(client: httpx.Client, listeners: Sequence[Listener], port: int) -> Outcome:
    """No spelling, name, rebinding or redirect leads to an address inside: 422, and no connection."""
    edit = smallest_edit()
    urls = [f"http://{spelling}:{port}/photo" for spelling in SPELLINGS]
    urls += [f"http://{PUBLIC}:{port}/to/{url}" for url in urls]
    urls += [f"http://rebinding.example:{port}/to/http://rebinding.example:{port}/photo"]
    requests = [{**edit, field: url} for url in urls for field in ("base_image", "reference_image", "mask_image")]
    requests += [{**edit, "callback_url": url} for url in urls[: len(SPELLINGS)]]
    reached = client.post("/api/v1/generate/async", json={**edit, "base_image": f"http://public.example:{port}/photo"})
    began_with = sum((listener.called for listener in listeners), Counter[str]())
    answers = Counter(_code(client.post("/api/v1/generate/async", json=request)) for request in requests)
    called = sum((listener.called for listener in listeners), Counter[str]())
    inside = {address: count for address, count in called.items() if address.removeprefix("::ffff:") != PUBLIC}
    return Outcome(
        holds=reached.status_code == 200
        and began_with == {PUBLIC: 1}
        and set(answers) == {"422 UNPROCESSABLE_URL"}
        and not inside,
        figures={
            "urls": len(urls),
            "requests": len(requests),
            "answers": dict(answers),
            "connections inside": sum(inside.values()),
            **({"to": inside} if inside else {}),
            "connections to the public address": called[PUBLIC],
        },
    )


def _try_slow_names(client: httpx.Client, *, names: int, timed: bool) -> Outcome:
    """A hundred names that nobody answers for hold up no other route.

    Measured from when as many look-ups hang as may, beside the same routes in the calm before. A route that waited for
    them would end its first round with them.
    """
    NameServer.asked.clear()
    edit = smallest_edit()
    calm = _worst_s(client, rounds=50)
    slow = [{**edit, "base_image": f"http://silent-{number}.example/x.png"} for number in range(names)]
    worst: dict[str, float] = {}
    with ThreadPoolExecutor(names) as pool:
        waiting = [pool.submit(client.post, "/api/v1/generate/async", json=request) for request in slow]
        while len(NameServer.asked) < MAX_LOOKUPS and not any(answer.done() for answer in waiting):
            time.sleep(0.01)
        rounds = 0
        while not any(answer.done() for answer in waiting):
            for path, took_s in _worst_s(client, rounds=1).items():
                worst[path] = max(worst.get(path, 0.0), took_s)
            rounds += 1
        answers = Counter(_code(answer.result()) for answer in waiting)
    return Outcome(
        holds=set(answers) == {"422 UNPROCESSABLE_URL"}
        and rounds > 1
        and (not timed or max(worst.values()) - max(calm.values()) < OTHER_ROUTES_LIMIT_S),
        figures={"names": names, "answers": dict(answers), "rounds": rounds, "worst_s": worst, "calm_worst_s": calm},
    )


def _worst_s(client: httpx.Client, *, rounds: int) -> dict[str, float]:
    worst = dict.fromkeys(OTHER_ROUTES, 0.0)
    for path in OTHER_ROUTES * rounds:
        asked_at = time.perf_counter()
        client.get(path).raise_for_status()
        worst[path] = max(worst[path], round(time.perf_counter() - asked_at, 3))
    return worst


def _code(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.json().get('error', {}).get('code', '')}".strip()


def main() -> None:
    """Within the network: both attacks, their outcomes as the last line of standard output."""
    folder, timed = Path(sys.argv[1]), "--timed" in sys.argv
    _make_network(folder)
    photo, port = base64.b64decode(smallest_edit()["base_image"]), 8080
    with ExitStack() as stack:
        listeners = [Listener(family, port, photo) for family in (socket.AF_INET, socket.AF_INET6)]
        for server in (*listeners, NameServer(("127.0.0.1", 53), Lookup)):
            stack.enter_context(server)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
        served = stack.enter_context(Server(port=free_port(), log=folder / "serve.log", environment=ENVIRONMENT))
        served.wait_until_healthy()
        pool = httpx.Limits(max_connections=200)
        client = stack.enter_context(httpx.Client(base_url=served.url, timeout=120, limits=pool))
        outcomes = {
            "forbidden_urls": _try_forbidden_urls(client, listeners, port),
            "slow_names": _try_slow_names(client, names=100, timed=timed),
        }
    print(json.dumps({name: {"holds": one.holds, "figures": one.figures} for name, one in outcomes.items()}))


if __name__ == "__main__":
    main()
