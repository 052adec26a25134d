"""Send answers of unknown length from threads of their own, so that slow readers hold no request.

Owns a small number of sender threads and their timeouts. What is sent is an iterator of bytes.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping

from flask import Response, request

from oxoflow.errors import Unavailable
from oxoflow.web.handover import Handover, can_hand_over

MOST = 16  # at a time
PATIENCE = 60.0  # seconds without the client taking a byte

_SENDERS = threading.BoundedSemaphore(MOST)
log = logging.getLogger("oxoflow.web")

Body = Callable[[], Iterator[bytes]]


def send_in_own_thread(body: Body, headers: Mapping[str, str]) -> Response:
    """Answer with what `body` yields; raises Unavailable when all senders are busy.

    `body` is called in the sender's thread, outside of the request.
    """
    if request.method == "HEAD":
        return Response(headers=headers)
    if not can_hand_over(request.environ):
        return Response(body(), headers=headers)
    if not _SENDERS.acquire(blocking=False):
        raise Unavailable("Too many downloads", f"{MOST} archives are being sent", retry_after=10)
    place = _Place()

    def start(connection: socket.socket, head: bytes) -> None:
        sender = threading.Thread(
            target=_send, args=(connection, head, body, place), name="sender", daemon=True
        )
        try:
            sender.start()
        except RuntimeError as error:  # no more threads for this process
            log.error("a download was refused: %s", str(error))  # an error would hold the place
            connection.close()

    handed = Handover(request.environ, start, body)
    return Response(handed, headers=headers, direct_passthrough=True)


class _Place:
    """A sender's place, given back with the last reference: the connection may never come."""

    def __del__(self) -> None:
        _SENDERS.release()


def _send(connection: socket.socket, head: bytes, body: Body, place: _Place) -> None:
    try:
        with connection:
            connection.settimeout(PATIENCE)
            connection.sendall(head)
            for data in body():
                connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
    except OSError as error:  # the client left, or a file went away: the archive stays incomplete
        log.info("a download ended early: %s", error)
    except Exception:
        log.exception("a download failed")
