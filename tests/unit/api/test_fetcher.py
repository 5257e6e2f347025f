"""The guarded fetcher against a real server on the loopback and a resolver in the test's hand."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from api.addresses import IpAddress, is_public
from api.fetcher import DOWNLOADS_AT_ONCE, GuardedFetcher
from composition.config import FetchConfig
from composition.errors import CompositionError, PayloadTooLarge, QueueFull, UnprocessableUrl

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\npicture"


@dataclass
class Site:
    """A server that answers each path with raw bytes and remembers the requests."""

    port: int = 0
    answers: dict[str, bytes | Callable[[asyncio.StreamWriter], object]] = field(default_factory=dict)
    requests: list[bytes] = field(default_factory=list)
    visits: set[asyncio.Task[None]] = field(default_factory=set)

    def url(self, path: str = "/x", host: str = "pictures.example") -> str:
        return f"http://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = asyncio.current_task()
        assert visit is not None
        self.visits.add(visit)
        try:
            await self._answer(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def leave(self) -> None:
        for visit in self.visits:
            visit.cancel()
        await asyncio.gather(*self.visits, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(x.split(b":")[1]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-le")), 0
            )
            self.requests.append(head + await reader.readexactly(length))
            answer = self.answers.get(
                head.split(b" ")[1].decode(), b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            )
            if callable(answer):
                await answer(writer)
            else:
                writer.write(answer)
                await writer.drain()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    served = Site(answers={"/x": OK})
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    async with server:
        yield served
        await served.leave()


class Names:
    """A resolver: every host's answers, one list per call, the last repeated."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = {name.replace("_", "."): lists for name, lists in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        lists = self._answers.get(host)
        if lists is None:
            raise socket.gaierror("unknown")
        return lists.pop(0) if len(lists) > 1 else lists[0]


def loopback_is_public(address: IpAddress) -> bool:
    return str(address) == "127.0.0.1" or is_public(address)


def fetcher(names: Names | None = None, **config: object) -> GuardedFetcher:
    """One for which 127.0.0.1 is the internet; every other private address stays private."""
    resolve = names or Names(pictures_example=[["127.0.0.1"]])
    return GuardedFetcher(
        FetchConfig.model_validate({"timeout_s": 5, **config}), resolve=resolve, admits=loopback_is_public
    )


async def refused(what: GuardedFetcher, url: str) -> CompositionError:
    with pytest.raises(CompositionError) as caught:
        await what.fetch(url)
    return caught.value


async def test_a_file_is_downloaded_from_the_checked_address_under_its_own_name(site: Site):
    assert await fetcher().fetch(site.url()) == b"picture"
    head = site.requests[-1].decode()
    assert head.startswith("GET /x HTTP/1.1\r\n")
    assert f"Host: pictures.example:{site.port}\r\n" in head
    assert "Accept-Encoding: identity\r\n" in head


FORBIDDEN_HOSTS = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "localhost",
    "0.0.0.0",  # noqa: S104  nothing is bound here
    "0",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.168.0.1",
    "224.0.0.1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fd00::1]",
    "[::127.0.0.1]",
]


@pytest.mark.parametrize("host", FORBIDDEN_HOSTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_address_inside_the_network_is_refused_however_it_is_written(scheme: str, host: str):
    error = await refused(GuardedFetcher(FetchConfig()), f"{scheme}://{host}:9/x.png")
    assert isinstance(error, UnprocessableUrl)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://pictures.example/x",
        "file:///etc/passwd",
        "gopher://pictures.example/x",
        "http://",
        "http:///x",
        "http://user@pictures.example/x",
        "http://user:secret@pictures.example/x",
        "http://[::1",
        "http://[",
        "http://]/x",
        "http://pic[tures.example/x",
        "http://%5B/x",
        "http://[fe80::1%25eth0]/x",
        "http://pic%00tures.example/x",
        "http://pictures..example/x",
        "http://.example/x",
        "http://" + "a" * 64 + ".example/x",
        "http://" + "a." * 127 + "example/x",
        "http://pictures.example:99999/x",
        "http://pictures.example:port/x",
        "http://pic\x00tures.example/x",
        "http://" + "a" * 9000,
        "http://xn--.example/",
        "http://\u2488\u2488/",
    ],
)
async def test_what_is_not_a_plain_web_address_is_refused(url: str):
    assert isinstance(await refused(fetcher(), url), UnprocessableUrl)


async def test_a_host_with_one_private_address_is_refused_altogether(site: Site):
    names = Names(pictures_example=[["127.0.0.1", "10.0.0.1"]])
    error = await refused(fetcher(names), site.url())
    assert "not public" in error.message
    assert site.requests == []


async def test_a_second_answer_of_the_resolver_is_never_asked_for(site: Site):
    names = Names(pictures_example=[["127.0.0.1"], ["10.0.0.1"]])
    assert await fetcher(names).fetch(site.url()) == b"picture"
    assert names.asked == ["pictures.example"]


async def test_an_unknown_name_is_unreachable():
    error = await refused(fetcher(Names()), "http://nowhere.example/x")
    assert error.message == "the URL could not be reached"


async def test_a_closed_port_is_unreachable_and_the_error_names_no_address(site: Site):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        error = await refused(fetcher(), f"http://pictures.example:{free.getsockname()[1]}/x")
    assert error.message == "the URL could not be reached"
    assert "127" not in str(error.details)


async def test_when_an_address_does_not_answer_the_next_one_is_tried(site: Site):
    names = Names(pictures_example=[["127.0.0.9", "127.0.0.1"]])
    trying = GuardedFetcher(FetchConfig(allow_private=True), resolve=names)
    assert await trying.fetch(site.url()) == b"picture"


def redirect(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(site: Site, status: int):
    site.answers["/old"] = redirect("/x", status)
    assert await fetcher().fetch(site.url("/old")) == b"picture"


@pytest.mark.parametrize(
    "location",
    [
        "http://10.0.0.1/x",
        "http://inside.example/x",
        "//127.0.0.2/x",
        "file:///etc/passwd",
        "http://user:secret@pictures.example/x",
        "http://[::1",
        "http://[",
        "http://]/x",
        "http://pic[tures.example/x",
        "http://%5B/x",
        "http://[fe80::1%25eth0]/x",
        "http://pic%00tures.example/x",
        "http://pictures..example/x",
        "http://.example/x",
        "http://" + "a" * 64 + ".example/x",
        "http://" + "a." * 127 + "example/x",
    ],
)
async def test_a_redirect_to_a_forbidden_place_is_refused(site: Site, location: str):
    names = Names(
        pictures_example=[["127.0.0.1"]],
        inside_example=[["192.168.0.1"]],
        **{"127_0_0_2": [["127.0.0.2"]], "10_0_0_1": [["10.0.0.1"]]},
    )
    site.answers["/old"] = redirect(location)
    assert isinstance(await refused(fetcher(names), site.url("/old")), UnprocessableUrl)
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    ("url", "port"),
    [("http://shop.example/x", 80), ("https://shop.example/x", 443), ("https://shop.example:8443/x", 8443)],
)
async def test_a_name_is_asked_for_the_port_that_is_called(url: str, port: int):
    asked = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        raise socket.gaierror("unknown")

    await refused(GuardedFetcher(FetchConfig(), resolve=resolve), url)
    assert asked == [("shop.example", port)]


async def test_every_hop_is_resolved_and_checked_again(site: Site):
    names = Names(pictures_example=[["127.0.0.1"], ["10.0.0.1"]])
    site.answers["/old"] = redirect("/x")
    error = await refused(fetcher(names), site.url("/old"))
    assert "not public" in error.message
    assert names.asked == ["pictures.example"] * 2


async def test_redirects_are_limited(site: Site):
    site.answers["/loop"] = redirect("/loop")
    error = await refused(fetcher(max_redirects=2), site.url("/loop"))
    assert "redirects too often" in error.message
    assert len(site.requests) == 3


@pytest.mark.parametrize("status", [201, 204, 206, 304, 401, 404, 500])
async def test_an_answer_other_than_200_is_refused(site: Site, status: int):
    site.answers["/x"] = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()
    error = await refused(fetcher(), site.url())
    assert (type(error), error.details) == (UnprocessableUrl, {"status": status})


async def test_a_declared_length_over_the_limit_is_refused_at_once(site: Site):
    site.answers["/x"] = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"
    error = await refused(fetcher(max_size_mb=1), site.url())
    assert isinstance(error, PayloadTooLarge)
    assert (error.message, error.details) == ("the URL's file is larger than 1 MB", {"max_bytes": 2**20})


async def test_an_endless_answer_is_cut_at_the_limit(site: Site):
    sent = 0

    async def pour(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + bytes(65_536) + b"\r\n")
            await writer.drain()
            sent += 65_536

    site.answers["/x"] = pour
    assert isinstance(await refused(fetcher(max_size_mb=1), site.url()), PayloadTooLarge)
    assert sent < 16 * 2**20


def answered(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


LONG = b"picture" * 50_000


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(LONG)),
        ("GZip", gzip.compress(LONG)),
        ("x-gzip", gzip.compress(LONG)),
        ("gzip", gzip.compress(LONG[:9]) + gzip.compress(LONG[9:])),
        ("deflate", zlib.compress(LONG)),
        ("deflate", raw_deflate(LONG)),
        ("identity", LONG),
        ("", LONG),
    ],
    ids=["gzip", "GZip", "x-gzip", "two members", "zlib", "raw deflate", "identity", "none"],
)
async def test_an_answer_that_is_compressed_unasked_is_unfolded(site: Site, encoding: str, packed: bytes):
    site.answers["/x"] = answered(packed, f"Content-Encoding: {encoding}")
    assert await fetcher().fetch(site.url()) == LONG


async def test_a_compressed_answer_that_arrives_byte_by_byte_is_unfolded(site: Site):
    packed = gzip.compress(b"picture")

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode())
        for byte in packed:
            writer.write(bytes([byte]))
            await writer.drain()

    site.answers["/x"] = drip
    assert await fetcher().fetch(site.url()) == b"picture"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_bomb_is_cut_at_the_limit(site: Site, encoding: str):
    bomb = (gzip.compress if encoding == "gzip" else zlib.compress)(bytes(64 * 2**20))
    site.answers["/x"] = answered(bomb, f"Content-Encoding: {encoding}")
    tracemalloc.start()
    try:
        assert isinstance(await refused(fetcher(max_size_mb=1), site.url()), PayloadTooLarge)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 2**20


async def test_a_compressed_file_of_just_the_limit_is_taken(site: Site):
    site.answers["/x"] = answered(gzip.compress(bytes(2**20)), "Content-Encoding: gzip")
    assert await fetcher(max_size_mb=1).fetch(site.url()) == bytes(2**20)
    site.answers["/x"] = answered(gzip.compress(bytes(2**20 + 1)), "Content-Encoding: gzip")
    assert isinstance(await refused(fetcher(max_size_mb=1), site.url()), PayloadTooLarge)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"picture"),
        ("gzip", gzip.compress(b"picture")[:-3]),
        ("gzip", b""),
        ("gzip", gzip.compress(b"picture") + b"rubbish"),
        ("deflate", b"\xff\xffpicture"),
        ("br", b"picture"),
        ("zstd", b"picture"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"picture"))),
        ("gzip", gzip.compress(b"") * 5000),
    ],
    ids=["not gzip", "cut", "empty", "rubbish behind", "not deflate", "br", "zstd", "twice", "thousands of members"],
)
async def test_an_answer_that_cannot_be_unfolded_is_refused(site: Site, encoding: str, body: bytes):
    site.answers["/x"] = answered(body, f"Content-Encoding: {encoding}")
    assert isinstance(await refused(fetcher(), site.url()), UnprocessableUrl)


async def test_an_answer_that_a_proxy_has_changed_is_a_file(site: Site):
    site.answers["/x"] = answered(b"picture", status="203 Non-Authoritative Information")
    assert await fetcher().fetch(site.url()) == b"picture"


def setting(location: str, *cookies: str) -> bytes:
    return answered(b"", f"Location: {location}", *(f"Set-Cookie: {cookie}" for cookie in cookies), status="302 Found")


async def test_a_server_gets_its_cookies_back_on_its_own_redirect(site: Site):
    site.answers["/old"] = setting("/older", "a=1; Path=/; HttpOnly", "b=x=y", "gone=1")
    site.answers["/older"] = setting("/x", "a=2", "gone=; Max-Age=0", "s=secret; Secure")
    assert await fetcher().fetch(site.url("/old")) == b"picture"
    assert [cookie_of(request) for request in site.requests] == ["", "a=1; b=x=y; gone=1", "a=2; b=x=y"]


async def test_a_cookie_never_goes_to_another_host_and_is_there_on_the_way_back(site: Site):
    names = Names(
        pictures_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]], **{"a_pictures_example": [["127.0.0.1"]]}
    )
    site.answers["/old"] = setting(site.url("/there", host="other.example"), "session=1; Domain=.example")
    site.answers["/there"] = setting(site.url("/sub", host="a.pictures.example"), "theirs=1")
    site.answers["/sub"] = setting(site.url("/x"))
    assert await fetcher(names).fetch(site.url("/old")) == b"picture"
    assert [cookie_of(request) for request in site.requests] == ["", "", "", "session=1"]


@pytest.mark.parametrize("cookie", ["", "=", "=1", "novalue", "\u00e4=1", "a=\x01", "a=" + "x" * 5000])
async def test_a_malformed_or_huge_cookie_is_dropped(site: Site, cookie: str):
    site.answers["/old"] = answered(b"", "Location: /x", f"Set-Cookie: {cookie}", status="302 Found")
    with contextlib.suppress(UnprocessableUrl):
        await fetcher().fetch(site.url("/old"))
    assert all(cookie_of(request) == "" for request in site.requests)


async def test_the_number_of_cookies_is_limited(site: Site):
    site.answers["/old"] = setting("/x", *(f"c{n}=1" for n in range(80)))
    await fetcher().fetch(site.url("/old"))
    assert cookie_of(site.requests[-1]).count("=") == 50


def cookie_of(request: bytes) -> str:
    lines = [line for line in request.decode("latin-1").split("\r\n") if line.lower().startswith("cookie:")]
    return lines[0].partition(": ")[2] if lines else ""


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-server\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ncut"])
async def test_an_answer_that_is_not_http_or_breaks_off_is_refused(site: Site, answer: bytes):
    site.answers["/x"] = answer
    assert isinstance(await refused(fetcher(), site.url()), UnprocessableUrl)


async def test_a_server_that_drips_is_given_up_after_the_time_limit(site: Site):
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.01)

    site.answers["/x"] = drip
    error = await refused(fetcher(timeout_s=0.2), site.url())
    assert (type(error), error.message) == (UnprocessableUrl, "the URL did not answer within 0.2 s")


async def test_a_resolver_that_hangs_is_given_up_after_the_time_limit():
    async def hanging(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        raise AssertionError

    error = await refused(GuardedFetcher(FetchConfig(timeout_s=0.05), resolve=hanging), "http://pictures.example/x")
    assert isinstance(error, UnprocessableUrl)


async def test_the_proxy_of_the_environment_is_not_used(site: Site, monkeypatch: pytest.MonkeyPatch):
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert await fetcher().fetch(site.url()) == b"picture"


async def test_a_cookie_of_one_download_is_not_sent_with_the_next(site: Site):
    site.answers["/x"] = OK.replace(b"200 OK\r\n", b"200 OK\r\nSet-Cookie: session=1\r\n")
    one = fetcher()
    await one.fetch(site.url())
    await one.fetch(site.url())
    assert b"ookie" not in site.requests[-1]


async def test_private_addresses_are_reached_when_the_configuration_allows_it(site: Site):
    allowed = GuardedFetcher(FetchConfig(allow_private=True))
    assert await allowed.fetch(site.url(host="127.0.0.1")) == b"picture"


async def test_a_webhook_is_posted_with_its_headers(site: Site):
    site.answers["/hook"] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    status = await fetcher().post(site.url("/hook"), b'{"job_id":"1"}', {"X-Signature": "abc"})
    assert status == 202
    request = site.requests[0]
    assert request.startswith(b"POST /hook HTTP/1.1\r\n")
    assert b"X-Signature: abc\r\n" in request
    assert request.endswith(b'\r\n\r\n{"job_id":"1"}')


async def test_a_webhook_does_not_follow_redirects(site: Site):
    site.answers["/hook"] = redirect("http://10.0.0.1/")
    assert await fetcher().post(site.url("/hook"), b"{}", {}) == 302
    assert len(site.requests) == 1


async def test_a_webhook_to_a_private_address_is_refused():
    with pytest.raises(UnprocessableUrl):
        await GuardedFetcher(FetchConfig()).post("http://169.254.169.254/hook", b"{}", {})


async def test_checking_refuses_a_forbidden_url_and_lets_an_unknown_name_pass():
    names = Names(inside_example=[["10.0.0.1"]], pictures_example=[["127.0.0.1"]])
    checking = fetcher(names)
    await checking.check("http://pictures.example/hook")
    await checking.check("http://later.example/hook")
    for url in ("http://inside.example/hook", "ftp://pictures.example", "http://a:b@pictures.example"):
        with pytest.raises(UnprocessableUrl):
            await checking.check(url)


async def test_an_international_name_is_resolved_in_its_ascii_form(site: Site):
    names = Names(**{"xn--bcher-kva_example": [["127.0.0.1"]]})
    assert await fetcher(names).fetch(site.url(host="b\u00fccher.example")) == b"picture"
    assert names.asked == ["xn--bcher-kva.example"]


async def test_a_secure_connection_asks_for_the_name_and_not_for_the_address(site: Site):
    greeting = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting.set_result(await reader.read(4096))
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await refused(fetcher(), f"https://pictures.example:{port}/x")
    assert error.message == "the URL could not be reached"
    assert b"pictures.example" in greeting.result()
    assert b"127.0.0.1" not in greeting.result()


async def test_downloads_share_a_budget_that_is_given_back(site: Site):
    size = 2**20
    held, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def all_but_the_last_byte(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size - 1))
        await writer.drain()
        held.release()
        await go_on.wait()
        writer.write(b"x")
        await writer.drain()

    site.answers["/held"] = all_but_the_last_byte
    site.answers["/one-more"] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    fetching = fetcher(max_size_mb=1)
    downloads = [asyncio.create_task(fetching.fetch(site.url("/held"))) for _ in range(DOWNLOADS_AT_ONCE)]
    for _ in downloads:
        await held.acquire()
    while fetching._budget.take(DOWNLOADS_AT_ONCE + 1):  # until the last byte has been read from the sockets
        fetching._budget.give_back(DOWNLOADS_AT_ONCE + 1)
        await asyncio.sleep(0)
    error = await refused(fetching, site.url("/one-more"))
    assert (type(error), error.retry_after_s) == (QueueFull, 5)
    go_on.set()
    assert [len(file) for file in await asyncio.gather(*downloads)] == [size] * DOWNLOADS_AT_ONCE
    assert len(await fetching.fetch(site.url("/one-more"))) == size


@dataclass
class Gathered:
    """A sink that remembers what it was given, in the pieces of its drains."""

    pieces: list[bytes] = field(default_factory=list)
    finished: bool = False
    _fresh: bytes = b""

    def write(self, data: bytes | memoryview) -> None:
        self._fresh += bytes(data)

    async def drain(self, *, finish: bool = False) -> None:
        self.pieces.append(self._fresh)
        self._fresh, self.finished = b"", finish


async def test_a_file_with_limits_of_its_own_is_given_on_as_it_comes(site: Site):
    go_on = asyncio.Event()

    async def in_two_pieces(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (3 * 2**20) + bytes(2**20))
        await writer.drain()
        await go_on.wait()
        writer.write(b"x" * 2**21)
        await writer.drain()

    class GoesOn(Gathered):
        async def drain(self, *, finish: bool = False) -> None:
            await super().drain(finish=finish)
            go_on.set()

    site.answers["/moved"] = b"HTTP/1.1 302 Found\r\nLocation: /large\r\nContent-Length: 0\r\n\r\n"
    site.answers["/large"] = in_two_pieces
    sink = GoesOn()
    await fetcher(max_size_mb=1).fetch_into(site.url("/moved"), sink, max_bytes=3 * 2**20, timeout_s=5)
    assert (b"".join(sink.pieces), sink.finished) == (bytes(2**20) + b"x" * 2**21, True)
    assert b"accept: */*" in site.requests[0].lower()


@pytest.mark.parametrize("declared", [True, False])
async def test_a_file_above_its_own_limit_is_not_read_on(site: Site, declared: bool):
    length = b"Content-Length: %d\r\n" % (2**20 + 1) if declared else b"Connection: close\r\n"
    site.answers["/large"] = b"HTTP/1.1 200 OK\r\n" + length + b"\r\n" + bytes(2**20 + 1)
    sink = Gathered()
    with pytest.raises(PayloadTooLarge, match="larger than 1 MB") as caught:
        await fetcher().fetch_into(site.url("/large"), sink, max_bytes=2**20, timeout_s=5)
    assert (caught.value.details, sink.finished) == ({"max_bytes": 2**20}, False)


async def test_a_file_has_its_own_time_and_a_private_address_is_as_closed_to_it(site: Site):
    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    site.answers["/silent"] = silent
    with pytest.raises(UnprocessableUrl, match=r"within 0\.05 s"):
        await fetcher(timeout_s=60).fetch_into(site.url("/silent"), Gathered(), max_bytes=10, timeout_s=0.05)
    with pytest.raises(UnprocessableUrl, match="not public"):
        await GuardedFetcher(FetchConfig()).fetch_into(
            site.url(host="127.0.0.1"), Gathered(), max_bytes=10, timeout_s=5
        )
    assert len(site.requests) == 1
