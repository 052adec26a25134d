"""Hold what the live block says: progress, what runs, what is left, that it is being stopped."""

import io
import time
import unicodedata

import pytest

from oxoflow.commands.display import LiveDisplay, PlainDisplay, open_display
from oxoflow.engine.events import Event
from oxoflow.engine.failures import STOPPED


class Guess:
    """An estimator that always says the same, and counts how often it is asked."""

    asked = 0

    def started(self, job, now): ...

    def ended(self, job, seconds): ...

    def planned(self, jobs): ...

    def remaining(self, now):
        self.asked += 1
        return 100.0, 200.0


@pytest.fixture
def display(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    made = LiveDisplay(io.StringIO(), Guess())
    made.observe(Event("jobs_planned", data={"jobs": [["a", "a", "run"], ["b", "b", "run"]]}))
    made.observe(Event("rule_started", "a", "a"))
    yield made
    made.close()


def test_what_is_left_becomes_less_between_two_estimates(display):
    now = time.monotonic() + 1000
    first, running = display._lines(now)
    assert "] 0/2 jobs" in first
    assert "about 1 min 40 s to 3 min 20 s left" in first
    assert running.startswith("  a  ")
    assert "about 1 min 39 s to 3 min 19 s left" in display._lines(now + 1.0)[0]


def test_a_run_that_is_being_stopped_says_so_and_guesses_nothing(display):
    display.observe(Event("run_cancelling", data={"exit_code": 130}))
    display.observe(Event("rule_failed", "a", "a", {"error": STOPPED, "will_retry": False}))
    (line,) = display._lines(time.monotonic())
    assert "1 stopped" in line
    assert "failed" not in line
    assert line.endswith("stopping")
    said = display._out.getvalue()
    assert "Ctrl-C again kills it at once" in said
    assert "stopped  a" in said


def test_a_narrow_terminal_keeps_the_estimate_and_the_ends_of_long_names(display, monkeypatch):
    now = time.monotonic() + 1000
    name = "align_lab_a_rather_long_sample_name_of_the_core_0042"
    display.observe(Event("rule_started", name, "align"))
    monkeypatch.setenv("COLUMNS", "60")
    head, _, long = display._lines(now)
    assert not head.startswith("[")
    assert head.endswith("left")
    assert "…" in long
    assert "_0042  " in long
    assert max(len(head), len(long)) < 60
    monkeypatch.setenv("COLUMNS", "75")
    assert display._lines(now)[0].startswith("[")


@pytest.mark.parametrize("name", ["日本" * 30, "한글_시료_" * 9, "e\u0301" * 60, "a" * 70 + "日"])
def test_no_line_is_wider_than_the_terminal_however_wide_its_letters_are(
    display, monkeypatch, name
):
    monkeypatch.setenv("COLUMNS", "40")
    display.observe(Event("rule_started", name, "align"))
    line = display._lines(time.monotonic())[-1]
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in line)
    thin = sum(unicodedata.combining(letter) > 0 for letter in line)
    assert 35 < len(line) + wide - thin < 40
    assert line.endswith("s")
    assert "…" in line


def test_a_name_cannot_steer_the_terminal(display):
    display.observe(Event("rule_started", "a\tb\x1b[2Jc\rd", "align"))
    assert display._lines(time.monotonic())[-1].startswith("  a?b?[2Jc?d  ")


@pytest.mark.parametrize(("term", "kind"), [("dumb", PlainDisplay), ("xterm", LiveDisplay)])
def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(monkeypatch, term, kind):
    monkeypatch.setenv("TERM", term)
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: True)
    made = open_display(out, Guess)
    made.close()
    assert isinstance(made, kind)
