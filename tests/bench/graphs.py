"""Time executions of graphs: how fast one is begun and over, and what nodes and passes cost."""

import http.client
import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.bench.measure import PYTHON, ROOT, Contender, Table, race
from tests.graph.building import code, line, node, shell
from tests.server_process import ServerProcess

SETTINGS = {"RATE_LIMIT": "0", "LOG_LEVEL": "warning"}


def loop(name: str, passes: int, body: dict[str, Any] | None = None) -> dict[str, Any]:
    kind = {"variant": "Repeat", "count": str(passes), "body_expression": "{{i}}",
            "index_variable": "i"}  # fmt: skip
    config = {"loop_type": kind, "max_iterations": 10_000}
    return node(name, "Loop", config | ({"body": body} if body else {}))


def command(directory: Path, name: str, document: Any) -> list[str]:
    file = directory / f"{name}.json"
    file.write_text(json.dumps(document))
    return [PYTHON, "-m", "oxoflow", "oxify", "execute", str(file)]


def bare_spawns(number: int) -> list[str]:
    text = f"import subprocess\nfor _ in range({number}): subprocess.run(['bash', '-c', 'true'])"
    return [PYTHON, "-c", text]


def bench_nodes(directory: Path, number: int, rounds: int) -> None:
    """Nodes and passes that do nothing, and those that start a shell, against bare spawns."""
    shells = {"type": "Code", "config": {"runtime": "shell", "code": "true", "output": ""}}
    cases = {
        "python, nothing": [PYTHON, "-c", "pass"],
        "Start, End": command(directory, "empty", line()),
        f"{number} nodes without work": command(
            directory, "nodes", line(*(loop(f"n{at}", 1) for at in range(number)))
        ),
        f"{2 * number} passes without work": command(
            directory, "passes", line(loop("L", 2 * number))
        ),
        f"{number} bare spawns": bare_spawns(number),
        f"{number} shell nodes, one after another": command(
            directory, "shells", line(*(shell(f"n{at}", "true") for at in range(number)))
        ),
        f"{number} passes of a shell body": command(
            directory, "bodies", line(loop("L", number, shells))
        ),
    }
    contenders = [Contender(name, argv, ROOT) for name, argv in cases.items()]
    race("graphs on the command line", contenders, baseline="python, nothing", rounds=rounds)


def request(port: int, method: str, path: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, f"/api/v1{path}", json.dumps(body) if body else None)
        return connection.getresponse().read()
    finally:
        connection.close()


def bench_server(directory: Path, rounds: int) -> None:
    """Start, Code, End: from the POST to its answer, and to the end as the stream tells it."""
    server = ServerProcess(directory / "graphs-home", **SETTINGS)
    begun, over, bare = [], [], []
    document = line(code("Add", "result = x + y", "sum", ["x", "y"]))
    try:
        server.start()
        saved = json.loads(request(server.port, "POST", "/workflows", {"workflow": document}))
        body = {"variables": {"x": 1, "y": 2}}
        for _ in range(max(rounds, 5)):
            started = time.perf_counter()
            answer = request(server.port, "POST", f"/workflows/{saved['id']}/execute", body)
            begun.append(1000 * (time.perf_counter() - started))
            execution = json.loads(answer)["execution_id"]
            frames = request(server.port, "GET", f"/executions/{execution}/stream")
            over.append(1000 * (time.perf_counter() - started))
            assert b'"Completed"' in frames
            started = time.perf_counter()
            for _ in range(2):  # what cannot be saved: the runner's Python and the node's
                subprocess.run([PYTHON, "-I", "-c", "pass"], check=True)
            bare.append(1000 * (time.perf_counter() - started))
    finally:
        server.clean_up()
    table = Table("Start, Code, End over HTTP", "ms")
    table.add("two bare starts of Python", statistics.median(bare))
    table.add("answer of execute", statistics.median(begun), f"[..{max(begun):.3g}]")
    table.add("until the last frame", statistics.median(over), f"[..{max(over):.3g}]")
    table.show(baseline="two bare starts of Python")


def bench(directory: Path, size: str, rounds: int) -> None:
    """All of it; `long` has the numbers of the issue."""
    bench_server(directory, rounds)
    bench_nodes(directory, 500 if size == "long" else 100, rounds)
