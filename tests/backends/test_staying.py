"""Some jobs stay on this machine whatever the backend (spec/oxoflow-format.md 1.8, 5.8)."""

from oxoflow.engine.capacity import Limits
from oxoflow.engine.files import WorkFiles
from oxoflow.engine.load import load_text
from oxoflow.engine.options import RunOptions
from oxoflow.engine.runner import run
from tests.backends.test_local import Asked
from tests.engine.running import rule

TEXT = (
    "[workflow]\nname = 'w'\n"
    "[[references]]\nname = 'g'\nsource = 'src'\noutput = 'ref'\nbuild = 'cp {input} {output}'\n"
    + rule("away", "cat src > {output}", output=["a"])
    + rule("here", "cat {input} > {output}", input=["a"], output=["b"], localrule=True)
    + rule("write", "cat b > {output}", input=["b"], output=["p"], pipe=True)
    + rule("read", "cat {input} > {output}", input=["p"], output=["c"])
)


def test_local_rules_references_and_ends_of_pipes_are_not_handed_to_the_backend(tmp_path):
    (tmp_path / "src").write_text("x\n")
    backend = Asked()
    options = RunOptions(tmp_path, limits=Limits(2), environ={"PATH": "/usr/bin:/bin"})
    outcome = run(lambda: load_text(TEXT, view=WorkFiles(str(tmp_path))), options, backend)
    assert outcome.error is None
    assert (tmp_path / "c").read_text() == (tmp_path / "ref").read_text() == "x\n"
    assert [attempt.job for attempt in backend.attempts] == ["away"]
