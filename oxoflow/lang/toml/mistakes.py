"""Say in the words of somebody who writes workflows what keeps a text from being TOML.

Owns the cure of each complaint of the parser, and better places for the few that it makes only
when the mistake lies behind it. Reads no value.
"""

from __future__ import annotations

import re

import tomli

from oxoflow.errors import Diagnostic
from oxoflow.lang.faults import error
from oxoflow.lang.latepattern import late
from oxoflow.lang.nearest import is_one_slip
from oxoflow.lang.toml.scan import Kind, Statement, statements

_RAW = "put the text between ''' and ''', where every character stays as it is"
_QUOTE = 'write text in quotes: key = "text"'
_LONGEST = 1 << 20  # characters of a text that is gone through for a better place
_COMPLAINT = late(r" \(at (?:line|end)[^()]*\)\Z")
# How a complaint of the parser begins, and the cure.
_CURES = (
    ("Unescaped '\\'", f"write \\\\ for a backslash, or {_RAW}"),
    ("Invalid hex value", f"write \\\\ for a backslash, or {_RAW}"),
    ("Unclosed array", "write a comma between two elements, and ] after the last one"),
    ("Unclosed inline table", "write a comma between two keys, and } after the last one"),
    ("Illegal character '\\n'", 'end the string with its quote, or put it between """ and """'),
    ("Illegal character", "remove the character"),
    ("Unterminated string", "end the string as it begins"),
    ("Invalid value", f"{_QUOTE}; true and false are small"),
    ("Expected newline or end of document", f'write \\" for a quote inside "…", or {_RAW}'),
    ("Expected '=' after a key", "write key = value"),
    ("Expected ']' at the end of a table", "write [table]"),
    ("Expected ']]' at the end of an array", "write [[table]]"),
    ("Invalid initial character for a key", "write key = value, the key in letters and digits"),
    ("Invalid statement", "write [table], [[table]], key = value, or # before a comment"),
    ("Cannot overwrite a value", "remove one of the two, or give it another key"),
    ("Cannot declare", "write it once, with all of its keys"),
    ("Cannot mutate", "write all of it in one place"),
    ("Duplicate inline table key", "remove one of the two"),
)
# What other languages write where the parser stops: behind a value, and in place of one.
_BEHIND = (
    (late(r"\s*[,;]\s*(?:#.*)?$"), "remove what ends the line: every key has one of its own"),
    (late(r"\s*/[/*]"), "begin a comment with #"),
)
_IN_PLACE = (
    (late(r"/[/*]"), "begin a comment with #"),
    (late(r"\("), "write a list between [ and ]"),
    (late(r"="), "write a single ="),
    (late(r"[A-Za-z]{1,2}[\"']"), "remove the letter before the quotes"),
    (late(r"(?i:none|null|nil|na)\b"), "leave the key out: there is no such value"),
    (late(r"<<"), 'put text of several lines between """ and """'),
)
_NEXT_KEY = late(r"[\w-]+[ \t]*=[^=]")
_ODD_QUOTES = "“”„‟‘’‚‛«»`"
_ODD_SPACE = late(r"[\u00a0\u2000-\u200f\u202f\u2060\u3000\ufeff]")
_WORD = late(r"\w+")
_TRUTHS = {
    **dict.fromkeys(("true", "yes", "on"), "true"),
    **dict.fromkeys(("false", "no", "off"), "false"),
}
_BARE_WORD = late(r"=[ \t]*+[0-9][\w.%/:]*+[ \t]*+(?:#.*)?\Z")
_TUPLE = late(r"\((?:'[^']*'(?:, )?)+,?\)")


def invalid(text: str, fault: tomli.TOMLDecodeError) -> Diagnostic:
    """Make the finding about a text that `tomli` refused."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    message = str(fault)
    line, column = getattr(fault, "lineno", None), getattr(fault, "colno", None)
    cure = next((cure for start, cure in _CURES if message.startswith(start)), None)
    said = _COMPLAINT.sub("", message)
    if said == "Unterminated string":
        line, column = _opening(text)
    elif line is not None and said == "Cannot overwrite a value" and len(text) <= _LONGEST:
        again = _statement(text, line)
        if again is not None:
            line, column = _place(text, again.start)
            said = f"{_called(again)} stands twice"
            names = list(again.key) if again.kind is Kind.ELEMENT else []
            wrong = _wrong_header(text, names, line, is_new=True) if len(names) == 1 else None
            if wrong is not None:
                line, column = _place(text, wrong.start)
                said, cure = f"{_called(wrong)} begins no {_called(again)}", f"write [[{names[0]}]]"
    elif line is not None and said.startswith("Cannot declare"):
        found = _TUPLE.search(said)
        names = re.findall(r"'([^']*)'", found[0]) if found else []
        said = f"[{'.'.join(names)}] stands twice"
        column = 1 + len(_line(text, line)) - len(_line(text, line).lstrip())
        if len(names) > 1:
            cure = f"write it once, with all of its keys, or begin anew with [[{names[0]}]]"
        wrong = None
        if names and len(text) <= _LONGEST:
            wrong = _wrong_header(text, names, line, is_new=False)
        if wrong is not None:
            line, column = _place(text, wrong.start)
            said = f"{_called(wrong)} begins no [[{names[0]}]]: below the one above, {said}"
            cure = f"write [[{names[0]}]]"
    elif column is not None and said.startswith(("Unescaped", "Invalid hex")):
        column = max(column - 2, 1)  # the parser stands behind the backslash and its letter
    elif (
        line is not None
        and said.startswith("Expected newline")
        and _BARE_WORD.search(_line(text, line))
    ):
        cure = _QUOTE
    if line is not None and column is not None:
        cure = _cure_of_line(_line(text, line), column, said) or cure
    place = f" (at line {line}, column {column})" if line else ""
    message = f"not valid TOML: {said}{place}"
    return error("S001", message, line=line, column=column, suggestion=cure)


def _cure_of_line(line: str, column: int, said: str) -> str | None:
    """Give the cure for what other programs and languages put into a line, if that is the fault."""
    here, rest = line[column - 1 : column], line[column - 1 :]
    if _ODD_SPACE.search(line[max(0, column - 2) : column + 1]):
        return "type a plain space: an unusual one stands here, as from a web page"
    if said.startswith("Expected newline"):
        if line[: column - 1].endswith((" ", "\t")) and _NEXT_KEY.match(rest):
            return "begin a new line for each key"
        return next((cure for sign, cure in _BEHIND if sign.match(rest)), None)
    if said.startswith("Invalid value"):
        word = _WORD.match(rest)
        if here and here in _ODD_QUOTES:
            return "type plain quotes, \" or ': these are those of a word processor"
        if word and word[0].lower() in _TRUTHS:
            return f"write {_TRUTHS[word[0].lower()]}, in small letters and without quotes"
        if foreign := next((cure for sign, cure in _IN_PLACE if sign.match(rest)), None):
            return foreign
        return None if rest.strip() else 'write the value behind the =, a list as ["a", "b"]'
    if said.startswith("Expected '='") and rest.lstrip().startswith(":"):
        return "write = in place of the colon"
    return None


def _line(text: str, number: int) -> str:
    """Give one line of a text, from 1, without its end."""
    start = _start(text, number)
    end = text.find("\n", start)
    return text[start : end if end >= 0 else len(text)]


def _start(text: str, number: int) -> int:
    """Give where a line begins, from 1; the end of the text for a line that it does not have."""
    start = 0
    for _ in range(number - 1):
        start = text.find("\n", start) + 1
        if not start:
            return len(text)
    return start


def _place(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _opening(text: str) -> tuple[int, int]:
    """Give the place of the quotes that open the string that never ends: the last of the text."""
    return _place(text, max(text.rfind('"""'), text.rfind("'''"), 0))


def _statement(text: str, line: int) -> Statement | None:
    """Give the key or header that ends in a line."""
    offset = 0
    for _ in range(line):
        offset = text.find("\n", offset) + 1 or len(text)
    last = None
    for each in statements(text):
        if each.start >= offset:
            break
        if each.kind not in (Kind.COMMENT, Kind.BLANK):
            last = each
    return last


def _wrong_header(text: str, names: list[str], line: int, *, is_new: bool) -> Statement | None:
    """Give the header that was to begin another element of the array whose table stands twice.

    It is misspelt, or has one pair of brackets; what follows it counts for the element before.
    """
    found: Statement | None = None
    begun = is_new  # something to begin another one of, or the first
    start, end = _start(text, line), _start(text, line + 1)
    for each in statements(text):
        if each.start >= end:
            break
        if each.kind is Kind.ELEMENT and list(each.key) == names[:1]:
            if each.start < start:
                begun, found = True, None
        elif (
            each.kind in (Kind.TABLE, Kind.ELEMENT)
            and len(each.key) == 1
            and _is_like(each.key[0].lower(), names[0])
        ):
            found = each
    return found if begun else None


def _is_like(name: str, known: str) -> bool:
    return name == known or is_one_slip(name, known)


def _called(statement: Statement) -> str:
    name = ".".join(statement.key)
    if statement.kind is Kind.PAIR:
        return f"the key '{name}' of one table"
    return f"[[{name}]]" if statement.kind is Kind.ELEMENT else f"[{name}]"
