"""Hold how small records are replaced, and the words for what a disk refuses."""

import errno
import os

import pytest

from oxoflow.engine.disk import free_megabytes, replace_file, trouble
from oxoflow.errors import DiskTrouble


@pytest.mark.parametrize(
    ("number", "fact", "cure"),
    [
        (errno.ENOSPC, "No space left", "free some space"),
        (errno.EDQUOT, "quota", "free some of your quota"),
        (errno.EROFS, "Read-only file system", "remount"),
        (errno.EIO, "Input/output error", "check the disk"),
        (errno.ENOENT, "No such file", "was removed while in use"),
        (errno.EACCES, "Permission denied", "write access"),
        (errno.EFBIG, "File too large", "run again"),
    ],
)
def test_trouble_names_the_path_the_fact_and_the_cure(number, fact, cure):
    words = trouble("a/b", OSError(number, os.strerror(number))).message
    assert words.startswith("'a/b' could not be written: ")
    assert fact in words
    assert cure in words


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    replace_file(path, b"old")
    monkeypatch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(errno.EIO, "io")))
    with pytest.raises(DiskTrouble, match=r"run\.json"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["run.json"]


def test_a_directory_that_is_gone_is_named(tmp_path):
    with pytest.raises(DiskTrouble, match="was removed"):
        replace_file(tmp_path / "gone/run.json", b"")
    with pytest.raises(DiskTrouble, match="was removed"):
        free_megabytes(tmp_path / "gone")
    assert free_megabytes(tmp_path) > 0
