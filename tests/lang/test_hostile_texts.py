"""Throw broken and hostile texts at the language: only our own errors may come back.

Bounds are held by counting (limits, sizes), never by timing.
"""

from __future__ import annotations

import string
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oxoflow.errors import ParseError, WorkflowError
from oxoflow.lang.compose import compose
from oxoflow.lang.danger import find_dangers
from oxoflow.lang.expand import expand
from oxoflow.lang.model import Workflow
from oxoflow.lang.parse import decode_text, parse_workflow
from oxoflow.lang.sheets import SheetError, read_groups, read_pairs
from oxoflow.lang.validate import validate
from oxoflow.lang.values import toml_text
from oxoflow.limits import Limits
from tests.lang.build import HEAD, Files, composed, rule

QUICK = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
WORDS = ["a", "b", "sample", "group", "pair_id", "k", "input", "x/{sample}", "{k}", "config.a"]
TEXTS = st.sampled_from(WORDS) | st.text(
    alphabet=string.ascii_letters + "{}$.:/_- ()%\"'\\\n", max_size=12
)
SCALARS = TEXTS | st.integers(-3, 10**12) | st.booleans() | st.floats()
LISTS = st.lists(TEXTS, max_size=3)
TABLES = st.dictionaries(TEXTS, TEXTS, max_size=3)


MUST = {"name", "path", "pair_id", "experiment", "variable", "by", "split", "map", "pattern"}
MUST |= {"build", "samples", "values", "rules"}


def table(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """Make a table with its required keys, and some of the others."""
    needed = {key: value for key, value in fields.items() if key in MUST}
    return st.fixed_dictionaries(
        needed, optional={key: value for key, value in fields.items() if key not in MUST}
    )


RULES = table(
    name=st.sampled_from(["r", "s", "t", "u", "m"]),
    input=LISTS | TABLES,
    output=LISTS | TABLES,
    shell=TEXTS,
    script=TEXTS,
    log=TEXTS,
    when=TEXTS,
    threads=st.integers(0, 9),
    memory=TEXTS,
    resources=table(threads=st.integers(0, 9), memory=TEXTS, time_limit=TEXTS, groups=TABLES),
    environment=table(conda=TEXTS, modules=LISTS | TEXTS, docker=TEXTS),
    env_group=TEXTS,
    params=TABLES,
    envvars=TABLES,
    depends_on=LISTS,
    extends=TEXTS,
    retry_delay=TEXTS,
    checkpoint=st.booleans(),
    expand_inputs=st.lists(table(pattern=TEXTS, variables=TABLES), max_size=2),
    scatter=table(variable=TEXTS, values=LISTS, values_from=TEXTS, gather=TEXTS),
    transform=table(
        split=table(by=TEXTS, values=LISTS, values_from=TEXTS, n=TEXTS, glob=TEXTS),
        map=TEXTS,
        combine=table(shell=TEXTS, aggregate=st.booleans(), method=TEXTS, header=TEXTS),
    ),
)
FILES = {
    "module": HEAD + rule("m"),
    "pairs": "pair_id\texperiment\tcontrol\nP\tE\tC\n",
    "d/S1.fq": "",
}
DOCUMENTS = st.fixed_dictionaries(
    {
        "workflow": table(
            name=TEXTS,
            pairs_file=st.just("pairs"),
            sample_pattern=st.sampled_from(["d/{sample}.fq", "{sample}", "{config.a}/{sample}.fq"]),
            pairs_pattern=st.just("{pair_id}/{experiment}{control}"),
        ),
        "rules": st.lists(RULES, min_size=1, max_size=4, unique_by=lambda each: each["name"]),
    },
    optional={
        "config": st.dictionaries(TEXTS, SCALARS | LISTS | table(default=TEXTS, range=TEXTS)),
        "defaults": table(threads=st.integers(0, 9), memory=TEXTS),
        "include": st.lists(
            table(path=st.just("module"), namespace=TEXTS, inputs=LISTS), max_size=2
        ),
        "pairs": st.lists(
            table(pair_id=TEXTS, experiment=TEXTS, control=TEXTS, metadata=TABLES), max_size=2
        ),
        "sample_groups": st.lists(table(name=TEXTS, samples=LISTS, metadata=TABLES), max_size=2),
        "values": st.lists(table(name=TEXTS, values=LISTS, values_from=TEXTS), max_size=2),
        "wildcard_constraints": st.dictionaries(TEXTS, st.sampled_from(["^S", "[a-z]", "("])),
        "references": st.lists(
            st.fixed_dictionaries({"name": TEXTS, "output": TEXTS, "build": TEXTS}), max_size=2
        ),
        "reference_dir": TEXTS,
        "execution_group": st.lists(table(name=TEXTS, rules=st.just([])), max_size=1),
        "env_groups": st.dictionaries(TEXTS, table(conda=TEXTS), max_size=2),
    },
)


def go_all_the_way(text: str) -> None:
    """Take a text as far as it goes; whatever is raised that is not ours fails the test."""
    files = Files(FILES)
    with suppress(WorkflowError):
        workflow = parse_workflow(text, Limits(jobs=500))
        validate(workflow)
        workflow = compose(workflow, files, overrides={"a": "1"}, samples=["first:1"])
        validate(workflow, view=files)
        expand(workflow, files)


def written(document: dict[str, object]) -> str:
    return "\n".join(f"{toml_text(key)} = {toml_text(value)}" for key, value in document.items())


@QUICK
@given(DOCUMENTS)
def test_a_generated_workflow_works_or_fails_with_our_errors(document: dict[str, object]):
    go_all_the_way(written(document))


def misplace(document: object, value: object, data: st.DataObject) -> None:
    """Put a value somewhere into a document where it was not expected."""
    while isinstance(document, (dict, list)) and document:
        keys = list(document) if isinstance(document, dict) else list(range(len(document)))
        key = data.draw(st.sampled_from(keys))
        inner = document[key]
        if not isinstance(inner, (dict, list)) or not inner or data.draw(st.integers(0, 3)) == 0:
            document[key] = value
            return
        document = inner


@QUICK
@given(DOCUMENTS, SCALARS | LISTS | TABLES, st.data())
def test_a_value_of_the_wrong_kind_anywhere_fails_with_our_errors(
    document: dict[str, object], value: object, data: st.DataObject
):
    misplace(document, value, data)
    go_all_the_way(written(document))


GOOD = (
    HEAD
    + '[config]\na = "1"\n[[sample_groups]]\nname = "g"\nsamples = ["S1", "S2"]\n'
    + '[[values]]\nname = "k"\nvalues = [1, 2.5]\n'
    + rule("a", input='["{sample}.fq"]', output='["{sample}.{k}"]', shell='"x {input} {k}"')
    + rule("b", depends_on='["a"]', when='"config.a == 1"', resources="{ threads = 2 }")
)


@QUICK
@given(st.data())
def test_a_text_with_changed_bytes_works_or_fails_with_our_errors(data: st.DataObject):
    mutated = bytearray(GOOD.encode())
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(mutated) - 1))
        kind = data.draw(st.sampled_from(["set", "cut", "copy", "insert"]))
        if kind == "set":
            mutated[place] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del mutated[place : place + data.draw(st.integers(1, 20))]
        elif kind == "copy":
            mutated[place:place] = mutated[place : place + 30]
        else:
            mutated[place:place] = data.draw(st.sampled_from([b"[[", b'"""', b"{", b"\x00", b"="]))
        mutated = mutated or bytearray(b" ")
    with suppress(ParseError):
        go_all_the_way(decode_text(bytes(mutated)))


@QUICK
@given(st.binary(max_size=200), st.sampled_from(["x.csv", "x.tsv", "x.json"]))
def test_a_sheet_of_any_bytes_is_read_or_refused(data: bytes, name: str):
    for read in (read_pairs, read_groups):
        with suppress(SheetError):
            read(name, data)


@QUICK
@given(st.text(alphabet="rm -f/~$HOME|curldbash:(){}&;\n#\\", max_size=80))
def test_no_command_upsets_the_search_for_dangers(text: str):
    assert all(found.category for found in find_dangers(text))


def test_millions_of_characters_are_read_in_one_pass():
    text = HEAD + '[[sample_groups]]\nname = "g"\nsamples = ["S"]\n'
    shell = "{sample}" * 200_000 + "{a" * 1_000_000 + "${x}"
    (job,) = expand(parse_workflow(text + rule("a", shell=f"'{shell}'")))
    assert job.shell == "S" * 200_000 + "{a" * 1_000_000 + "${x}"


def test_hundreds_of_thousands_of_jobs_share_what_they_can():
    samples = ",".join(f'"S{i}"' for i in range(50_000))
    workflow = composed(
        f'[[sample_groups]]\nname = "g"\nsamples = [{samples}]\n'
        + rule("a", input='["{sample}", "fixed"]', shell='"x {sample}"')
        + rule("b", input='["fixed"]', output='["o"]', shell='"{sample}"', depends_on='["a"]')
    )
    jobs = expand(workflow)
    assert len(jobs) == 100_000
    assert jobs[0].bindings is not jobs[1].bindings
    assert jobs[50_000].input is jobs[-1].input is workflow.rules[1].input
    assert jobs[50_000].depends_on is jobs[-1].depends_on
    assert len(jobs[-1].depends_on) == 50_000


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|aa)*$", "^a{0,900}a{0,900}$"])
def test_a_regular_expression_cannot_explode(pattern: str):
    text = (
        f"[wildcard_constraints]\nsample = '{pattern}'\n"
        f'[[sample_groups]]\nname = "g"\nsamples = ["{"a" * 3000}!"]\n'
    )
    assert expand(composed(text + rule("a", shell='"{sample}"'))) == ()


PARTS = ".".join("a" * 65)


@pytest.mark.parametrize(
    "text",
    [
        f"{PARTS} = 1",
        f"[{PARTS}]",
        f"[[{PARTS}]]",
        f"x = {{ {PARTS} = 1 }}",
        "x = [{ " + " . ".join(['"a b"'] * 65) + " = 1 }]",
    ],
)
def test_a_key_of_very_many_parts_is_refused_before_it_costs_the_square_of_them(text: str):
    with pytest.raises(ParseError, match="line 3 has a key of more than 64 parts") as caught:
        parse_workflow(HEAD + text)
    assert caught.value.diagnostics[0].line == 3


@pytest.mark.parametrize(
    "text",
    [
        f"x = '{PARTS}'",
        f'x = """\n{PARTS} = 1\n"""',
        f"# {PARTS}",
        f"'{PARTS}' = 1",
        ".".join("a" * 60) + " = 1",
        "x = '" + "word. " * 100 + "'",
    ],
)
def test_as_many_dots_elsewhere_are_no_key(text: str):
    assert parse_workflow(HEAD + text).name == "w"


def test_keys_that_look_like_other_types_are_strings():
    workflow: Workflow = composed("[config]\n1 = 2\ntrue = 3\n2020-01-01 = 4\n'' = 5\n")
    assert set(workflow.config) == {"1", "true", "2020-01-01", ""}
