"""Hold what a backend is asked, and that the run's results do not depend on which one it is."""

import pytest

from oxoflow.backends.local import LocalBackend
from oxoflow.engine.capacity import Limits
from oxoflow.engine.files import WorkFiles
from oxoflow.engine.load import load_text
from oxoflow.engine.options import RunOptions
from oxoflow.engine.placing import Attempt
from oxoflow.engine.runner import run
from tests.engine.running import event_of, records, rule

TEXT = "[workflow]\nname = 'w'\n" + rule(
    "a",
    "echo $WORD; echo > a",
    output=["a"],
    threads=2,
    memory="300M",
    pre_exec="echo before",
    on_success="echo after",
    envvars={"WORD": "said"},
    resources={"time_limit": "1m"},
)


class Asked(LocalBackend):
    """Remembers what it was asked."""

    def __init__(self):
        self.attempts: list[Attempt] = []

    def run(self, attempt, here, logs):
        self.attempts.append(attempt)
        return super().run(attempt, here, logs)


def test_only_attempts_go_to_the_backend_with_all_that_it_needs_to_place_them(tmp_path):
    backend = Asked()
    options = RunOptions(tmp_path, limits=Limits(2, 4))
    outcome = run(lambda: load_text(TEXT, view=WorkFiles(str(tmp_path))), options, backend)
    assert outcome.exit_code == 0
    (attempt,) = backend.attempts
    assert (attempt.job, attempt.threads, attempt.memory_mb) == ("a", 2, 300)
    assert (attempt.timeout, attempt.cwd) == (60.0, str(tmp_path))
    assert attempt.variables == {"WORD": "said"}
    assert "echo $WORD" in attempt.argv[-1]
    assert (tmp_path / ".oxo-flow/logs/a.out").read_text() == "before\nsaid\nafter\n"
    assert records(tmp_path)["a"].peak_mb
    assert event_of(tmp_path, "a", "rule_completed").data["exit_code"] == 0


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [("24:00:00", 86_400), ("1h30m", 5400), ("90m", 5400), ("1-00:00:00", 86_400), ("1.5h", 5400)],
)
def test_a_time_limit_holds_in_every_documented_form(tmp_path, limit, seconds):
    text = "[workflow]\nname = 'w'\n" + rule("a", "true", resources={"time_limit": limit})
    backend = Asked()
    assert run(lambda: load_text(text), RunOptions(tmp_path, timeout=7.0), backend).exit_code == 0
    assert [attempt.timeout for attempt in backend.attempts] == [seconds]


def test_each_attempt_is_asked_for_by_itself(tmp_path):
    text = "[workflow]\nname = 'w'\n" + rule("a", "echo >> n; [ $(wc -l < n) = 3 ]", retries=2)
    backend = Asked()
    outcome = run(lambda: load_text(text), RunOptions(tmp_path), backend)
    assert outcome.exit_code == 0
    assert [attempt.token for attempt in backend.attempts] == ["0.1", "0.2", "0.3"]
