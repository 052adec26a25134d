"""Serve one empty Flask route with the server's own waitress settings: the floor for the API.

`python -m tests.bench.empty_server PORT [ours]`: under plain waitress, or under our build of it.
"""

import logging
import sys

import waitress
from flask import Flask, Response

from oxoflow.web.handover import build_server

sys.setswitchinterval(0.0005)
logging.getLogger("waitress.queue").setLevel(logging.ERROR)
app = Flask(__name__)


@app.get("/empty")
def empty() -> Response:
    return Response(b'{"status":"ok"}', mimetype="application/json")


if sys.argv[2:] == ["ours"]:
    build_server(app, host="127.0.0.1", port=int(sys.argv[1])).run()
else:
    waitress.serve(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        threads=8,
        connection_limit=4096,
        asyncore_use_poll=True,
        channel_request_lookahead=0,
        _quiet=True,
    )
