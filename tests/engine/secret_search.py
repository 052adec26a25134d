"""A workflow that prints its secret in every way, and the search for it in what a run left."""

import base64
import json
from pathlib import Path
from urllib.parse import quote, quote_plus

from tests.engine.running import rule

SECRET = "tops3cret/value+1!"
LONG = "A-rather-long-secret-" + "0123456789" * 9 + "/end!"


def forms(secret: str) -> list[bytes]:
    """What to search for: the value, its URL forms and its base64, whole and from inside a text."""
    raw = secret.encode()
    found = [raw, quote(secret).encode(), quote(secret, safe="").encode()]
    found.append(quote_plus(secret).encode())
    found.append(json.dumps(secret)[1:-1].encode())
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        found.append(encode(raw).rstrip(b"="))
        for shift in range(3):
            middle = encode(b"x" * shift + raw + b"xx")
            found.append(middle[4:-8])
    return found


def held_by(content: bytes, secret: str = SECRET) -> list[bytes]:
    joined = content.replace(b"\r", b"").replace(b"\n", b"")
    return [form for form in forms(secret) if form in content or form in joined]


def leaks(place: Path, secret: str = SECRET) -> list[str]:
    """The files below a place that hold a secret in any form, in the order of their names."""
    found = []
    for path in sorted(place.rglob("*")):
        if path.is_file():
            found += [f"{path}: {form!r}" for form in held_by(path.read_bytes(), secret)]
    return found


# Everything that could print it: plain, split, quoted, in base64, wrapped, inside longer texts.
PRINTING = (
    "echo '{config.key}'; echo '{config.key}' >&2; "
    "k='{config.key}'; printf %s \"${k:0:5}\"; sleep 0.2; printf '%s\\n' \"${k:5}\"; "
    "for n in 0 1 2 50 51 52; do head -c $n /dev/zero | tr '\\0' a > pad; "
    '{ cat pad; printf %s "$k"; cat pad; } | base64; '
    '{ cat pad; printf %s "$k"; cat pad; } | base64 -w 64 >&2; '
    '{ cat pad; printf %s "$k"; } | base64 -w 0 | tr +/ -_; echo; done; rm pad; '
    "echo \"https://u:$k@h\" | sed 's,\\([^:]\\)/,\\1%2F,g; s/+/%2B/g; s/!/%21/g' >&2; "
    "echo \"q=$k\" | sed 's,/,%2f,g; s/+/%2b/g'; "
)


def workflow(default: str = "") -> str:
    return (
        f"[config]\ntop = '/'\nkey = {{ default = '{default}', sensitive = true }}\n"
        + rule("talks", PRINTING + "exit 3", envvars={"TOKEN": "{config.key}"}, retries=1)
        + rule(
            "makes",
            PRINTING + "echo > {output}",
            output=["o"],
            params={"p": "{config.key}"},
            on_success="echo {config.key}",
            pre_exec="echo {config.key}",
        )
        + rule("long", "# " + "x" * 130_000 + "\necho '{config.key}' | cut -c1-3 > b", output=["b"])
        + rule("refused", "rm -rf {config.top} '{config.key}'", output=["c"])
        + rule("outside", "echo > /nowhere", output=["/{config.key}"])
        + rule("lost", "true", output=["d/{config.key}"])
        + rule("short", "true", input=["e/{config.key}"])
        + rule("shadowed", "echo '{config.key}' >&2; exit 1", output=["f"], shadow="minimal")
        + rule("plain", "echo {config.key}", when='config.key != "x"')
    )
