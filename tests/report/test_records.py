"""What a run's records tell in its report: each fact in its table, what is missing in words."""

from typing import Any

import pytest

from oxoflow.report.model import Section, Table, Text
from oxoflow.report.page import to_html
from oxoflow.report.records import (
    EnvironmentFacts,
    JobRecord,
    Origin,
    OutputFacts,
    RecordFacts,
)
from oxoflow.report.run import JobFacts, RunFacts, report_run

HOSTILE = "</td><script>alert(1)</script>\"'&"


def run_facts(records: RecordFacts, **more: Any) -> RunFacts:
    return RunFacts(
        run_id="r", workflow_name="w", status="success", started_at=None, finished_at=None,
        exit_code=0, error=None, threads=1, records=records, **more,
    )  # fmt: skip


def sections(records: RecordFacts, **more: Any) -> dict[str, Section]:
    return {part.id: part for part in report_run(run_facts(records, **more), "now").sections}


def rows(section: Section) -> tuple[tuple[str, ...], ...]:
    assert isinstance(section.content, Table)
    return section.content.rows


def below(section: Section) -> list[str]:
    return [part.content.text for part in section.subsections if isinstance(part.content, Text)]


def test_an_environment_stands_once_with_its_versions_and_how_many_jobs_used_it() -> None:
    found = sections(
        RecordFacts(
            jobs={
                "a": JobRecord("x", 0, None),
                "b": JobRecord("y", 0, None),
                "c": JobRecord("z", None, None),
            },
            environments=[EnvironmentFacts("venv 'env'", ("python 3.11.7", "pip 23"), 2)],
        )
    )
    first, second = rows(found["environments"])
    assert first == ("venv 'env'", "2", "python 3.11.7\npip 23\n… and 2 further")
    assert (second[1], second[2]) == ("1", "—")
    assert rows(found["commands"]) == (("a", "x"), ("b", "y"), ("c", "z"))


def test_a_result_of_another_run_names_it() -> None:
    found = sections(
        RecordFacts(
            jobs={
                "a": JobRecord("x", None, Origin("r1", "2026-01-01T00:00:00Z", "reflink")),
                "b": JobRecord("y", None, Origin("r2")),
                "c": JobRecord("z", None, None),
            }
        )
    )
    assert rows(found["reused"]) == (
        ("a", "r1", "2026-01-01T00:00:00Z", "reflink"),
        ("b", "r2", "—", "kept"),
    )
    assert "reused" not in sections(RecordFacts(jobs={"c": JobRecord("z", None, None)}))


def test_outputs_stand_with_size_and_content_and_are_not_told_twice() -> None:
    known = OutputFacts("a.txt", 3, "ab" * 32, "a", "unchanged")
    large = OutputFacts("b.bin", 10**12, None, "b", "unchanged")
    folder = OutputFacts("d", None, None, "d", "a directory")
    found = sections(
        RecordFacts(outputs=[known, large, folder], outputs_total=5),
        files=[("a.txt", 3, "a"), ("other", 1, None)],
    )
    assert rows(found["outputs"]) == (
        ("a.txt", "3", "ab" * 32, "a", "unchanged"),
        ("b.bin", "1000000000000", "not computed: too much to read", "b", "unchanged"),
        ("d", "—", "—", "d", "a directory"),
    )
    assert below(found["outputs"]) == ["2 further outputs are not shown"]
    assert rows(found["files"]) == (("other", "1", "—"),)


def test_what_cannot_be_told_is_said_and_the_rest_remains() -> None:
    found = sections(RecordFacts(trouble="the directory is gone"))
    assert list(found) == ["overview", "jobs", "records", "files"]
    assert found["records"].content == Text("Not known: the directory is gone.")


def test_what_a_table_leaves_out_is_counted() -> None:
    job = JobFacts("j", "r", "failed", None, None, None, 1, 1, "exit code 1")
    found = sections(
        RecordFacts(jobs={"j": JobRecord(None, None, None)}, jobs_left=7),
        jobs=[job], failed=[job], counts={"failed": 3, "success": 2},
    )  # fmt: skip
    assert below(found["jobs"]) == ["4 further jobs are not shown"]
    assert found["failures"].content == Text("3 jobs have failed. The first 1 are shown.")
    assert "the commands of 7 further jobs" in below(found["commands"])
    assert rows(found["commands"]) == ()


@pytest.mark.parametrize("place", ["job", "command", "version", "environment", "origin", "path"])
def test_no_text_of_the_records_breaks_out_of_the_page(place: str) -> None:
    texts = dict.fromkeys(("job", "command", "version", "environment", "origin", "path"), "plain")
    texts[place] = HOSTILE
    page = to_html(
        report_run(
            run_facts(
                RecordFacts(
                    version=texts["version"],
                    jobs={texts["job"]: JobRecord(texts["command"], 0, Origin(texts["origin"]))},
                    environments=[EnvironmentFacts(texts["environment"], [texts["version"]])],
                    outputs=[OutputFacts(texts["path"], 1, None, texts["job"], "gone")],
                )
            ),
            "now",
        )
    )
    assert "alert(1)" in page
    assert "<script" not in page
    assert page.count("<table>") == page.count("</table>") == 7


def test_what_cannot_be_seen_is_made_visible_and_lines_stay_lines() -> None:
    command = "a\x1b[31m\x00\u202egnp.exe\r\n\tb\x7f"
    facts = run_facts(RecordFacts(jobs={"j": JobRecord(command, None, None)}))
    page = to_html(report_run(facts, "now"))
    assert "a\u241b[31m\u2400[U+202E]gnp.exe\u240d\n\tb[U+007F]" in page
