"""How the loopback servers serve and stop: without looking every moment whether they are to stop."""

from __future__ import annotations

import contextlib
import socket
import threading
from socketserver import BaseServer

_LOOK = 1.0  # seconds after which a server looks for itself whether it is to stop


def serve(server: BaseServer) -> threading.Thread:
    """A thread, not started, that serves until `stop`."""
    return threading.Thread(target=server.serve_forever, args=(_LOOK,), daemon=True)


def stop(server: BaseServer) -> None:
    """Ends the serving at once: a connection wakes its select, which then sees that it is over."""
    server._BaseServer__shutdown_request = True  # type: ignore[attr-defined]
    with contextlib.suppress(OSError), socket.socket(server.address_family) as wake:
        wake.connect(server.server_address)  # by no name: a test may have taken the resolver away
    server.shutdown()
    server.server_close()
