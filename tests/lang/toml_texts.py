"""Generate TOML texts, messy and valid, for the property tests of format and positions."""

from __future__ import annotations

import json

import tomli
from hypothesis import strategies as st

RULE_KEYS = [
    *("description", "input", "output", "threads", "memory", "priority", "target", "log", "when"),
    *("retries", "depends_on", "shell", "script", "environment", "resources", "params", "envvars"),
    *("scatter", "transform", "tags", "zebra", "alpha"),
]
TABLES = ["workflow", "config", "defaults", "report", "plugins", "cluster", "unknown_table"]
ARRAYS = ["rules", "rules", "rules", "pairs", "sample_groups", "include", "values", "webhooks"]

words = st.text("abcXYZ019_-", min_size=1, max_size=6)
odd_text = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12)
shell_text = st.text("ab {}$\"'\\#\n[]=,", max_size=16)
space = st.sampled_from(["", " ", "  ", "\t"])


def basic(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def long_basic(text: str) -> str:
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"""\n{inner}"""'


def long_literal(text: str) -> str:
    return f"'''{text.replace(chr(39), '')}'''"


def plain(text: str) -> str:
    return "".join(char for char in text if char in "\n\t" or (char >= " " and char != "\x7f"))


strings = st.one_of(
    odd_text.map(basic),
    shell_text.map(basic),
    shell_text.map(long_basic),
    shell_text.map(long_literal),
    words.map(lambda word: f"'{word}'"),
    st.just('"""a \\\n   b"""'),
    st.just('"""""two"""""'),
    st.just("''''x'''"),
)
scalars = st.one_of(
    strings,
    st.integers(-99, 99).map(str),
    st.sampled_from(["true", "false", "1e3", "0xFF", "1_000", "nan", "-inf", "0.0001"]),
    st.sampled_from(["2020-01-01", "07:32:00", "2020-01-01 07:32:00", "1979-05-27T00:32:00.5Z"]),
)
comments = st.text("abc #'\"[]{}=\\", max_size=8).map(lambda text: f"#{text}".rstrip())
breaks = st.one_of(st.just(""), st.just(" "), st.just("\n"), comments.map(lambda c: f" {c}§0\n  "))
keys = st.one_of(words, odd_text.map(basic), words.map(lambda word: f"'{word}'"))


@st.composite
def arrays(draw, inner):
    parts = ["["]
    items = draw(st.lists(inner, max_size=4))
    for number, item in enumerate(items):
        last = number == len(items) - 1
        comma = draw(st.sampled_from(["", ","])) if last else ","
        parts += [draw(breaks), item, draw(breaks), comma]
    return "".join([*parts, draw(breaks), "]"])


@st.composite
def inline_tables(draw, inner):
    names = draw(st.lists(words, max_size=3, unique=True))
    pairs = [f"{draw(space)}{name}{draw(space)}={draw(space)}{draw(inner)}" for name in names]
    return "{" + ",".join(pairs) + "}"


values = st.recursive(
    scalars, lambda inner: st.one_of(arrays(inner), inline_tables(inner)), max_leaves=6
)


@st.composite
def pairs(draw, names, counter):
    name = draw(names)
    if draw(st.integers(0, 4)) == 0:
        name = f"{name}{draw(space)}.{draw(space)}{draw(keys)}"
    comment = f" {draw(comments)}§{next(counter)}" if draw(st.booleans()) else ""
    return f"{draw(space)}{name}{draw(space)}={draw(space)}{draw(values)}{comment}"


@st.composite
def gaps(draw, counter):
    lines = draw(st.lists(st.sampled_from(["", "  ", "#"]), max_size=3))
    return [f"{line}§{next(counter)}" if line == "#" else line for line in lines]


@st.composite
def texts(draw):
    """A valid TOML text that looks like a workflow somebody wrote in a hurry."""
    counter = iter(range(1, 10_000))
    lines = draw(gaps(counter))
    lines += draw(st.lists(pairs(keys, counter), max_size=2))
    for _ in range(draw(st.integers(0, 5))):
        lines += draw(gaps(counter))
        is_array = draw(st.booleans())
        name = draw(st.sampled_from(ARRAYS if is_array else TABLES))
        if draw(st.integers(0, 3)) == 0:
            name = f"{name}.{draw(st.sampled_from(['environment', 'resources', 'x', 'y']))}"
        comment = f" #§{next(counter)}" if draw(st.booleans()) else ""
        lines.append((f"[[{name}]]" if is_array else f"[{name}]") + comment)
        names = st.sampled_from(RULE_KEYS) if name.startswith("rules") else keys
        for _ in range(draw(st.integers(0, 5))):
            lines += draw(gaps(counter))
            lines.append(draw(pairs(names, counter)))
    lines += draw(gaps(counter))
    ending = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    return _without_clashes(lines, ending) + draw(st.sampled_from(["", ending]))


TRICKS = [
    '"plain"',
    "'plain'",
    '"e\\u0061rly"',
    '"""\n[[rules]]\nname = "fake"\n"""',
    "'''\nname = 'fake'\n[config]\n'''",
    '"""x\\"""\n[[rules]]"""',
    '"""""two\n[a]"""""',
    '[ # ] [[rules]]\n  "a]", [1, [2, [3, [4, [5]]]]],\n  { x = "}" },\n]',
    '[\n[1],\n[["name"]],\n]',
    '{ x = 1, "y" = { x = [ "}" ] }, z.y = 2 }',
    '{ name = "inner", x = [\n"""\n[[rules]]\n"""\n] }',
    "1_000",
    "2020-01-01 07:32:00",
]
TRICKY_KEYS = ["name", "name", "shell", "input", "y", "rules", "namespace", "name.x", "y.x", "x"]
TRICKY_KEYS += ['"name"', "'name'", '"n\\u0061me"', "y . 'a.b' .x", '"shell"', '"" . x', "names"]
TRICKY_HEADERS = ["[[rules]]"] * 5 + ["[[ rules ]]", '[["rules"]]', "[rules.y]", "[[rules.y]]"]
TRICKY_HEADERS += ["[[include]]", "[config]", "[ config . y ]", "[y.x.z]", "[y]", "[[y.x]]"]


@st.composite
def tricky_texts(draw):
    """A valid TOML text whose strings, comments and keys look like headers and names of rules."""
    endings = st.sampled_from(["", "", " ", "# [[rules]]", " # name = 'no'", "\n", "\n# x = '\n\n"])
    lines = []
    for header in ["", *draw(st.lists(st.sampled_from(TRICKY_HEADERS), max_size=8))]:
        lines.append(header + draw(endings))
        for key in draw(st.lists(st.sampled_from(TRICKY_KEYS), max_size=4)):
            value = draw(st.sampled_from(TRICKS))
            equals = draw(st.sampled_from([" = ", "=", "\t=  "]))
            lines.append(f"{draw(space)}{key}{equals}{value}{draw(endings)}")
    return _without_clashes(lines, draw(st.sampled_from(["\n", "\n", "\r\n"])))


def _without_clashes(lines: list[str], ending: str) -> str:
    """Leave out the lines that TOML forbids after the ones before them (keys twice)."""
    kept: list[str] = []
    for line in lines:
        try:
            tomli.loads("\n".join([*kept, line]))
        except tomli.TOMLDecodeError:
            continue
        kept.append(line)
    return ending.join(line.replace("\n", ending) for line in kept)
