"""Results shared between runs: taken when the key says so, verified, and never damaged."""

import hashlib
import json
import shutil

import pytest

from oxoflow.engine.plan import PlanOptions
from oxoflow.engine.results import Entry, Given, ResultCache, Stored
from oxoflow.engine.reuse import Caching
from oxoflow.engine.rundir import RunDirectory
from oxoflow.engine.state import State
from tests.engine.running import event_of, events, execute, rule
from tests.engine.several import run_at_once

FLOW = rule("one", "echo ran >> count; cat {input} > {output}", input=["src"], output=["a/one"]) + (
    rule(
        "two",
        "echo ran >> count; cat {input} > {output}; chmod 755 {output}",
        input=["a/one"],
        output=["two"],
    )
)


@pytest.fixture
def runs(tmp_path):
    """Directories with the same source, and a cache beside them."""

    def make(name: str, source: str = "src\n"):
        place = tmp_path / name
        place.mkdir()
        (place / "src").write_text(source)
        return place

    return make


def ran(place) -> int:
    path = place / "count"
    return len(path.read_text().splitlines()) if path.exists() else 0


def origin(place, job: str) -> dict | None:
    state = State.view(RunDirectory(place).state)
    try:
        text = state.detail(job).origin
    finally:
        state.close()
    return json.loads(text) if text else None


def test_another_run_s_results_are_taken_and_said_everywhere(runs, tmp_path):
    first, second = runs("first"), runs("second")
    cache = tmp_path / "cache"
    made = execute(first, FLOW, cache=Caching(cache))
    outcome = execute(second, FLOW, cache=Caching(cache))
    assert (ran(first), ran(second)) == (2, 0)
    assert (second / "two").read_text() == "src\n"
    assert (second / "two").stat().st_mode & 0o777 == 0o755
    assert (outcome.counts.succeeded, outcome.counts.skipped) == (0, 2)
    words = f"reused from run {made.run_id} in '{first}', by "
    said = event_of(second, "two", "rule_skipped").data
    assert words in said["reason"]
    assert said["reused_from"] == made.run_id
    assert words in RunDirectory(second).job_logs("two")[1].read_text()
    assert origin(second, "two")["run"] == made.run_id
    assert execute(second, FLOW).counts.skipped == 2
    assert ran(second) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("cat {input}", "cat  {input}"),
        lambda text: text.replace("[[rules]]", "[[rules]]\ncache = false"),
        lambda text: text.replace("[[rules]]", "[[rules]]\non_success = 'true'"),
    ],
)
def test_what_is_not_the_same_or_must_not_be_shared_runs(runs, tmp_path, change):
    cache = tmp_path / "cache"
    execute(runs("first"), FLOW, cache=Caching(cache))
    second = runs("second")
    assert execute(second, change(FLOW), cache=Caching(cache)).exit_code == 0
    assert ran(second) == 2


def test_another_content_of_an_input_is_another_result(runs, tmp_path):
    cache = tmp_path / "cache"
    execute(runs("first"), FLOW, cache=Caching(cache))
    second = runs("second", "other\n")
    execute(second, FLOW, cache=Caching(cache))
    assert ran(second) == 2
    assert (second / "two").read_text() == "other\n"


@pytest.fixture
def linking(monkeypatch):
    """Results are given as hard links, as for large ones where blocks cannot be shared."""
    monkeypatch.setattr("oxoflow.engine.cloning.os.geteuid", lambda: 1000)
    monkeypatch.setattr("oxoflow.engine.cloning._reflink", lambda source, target: False)
    monkeypatch.setattr("oxoflow.engine.results.LINKED_FROM", 1)


EDITS = {
    "append": "echo more >> a/one",
    "edit": "sed -i '$a more' a/one",
    "make writable first": "chmod u+w a/one; echo more >> a/one",
    "write over": "printf 'src\\nmore\\n' > a/one",
}


@pytest.mark.parametrize("how", ["copied", "linked"])
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_edit_in_place_damages_neither_the_cache_nor_other_runs(
    runs, tmp_path, edit, how, request
):
    if how == "linked":
        request.getfixturevalue("linking")
    caching = Caching(tmp_path / "cache")
    first, second, third, fourth = map(runs, ("first", "second", "third", "fourth"))
    for place in (first, second):
        assert execute(place, FLOW, cache=caching).exit_code == 0
    assert ((second / "a/one").stat().st_nlink > 1) is (how == "linked")
    later = rule("later", f"{edit}; echo > {{output}}", input=["a/one"], output=["edited"])
    assert execute(third, FLOW + later, cache=caching).exit_code == 0
    assert (third / "a/one").read_text() == "src\nmore\n"
    assert execute(fourth, FLOW, cache=caching).counts.skipped == 2
    for place in (first, second, fourth):
        assert (place / "a/one").read_text() == "src\n"


def test_a_linked_result_that_is_made_anew_is_its_own_file_again(runs, tmp_path, linking):
    caching = Caching(tmp_path / "cache")
    first, second = runs("first"), runs("second")
    for place in (first, second):
        execute(place, FLOW, cache=caching)
    assert (second / "two").stat().st_mode & 0o777 == 0o755  # a link would lose this
    (second / "src").write_text("other\n")
    changed = FLOW.replace("cat {input} > {output}", "[ -w {output} ] && cat {input} > {output}", 1)
    assert execute(second, changed, cache=None).exit_code == 0
    assert (second / "a/one").read_text() == "other\n"
    assert (second / "a/one").stat().st_mode & 0o777 == 0o644
    assert (first / "a/one").read_text() == "src\n"
    assert execute(runs("third"), FLOW, cache=caching).counts.skipped == 2


def test_what_reads_a_sensitive_value_is_not_kept(tmp_path, runs):
    declared = "[config]\ntoken = { default = 'open-sesame', sensitive = true }\n"
    flow = declared + rule("one", "echo {config.token} | cksum > {output}", output=["one"])
    caching = Caching(tmp_path / "cache")
    assert execute(runs("first"), flow, cache=caching).exit_code == 0
    assert execute(runs("second"), flow, cache=caching).counts.succeeded == 1
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_deleted_run_and_a_deleted_cache_do_not_miss_each_other(runs, tmp_path, linking):
    caching = Caching(tmp_path / "cache")
    first, second = runs("first"), runs("second")
    execute(first, FLOW, cache=caching)
    shutil.rmtree(first)
    assert execute(second, FLOW, cache=caching).counts.skipped == 2
    shutil.rmtree(tmp_path / "cache")
    assert execute(second, FLOW, cache=caching).counts.skipped == 2
    assert (second / "a/one").read_text() == "src\n"
    assert ran(second) == 0


def test_nobody_else_may_read_what_is_kept(runs, tmp_path):
    execute(runs("first"), FLOW, cache=Caching(tmp_path / "cache"))
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


def test_a_spoilt_content_is_noticed_and_the_job_runs(runs, tmp_path):
    cache = tmp_path / "cache"
    execute(runs("first"), FLOW, cache=Caching(cache))
    for path in (cache / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_text("spoilt\n")
    second = runs("second")
    assert execute(second, FLOW, cache=Caching(cache)).exit_code == 0
    assert ran(second) == 1  # the second job has the same content, which the first healed
    assert (second / "two").read_text() == "src\n"
    assert not list(second.rglob("*.oxo-part"))


def test_two_runs_at_the_same_moment_share_one_cache(runs, tmp_path):
    cache = tmp_path / "cache"
    many = "".join(
        rule(f"j{n}", f"echo {n} $RANDOM > {{output}}", output=[f"o/{n}"]) for n in range(20)
    )
    places = [runs(f"r{n}") for n in range(3)]
    assert run_at_once(places, many, "--cache", str(cache)) == [0, 0, 0]
    last = runs("last")
    assert execute(last, many, cache=Caching(cache)).counts.skipped == 20
    for n in range(20):
        content = (last / f"o/{n}").read_text()
        assert content in [(place / f"o/{n}").read_text() for place in places]


def test_forced_jobs_run_here(runs, tmp_path):
    cache = tmp_path / "cache"
    execute(runs("first"), FLOW, cache=Caching(cache))
    second = runs("second")
    execute(second, FLOW, cache=Caching(cache), plan=PlanOptions(rerun=True))
    assert ran(second) == 2
    assert events(second, "rule_completed") != []


def test_large_results_are_linked_for_those_whom_permissions_stop(tmp_path, monkeypatch):
    monkeypatch.setattr("oxoflow.engine.cloning.os.geteuid", lambda: 1000)
    monkeypatch.setattr("oxoflow.engine.cloning._reflink", lambda source, target: False)
    monkeypatch.setattr("oxoflow.engine.results.LINKED_FROM", 3)
    (tmp_path / "big").write_text("large")
    digest = hashlib.sha256(b"large").hexdigest()
    cache = ResultCache(tmp_path / "cache")
    entry = Entry("r", "/w", "j", (Stored("big", digest, 5, 0o644),))
    assert cache.put("k" * 64, entry, {"big": str(tmp_path / "big")}) == 5
    given = cache.give("k" * 64, entry, [str(tmp_path / "out")])
    assert given == Given("hard link", entry.outputs)
    assert (tmp_path / "out").stat().st_nlink == 2
    assert (tmp_path / "out").stat().st_mode & 0o222 == 0
    assert (tmp_path / "big").stat().st_nlink == 1
