"""Streams of executions on a real server: bare and typed, ids, replay, tokens, the end."""

import http.client
import json

from tests.graph.building import line, node, shell
from tests.graph.fakes import Fake, Reply
from tests.graph.oxify_server import ADD, APPROVAL, OxifyServer
from tests.patience import PATIENCE

STREAM = {"stream": True}


def test_a_plain_stream_has_bare_rising_frames_and_ends_with_the_end(server: OxifyServer) -> None:
    execution = server.begin(line(APPROVAL, ADD), {"x": 1, "y": 2, "plate": 3})
    frames = server.followed(execution)
    ids, bodies = [], []
    for frame in frames:
        number, data = frame.splitlines()
        ids.append(int(number.removeprefix("id: ")))
        bodies.append(json.loads(data.removeprefix("data: ")))
    assert ids == sorted(set(ids))
    assert {frozenset(body) for body in bodies} == {
        frozenset({"execution_id", "workflow_id", "state", "node_results_count", "timestamp"})
    }
    assert bodies[0]["state"] == "Running"
    assert (bodies[-1]["state"], bodies[-1]["node_results_count"]) == ("Completed", 4)
    counts = [body["node_results_count"] for body in bodies]
    assert counts == sorted(counts)

    late = server.frames(execution)
    assert len(late) == 1
    assert '"Completed"' in late[0]
    middle = ids[1]
    again = server.frames(execution, Last_Event_ID=str(middle))
    assert [int(frame.splitlines()[0][4:]) for frame in again] == ids[2:]
    beyond = server.frames(execution, Last_Event_ID=str(ids[-1]))
    assert [frame.splitlines()[0] for frame in beyond] == [f"id: {ids[-1] + 1}"]


def test_a_typed_stream_names_its_frames(server: OxifyServer) -> None:
    execution = server.begin(line(APPROVAL), {"plate": 1})
    frames = server.followed(execution, "?events=state_change,progress,node_complete")
    names = [frame.splitlines()[0].removeprefix("event: ") for frame in frames]
    assert names[0] == names[-1] == "state_change"
    assert set(names) == {"state_change", "progress", "node_complete"}
    told = [
        json.loads(frame.splitlines()[1].removeprefix("data: "))
        for frame, name in zip(frames, names, strict=True)
        if name == "node_complete"
    ]
    assert told[-1]["node_name"] == "End"
    assert told[-1]["result"] == {"Success": {}}
    unknown = "00000000-0000-4000-8000-000000000000"
    status, data = server.api("GET", f"/executions/{unknown}/stream?heartbeat=true")
    assert (status, data.decode().splitlines()[0]) == (200, "event: error")
    status, _ = server.api("GET", f"/executions/{unknown}/stream")
    assert status == 404
    status, _ = server.api("GET", f"/executions/{execution}/stream?events=nonsense")
    assert status == 400


def test_streamed_tokens_are_frames_of_a_typed_stream(server: OxifyServer, models: Fake) -> None:
    parts = [{"response": "All "}, {"response": "fine."}, {"response": "", "done": True}]
    pieces = [json.dumps(part).encode() + b"\n" for part in parts]
    models.replies = [Reply(200, None, {"Content-Type": "application/x-ndjson"}, pieces)]
    llm = {"provider": "ollama", "model": "m", "prompt_template": "x"}
    doc = line(APPROVAL, node("Ask", "LLM", llm | {"extra_params": STREAM}))
    execution = server.begin(doc, {"plate": 1})
    frames = server.followed(execution, "?events=token,state_change")
    told = [frame.splitlines() for frame in frames if frame.startswith("event: token\n")]
    bodies = [json.loads(lines[-1].removeprefix("data: ")) for lines in told]
    assert "".join(body["text"] for body in bodies) == "All fine."
    assert {body["node_name"] for body in bodies} == {"Ask"}
    assert {body["execution_id"] for body in bodies} == {execution}
    ids = [int(lines[1].removeprefix("id: ")) for lines in told]
    assert ids == sorted(set(ids))
    again = server.frames(execution, "?events=token", Last_Event_ID="1")
    assert [frame.splitlines()[-1] for frame in again] == [lines[-1] for lines in told]


def test_a_stream_survives_the_death_of_the_server(mortal: OxifyServer) -> None:
    execution = mortal.begin(line(APPROVAL, shell("After", "true")), {"plate": 1})
    mortal.question(execution)
    connection = http.client.HTTPConnection("127.0.0.1", mortal.port, timeout=PATIENCE)
    connection.request("GET", f"/api/v1/executions/{execution}/stream")
    response = connection.getresponse()
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["X-Accel-Buffering"] == "no"
    last = response.readline().decode().strip().removeprefix("id: ")
    mortal.kill()
    connection.close()
    mortal.start()
    ask = mortal.question(execution)
    mortal.ok("POST", f"/approvals/{ask['id']}/approve")
    frames = mortal.frames(execution, Last_Event_ID=last)
    assert '"Completed"' in frames[-1]
    assert all(int(frame.splitlines()[0][4:]) > int(last) for frame in frames)
