"""Parts of files: exact lengths, text without broken bytes, and files that shrink."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxoflow.web.filebody import Part, Shrunk, TextPart, as_text

PIECES = [b"a", "é".encode(), "€".encode(), "😀".encode(), b"\xff", b"\xe2"]


def part(path: Path, start: int, length: int, kind: type[Part] = Part) -> Part:
    return kind(os.open(path, os.O_RDONLY), start, length)


def test_a_part_is_read_in_pieces_and_again_after_seeking(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    body = part(path, 2, 6)
    assert [body.read(4), body.read(4), body.read(4)] == [b"2345", b"67", b""]
    assert (body.seek(-2, os.SEEK_END), body.tell(), body.read()) == (4, 4, b"67")
    body.close()
    body.close()


def test_a_file_that_shrinks_is_an_error_and_not_an_endless_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    body = part(path, 0, 10)
    assert body.read(5) == b"01234"
    path.write_bytes(b"")
    with pytest.raises(Shrunk):
        body.read(5)
    body.close()


@given(st.binary(max_size=64) | st.text(max_size=32).map(str.encode))
def test_as_text_keeps_the_length_and_every_good_character(data: bytes) -> None:
    text = as_text(data)
    assert len(text) == len(data)
    text.decode()
    if data.decode(errors="ignore").encode() == data:
        assert text == data


@given(
    data=st.lists(st.sampled_from(PIECES)).map(b"".join),
    start=st.integers(0, 40),
    size=st.integers(1, 9),
)
def test_pieces_of_text_join_to_the_text_wherever_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, start: int, size: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "text"
    path.write_bytes(data)
    start = min(start, len(data))
    body = part(path, start, len(data) - start, TextPart)
    pieces = b"".join(iter(lambda: body.read(size), b""))
    body.close()
    assert pieces == as_text(data)[start:]
