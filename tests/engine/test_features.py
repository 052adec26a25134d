"""What a rule may ask for besides running: temporary results, protection, private directories."""

import base64
import os
import stat
import subprocess
from urllib.parse import quote

import pytest

from oxoflow.engine.masking import Mask
from oxoflow.engine.plan import PlanOptions
from oxoflow.engine.rundir import RunDirectory
from oxoflow.engine.state import State
from oxoflow.errors import WorkflowError
from tests.engine.running import event_of, events, execute, records, rule


def started(workdir) -> list[str]:
    """The jobs that the last run started, in order."""
    found = events(workdir)
    last = max(at for at, event in enumerate(found) if event.type == "run_started")
    return [event.job for event in found[last:] if event.type == "rule_started"]


TEMPORARY = (
    rule("make", "echo data > {output}", output=["tmp/data"], temporary=True)
    + rule("use", "cp {input} {output}", input=["tmp/data"], output=["kept"])
    + rule("leaf", "echo > {output}", output=["leaf"], temporary=True)
)


def test_fact_62_temporary_results_go_after_the_run_and_come_back_when_needed(tmp_path):
    assert execute(tmp_path, TEMPORARY).exit_code == 0
    assert not (tmp_path / "tmp/data").exists()
    assert (tmp_path / "leaf").exists()
    assert records(tmp_path)["make"].removed == 1
    assert execute(tmp_path, TEMPORARY).exit_code == 0
    assert started(tmp_path) == []
    (tmp_path / "kept").unlink()
    assert execute(tmp_path, TEMPORARY).exit_code == 0
    assert started(tmp_path) == ["make", "use"]
    assert (tmp_path / "kept").read_text() == "data\n"
    assert not (tmp_path / "tmp/data").exists()


def test_temporary_results_stay_while_a_dependant_failed_or_was_not_asked_for(tmp_path):
    text = TEMPORARY + rule("bad", "exit 1", input=["tmp/data"], output=["bad"], required=False)
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "tmp/data").exists()
    assert execute(tmp_path, text.replace("exit 1", "echo > bad")).exit_code == 0
    assert not (tmp_path / "tmp/data").exists()


def test_a_temporary_result_that_somebody_changed_is_not_deleted(tmp_path):
    text = TEMPORARY.replace("cp {input} {output}", "cp {input} {output}; echo mine >> {input}")
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "tmp/data").read_text() == "data\nmine\n"


def test_chunks_of_a_transform_go_with_their_directories(tmp_path):
    (tmp_path / "in.tsv").write_text("a 1\nb 2\n")
    text = """[[rules]]
name = "count"
input = ["in.tsv"]
output = ["out.tsv"]
transform = { split = { by = "k", values = ["a", "b"] }, map = "grep {k} {input} > {output}",
  combine = { aggregate = true }, cleanup = true }
""".replace("\n  combine", " combine")
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "out.tsv").read_text() == "a 1\nb 2\n"
    assert not (tmp_path / ".oxo-flow/chunks").exists()
    assert execute(tmp_path, text).exit_code == 0
    assert started(tmp_path) == []
    (tmp_path / "in.tsv").write_text("a 1\nb 3\n")
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "out.tsv").read_text() == "a 1\nb 3\n"


def test_temp_output_goes_when_the_dependants_are_done(tmp_path):
    text = rule(
        "a", "echo > a; echo > scrap.{config.n}", output=["a"], temp_output=["scrap.{config.n}"]
    ) + rule("b", "test -e scrap.7 && echo > b", input=["a"], output=["b"])
    assert execute(tmp_path, f"[config]\nn = 7\n{text}").exit_code == 0
    assert not (tmp_path / "scrap.7").exists()
    assert (tmp_path / "a").exists()


def test_a_protected_output_is_read_only_and_not_made_anew(tmp_path):
    text = rule("a", "echo 1 > a", output=["a"], protected_output=["a"])
    assert execute(tmp_path, text).exit_code == 0
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) & 0o222 == 0
    changed = text.replace("echo 1", "echo 2")
    outcome = execute(tmp_path, changed)
    assert "output 'a' is protected and there already" in outcome.error
    assert (tmp_path / "a").read_text() == "1\n"
    (tmp_path / "a").chmod(0o644)
    assert execute(tmp_path, changed).exit_code == 0
    assert (tmp_path / "a").read_text() == "2\n"


@pytest.mark.parametrize(("kind", "tool"), [("md5", "md5sum"), ("sha256", "sha256sum")])
def test_checksums_are_recorded(tmp_path, kind, tool):
    assert execute(tmp_path, rule("a", "echo x > a", output=["a"], checksum=kind)).exit_code == 0
    said = subprocess.run([tool, "a"], cwd=tmp_path, capture_output=True, text=True).stdout
    state = State.view(RunDirectory(tmp_path).state)
    try:
        assert state.outputs()["a"].checksum == f"{kind}:{said.split()[0]}"
    finally:
        state.close()


def test_a_benchmark_says_what_a_job_took(tmp_path):
    text = "[[sample_groups]]\nname = 'g'\nsamples = ['S1']\n" + rule(
        "a", "echo > {output}", output=["{sample}.o"], benchmark="bench/{sample}.tsv"
    )
    assert execute(tmp_path, text).exit_code == 0
    head, row = (tmp_path / "bench/S1.tsv").read_text().splitlines()
    assert head == "wall_s\tpeak_mb\tcpu_s"
    assert len([float(cell) for cell in row.split("\t")]) == 3


@pytest.fixture
def shadowed(tmp_path):
    """A working directory with an input, a file beside it and an older result."""
    for name in ("data", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "data/in").write_text("in\n")
    (tmp_path / "beside").write_text("beside\n")
    (tmp_path / "out/old").write_text("old\n")
    (tmp_path / "out/result").write_text("stale\n")
    return tmp_path


@pytest.mark.parametrize(
    ("form", "sees"),
    [
        ("minimal", ["data", "data/in", "out"]),
        ("shallow", ["beside", "data", "data/in", "out", "out/old"]),
        ("full", ["beside", "data", "data/in", "out", "out/old"]),
    ],
)
def test_a_shadow_shows_what_its_form_says_and_keeps_the_rest_out(shadowed, form, sees):
    text = rule(
        "a",
        "find -L . ! -name . | sed s,^./,, | sort > listing; cp listing {output}; "
        "echo junk > junk; [ ! -e beside ] || echo changed > new-beside; cat {input} > /dev/null",
        input=["data/in"],
        output=["out/result"],
        shadow=form,
    )
    assert execute(shadowed, text, plan=PlanOptions(rerun=True)).exit_code == 0
    listed = (shadowed / "out/result").read_text().split()
    assert sorted(set(listed) - {"listing"}) == sees
    for left in ("junk", "listing", "new-beside"):
        assert not (shadowed / left).exists()
    assert list((shadowed / ".oxo-flow/scratch").iterdir()) == []


def test_a_full_shadow_protects_the_files_outside_from_being_changed(shadowed):
    text = rule("a", "echo x >> beside; cp beside out/result", output=["out/result"], shadow="full")
    assert execute(shadowed, text, plan=PlanOptions(rerun=True)).exit_code == 0
    assert (shadowed / "beside").read_text() == "beside\n"
    assert (shadowed / "out/result").read_text() == "beside\nx\n"


def test_a_failed_shadow_is_kept_and_named(shadowed):
    text = rule("a", "echo half > out/result; exit 1", output=["out/result"], shadow="minimal")
    assert execute(shadowed, text, plan=PlanOptions(rerun=True)).exit_code == 1
    (kept,) = (shadowed / ".oxo-flow/scratch").iterdir()
    assert str(kept) in event_of(shadowed, "a", "rule_failed").data["stderr_tail"]
    assert (shadowed / "out/result").read_text() == "stale\n"


def test_what_was_kept_of_failures_goes_when_the_job_succeeds_at_last(shadowed):
    text = "".join(
        rule(name, f"[ -e {shadowed}/{name}.ok ] && echo > {{output}}", output=[name], scratch=True)
        for name in ("job", "job-1-2", "j" * 130 + "1", "j" * 130 + "2")
    )
    for name in ("job.ok", "j" * 130 + "1.ok"):
        assert execute(shadowed, text, keep_going=True).exit_code == 1
        assert len(list((shadowed / ".oxo-flow/scratch").iterdir())) >= 4
        (shadowed / name).touch()
    assert execute(shadowed, text, keep_going=True).exit_code == 1
    left = (shadowed / ".oxo-flow/scratch").iterdir()
    kept = {path.name.rsplit("-", 2)[0] for path in left}
    assert len(kept) == 2
    assert "job-1-2" in kept


@pytest.mark.parametrize("hook", ["pre_exec", "on_success", "on_failure"])
def test_hooks_are_checked_for_destructive_commands(tmp_path, hook):
    text = rule("a", "echo > a", output=["a"], **{hook: "v=x; rm -rf /"})
    try:
        error = execute(tmp_path, text).error
    except WorkflowError as refused:
        error = refused.message
    assert "deletes the root" in error
    assert not (tmp_path / "a").exists()


SECRET = 's3cr?t/"p+ss w\u00f6rd" & more'


@pytest.mark.parametrize("shift", range(3))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_is_hidden_in_base64_wherever_it_stands(shift, encode):
    raw = SECRET.encode()
    text = encode(b"x" * shift + raw + b"tail").decode()
    hidden = Mask([SECRET]).text(text)
    assert "***" in hidden
    assert not [at for at in range(len(text) - 8) if text[at : at + 9] in hidden]


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        SECRET.replace('"', '\\"'),
    ],
)
def test_a_secret_is_hidden_in_its_url_and_json_forms(text):
    assert Mask([SECRET]).text(f"a {text} b") == "a *** b"


def test_no_byte_that_a_run_leaves_behind_holds_a_secret(tmp_path):
    secret = "tops3cret-value!"
    encoded = base64.b64encode(secret.encode()).decode()
    text = (
        f'[config]\nkey = {{ default = "{secret}", sensitive = true }}\n'
        + rule(
            "a",
            "printf 'tops3'; sleep 0.3; printf 'cret-value!'; echo '{config.key}' >&2; "
            "printf %s '{config.key}' | base64; printf %s '{config.key}' | base64 >&2; "
            "echo 'a b{config.key}' | sed 's/!/%21/' >&2; exit 3",
            output=["a"],
            envvars={"TOKEN": "{config.key}"},
            retries=1,
        )
        + rule("long", "# " + "x" * 130_000 + "\necho {config.key} | cut -c1-3 > b", output=["b"])
    )
    outcome = execute(tmp_path, text, keep_going=True)
    assert outcome.exit_code == 1
    for folder, _, names in os.walk(tmp_path):
        for name in names:
            with open(os.path.join(folder, name), "rb") as handle:
                content = handle.read()
            for form in (secret.encode(), encoded.encode(), b"tops3cret-value%21"):
                assert form not in content, f"{folder}/{name} holds {form!r}"


def test_s15_a_value_that_a_shell_would_run_is_refused_at_load(tmp_path):
    text = "[[values]]\nname = 'v'\nvalues = ['`touch hacked`']\n" + rule(
        "a", "echo {v} > {output}", output=["o"]
    )
    with pytest.raises(WorkflowError, match="command substitution"):
        execute(tmp_path, text)
    assert not (tmp_path / "hacked").exists()


def test_an_unusable_interpreter_is_passed_over(tmp_path):
    (tmp_path / "s.sh").write_text("echo bash > o\n")
    text = "[[rules]]\nname = 'a'\nscript = 's.sh'\ninterpreter = '../evil'\noutput = ['o']\n"
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "o").read_text() == "bash\n"
    (warning,) = events(tmp_path, "warning")
    assert "interpreter '../evil' is passed over" in warning.data["message"]


def test_a_crash_after_the_deletion_was_recorded_leaves_no_temporary_result(tmp_path):
    """The run dies between the record and the deletion; the next one deletes what is left."""
    assert execute(tmp_path, TEMPORARY).exit_code == 0
    state = State(RunDirectory(tmp_path).state)
    (tmp_path / "tmp/data").write_text("data\n")
    recorded = state.outputs()["tmp/data"]
    state.close()
    os.utime(tmp_path / "tmp/data", ns=(recorded.mtime_ns, recorded.mtime_ns))
    assert execute(tmp_path, TEMPORARY).exit_code == 0
    assert started(tmp_path) == []
    assert not (tmp_path / "tmp/data").exists()


def test_what_is_asked_for_and_not_given_is_told_before_the_run(tmp_path):
    text = (
        "[config]\nplace = 's3://bucket'\n"
        + rule("far", "echo {input} > {output}", input=["{config.place}/in"], output=["o"])
        + rule("leaf", "echo > {output}", output=["leaf"], temporary=True)
    )
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "o").read_text() == "s3://bucket/in\n"
    told = [event.data["message"] for event in events(tmp_path, "warning")]
    assert any("'s3://bucket/in' is passed on as it is" in message for message in told)
    assert any("'leaf' is temporary, but nothing depends on it" in message for message in told)


def test_names_of_files_that_are_no_text_are_read_run_and_known_again(tmp_path):
    text = (
        rule("make", r"mkdir d && echo a > d/$'x\xff.txt'", output=["d"])
        + rule("use", "ls d > use", input=["d"], output=["use"])
        + rule("globbed", "cat {input} > globbed", input=["*.dat"], output=["globbed"])
    )
    odd = os.fsencode(tmp_path) + b"/\xfe.dat"
    with open(odd, "w") as handle:
        handle.write("one\n")
    assert execute(tmp_path, text).counts.succeeded == 3
    assert (tmp_path / "globbed").read_text() == "one\n"
    assert execute(tmp_path, text).counts.succeeded == 0
    with open(odd, "w") as handle:
        handle.write("two\n")
    assert execute(tmp_path, text).counts.succeeded == 1
