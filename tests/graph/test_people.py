"""Approvals, forms, pause, resume, cancel: what comes in from outside while an execution runs."""

import json
from typing import Any

import pytest

from oxoflow.engine.ending import end_run
from oxoflow.engine.identity import all_processes
from oxoflow.graph import execution
from oxoflow.graph.asking import read_ask
from tests.graph.building import document, line, node, node_id, shell
from tests.graph.conftest import Begin, Execution
from tests.graph.test_execution import crash_after

START, END = node("Start", "Start"), node("End", "End")


def approval(name: str = "Sign", **config: Any) -> dict[str, Any]:
    return node(
        name, "Approval", {"message": "Release {{plate}}?", "timeout_seconds": 600, **config}
    )


def form(**config: Any) -> dict[str, Any]:
    field = {"id": "vol", "label": "Volume", "field_type": "Number", "required": True}
    return node("Form", "Form", {"title": "Sample {{plate}}", "fields": [field], **config})


def ask_of(run: Execution, kind: str = "approval", name: str | None = None) -> dict[str, Any]:
    event = run.await_event(f"{kind}.requested", name)
    found = read_ask(run.directory.records, event.data["id"])
    assert found is not None
    return found


def test_an_approval_waits_for_a_yes(begin: Begin) -> None:
    run = begin(
        line(approval(context_data={"stats": "{{stats}}", "n": 1}, approvers=["pi"])),
        variables={"plate": "A7", "stats": {"cv": 2.4}},
    ).start()
    ask = ask_of(run)
    assert {
        key: ask[key] for key in ("message", "context_data", "approvers", "timeout_seconds")
    } == {
        "message": "Release A7?",
        "context_data": {"stats": {"cv": 2.4}, "n": 1},
        "approvers": ["pi"],
        "timeout_seconds": 600,
    }
    run.control("answer", id=ask["id"], status="approved", by="pi", comments="fine")
    done = run.finish()
    assert done.output("Sign") == {
        "approval_id": ask["id"],
        "status": "approved",
        "approved_by": "pi",
        "comments": "fine",
    }


def test_a_no_fails_the_node_and_is_not_asked_again(begin: Begin) -> None:
    retry = {"max_retries": 3, "initial_delay_ms": 1}
    run = begin(line(approval() | {"retry_config": retry}), variables={"plate": 1}).start()
    run.control("answer", id=ask_of(run)["id"], status="rejected", by="pi", comments="too wide")
    assert run.finish().failure == "Node 'Sign' failed: Approval rejected by pi: too wide"


def test_an_approval_that_nobody_gives_times_out(begin: Begin) -> None:
    done = begin(line(approval(timeout_seconds=1)), variables={"plate": 1}).run()
    assert done.failure == "Node 'Sign' failed: Approval timed out after 1 s"
    assert [e.data["status"] for e in done.lines if e.type == "approval.closed"] == ["TimedOut"]


def test_two_wait_at_once_and_work_goes_on_beside_them_with_one_slot(begin: Begin) -> None:
    doc = document(
        [START, approval("One"), approval("Two"), shell("Work", "echo 1", "w"), END],
        ["Start One End", "Start Two End", "Start Work End"],
    )
    run = begin(doc, variables={"plate": 1}, slots=1).start()
    asks = [ask_of(run), ask_of(run)]
    run.await_event("node.completed", "Work")
    for ask in asks:
        run.control("answer", id=ask["id"], status="approved")
    done = run.finish()
    assert done.state == "Completed"
    assert "run_waiting" in done.types()
    waits = [type_ for type_ in done.types() if type_ in ("run_waiting", "run_working")]
    assert waits[-1] == "run_working"


def test_approvals_in_a_loop_are_questions_of_their_own(begin: Begin) -> None:
    kind = {"variant": "ForEach", "collection_path": "xs", "item_variable": "plate",
            "body_expression": "x", "parallel": True, "max_concurrency": 2}  # fmt: skip
    body = {"type": "Approval", "config": {"message": "{{plate}}"}}
    loop = node("L", "Loop", {"loop_type": kind, "body": body})
    run = begin(line(loop), variables={"xs": ["a", "b"]}, slots=1).start()
    asks = [ask_of(run), ask_of(run)]
    assert {ask["message"] for ask in asks} == {"a", "b"}
    run.await_event("run_waiting")
    for ask in asks:
        run.control("answer", id=ask["id"], status="approved")
    assert run.finish().output("L")["iterations"] == 2


def test_a_form_brings_its_data(begin: Begin) -> None:
    run = begin(line(form()), variables={"plate": "A7"}).start()
    ask = ask_of(run, "form")
    assert ask["title"] == "Sample A7"
    assert ask["fields"][0]["id"] == "vol"
    run.control("answer", id=ask["id"], status="submitted", by="ann", form_data={"vol": 5})
    done = run.finish()
    assert done.variables["form_data"] == {"vol": 5}
    assert done.output("Form") == {
        "form_id": ask["id"],
        "status": "submitted",
        "submitted_by": "ann",
        "form_data": {"vol": 5},
    }


def test_a_question_asked_before_a_crash_keeps_its_id_and_its_answer(begin: Begin) -> None:
    doc = line(approval(), shell("After", "echo 1", "a"))
    first = begin(doc, variables={"plate": 1}).start()
    ask = ask_of(first)
    first.control("answer", id=ask["id"], status="approved", by="pi")
    first.finish()
    crash_after(first, "Start")
    again = begin(doc, variables={"plate": 1}, root=first.root, execution_id=first.id).run()
    assert again.output("Sign")["approval_id"] == ask["id"]
    assert again.state == "Completed"


def programs_of(run: Execution) -> list[str]:
    """The programs that carry the marker of an execution."""
    found = []
    for pid, stat in all_processes().items():
        try:
            with open(f"/proc/{pid}/environ", "rb") as handle:
                if f"OXORUN_ID={run.id}".encode() in handle.read():
                    found.append(stat.name)
        except OSError:
            continue
    return found


def test_a_cancel_ends_a_sleeping_program_and_its_detached_children(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        execution, "end_run", lambda table, run_id, grace, limit: end_run(table, run_id, grace, 1e6)
    )
    text = "trap '' TERM; setsid sleep 77 & (setsid setsid sleep 78 &) ; echo up; sleep 79"
    run = begin(line(shell("Sleep", text))).start()
    run.await_event("node.started", "Sleep")
    while len([name for name in programs_of(run) if name == "sleep"]) < 3:
        run.await_nothing()
    run.control("cancel")
    done = run.finish()
    assert done.state == "Cancelled"
    assert programs_of(run) == []
    assert set(done.results) == {"Start"}
    assert done.record is not None
    assert done.record.left == 0
    assert {process["name"] for process in done.record.ended} >= {"sleep"}
    assert done.types()[-1] == "run_cancelled"


def test_a_cancel_ends_a_waiting_approval(begin: Begin) -> None:
    run = begin(line(approval()), variables={"plate": 1}).start()
    ask_of(run)
    run.control("cancel")
    done = run.finish()
    assert done.state == "Cancelled"
    assert [e.data["status"] for e in done.lines if e.type == "approval.closed"] == ["Closed"]


def test_a_cancel_ends_a_wait_between_retries(begin: Begin) -> None:
    retry = {"max_retries": 3, "initial_delay_ms": 600_000, "max_delay_ms": 600_000}
    run = begin(line(shell("Bad", "exit 1", retry_config=retry))).start()
    run.await_event("node.retry")
    run.control("cancel")
    assert run.finish().state == "Cancelled"


def test_pause_lets_run_what_runs_writes_a_checkpoint_and_resume_goes_on(begin: Begin) -> None:
    doc = line(approval("Wait"), shell("A", "echo 1", "a"), shell("B", "echo 2", "b"))
    run = begin(doc, variables={"plate": 1}).start()
    ask = ask_of(run)
    run.control("pause", reason="lunch", checkpoint_id="c-1")
    checkpoint = run.await_event("checkpoint.created").data
    assert checkpoint == {
        "checkpoint_id": "c-1",
        "completed_nodes_count": 1,
        "current_level": 1,
        "reason": "lunch",
    }
    run.await_event("run_paused")
    run.control("answer", id=ask["id"], status="approved")
    run.control("resume")
    run.await_event("run_resumed")
    done = run.finish()
    assert done.state == "Completed"
    assert done.variables == {"plate": 1, "a": 1, "b": 2}
    types = done.types()
    assert types.index("run_resumed") < types.index("node.completed", types.index("run_paused"))


def test_a_paused_execution_can_be_cancelled(begin: Begin) -> None:
    run = begin(line(approval("Wait")), variables={"plate": 1}).start()
    ask_of(run)
    run.control("pause")
    run.await_event("run_paused")
    run.control("cancel")
    assert run.finish().state == "Cancelled"


@pytest.mark.parametrize(
    "message", [{"type": "dance"}, {"type": "answer"}, {"type": "answer", "id": 5}]
)
def test_messages_that_make_no_sense_are_passed_over(begin: Begin, message: dict[str, Any]) -> None:
    run = begin(line(approval()), variables={"plate": 1}).start()
    ask = ask_of(run)
    run.control(**{"type_": message["type"]}, **{k: v for k, v in message.items() if k != "type"})
    (run.directory.control / "000009-broken.json").write_text("{")
    run.control("answer", id=ask["id"], status="approved")
    assert run.finish().state == "Completed"


def test_the_question_is_on_disk_before_it_is_told(begin: Begin) -> None:
    run = begin(line(approval()), variables={"plate": 1}).start()
    ask = ask_of(run)
    text = (run.directory.records / "asks" / f"{ask['id']}.json").read_text()
    assert json.loads(text)["node_id"] == node_id("Sign")
    run.control("cancel")
    run.finish()
