"""Start a real nginx in front of a test server: one location, as a lab would set it up."""

import copy
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.patience import PATIENCE, wait_until
from tests.server_process import ServerProcess

CONF = """
daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 64m;
        location {prefix}/ {{
            proxy_pass http://127.0.0.1:{behind};
            proxy_http_version 1.1;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto https;
            proxy_read_timeout 60s;
        }}
    }}
}}
"""


def nginx() -> str | None:
    """The program; Debian puts it where only root looks."""
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def in_front_of(server: ServerProcess, directory: Path) -> Iterator[ServerProcess]:
    """The same server as seen through nginx."""
    program = nginx()
    assert program is not None
    directory.mkdir()
    port = free_port()
    conf = CONF.format(port=port, prefix=server.prefix, behind=server.port)
    (directory / "nginx.conf").write_text(conf)
    command = [program, "-p", str(directory), "-c", "nginx.conf", "-e", "error.log"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: process.poll() is not None or answers(port))
        assert process.poll() is None, (directory / "error.log").read_text()
        front = copy.copy(server)
        front.port = port
        yield front
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
