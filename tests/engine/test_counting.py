"""Count lines as people do on the command line, also of packed files."""

import gzip
import os

import pytest

from oxoflow.engine.counting import count_lines
from oxoflow.engine.files import WorkFiles


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("content", "lines"),
    [(b"", 0), (b"a", 1), (b"a\n", 1), (b"a\n\nb", 3), (b"x\n" * 700_000, 700_000)],
)
def test_lines_are_counted_packed_or_not(tmp_path, content, lines, pack):
    (tmp_path / "f").write_bytes(pack(content))
    assert WorkFiles(str(tmp_path)).lines("f") == lines


def test_a_file_packed_in_several_parts_is_counted_whole(tmp_path):
    (tmp_path / "f").write_bytes(gzip.compress(b"a\nb\n") + gzip.compress(b"c\n") + bytes(9))
    (tmp_path / "many").write_bytes(gzip.compress(b"abcdefg\n" * 100) * 30_000)
    files = WorkFiles(str(tmp_path))
    assert (files.lines("f"), files.lines("many")) == (3, 3_000_000)


def test_a_file_that_changed_is_counted_again(tmp_path):
    path = tmp_path / "f"
    path.write_text("a\n")
    assert count_lines(str(path), os.stat(path)) == 1
    path.write_text("a\nb\n")
    assert count_lines(str(path), os.stat(path)) == 2


def test_what_is_no_whole_file_has_no_lines(tmp_path):
    (tmp_path / "cut").write_bytes(gzip.compress(b"many lines\n" * 1000)[:-9])
    (tmp_path / "odd").write_bytes(b"\x1f\x8bnot packed")
    files = WorkFiles(str(tmp_path))
    assert [files.lines(name) for name in ("cut", "odd", ".", "gone")] == [None] * 4
    assert [files.size(name) for name in ("odd", ".", "gone")] == [12, None, None]
