"""Run a `.oxoflow` workflow as a child of a graph, and bring its outputs back (spec 7.4).

With a server the child is a run of its own, asked for by event; without one it is a process here,
in a directory below the execution's.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oxoflow.engine.configstdin import config_stdin, config_words
from oxoflow.graph import model as m
from oxoflow.graph.nodes.program import run_program
from oxoflow.graph.template import text_of
from oxoflow.graph.work import Context, NodeFailure, Outcome

LISTED = 1000  # outputs named in the result
PACKAGE = Path(__file__).resolve().parents[3]


def run_oxo(kind: m.Tool, context: Context) -> Outcome:
    """Run the workflow text in `toml_content` with `config`; the result is its outputs."""
    if kind.tool_name != "run":
        raise NodeFailure(f"no tool '{kind.tool_name}' at 'oxo'; there is run", retry=False)
    parameters = kind.parameters if isinstance(kind.parameters, dict) else {}
    text, config = parameters.get("toml_content"), parameters.get("config") or {}
    if not isinstance(text, str) or not isinstance(config, dict):
        raise NodeFailure("oxo/run needs 'toml_content' (text) and may have 'config' (an object)",
                          retry=False)  # fmt: skip
    settings = {str(name): text_of(value) for name, value in config.items()}
    run = _child_run if context.desk.attended else _child_process
    result = run(text, settings, context)
    if result.get("state") != "success":
        said = result.get("error") or "see its log"
        if result.get("child") is None:  # there never was a run
            raise NodeFailure(f"the workflow was not run: {said}")
        raise NodeFailure(f"run {result['child']} ended {result.get('state')}: {said}")
    output = {"run_id": result.get("child"), "state": "success"}
    return Outcome(output | {"outputs": result.get("outputs")})


def _child_run(text: str, config: Mapping[str, str], context: Context) -> Mapping[str, Any]:
    body = {"toml_content": text, "config": dict(config)}
    return context.desk.ask("child", context, body, context.token.remaining())


def _child_process(text: str, config: Mapping[str, str], context: Context) -> Mapping[str, Any]:
    run_id = str(uuid.uuid4())
    workdir = context.desk.place("runs") / run_id
    workdir.mkdir()
    (workdir / "workflow.oxoflow").write_text(text, encoding="utf-8")
    argv = [sys.executable, "-s", "-c", _start(), "run", str(workdir / "workflow.oxoflow")]
    argv += ["--workdir", str(workdir), "-j", str(context.desk.limits.slots)]
    argv += config_words(config)
    with config_stdin(config) as stdin:
        finished = run_program(argv, context, context.desk.scratch(context), {}, stdin)
    said = finished.stderr.decode("utf-8", "replace").strip()[-1000:]
    state = "success" if finished.code == 0 else "failed"
    return {"child": run_id, "state": state, "outputs": _outputs(workdir), "error": said}


def _start() -> str:
    """Start the command line of this very package, wherever the process stands."""
    path = f"import sys; sys.path.insert(0, {str(PACKAGE)!r}); "
    return path + "import runpy; runpy.run_module('oxoflow', run_name='__main__')"


def _outputs(workdir: Path) -> list[str]:
    """The files that the run left, without its records."""
    found: list[str] = []
    for place, directories, names in os.walk(workdir):
        directories[:] = sorted(name for name in directories if name != ".oxo-flow")
        found += [str((Path(place) / name).relative_to(workdir)) for name in sorted(names)]
    own = {"workflow.oxoflow", "execution.log"}
    return [name for name in found if name not in own][:LISTED]
