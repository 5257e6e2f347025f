"""Names to addresses, inside **fetch**: the system's resolver in threads of its own, bounded in number and time.

A look-up cannot be stopped: while a name server is silent its thread hangs, for as long as the system's resolver
likes. In the pool that the event loop shares with everything else a few such names would stall every route.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Sequence

from composition.errors import UnprocessableUrl

MAX_LOOKUPS = 64
"""At once; a hanging one costs a thread that does nothing."""
TIMEOUT_S = 5.0


class BoundedResolver:
    """Asks the system's resolver: `await resolver(host, port)` gives the host's addresses as text.

    A look-up that is given up keeps its place until its thread ends, so that there are never more threads than places.
    The threads do not keep the process from ending.
    """

    def __init__(self, *, max_lookups: int = MAX_LOOKUPS, timeout_s: float = TIMEOUT_S) -> None:
        self._places = asyncio.Semaphore(max_lookups)
        self._timeout_s = timeout_s

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Look a name up.

        Raises:
            OSError: the name is unknown.
            UnicodeError: it is no name.
            UnprocessableUrl: no answer in time, or no place to ask from.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._places.acquire()
                return await self._begin(host, port)
        except TimeoutError as error:
            raise UnprocessableUrl("the URL's host name was not resolved in time") from error

    def _begin(self, host: str, port: int) -> asyncio.Future[Sequence[str]]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str]] = loop.create_future()

        def end(found: Sequence[str], error: Exception | None) -> None:
            self._places.release()
            if answer.done():
                return
            if error is None:
                answer.set_result(found)
            else:
                answer.set_exception(error)

        def look_up() -> None:
            found: Sequence[str] = ()
            failure: Exception | None = None
            try:
                found = [str(address[0]) for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
            except Exception as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(end, found, failure)

        try:
            threading.Thread(target=look_up, name="resolver", daemon=True).start()
        except RuntimeError as error:
            self._places.release()
            raise OSError("no thread for the look-up") from error
        return answer
