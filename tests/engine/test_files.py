"""Files are read once for each content, and what cannot be read says so."""

import hashlib
import os
import threading
import time

import pytest
from msgspec.structs import replace

from oxoflow.engine.files import MISSING, READERS, Listing, WorkFiles
from tests.engine.running import execute, rule
from tests.patience import PATIENCE


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    return WorkFiles(str(tmp_path))


def test_a_file_has_the_sha256_of_its_content(files, tmp_path):
    assert files.digest("a.txt") == sha(b"a")
    assert files.digest(str(tmp_path / "a.txt")) == sha(b"a")
    assert files.digest("none") == MISSING
    assert files.digest("a\0b") == MISSING


def test_an_unchanged_file_is_never_read_twice(files, tmp_path, monkeypatch):
    files.digest("a.txt")
    learned = {entry.path: entry for entry in files.take_learned()}
    later = WorkFiles(str(tmp_path), lambda: learned)
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert later.digest("a.txt") == sha(b"a")
    assert later.identify("a.txt") == sha(b"a")
    assert later.take_learned() == []


def test_a_rewrite_of_the_same_size_with_its_time_restored_is_noticed(files, tmp_path):
    path = tmp_path / "a.txt"
    files.digest("a.txt")
    before = path.stat()
    path.write_text("b")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert files.digest("a.txt") == sha(b"b")


def test_an_edit_within_the_second_is_noticed_where_times_are_whole_seconds(tmp_path, monkeypatch):
    at = 1_800_000_000 * 10**9
    times = {f"st_{kind}time_ns": at for kind in "amc"}

    def in_seconds(real):
        return lambda *asked, **how: os.stat_result(tuple(real(*asked, **how))[:10], times)

    monkeypatch.setattr(os, "stat", in_seconds(os.stat))
    monkeypatch.setattr(os, "fstat", in_seconds(os.fstat))
    learned = {}
    for text, seconds in (("old", 0.5), ("new", 0.9), ("new", 3.0)):
        monkeypatch.setattr(time, "time_ns", lambda age=seconds: at + int(age * 10**9))
        (tmp_path / "in").write_text(text)
        files = WorkFiles(str(tmp_path), learned.copy)
        assert files.digest("in") == sha(text.encode())
        learned = {entry.path: entry for entry in files.take_learned()}
    assert learned["in"].sha256 == sha(b"new")  # what is old enough is not read again


def test_paranoid_reads_again_but_once_a_process(files, tmp_path):
    files.digest("a.txt")
    learned = {entry.path: replace(entry, sha256="stale") for entry in files.take_learned()}
    assert WorkFiles(str(tmp_path), lambda: learned).digest("a.txt") == "stale"
    paranoid = WorkFiles(str(tmp_path), lambda: learned, paranoid=True)
    assert not isinstance(paranoid.identify("a.txt"), str)
    assert paranoid.digest("a.txt") == sha(b"a")
    assert paranoid.identify("a.txt") == sha(b"a")


def test_a_directory_counts_with_names_and_contents(files, tmp_path):
    folder = tmp_path / "d"
    (folder / "in").mkdir(parents=True)
    (folder / "in/x").write_text("1")
    first = files.digest("d")
    assert files.digest("d/") == first
    (folder / "in/x").write_text("2")
    second = files.digest("d")
    (folder / "in/x").rename(folder / "in/y")
    third = files.digest("d")
    (folder / "empty").mkdir()
    assert len({first, second, third, files.digest("d")}) == 4
    (folder / "loop").symlink_to(folder)
    assert files.digest("d")


def test_what_is_no_file_is_not_opened(files, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert files.digest("pipe").startswith("special:")


def test_reading_ahead_learns_everything_at_once(files, tmp_path):
    for number in range(20):
        (tmp_path / f"f{number}").write_text(str(number))
    files.read_ahead([*(f"f{number}" for number in range(20)), "none", "f1"])
    learned = {entry.path: entry.sha256 for entry in files.take_learned()}
    assert learned == {f"f{number}": sha(str(number).encode()) for number in range(20)}
    assert files.last_digest("f3") == sha(b"3")


def test_however_many_ask_only_a_few_files_are_read_at_once(tmp_path, monkeypatch):
    reading, enough, too_many, go_on = [], threading.Event(), threading.Event(), threading.Event()

    def read(descriptor, abandoned):
        reading.append(descriptor)
        if len(reading) == READERS:
            enough.set()
        if len(reading) > READERS and not go_on.is_set():
            too_many.set()
        go_on.wait(PATIENCE)
        return "digest"

    monkeypatch.setattr("oxoflow.engine.files._sha256", read)
    files = WorkFiles(str(tmp_path))
    names = [str(at) for at in range(4 * READERS)]
    for name in names:
        (tmp_path / name).touch()
    threads = [threading.Thread(target=files.digest, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    assert enough.wait(PATIENCE)
    assert not too_many.wait(0.2)
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(reading) == len(names)


def test_globs_see_hidden_files_and_are_sorted(files, tmp_path):
    for name in (".h.txt", "b.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/c.txt").write_text("")
    assert files.glob("*.txt") == [".h.txt", "a.txt", "b.txt"]
    assert files.glob("**/c.txt") == ["d/c.txt"]
    assert files.glob(f"{tmp_path}/d/*") == [f"{tmp_path}/d/c.txt"]
    assert files.present("*.txt")
    assert not files.present("*.bam")


def test_a_listing_is_a_snapshot(files, tmp_path):
    listing = Listing(files)
    assert listing.present("a.txt")
    assert not listing.present("new/b.txt")
    (tmp_path / "c.txt").write_text("")
    assert not listing.present("c.txt")
    assert listing.present("*.txt")
    assert listing.present("./")
    assert listing.present("a.txt/")


def test_content_is_read_through_the_view(files):
    assert files.read("a.txt") == b"a"
    assert files.read("none") is None


def test_a_directory_counts_without_named_paths_and_without_our_records(files, tmp_path):
    folder = tmp_path / "d"
    (folder / "sub").mkdir(parents=True)
    (folder / "x").write_text("1")
    before = files.digest("d", without=("d/sum.txt", "d/sub"))
    (folder / "sum.txt").write_text("1")
    (folder / "sub/y").write_text("1")
    (folder / ".oxo-flow").mkdir()
    (folder / ".oxo-flow/state").write_text("1")
    assert files.digest("d/", without=("d/sum.txt", "./d/sub/")) == before
    assert files.digest("d") != before
    assert files.digest(".", without=("d",)) == files.digest("./", without=("d",))


def test_remembering_asks_the_system_once(files, tmp_path):
    with files.remembering():
        assert not files.exists("late")
        (tmp_path / "late").write_text("")
        assert not files.exists("late")
    assert files.exists("late")


def test_the_log_of_the_run_is_no_input_of_its_jobs(tmp_path):
    (tmp_path / "mine.log").write_text("x\n")
    text = rule("a", "cat {input} > {output}; echo said", input=["*.log"], output=["o"])
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "execution.log").exists()
    assert execute(tmp_path, text).counts.skipped == 1
