"""Find the outputs that an input names: by equality, directory, glob or template.

Owns spec/oxoflow-format.md 4.1 for one input against many outputs. Indexed by exact path, by
literal prefix and by literal suffix, so that n inputs against n outputs cost n log n. Pure.
"""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from oxoflow.lang.wildcards import PLACEHOLDER

_EXTENSIONS = (
    "fa fasta fq fastq txt tsv csv json yaml yml toml bam sam cram vcf bcf bed gff gff3 gtf gbff "
    "dict bai fai tbi csi png pdf html htm log md rst zip tar gz bz2 xz zst"
)
FILE_EXTENSIONS = frozenset(_EXTENSIONS.split())
_GLOB_CHARS = re.compile(r"[*?\[]")
_LAST = chr(0x10FFFF)
MAX_WIDE_STARS = 4  # `**` in one glob


def is_glob(path: str) -> bool:
    """Say whether a path holds glob characters."""
    return _GLOB_CHARS.search(path) is not None


def looks_like_directory(path: str) -> bool:
    """Say whether an input without wildcards is read as a directory for edges (4.1)."""
    if path.endswith("/"):
        return True
    last = path.rpartition("/")[2]
    stem, dot, extension = last.rpartition(".")
    return not dot or not stem or extension.lower() not in FILE_EXTENSIONS


def tidy(path: str) -> str:
    """Drop `./` and doubled slashes, so that two spellings of one path are one; keep a last `/`."""
    if ("./" not in path and "//" not in path) or "://" in path:
        return path
    return posixpath.normpath(path) + ("/" if path.endswith("/") else "")


def bare(path: str) -> str:
    """Give a path as every spelling of it has in common: tidy, and without a `/` at its end."""
    return tidy(path).rstrip("/")


def glob_pattern(glob: str) -> re.Pattern[str] | None:
    """Compile a glob whose `*` and `?` stay inside one component; None when it is malformed.

    Every `*` but the last is atomic: inside one component the leftmost fit of what follows leaves
    most room for the rest, so giving back never helps, and no glob takes more than linear time
    for each star. `**` may give back, and is allowed a few times only.
    """
    pieces: list[str] = []
    star = ""  # the star that waits for the text behind it
    text = ""
    wide = 0
    at = 0
    while at < len(glob):
        if glob[at] == "*":
            end = at + len(glob[at:]) - len(glob[at:].lstrip("*"))
            pieces.append(f"(?>{star}{text})" if star else text)
            star, text = "", ""
            if end - at == 1:
                star = "[^/]*?"
            else:
                wide += 1
                deep = glob.startswith("/", end)
                pieces.append("(?:.*/)?" if deep else ".*")
                end += deep
            at = end
        elif glob[at] == "[":
            found = _bracket(glob, at)
            if found is None:
                return None
            text, at = text + found[0], found[1]
        else:
            text, at = text + ("[^/]" if glob[at] == "?" else re.escape(glob[at])), at + 1
    pieces.append(star.removesuffix("?") + text)
    try:
        return re.compile("(?s:" + "".join(pieces) + r")\Z") if wide <= MAX_WIDE_STARS else None
    except re.error:
        return None


def _bracket(glob: str, at: int) -> tuple[str, int] | None:
    start = at + 1
    negated = glob[start : start + 1] in ("!", "^")
    start += negated
    end = glob.find("]", start + 1)
    if end < 0:
        return None
    body = re.sub(r"([\\\[\]^&~|])", r"\\\1", glob[start:end])
    return f"(?!/)[{'^' if negated else ''}{body}]", end + 1


def template_fits(literals: Sequence[str], text: str) -> bool:
    """Say whether `text` is the template with every placeholder read as non-blank characters.

    `literals` are the pieces between the placeholders. Taking the leftmost fit of each piece
    leaves most room for the rest, so one pass without backtracking decides.
    """
    if not text.startswith(literals[0]):
        return False
    at = len(literals[0])
    for piece in literals[1:-1]:
        found = text.find(piece, at + 1)
        if found < 0 or _blank(text, at, found):
            return False
        at = found + len(piece)
    end = len(text) - len(literals[-1])
    return end > at and text.endswith(literals[-1]) and not _blank(text, at, end)


def _blank(text: str, start: int, end: int) -> bool:
    return any(char.isspace() for char in text[start:end])


class OutputIndex:
    """All outputs of a workflow, ready to be asked which of them an input means.

    An output is (path, owner); answers are owners, each possibly more than once.
    """

    def __init__(self, outputs: Iterable[tuple[str, int]]) -> None:
        self.owners: dict[str, int | list[int]] = {}
        templates = False
        for path, owner in outputs:
            known = self.owners.setdefault(path, owner)
            if known is not owner and known != owner:
                if isinstance(known, list):
                    known.append(owner)
                else:
                    self.owners[path] = [known, owner]
            templates = templates or "{" in path
        self._has_templates = templates

    def exact(self, path: str) -> Sequence[int]:
        """Give the owners of a path, in order of declaration."""
        found = self.owners.get(path, ())
        return (found,) if isinstance(found, int) else found

    def shared(self) -> Iterator[tuple[str, Sequence[int]]]:
        """Give every path that has several owners."""
        for path, owners in self.owners.items():
            if isinstance(owners, list):
                yield path, owners

    def match(self, path: str) -> list[int]:
        """Give the owners of every output that an input path means (4.1 steps 1, 3 and 4)."""
        found = list(self.exact(path))
        if _GLOB_CHARS.search(path):
            found += self._glob(path)
        elif "{" not in path:
            if self._has_templates:
                found += self._templates(path)
            if looks_like_directory(path):
                found += self._directory(path)
        return found

    def match_directory(self, directory: str, pattern: str | None) -> list[int]:
        """Give the owners of the outputs inside a declared directory (4.1 step 2)."""
        prefix = directory.rstrip("/") + "/"
        if not pattern:
            return [*self.exact(directory.rstrip("/")), *self._below(prefix)]
        compiled = glob_pattern(pattern)
        if compiled is None:
            return []
        paths = _range(self._sorted, prefix)
        inside = (path for path in paths if path == prefix or compiled.match(path, len(prefix)))
        owners = [owner for path in inside for owner in self.exact(path)]
        return [*self.exact(directory.rstrip("/")), *owners]

    def _directory(self, path: str) -> list[int]:
        """Give the owners of a directory however its end is written, and of what is in it."""
        base = path.rstrip("/")
        return [*(self.exact(base) if base != path else ()), *self._below(base + "/")]

    def match_shape(self, pattern: str) -> list[int]:
        """Give the owners of templates that differ from `pattern` in placeholder names only."""
        if not self._has_templates:
            return []
        return self._shapes.get(PLACEHOLDER.sub("{}", pattern), [])

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.owners)

    @cached_property
    def _reversed(self) -> list[str]:
        return sorted(path[::-1] for path in self.owners)

    @cached_property
    def _shapes(self) -> dict[str, list[int]]:
        shapes: dict[str, list[int]] = {}
        for path in self.owners:
            if "{" in path:
                shapes.setdefault(PLACEHOLDER.sub("{}", path), []).extend(self.exact(path))
        return shapes

    @cached_property
    def _buckets(self) -> dict[tuple[str, str], list[tuple[list[str], str]]]:
        """Templates by what stands before the first and after the last placeholder."""
        buckets: dict[tuple[str, str], list[tuple[list[str], str]]] = {}
        for path in self.owners:
            literals = PLACEHOLDER.sub("\0", path).split("\0")
            if len(literals) > 1:
                key = (literals[0], literals[-1])
                buckets.setdefault(key, []).append((literals, path))
        return buckets

    @cached_property
    def _bucket_lengths(self) -> list[tuple[int, int]]:
        return sorted({(len(head), len(tail)) for head, tail in self._buckets})

    def _templates(self, path: str) -> Iterator[int]:
        size = len(path)
        for head, tail in self._bucket_lengths:
            if head + tail < size:
                for literals, output in self._buckets.get((path[:head], path[size - tail :]), ()):
                    if template_fits(literals, path):
                        yield from self.exact(output)

    def _below(self, prefix: str) -> list[int]:
        return [owner for path in _range(self._sorted, prefix) for owner in self.exact(path)]

    def _glob(self, glob: str) -> Iterator[int]:
        compiled = glob_pattern(glob)
        if compiled is None:
            return
        for path in self._glob_candidates(glob):
            if compiled.match(path):
                yield from self.exact(path)

    def _glob_candidates(self, glob: str) -> Iterable[str]:
        """Narrow the outputs by the literal beginning or end of the glob, whichever says more."""
        specials = [match.start() for match in re.finditer(r"[*?\[\]]", glob)]
        by_head = _range(self._sorted, glob[: specials[0]])
        tail = glob[specials[-1] + 1 :]
        if not tail or len(by_head) < 64:
            return by_head
        by_tail = _range(self._reversed, tail[::-1])
        return by_head if len(by_head) <= len(by_tail) else [path[::-1] for path in by_tail]


def _range(paths: list[str], prefix: str) -> list[str]:
    if not prefix:
        return paths
    return paths[bisect_left(paths, prefix) : bisect_left(paths, prefix + _LAST)]
