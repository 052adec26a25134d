"""Run a Vision node: read the text in a picture with tesseract, where it is installed.

`mock` answers a fixed text and says so. Other providers fail by name. The output has the form
`{provider, text, output_format, language}`.
"""

from __future__ import annotations

import base64
import binascii
import re
import shutil

from oxoflow.graph import model as m
from oxoflow.graph.nodes.program import run_program
from oxoflow.graph.template import render
from oxoflow.graph.work import Context, NodeFailure, Outcome

MAX_IMAGE = 32 * 1024 * 1024


def run_vision(kind: m.Vision, context: Context) -> Outcome:
    """Read the picture."""
    provider = kind.provider.lower()
    if provider == "mock":
        text = "mock: no picture was read"
    elif provider == "tesseract":
        text = _tesseract(kind, context)
    else:
        raise NodeFailure(
            f"Vision provider '{kind.provider}' is not available; there are mock and tesseract",
            retry=False,
        )
    output = {"provider": kind.provider, "text": text, "output_format": kind.output_format}
    return Outcome(output | {"language": kind.language})


def _tesseract(kind: m.Vision, context: Context) -> str:
    program = shutil.which("tesseract")
    if program is None:
        raise NodeFailure("tesseract is not installed here", retry=False)
    language = kind.language or "eng"
    if not re.fullmatch(r"[A-Za-z0-9_+]{1,40}", language):
        raise NodeFailure(f"'{language[:40]}' is no language of tesseract", retry=False)
    picture = _picture(render(kind.image_input, context.scope.lookup), context)
    directory = context.desk.scratch(context)
    try:
        (directory / "picture").write_bytes(picture)
        argv = [program, str(directory / "picture"), "stdout", "-l", language]
        finished = run_program(argv, context, directory, {})
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if finished.code != 0:
        said = finished.stderr.decode("utf-8", "replace").strip()[-1000:]
        raise NodeFailure(f"tesseract ended with exit code {finished.code}: {said}", retry=False)
    return finished.stdout.decode("utf-8", "replace").strip()


def _picture(given: str, context: Context) -> bytes:
    """The bytes: Base64, a data URL, or a path among the execution's files."""
    text = given.partition("base64,")[2] if given.startswith("data:") else given
    files = context.desk.place("files").resolve()
    path = (files / text).resolve() if len(text) < 1000 and "\0" not in text else files
    if files in path.parents and path.is_file():
        if path.stat().st_size > MAX_IMAGE:
            raise NodeFailure(f"the picture is larger than {MAX_IMAGE} bytes", retry=False)
        return path.read_bytes()
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NodeFailure(
            "image_input is neither Base64 nor a file of this execution", retry=False
        ) from None
