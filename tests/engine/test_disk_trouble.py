"""Take the disk away under a run: it says what it could not write, and goes on when cured."""

import errno
import os
import shutil
import subprocess
from collections import Counter

import pytest

from oxoflow.engine.disk import is_full
from oxoflow.engine.rundir import RunDirectory, RunState
from oxoflow.errors import DiskTrouble
from tests.engine.mounting import mount, mount_memory
from tests.engine.running import events, execute, processes_in, records, rule, start
from tests.patience import PATIENCE, wait_until

WORDS = {
    errno.ENOSPC: "No space left on device; free some space, then run again",
    errno.EIO: "Input/output error; check the disk and the kernel's log, then run again",
    errno.EROFS: "Read-only file system; remount the file system writable, then run again",
}
# `b` is under way when the disk fails, `c` ends after that, `d` would be next.
STEPS = (
    rule("a", "echo a > a", output=["a"])
    + rule(
        "b",
        "[ -e cured ] || { echo half > b; touch armed; sleep 330; }; echo whole > b",
        input=["a"],
        output=["b"],
    )
    + rule(
        "c",
        "until [ -e armed -o -e cured ]; do sleep 0.01; done; echo c | tee c",
        input=["a"],
        output=["c"],
    )
    + rule("d", "echo d > d", input=["c"], output=["d"])
)
JOBS = {"a", "b", "c", "d"}


@pytest.fixture
def refuse(monkeypatch, tmp_path):
    """Make the engine's own writes to one file fail, from the moment `armed` appears."""

    def begin(place: str, number: int) -> None:
        def guard(real):
            def call(descriptor, *rest):
                if (tmp_path / "armed").exists() and not (tmp_path / "cured").exists():
                    name = os.readlink(f"/proc/self/fd/{descriptor}")
                    if name.startswith(str(tmp_path)) and name.endswith(place):
                        raise OSError(number, os.strerror(number))
                return real(descriptor, *rest)

            return call

        monkeypatch.setattr(os, "write", guard(os.write))
        monkeypatch.setattr(os, "fsync", guard(os.fsync))

    return begin


@pytest.mark.parametrize(
    ("place", "number"),
    [
        ("events.jsonl", errno.ENOSPC),
        ("events.jsonl", errno.EIO),
        ("started", errno.EROFS),
        ("execution.log", errno.EIO),
    ],
)
def test_a_record_that_cannot_be_written_ends_the_run_and_nothing_is_lost(
    tmp_path, refuse, place, number
):
    refuse(place, number)
    with pytest.raises(DiskTrouble) as trouble:
        execute(tmp_path, STEPS)
    assert f"{place}' could not be written: {WORDS[number]}" in trouble.value.message
    record = RunDirectory(tmp_path).read_run()
    assert record is not None
    assert (record.state, record.error) == (RunState.FAILED, trouble.value.message)
    assert processes_in(tmp_path) == []
    assert not (tmp_path / "b").exists(), "half a result"
    goes_on(tmp_path, STEPS)


def test_an_end_that_cannot_be_recorded_is_named_and_nothing_is_run_again(tmp_path, refuse):
    refuse(".run.json.tmp", errno.ENOSPC)
    text = STEPS.replace("sleep 330", "true")
    with pytest.raises(DiskTrouble, match=r"run\.json' could not be written: No space left"):
        execute(tmp_path, text)
    record = RunDirectory(tmp_path).read_run()
    assert record is not None
    assert record.state is RunState.RUNNING, "the old record is whole"
    assert goes_on(tmp_path, text) == {"skipped": 4}


def goes_on(workdir, text):
    """Cure the disk, run again, and find everything done and nothing twice; how the jobs ended."""
    (workdir / "cured").touch()
    outcome = execute(workdir, text)
    assert outcome.exit_code == 0
    for job in JOBS - {"b"}:
        assert (workdir / job).read_text() == f"{job}\n"
    assert (workdir / "b").read_text() in ("whole\n", "half\nwhole\n")
    assert Counter(e.job for e in events(workdir, "rule_completed")) == Counter(JOBS)
    found = events(workdir)
    assert [event.seq for event in found] == list(range(1, len(found) + 1))
    assert {record.status for record in records(workdir).values()} == {"done"}
    counts = {"skipped": outcome.counts.skipped, "succeeded": outcome.counts.succeeded}
    return {name: count for name, count in counts.items() if count}


def test_a_removed_working_directory_ends_the_run_and_a_restored_one_goes_on(tmp_path):
    place, kept = tmp_path / "work", tmp_path / "kept"
    place.mkdir()
    text = rule("a", "echo a > a", output=["a"]) + rule(
        "b", f"[ -e {kept} ] || mv {place} {kept}; echo b > b", input=["a"], output=["b"]
    )
    with pytest.raises(DiskTrouble, match="was removed while in use; restore it"):
        execute(place, text + rule("c", "true", input=["b"]))
    assert processes_in(tmp_path) == []
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(kept, place)
    outcome = execute(place, text)
    assert (outcome.exit_code, outcome.counts.skipped) == (0, 1)


def test_a_directory_that_goes_away_while_the_disk_is_watched_ends_the_jobs(tmp_path):
    place = tmp_path / "work"
    place.mkdir()
    text = rule("a", f"rm -rf {place}; sleep 331") + rule("b", "true", threads=2)
    with pytest.raises(DiskTrouble, match="was removed while in use"):
        execute(place, text, disk_reserve_mb=1)
    assert processes_in(tmp_path) == []


@pytest.fixture
def memory_disk(tmp_path):
    """A file system of its own, where we may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if not mount_memory(place, "4m"):
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_what_fails_while_nothing_is_free_is_told_of_the_full_disk(monkeypatch, memory_disk):
    assert not is_full(memory_disk)
    (memory_disk / "filler").write_bytes(bytes(3_000_000))
    with pytest.raises(OSError, match="No space left"):
        (memory_disk / "more").write_bytes(bytes(3_000_000))
    assert is_full(memory_disk)
    assert not is_full(memory_disk / "missing")
    (memory_disk / "more").unlink()
    monkeypatch.setattr("oxoflow.engine.joblife.is_full", lambda path: path == str(memory_disk))
    outcome = execute(memory_disk, rule("a", "exit 3"))
    assert outcome.error == "job 'a' failed: exit code 3: the disk is full; free some space"


def test_on_a_read_only_file_system_nothing_runs_and_records_can_be_read(memory_disk):
    assert execute(memory_disk, rule("a", "echo a > a", output=["a"])).exit_code == 0
    subprocess.run(["mount", "-o", "remount,ro", str(memory_disk)], check=True)
    text = rule("a", "echo a > a", output=["a"]) + rule("b", "echo b > b", output=["b"])
    with pytest.raises(DiskTrouble, match="could not be written: Read-only file system; remount"):
        execute(memory_disk, text)
    assert records(memory_disk)["a"].status == "done"
    subprocess.run(["mount", "-o", "remount,rw", str(memory_disk)], check=True)
    outcome = execute(memory_disk, text)
    assert (outcome.exit_code, outcome.counts.skipped) == (0, 1)


class LoopDisk:
    """An ext4 file system in a file on a small tmpfs: it can fail as a real disk does."""

    def __init__(self, top):
        self.back, self.place = top / "back", top / "disk"
        self.image = self.back / "image"
        self.back.mkdir()
        self.place.mkdir()

    def make(self) -> bool:
        """Mount it; False where that may not be done."""
        if not mount_memory(self.back, "3m"):
            return False
        steps = (
            ["truncate", "-s", "8M", self.image],
            ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", self.image],
        )
        quiet = subprocess.DEVNULL
        made = all(subprocess.run(step, stderr=quiet).returncode == 0 for step in steps)
        return made and mount("-o", "loop,commit=1", self.image, self.place)

    def turn_read_only(self) -> None:
        """What the kernel does when a file system finds itself damaged."""
        subprocess.run(["mount", "-o", "remount,abort", self.place], check=True)

    def refuse_blocks(self) -> None:
        """No block can be written any more: what was written already fails when it is synced."""
        with (self.back / "filler").open("wb", buffering=0) as filler:
            while True:
                try:
                    filler.write(bytes(65_536))
                except OSError:
                    return

    def cure(self) -> None:
        """Repair the file system as an administrator would."""
        (self.back / "filler").unlink(missing_ok=True)
        subprocess.run(["umount", self.place], check=True)
        subprocess.run(["fsck.ext4", "-fy", self.image], stdout=subprocess.DEVNULL)
        subprocess.run(["mount", "-o", "loop,commit=1", self.image, self.place], check=True)

    def remove(self) -> None:
        for place in (self.place, self.back):
            subprocess.run(["umount", place], stderr=subprocess.DEVNULL)


@pytest.fixture
def loop_disk(tmp_path):
    disk = LoopDisk(tmp_path)
    try:
        if not disk.make():
            pytest.skip("no ext4 file system can be made and mounted here")
        yield disk
    finally:
        disk.remove()


@pytest.mark.torture
@pytest.mark.parametrize("how", ["turn_read_only", "refuse_blocks"])
def test_a_disk_that_fails_under_a_run_is_named_and_once_repaired_the_run_goes_on(loop_disk, how):
    place = loop_disk.place
    text = (
        rule("a", "echo a > a", output=["a"])
        + rule(
            "b",
            "[ -e cured ] || { echo half > b; sleep 332; }; echo whole > b",
            input=["a"],
            output=["b"],
        )
        + rule(
            "c",
            "until [ -e cured ]; do echo tick > tick && sync tick || exit 9; sleep 0.05; done",
            input=["a"],
        )
    )
    runner = start(place, text)
    wait_until((place / "b").exists)
    wait_until(lambda: "a" in records(place) and records(place)["a"].status == "done")
    os.sync()
    getattr(loop_disk, how)()
    _, said = runner.communicate(timeout=PATIENCE)
    assert runner.returncode == 1
    last = said.strip().splitlines()[-1].lower()
    assert last.startswith("oxoflow.errors.disktrouble: "), said
    words = ("read-only", "readonly", "i/o error", "output error", "no space left")
    assert any(word in last for word in words), said
    assert processes_in(place) == []
    loop_disk.cure()
    (place / "cured").touch()
    assert execute(place, text).exit_code == 0
    assert (place / "b").read_text() == "whole\n"
    assert records(place)["a"].attempts == 1
    assert Counter(e.job for e in events(place, "rule_completed"))["a"] == 1
