"""Senders of downloads: their places come back, whatever happens."""

import gc
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from oxoflow.web.handover import OFFER
from oxoflow.web.sending import MOST, send_in_own_thread


def test_a_sender_that_cannot_start_closes_the_connection_and_gives_its_place_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for _ in range(2 * MOST):
        ours, theirs = socket.socketpair()

        def offer(receive: Callable[[socket.socket, bytes], None], end: Any = theirs) -> None:
            receive(end, b"head")

        with Flask("x").test_request_context(environ_overrides={OFFER: offer}), ours:
            response = send_in_own_thread(lambda: iter([b"body"]), {})
            assert list(response.response) == []
            assert ours.recv(10) == b""
            del response, offer, theirs


def test_a_download_whose_connection_never_comes_gives_its_place_back_at_once() -> None:
    gc.disable()
    try:
        for _ in range(2 * MOST):
            with Flask("x").test_request_context(environ_overrides={OFFER: lambda receive: None}):
                response = send_in_own_thread(lambda: iter([b"body"]), {})
                assert list(response.response) == []
                del response
    finally:
        gc.enable()
