"""Approvals and forms of executions on a real server."""

from tests.graph.building import line, node, node_id
from tests.graph.oxify_server import ADD, APPROVAL, OxifyServer


def test_an_approval_waits_for_its_answer_and_takes_one(server: OxifyServer) -> None:
    execution = server.begin(line(APPROVAL), {"plate": "A7"})
    ask = server.question(execution)
    assert (ask["message"], ask["status"], ask["approvers"]) == ("Release A7?", "Pending", ["pi"])
    assert ask["node_id"] == node_id("Sign")
    assert ask in server.ok("GET", "/approvals")
    assert server.detail(execution)["state"] == "Running"
    path = f"/approvals/{ask['id']}"
    body = {"comments": "fine"}
    assert server.ok("POST", f"{path}/approve", body, X_User="ann") == {
        "success": True,
        "message": "Approval approved successfully",
    }
    done = server.until(execution, "Completed")
    signed = done["node_results"][1]["result"]["Success"]
    assert (signed["approved_by"], signed["comments"]) == ("ann", "fine")
    shown = server.ok("GET", path)
    assert (shown["status"], shown["resolved_by"]) == ("Approved", "ann")
    status, again = server.api("POST", f"{path}/reject")
    assert (status, again["error"]) == (400, "InvalidState")
    assert server.ok("GET", f"/executions/{execution}/approvals") == []


def test_a_rejected_approval_fails_the_execution(server: OxifyServer) -> None:
    execution = server.begin(line(APPROVAL), {"plate": 1})
    server.ok("POST", f"/approvals/{server.question(execution)['id']}/reject")
    done = server.until(execution)
    assert done["state"] == {"Failed": "Node 'Sign' failed: Approval rejected by anonymous"}


def test_executions_that_wait_hold_no_slot(server: OxifyServer) -> None:
    waiting = [server.begin(line(APPROVAL), {"plate": number}) for number in range(6)]
    asks = [server.question(execution) for execution in waiting]
    done = server.until(server.begin(line(ADD), {"x": 1, "y": 1}), "Completed")
    assert done["variables"]["sum"] == 2
    for ask in asks:
        server.ok("POST", f"/approvals/{ask['id']}/approve")
    for execution in waiting:
        server.until(execution, "Completed")


def test_a_form_is_checked_and_completes_the_node(server: OxifyServer) -> None:
    fields = [
        {"id": "vol", "label": "Volume", "field_type": "Number", "required": True,
         "validation": {"min": 1}},
        {"id": "who", "label": "Who", "field_type": "Email"},
        {"id": "buffer", "label": "Buffer", "field_type": "Select", "options": ["TE", "PBS"],
         "default_value": "TE"},
        {"id": "code", "label": "Code", "field_type": "Text",
         "validation": {"pattern": "[A-Z]{2}"}},
    ]  # fmt: skip
    execution = server.begin(line(node("Ask", "Form", {"title": "Sample", "fields": fields})))
    ask = server.question(execution, "forms")
    assert [field["id"] for field in ask["fields"]] == ["vol", "who", "buffer", "code"]
    path = f"/forms/{ask['id']}/submit"
    for bad, said in (
        ({}, "'vol' is required"),
        ({"vol": "5"}, "'vol' must be a number"),
        ({"vol": 0}, "'vol' must be at least 1"),
        ({"vol": 5, "who": "nobody"}, "'who' must be an e-mail address"),
        ({"vol": 5, "buffer": "water"}, "'buffer' must be one of its options"),
        ({"vol": 5, "code": "abc"}, "'code' must fit the pattern"),
    ):
        status, answer = server.api("POST", path, {"form_data": bad})
        assert (status, answer["error"]) == (400, "ValidationError")
        assert said in answer["message"]
    server.ok("POST", path, {"form_data": {"vol": 5, "code": "AB"}})
    done = server.until(execution, "Completed")
    assert done["variables"]["form_data"] == {"vol": 5, "code": "AB", "buffer": "TE"}
    assert server.ok("GET", f"/forms/{ask['id']}")["status"] == "Submitted"
