"""What a run's detail says of its files: which were verified, and which may be half-written."""

import os
import signal

from tests.patience import wait_until
from tests.server_process import ServerProcess
from tests.web.test_server_runs import detail, directory

TWO = """
[workflow]
name = "two"
[[sample_groups]]
name = "lab"
samples = ["a", "b"]
[[rules]]
name = "make"
output = ["{sample}.txt", "tree/{sample}"]
shell = '''
mkdir -p tree/{sample}; echo part > tree/{sample}/part; echo more > note_{sample}
echo first > {sample}.txt; test {sample} = a || { touch begun; sleep 600; }
'''
"""


def test_what_a_killed_runner_left_half_written_is_not_told_as_complete(
    server: ServerProcess,
) -> None:
    run_id = server.submit(TWO)
    place = directory(server, run_id)

    def a_is_done_and_b_at_work() -> bool:
        return (place / "begun").exists() and detail(server, run_id)["jobs"].get("success") == 1

    wait_until(a_is_done_and_b_at_work)
    expected = {
        "a.txt": (True, True),
        "b.txt": (True, False),
        "begun": (False, None),
        "note_a": (False, None),
        "note_b": (False, None),
        "tree/a/part": (True, True),
        "tree/b/part": (True, False),
    }
    wait_until(lambda: told(server, run_id) == expected)
    os.kill(detail(server, run_id)["pid"], signal.SIGKILL)
    wait_until(lambda: detail(server, run_id)["status"] == "failed")
    assert told(server, run_id) == expected


def told(server: ServerProcess, run_id: str) -> dict[str, tuple[bool, bool | None]]:
    outputs = detail(server, run_id)["outputs"]
    return {file["path"]: (file["declared"], file["complete"]) for file in outputs}
