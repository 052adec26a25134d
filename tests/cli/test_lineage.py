"""The verbs `provenance` and `compare`, in words and JSON."""

import shutil

import pytest

FLOW = """[workflow]
name = "w"
[[rules]]
name = "a"
input = ["src"]
output = ["a.txt"]
shell = "cat {input} > {output}"
[[rules]]
name = "b"
input = ["a.txt"]
output = ["b.txt"]
shell = "wc -l < {input} > {output}"
"""


@pytest.fixture
def runs(here, ox):
    for name, text in (("one", "1\n"), ("two", "2\n2\n")):
        (here / name).mkdir()
        (here / name / "main.oxoflow").write_text(FLOW)
        (here / name / "src").write_text(text)
        assert ox("run", f"{name}/main.oxoflow").code == 0
    return here


def test_provenance_tells_the_jobs_behind_a_file(runs, ox):
    told = ox("provenance", "one/b.txt")
    assert told.code == 0
    assert "1. job 'b' of rule 'b'" in told.out
    assert "   $ wc -l < a.txt > b.txt" in told.out
    assert "2. job 'a' of rule 'a'" in told.out
    assert "from 2." in told.out
    assert "source" in told.out


def test_provenance_of_a_copy_is_found_below_a_named_directory(runs, ox):
    shutil.copyfile(runs / "two/b.txt", runs / "result.txt")
    told = ox("provenance", "result.txt", "--json")
    assert told.code == 0
    assert told.json["recorded_as"] == "b.txt"
    jobs = told.json["jobs"]
    assert [job["job"] for job in jobs] == ["b", "a"]
    assert jobs[0]["workdir"] == str(runs / "two")
    assert jobs[0]["inputs"][0]["maker"] == 1
    assert jobs[1]["inputs"][0]["maker"] is None
    assert len(jobs[1]["inputs"][0]["sha256"]) == 64


def test_a_file_beside_a_run_is_not_taken_for_one_of_it_and_runs_are_named_once(
    here, ox, monkeypatch
):
    for name in ("one", "two"):
        (here / name).mkdir()
        (here / name / "main.oxoflow").write_text(FLOW.replace("cat {input}", "wc {input}"))
        (here / name / "src").write_text(f"{name}\n")
        assert ox("run", f"{name}/main.oxoflow").code == 0
    shutil.copyfile(here / "two/src", here / "outside")
    monkeypatch.chdir(here / "one")
    told = ox("provenance", "../outside", "--workdir", "..", "--workdir", "../two", "--json")
    assert told.json["read_by"] == [f"{here}/two: a"]


def test_a_result_that_was_taken_over_names_the_run_that_computed_it(runs, ox):
    for name in ("first", "second"):
        (runs / name).mkdir()
        shutil.copyfile(runs / "one/main.oxoflow", runs / name / "main.oxoflow")
        shutil.copyfile(runs / "one/src", runs / name / "src")
        assert ox("run", f"{name}/main.oxoflow", "--cache", "cache").code == 0
    computed = ox("provenance", "first/b.txt", "--json").json["jobs"]
    shutil.rmtree(runs / "first")
    shutil.move(runs / "second/b.txt", runs / "renamed.txt")
    jobs = ox("provenance", "renamed.txt", "--workdir", "second", "--json").json["jobs"]
    assert [job["job"] for job in jobs] == ["b", "a"]
    for job, made in zip(jobs, computed, strict=True):
        origin = job["taken_from"]
        assert (origin["run"], origin["workdir"]) == (made["run_id"], str(runs / "first"))
        assert origin["made_at"][:19] == made["finished_at"][:19]
        assert (job["command"], job["environment"]) == (made["command"], made["environment"])
        assert [each["sha256"] for each in job["inputs"]] == [
            each["sha256"] for each in made["inputs"]
        ]
    told = ox("provenance", "renamed.txt", "--workdir", "second").out
    assert f"computed by run {computed[0]['run_id']} in {runs}/first" in told
    assert "$ wc -l < a.txt > b.txt" in told


def test_what_is_not_known_is_said_and_exits_1(runs, ox):
    (runs / "one/foreign").write_text("never seen")
    told = ox("provenance", "one/foreign")
    assert told.code == 1
    assert "no recorded job made this content" in told.out


def test_without_records_the_cure_is_named(here, ox):
    (here / "x").write_text("")
    told = ox("provenance", "x")
    assert told.code == 2
    assert "--workdir DIR" in told.err


def test_compare_names_the_first_job_that_differs(runs, ox):
    told = ox("compare", "one", "two")
    assert told.code == 1
    assert "the first whose outputs differ is job 'a':" in told.out
    assert "  src: " in told.out
    assert "behind it: b" in told.out
    assert ox("compare", "one", "one").code == 0
    found = ox("compare", "one", "two", "--json").json
    assert found["first"]["job"] == "a"
    assert found["first"]["parts"][0]["part"] == "input.src"
    assert found["also"] == ["b"]


def test_compare_wants_directories_of_runs(here, ox):
    told = ox("compare", "x", "y")
    assert told.code == 2
    assert "'x' is no directory that a run left records in" in told.err
