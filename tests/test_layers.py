"""Hold the import direction of the design: a module imports from its own row or from rows above."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROWS = (
    ("oxoflow", "oxoflow.errors", "oxoflow.limits", "oxoflow.settings"),
    ("oxoflow.lang",),
    ("oxoflow.environments",),
    ("oxoflow.engine",),
    ("oxoflow.backends",),
    ("oxoflow.graph",),
    ("oxoflow.report",),
    ("oxoflow.cli", "oxoflow.__main__", "oxoflow.client", "oxoflow.commands"),
    ("oxoflow.gallery", "oxoflow.demo", "oxoflow.openapi"),
    (
        "oxoflow.db",
        "oxoflow.access",
        "oxoflow.workspace",
        "oxoflow.supervisor",
        "oxoflow.executions",
        "oxoflow.sandbox",
    ),
    ("oxoflow.web",),
    ("app",),
)
STATEMENT = re.compile(
    r"^\s*(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM"
    r"|CREATE\s+(TABLE|INDEX|VIRTUAL)|PRAGMA\s|BEGIN\s+IMMEDIATE)",
    re.IGNORECASE | re.DOTALL,
)


def modules() -> dict[str, Path]:
    found = {}
    for path in [ROOT / "app.py", *sorted((ROOT / "oxoflow").rglob("*.py"))]:
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = path
    return found


MODULES = modules()


def row_of(module: str) -> int | None:
    """The row of the longest listed name that is `module` or contains it."""
    best: tuple[int, int] | None = None
    for number, names in enumerate(ROWS):
        for name in names:
            inside = module == name or (name != "oxoflow" and module.startswith(name + "."))
            if inside and (best is None or len(name) > best[0]):
                best = (len(name), number)
    return best[1] if best else None


def imported(module: str, tree: ast.AST) -> set[str]:
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")
                above = above[: len(above) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                names.add(full if full in MODULES else base)
    return names


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_to_the_same_row_or_up(module: str) -> None:
    own = row_of(module)
    assert own is not None, f"{module} stands in no row of the design's table"
    tree = ast.parse(MODULES[module].read_text())
    for name in imported(module, tree):
        if name.split(".")[0] in ("oxoflow", "app"):
            other = row_of(name)
            assert other is not None, f"{module} imports {name}, which stands in no row"
            assert other <= own, f"{module} imports {name} from a row below its own"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_flask_appears_in_web_and_app_only(module: str) -> None:
    if module == "app" or module.startswith("oxoflow.web"):
        return
    tops = {name.split(".")[0] for name in imported(module, ast.parse(MODULES[module].read_text()))}
    assert not tops & {"flask", "werkzeug", "flask_sock", "flask_compress", "waitress"}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_sql_appears_in_db_and_state_only(module: str) -> None:
    if module.startswith("oxoflow.db") or module.startswith("oxoflow.engine.state"):
        return
    tree = ast.parse(MODULES[module].read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not STATEMENT.match(node.value), f"{module}:{node.lineno} holds SQL"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_stand_at_the_top(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for inner in ast.walk(node):
                assert not isinstance(inner, ast.Import | ast.ImportFrom), (
                    f"{module}:{inner.lineno} imports inside a function"
                )


def test_the_top_level_is_the_fixed_shape() -> None:
    shape = {"app.py", "oxoflow", "schema.sql", "requirements.txt", "tests", "README.md", "run.sh"}
    # `data` is the default home of a server that was started here
    there = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert there - {"data", "__pycache__"} == shape


@pytest.mark.parametrize("module", sorted(MODULES))
def test_records_are_cheap_to_make_when_a_command_starts(module: str) -> None:
    names = imported(module, ast.parse(MODULES[module].read_text()))
    assert "dataclasses" not in names, f"{module}: a struct of msgspec costs a twentieth"
