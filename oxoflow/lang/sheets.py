"""Read sample sheets and pair sheets: CSV, TSV or JSON bytes into groups and pairs.

Owns the file formats of spec/oxoflow-format.md 1.13 and 1.14, and of metadata sheets, which are
later than it. Gets bytes, never opens a file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from oxoflow.lang.lists import split_commas
from oxoflow.lang.model import Pair, SampleGroup
from oxoflow.lang.nearest import most_alike
from oxoflow.lang.paths import suffix
from oxoflow.lang.shapes import STRING, Table, Wrong, same
from oxoflow.lang.tables import PAIR, SAMPLE_GROUP
from oxoflow.lang.values import config_text
from oxoflow.limits import DEFAULT

T = TypeVar("T")
_DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t", "": "\t"}
# What parts the cells of a header that was read as one cell, and the cure.
_SEPARATORS = {
    "\t": "its cells are parted by tabs: let the file end in .tsv",
    ",": "its cells are parted by commas: let the file end in .csv",
    ";": "its cells are parted by semicolons: part them by tabs, or by commas in a .csv file",
    " ": "its cells are parted by spaces: part them by tabs, or by commas in a .csv file",
}
_PAIR_COLUMNS = {
    "pair_id": ("pair_id",),
    "experiment": ("experiment", "tumor"),
    "control": ("control", "normal"),
}
_TYPE_COLUMNS = ("experiment_type", "tumor_type")
_BOUND = ("name", "samples", "group", "sample")  # columns that are no metadata of a group


class SheetError(Exception):
    """A sheet cannot be read; the message names row and cure, not the file."""


def read_pairs(path: str, data: bytes, largest: int = DEFAULT.sheet) -> tuple[Pair, ...]:
    """Read a pair sheet (1.13); the suffix of `path` chooses the format. Raises SheetError."""
    return _read(path, _small(data, largest), PAIR, _pairs)


def read_groups(path: str, data: bytes, largest: int = DEFAULT.sheet) -> tuple[SampleGroup, ...]:
    """Read a sample sheet (1.14); the suffix of `path` chooses the format. Raises SheetError."""
    return _read(path, _small(data, largest), SAMPLE_GROUP, _groups)


def read_metadata(
    path: str, data: bytes, largest: int = DEFAULT.sheet
) -> Mapping[str, Mapping[str, str]]:
    """Read the columns of each sample, named in the first one. Raises SheetError."""
    return dict(_read(path, _small(data, largest), _METADATA, _metadata))


def _make_metadata(
    sample: str, extra: Mapping[str, Any] | None = None
) -> tuple[str, Mapping[str, str]]:
    return sample, {name: config_text(value) for name, value in (extra or {}).items()}


_METADATA = Table(_make_metadata, same(sample=STRING), required=("sample",), keep_extra=True)


def _small(data: bytes, largest: int) -> bytes:
    if len(data) > largest:
        raise SheetError(f"it has {len(data)} bytes, more than {largest}; split it")
    return data


def _read(
    path: str,
    data: bytes,
    table: Table[T],
    read_rows: Callable[[Sequence[str], Iterator[tuple[int, list[str]]]], Iterator[T]],
) -> tuple[T, ...]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SheetError(f"line {line} is not UTF-8 text; save the file as UTF-8") from None
    if "\x00" in text:
        raise SheetError("it holds a NUL byte; save it as plain text")
    kind = suffix(path)
    if kind == ".json":
        return _from_json(text, table)
    if kind not in _DELIMITERS:
        raise SheetError(f"its format '{kind}' is unknown; use .csv, .tsv, .txt or .json")
    rows = _rows(text, _DELIMITERS[kind])
    header = next(rows, None)
    if header is None:
        raise SheetError("it is empty; start it with a header row")
    return tuple(read_rows(header[1], rows))


def _from_json(text: str, table: Table[T]) -> tuple[T, ...]:
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SheetError(f"it is not valid JSON: {error}") from None
    if not isinstance(items, list):
        raise SheetError("it must hold a JSON array of objects; write [ and ] around them")
    if "\\u0000" in text and any("\x00" in each for each in _strings(items)):
        raise SheetError("it holds a NUL character (\\u0000); remove it")
    result = []
    for number, item in enumerate(items, 1):
        try:
            result.append(table.read(_without_null(item)))
        except Wrong as error:
            fault = error.faults[0]
            where = ".".join([str(step) for step in fault.path])
            cure = f"; {fault.suggestion}" if fault.suggestion else ""
            raise SheetError(f"entry {number}: {where} {fault.text}{cure}") from None
    return tuple(result)


def _strings(value: Any) -> Iterator[str]:
    """Yield every string of a JSON value, keys too."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting += [*item, *item.values()]
        elif isinstance(item, list):
            waiting += item


def _without_null(item: Any) -> Any:
    """A JSON null says what an absent key says."""
    if isinstance(item, dict):
        return {key: value for key, value in item.items() if value is not None}
    return item


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Give the rows that hold something, trimmed and numbered; the header is row 1."""
    lines = [line for line in io.StringIO(text, newline="") if not line.lstrip().startswith("#")]
    reader = csv.reader(lines, delimiter=delimiter)
    number = 0
    try:
        for cells in reader:
            trimmed = [cell.strip() for cell in cells]
            if any(trimmed) or len(trimmed) > 1:
                number += 1
                yield number, trimmed
    except csv.Error as error:
        raise SheetError(f"row {number + 1} cannot be read: {error}") from None


def _columns(header: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Find each wanted column under one of its names."""
    places = {}
    for name, choices in wanted.items():
        found = [header.index(choice) for choice in choices if choice in header]
        if not found:
            either = " or ".join([f"'{choice}'" for choice in choices])
            listed = ", ".join(header)[:100]
            message = f"there is no column {either} in the header row ({listed})"
            raise SheetError(f"{message}; {_column_cure(choices[0], header)}")
        places[name] = found[0]
    return places


def _column_cure(name: str, header: Sequence[str]) -> str:
    """Say what to do about a column that a header lacks: cells are not apart, or it is misspelt."""
    for mark, words in _SEPARATORS.items():
        if len(header) == 1 and mark in header[0]:
            return words
    near = most_alike(name, header)
    if near:
        return f"call '{near}' so, if that is meant"
    if name in ("name", "samples") and "sample" in header:
        return "give each group one row, or name a sheet with a row a sample as metadata_file"
    return "add it"


def _checked(
    header: Sequence[str], rows: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    for number, cells in rows:
        if len(cells) != len(header):
            more = len(cells) > len(header)
            quoting = ', with a list in one cell between quotes: "A,B"' if more else ""
            raise SheetError(
                f"row {number} has {len(cells)} cells, and the header has {len(header)} (row 1 is "
                f"the header); make them equal{quoting}"
            )
        yield number, cells


def _pairs(header: Sequence[str], rows: Iterator[tuple[int, list[str]]]) -> Iterator[Pair]:
    places = _columns(header, _PAIR_COLUMNS)
    kinds = [header.index(name) for name in _TYPE_COLUMNS if name in header]
    used = {*places.values(), *kinds}
    others = [(i, name) for i, name in enumerate(header) if i not in used and name]
    for number, cells in _checked(header, rows):
        pair_id, experiment = cells[places["pair_id"]], cells[places["experiment"]]
        if not pair_id or not experiment:
            empty = "experiment" if pair_id else "pair_id"
            raise SheetError(f"row {number} has an empty {empty}; fill it in")
        yield Pair(
            pair_id,
            experiment,
            cells[places["control"]],
            next((cells[i] for i in kinds if cells[i]), None),
            {name: cells[i] for i, name in others},
        )


def _groups(header: Sequence[str], rows: Iterator[tuple[int, list[str]]]) -> Iterator[SampleGroup]:
    places = _columns(header, {"name": ("name",), "samples": ("samples",)})
    others = [(i, name) for i, name in enumerate(header) if name and name not in _BOUND]
    for number, cells in _checked(header, rows):
        if not cells[places["name"]]:
            raise SheetError(f"row {number} has an empty name; fill it in")
        metadata = {name: _spaced(cells[i]) for i, name in others if cells[i]}
        samples = split_commas(cells[places["samples"]])
        yield SampleGroup(cells[places["name"]], samples, metadata)


def _spaced(cell: str) -> str:
    """Several paths in one cell, joined by semicolons, become words of a command."""
    return " ".join([part.strip() for part in cell.split(";")]) if ";" in cell else cell


def _metadata(
    header: Sequence[str], rows: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[str, Mapping[str, str]]]:
    for number, cells in _checked(header, rows):
        if not cells[0]:
            raise SheetError(f"row {number} has no sample; fill it in")
        yield cells[0], dict(zip(header[1:], cells[1:], strict=True))
