"""Run one node with its retries and timeouts (spec/oxify-api.md 4.8).

Owns what is tried again, how long is waited, and what a timeout comes to. Holds no slot while it
waits between attempts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from oxoflow.errors import OxoflowError
from oxoflow.graph import model as m
from oxoflow.graph.results import How, NodeResult, result_of
from oxoflow.graph.template import parsed
from oxoflow.graph.work import Context, NodeFailure, Outcome, Stopped, TimedOut, Token

SECONDS: dict[type, float] = {  # of an attempt, when the node does not say
    m.Code: 30.0,
    m.Llm: 60.0,
    m.Tool: 60.0,
    m.Vision: 60.0,
    m.Retriever: 60.0,
}
MAX_WAIT = 3600.0

log = logging.getLogger("oxoflow.graph")


class Notes(Struct, frozen=True):
    """Whom to tell about attempts; `failed` attempts of an earlier life count."""

    failed: int
    on_failure: Callable[[int], None]  # attempt number; made durable before the next one
    on_retry: Callable[[int, int, float, str], None]  # retry, most, seconds to wait, reason


def default_seconds(kind: m.Kind) -> float | None:
    """How long a kind may take when nobody says; None: as long as it takes."""
    if isinstance(kind, m.Tool) and kind.server_id.strip() == "oxo":
        return None
    return SECONDS.get(type(kind))


def run_node(node: m.Node, context: Context, notes: Notes) -> NodeResult:
    """Run a node to its end; raise Stopped when nobody wants the result any more."""
    retry = node.retry_config or m.Retry(max_retries=0)
    started = time.time()
    retries = notes.failed
    while True:
        try:
            outcome = _attempt(node, context, retries + 1)
            how = How.SKIPPED if outcome is None else How.SUCCESS
            made = outcome or Outcome(None)
            return result_of(
                node, how, started, time.time(), output=made.output, variables=made.variables,
                usage=made.usage, retries=retries,
            )  # fmt: skip
        except OxoflowError as failure:
            again = isinstance(failure, NodeFailure) and failure.retry
            if not again or retries >= retry.max_retries:
                error = _told(failure, again and retry.max_retries > 0, retry.max_retries)
                return result_of(
                    node, How.FAILURE, started, time.time(), error=error, retries=retries
                )
            retries += 1
            notes.on_failure(retries)
            wait = _wait(retry, retries, failure)
            notes.on_retry(retries, retry.max_retries, wait, failure.message)
        with context.seat.waiting():
            context.token.sleep(wait)


def _attempt(node: m.Node, context: Context, number: int) -> Outcome | None:
    """One attempt; None when its timeout says Skip."""
    timeout = node.timeout_config
    seconds = default_seconds(node.kind) if timeout is None else timeout.execution_timeout_ms / 1000
    idle = None if timeout is None or timeout.idle_timeout_ms is None else timeout.idle_timeout_ms
    token = Token(context.token, seconds)
    own = replace(
        context,
        at=context.at if number == 1 else f"{context.at}#{number}",
        token=token,
        idle=None if idle is None else idle / 1000,
    )
    try:
        return context.desk.run(node.kind, own)
    except TimedOut:
        action = timeout.timeout_action if timeout else m.TimeoutAction()
        if action.choice is m.TimeoutChoice.FAIL:
            raise
        if action.choice is m.TimeoutChoice.SKIP:
            return None
        value = parsed(action.text or "")
        named = isinstance(node.kind, m.Code) and node.kind.output
        return Outcome(value, {node.kind.output: value} if named else {})  # type: ignore[union-attr]
    except (OxoflowError, Stopped):
        raise
    except Exception as error:  # the boundary of a worker: a fault of ours must fail one node only
        log.exception("node '%s' broke", node.name)
        raise NodeFailure(f"internal error: {type(error).__name__}: {error}") from error
    finally:
        token.close()


def _wait(retry: m.Retry, number: int, failure: OxoflowError) -> float:
    """Seconds before a retry: what the node says, or what the other side asks for, if more."""
    asked = failure.after if isinstance(failure, NodeFailure) else None
    return min(max(retry.delay_ms(number) / 1000, asked or 0.0), MAX_WAIT)


def _told(failure: OxoflowError, exhausted: bool, most: int) -> str:
    return f"Failed after {most} retries: {failure.message}" if exhausted else failure.message
