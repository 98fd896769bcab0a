"""A unix socket in front of a server that passes everything on and remembers what clients asked."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from ovnqos.sandbox import NorthboundServer


class Wiretap:
    """Listens on a socket of its own for the clients of a server; a context manager.

    Attributes:
        remote: where clients connect.
    """

    def __init__(self, server: NorthboundServer) -> None:
        self._server = server
        self._folder = tempfile.TemporaryDirectory(prefix="ovnqos-tap-")
        self._path = Path(self._folder.name, "tap.sock")
        self.remote = f"unix:{self._path}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._said: list[bytearray] = []

    def __enter__(self) -> Self:
        self._listener.bind(str(self._path))
        self._listener.listen()
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in (self._listener, *self._sockets):
            one.close()
        self._folder.cleanup()

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What all clients asked, connection by connection."""
        decoder = json.JSONDecoder()
        found = []
        for said in self._said:
            text = said.decode()
            start = 0
            while start < len(text):
                message, start = decoder.raw_decode(text, start)
                found.append(message)
        return found

    @property
    def transactions(self) -> list[list[dict[str, Any]]]:
        """The operations of each transaction on the Northbound that does something."""
        return [
            message["params"][1:]
            for message in self.requests
            if message.get("method") == "transact"
            and message["params"][0] == "OVN_Northbound"
            and message["params"][1:]
        ]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            self._sockets += [client, server]
            server.connect(str(self._server.socket))
            said = bytearray()
            self._said.append(said)
            self._start(_pass_on, client, server, said)
            self._start(_pass_on, server, client, bytearray())

    def _start(self, work: Any, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()


def _pass_on(source: socket.socket, target: socket.socket, said: bytearray) -> None:
    with suppress(OSError):
        while block := source.recv(1 << 16):
            said += block
            target.sendall(block)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
