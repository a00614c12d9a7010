"""How the loopback servers serve and stop: without looking every moment whether they are to stop."""

from __future__ import annotations

import contextlib
import socket
import threading
from socketserver import BaseServer


def serve(server: BaseServer) -> threading.Thread:
    """A thread, not started, that serves until `stop`."""
    return threading.Thread(target=server.serve_forever, args=(60.0,), daemon=True)


def stop(server: BaseServer) -> None:
    """Ends the serving at once: a connection wakes its select, which then sees that it is over."""
    server._BaseServer__shutdown_request = True  # type: ignore[attr-defined]
    with contextlib.suppress(OSError):
        socket.create_connection(server.server_address[:2]).close()  # type: ignore[arg-type]
    server.shutdown()
    server.server_close()
