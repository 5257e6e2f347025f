"""The only way out to the network: image URLs come in and webhooks go out through the same guard.

A host is resolved once, every address it has is checked, and the connection goes to a checked address itself, so that
a second answer of the resolver changes nothing. Each redirect starts again from the beginning.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache

import httpx

from api.addresses import IpAddress, is_public, parse_address
from api.budgets import ByteBudget
from api.downloads import BrokenCompression, Cookies, Inflater
from api.resolver import BoundedResolver
from composition.config import FetchConfig
from composition.errors import PayloadTooLarge, QueueFull, UnprocessableUrl
from composition.ports.network import Sink

logger = logging.getLogger(__name__)

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to addresses as text. Raises OSError when the name is unknown."""

MAX_URL_CHARS = 8192
DOWNLOADS_AT_ONCE = 16
"""The memory of all downloads together, in files of the largest allowed size."""
BUSY_RETRY_AFTER_S = 5
_MAX_ADDRESSES_TRIED = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_FILES = (200, 203)
"""203: a proxy on the way has changed the answer."""
_USER_AGENT = "image-composition"
_HOST = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*|(?!.{254})[\w-]{1,63}(\.[\w-]{1,63})*\.?", re.ASCII)
"""An IPv6 address, or labels of a name; neither escapes nor brackets are left in a host once it is parsed."""


class GuardedFetcher:
    """A `Fetcher` that refuses every address that is not public, unless the configuration allows private ones."""

    def __init__(
        self,
        config: FetchConfig,
        *,
        resolve: Resolver | None = None,
        admits: Callable[[IpAddress], bool] = is_public,
    ) -> None:
        self._timeout_s = config.timeout_s
        self._max_bytes = config.max_size_mb * 1024 * 1024
        self._budget = ByteBudget(DOWNLOADS_AT_ONCE * self._max_bytes)
        self._max_redirects = config.max_redirects
        self._admits = _anything if config.allow_private else admits
        self._resolve = resolve or BoundedResolver()

    async def fetch(self, url: str) -> bytes:
        """Download a file.

        Raises:
            UnprocessableUrl: forbidden, unreachable, too slow, or not answered with a file.
            PayloadTooLarge: larger than the limit.
            QueueFull: all downloads together are larger than theirs.
        """
        received = bytearray()
        async with self._deadline(self._timeout_s), self._opened(url, accept="image/*") as response:
            try:
                async for piece in _unfolded(response, self._max_bytes):
                    if not self._budget.take(len(piece)):
                        raise QueueFull("too many downloads at once", retry_after_s=BUSY_RETRY_AFTER_S)
                    received += piece
            finally:
                self._budget.give_back(len(received))
        return bytes(received)

    async def fetch_into(self, url: str, sink: Sink, *, max_bytes: int, timeout_s: float) -> None:
        """Download a file of at most `max_bytes` to where its bytes go as they come.

        A server that says nothing for the configured time is given up long before `timeout_s`, the time for all of it.

        Raises: as `fetch`, without QueueFull: it takes no memory. What the sink raises.
        """
        async with self._deadline(timeout_s), self._opened(url, accept="*/*") as response:
            async for piece in _unfolded(response, max_bytes):
                sink.write(piece)
                await sink.drain()
            await sink.drain(finish=True)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a webhook; redirects are not followed and the answer's body is not read.

        Returns:
            The HTTP status.

        Raises:
            UnprocessableUrl: forbidden, unreachable or too slow.
        """
        async with (
            self._deadline(self._timeout_s),
            self._send("POST", _parse(url), headers=headers, body=body) as response,
        ):
            return response.status_code

    async def check(self, url: str) -> None:
        """Refuse a URL that could never be reached; a name that does not resolve now may resolve later.

        Raises:
            UnprocessableUrl: malformed, or its host has an address that is not public.
        """
        target = _parse(url)
        async with self._deadline(self._timeout_s):
            try:
                await self._addresses(target)
            except _UnknownHost:
                return

    @asynccontextmanager
    async def _deadline(self, timeout_s: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(timeout_s):
                yield
        except TimeoutError as error:
            raise UnprocessableUrl(f"the URL did not answer within {timeout_s:g} s") from error

    @asynccontextmanager
    async def _opened(self, url: str, *, accept: str) -> AsyncIterator[httpx.Response]:
        """The answer that is no redirect any more."""
        target, cookies = _parse(url), Cookies()
        for _ in range(self._max_redirects + 1):
            headers = {"Accept": accept, "Accept-Encoding": "identity", **cookies.header_for(target)}
            async with self._send("GET", target, headers=headers) as r:
                if r.status_code in _REDIRECTS and "location" in r.headers:
                    cookies.keep(target, r.headers.get_list("set-cookie"))
                    target = _parse_redirect(target, r.headers["location"])
                    continue
                yield r
                return
        raise UnprocessableUrl("the URL redirects too often", details={"max_redirects": self._max_redirects})

    async def _addresses(self, url: httpx.URL) -> list[IpAddress]:
        """Every address of a URL's host, all of them checked: one private address refuses the host."""
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            texts = await self._resolve(_ascii_host(url), port)
        except (OSError, UnicodeError) as error:
            raise _UnknownHost from error
        addresses = list(dict.fromkeys(a for text in texts if (a := parse_address(text)) is not None))
        if not addresses:
            raise _UnknownHost
        if not all(self._admits(address) for address in addresses):
            raise UnprocessableUrl("the URL points to an address that is not public")
        return addresses

    @asynccontextmanager
    async def _send(
        self, method: str, url: httpx.URL, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> AsyncIterator[httpx.Response]:
        """One exchange with a checked address, without proxies, cookies or pooled connections of other requests."""
        addresses = await self._addresses(url)
        async with httpx.AsyncClient(
            verify=_tls_context(), trust_env=False, follow_redirects=False, timeout=self._timeout_s
        ) as client:
            for position, address in enumerate(addresses[:_MAX_ADDRESSES_TRIED]):
                request = client.build_request(
                    method,
                    url.copy_with(host=str(address)),
                    headers={"User-Agent": _USER_AGENT, **headers, "Host": url.netloc.decode("ascii")},
                    content=body,
                    extensions={"sni_hostname": _ascii_host(url)},
                )
                try:
                    response = await client.send(request, stream=True)
                except httpx.ConnectError as error:
                    if position + 1 < min(len(addresses), _MAX_ADDRESSES_TRIED):
                        continue
                    raise UnprocessableUrl("the URL could not be reached") from error
                except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                    raise UnprocessableUrl("the URL did not give a usable answer") from error
                try:
                    yield response
                finally:
                    await response.aclose()
                return


async def _unfolded(response: httpx.Response, max_bytes: int) -> AsyncIterator[bytes]:
    """The body, counted while it arrives, and while it unfolds when it was compressed without being asked for."""
    if response.status_code not in _FILES:
        raise UnprocessableUrl(
            f"the URL was answered with status {response.status_code}", details={"status": response.status_code}
        )
    encoding = response.headers.get("content-encoding", "").strip().lower()
    try:
        inflater = None if encoding in ("", "identity") else Inflater(encoding)
    except KeyError as error:
        raise UnprocessableUrl("the URL gave an answer compressed in an unknown way") from error
    declared = response.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    received_bytes = 0
    try:
        async for chunk in response.aiter_raw():
            piece = inflater.inflate(chunk, max_bytes + 1 - received_bytes) if inflater else chunk
            received_bytes += len(piece)
            if received_bytes > max_bytes:
                raise _too_large(max_bytes)
            yield piece
    except httpx.HTTPError as error:
        raise UnprocessableUrl("the URL's answer broke off") from error
    except BrokenCompression as error:
        raise UnprocessableUrl("the URL's answer is not compressed as it says") from error
    if inflater is not None and not inflater.complete:
        raise UnprocessableUrl("the URL's answer broke off")


def _too_large(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the URL's file is larger than {max_bytes // 2**20} MB", details={"max_bytes": max_bytes})


def _anything(address: IpAddress) -> bool:
    return True


class _UnknownHost(UnprocessableUrl):
    """The host's name does not resolve."""

    def __init__(self) -> None:
        super().__init__("the URL could not be reached")


def _parse(url: str) -> httpx.URL:
    """Raises: UnprocessableUrl for anything but a plain http(s) URL with a host."""
    if len(url) > MAX_URL_CHARS:
        raise UnprocessableUrl("the URL is too long")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise UnprocessableUrl("the URL is malformed") from error
    return _admit(parsed)


def _parse_redirect(base: httpx.URL, location: str) -> httpx.URL:
    try:
        return _admit(base.join(location))
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise UnprocessableUrl("the URL redirects to a malformed one") from error


def _admit(url: httpx.URL) -> httpx.URL:
    if url.scheme not in ("http", "https"):
        raise UnprocessableUrl("only http and https URLs are fetched")
    if url.userinfo:
        raise UnprocessableUrl("a URL with a user name or password is not fetched")
    if not url.raw_host:
        raise UnprocessableUrl("the URL has no host")
    if not _HOST.fullmatch(_ascii_host(url)):
        raise UnprocessableUrl("the URL's host is malformed")
    if url.port is not None and not 0 < url.port < 65_536:
        raise UnprocessableUrl("the URL has no such port")
    return url


def _ascii_host(url: httpx.URL) -> str:
    """The host as the resolver and TLS know it: an international name in its ASCII form, IPv6 without brackets."""
    return url.raw_host.decode("ascii")


@lru_cache(maxsize=1)
def _tls_context() -> ssl.SSLContext:
    """One context for all: loading the certificates takes some 20 ms."""
    return ssl.create_default_context()
