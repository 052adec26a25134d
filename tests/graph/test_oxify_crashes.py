"""A server or a runner killed in the middle: nothing that was done is done again."""

import os
import signal
import threading
from functools import partial

from oxoflow.engine.identity import read_stat
from tests.graph.building import line, node
from tests.graph.fakes import Fake, Reply
from tests.graph.oxify_server import OxifyServer
from tests.web.test_server_runs import several_at_a_time

CALLS = line(
    *(
        node(name, "Tool", {"server_id": "{{url}}", "tool_name": f"POST /{name}"})
        for name in ("one", "two", "three", "four")
    )
)


def has_ended(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is None or stat.state in "ZX"


def called(fake: Fake) -> list[str]:
    return [seen.path for seen in fake.seen]


def test_a_killed_server_repeats_no_completed_node(mortal: OxifyServer, fake: Fake) -> None:
    gate = threading.Event()
    fake.answer = lambda seen: Reply(200, {}, gate=gate if seen.path == "/two" else None)
    execution = mortal.begin(CALLS, {"url": fake.url})
    mortal.await_(lambda: "/two" in called(fake))
    mortal.kill()
    gate.set()
    mortal.start()
    mortal.until(execution, "Completed")
    assert called(fake) == ["/one", "/two", "/three", "/four"]


def test_a_killed_runner_is_revived_once_and_then_paused(mortal: OxifyServer, fake: Fake) -> None:
    gates = {path: threading.Event() for path in ("/two", "/three")}
    fake.answer = lambda seen: Reply(200, {}, gate=gates.get(seen.path))
    execution = mortal.begin(CALLS, {"url": fake.url})
    for path in ("/two", "/three"):
        mortal.await_(lambda path=path: path in called(fake))
        pid = mortal.runner_of(execution)
        os.kill(pid, signal.SIGKILL)
        mortal.await_(partial(has_ended, pid))
        gates[path].set()
    mortal.await_(lambda: mortal.detail(execution)["state"] == "Paused")
    checkpoints = mortal.ok("GET", f"/executions/{execution}/checkpoints")["checkpoints"]
    assert checkpoints[0]["reason"] == "its runner died twice"
    mortal.ok("POST", f"/executions/{execution}/resume")
    mortal.until(execution, "Completed")
    assert called(fake).count("/one") == 1
    assert called(fake).count("/four") == 1
    assert sorted(set(called(fake))) == ["/four", "/one", "/three", "/two"]


@several_at_a_time
def test_a_batch_keeps_its_max_concurrent_over_a_killed_server(
    mortal: OxifyServer, fake: Fake
) -> None:
    gates = {f"/{name}": threading.Event() for name in "abc"}
    fake.answer = lambda seen: Reply(200, {}, gate=gates.get(seen.path))
    call = node("Call", "Tool", {"server_id": "{{url}}", "tool_name": "POST /{{name}}"})
    workflow = mortal.save(line(call))
    items = [{"workflow_id": workflow, "variables": {"url": fake.url, "name": n}} for n in "abc"]
    answer = mortal.ok("POST", "/executions/batch", {"executions": items, "max_concurrent": 1})
    executions = [each["execution_id"] for each in answer["results"]]
    mortal.await_(lambda: called(fake) == ["/a"])
    mortal.kill()
    mortal.start()
    after = mortal.begin(line(call), {"url": fake.url, "name": "later"})
    mortal.until(after, "Completed")  # it came behind them, and is in no batch
    assert called(fake) == ["/a", "/later"]
    for gate, execution in zip(gates.values(), executions, strict=True):
        gate.set()
        mortal.until(execution, "Completed")
    assert called(fake) == ["/a", "/later", "/b", "/c"]
