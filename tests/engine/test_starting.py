"""Hold what a command is started with: its directory, variables, signals and descriptors."""

import os
import signal

import pytest

from oxoflow.engine.process import ProcessTable, SpawnFailed


@pytest.fixture
def place(tmp_path):
    """A directory to start commands in."""
    found = tmp_path / "place"
    found.mkdir()
    return found


@pytest.fixture
def open_table():
    tables = []

    def make():
        tables.append(ProcessTable())
        return tables[-1]

    yield make
    for table in tables:
        assert table.live() == []
        table.close()


def said(table, place, shell, **environment):
    """What a command prints; stderr goes the same way."""
    path = place.parent / "out"
    with path.open("wb") as out:
        number = out.fileno()
        env = {b"PATH": os.fsencode(os.environ["PATH"])}
        env |= {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
        argv = ["/bin/bash", "-c", shell]
        child = table.spawn(argv, cwd=place, env=env, stdout=number, stderr=number)
        assert table.wait(child).code == 0
    return path.read_text().split()


def test_it_has_its_directory_its_variables_and_a_session_of_its_own(open_table, place):
    shown = said(open_table(), place, "pwd; echo $WORD; ps -o sid= -p $$; echo $$", WORD="ünï")
    assert shown[:2] == [str(place), "ünï"]
    assert shown[2] == shown[3]


def test_it_reads_nothing_and_no_signal_is_ignored(open_table, place):
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN  # Python's, and not for commands
    shown = said(open_table(), place, "cat; grep -E 'Sig(Ign|Blk)' /proc/self/status")
    assert (shown[0], shown[2]) == ("SigBlk:", "SigIgn:")
    of_the_library = sum(1 << (number - 1) for number in (32, 33))
    assert [int(shown[1], 16), int(shown[3], 16) & ~of_the_library] == [0, 0]


def test_it_gets_no_descriptor_that_we_were_given(open_table, place):
    ours = os.open(place, os.O_RDONLY)
    os.set_inheritable(ours, True)
    try:
        table = open_table()
        shown = said(table, place, "for each in /proc/self/fd/*; do echo ${each##*/}; done")
    finally:
        os.close(ours)
    assert set(shown) - {"3", "255"} <= {"0", "1", "2"}  # 3 is that of the loop itself
    assert str(ours) not in set(shown) - {"3"}


def test_a_program_that_is_not_there_is_named(open_table, place):
    with (
        (place / "out").open("wb") as out,
        pytest.raises(SpawnFailed, match=r"'/none/x' could not be started: No such file"),
    ):
        open_table().spawn(["/none/x"], cwd=place, env={}, stdout=out.fileno(), stderr=out.fileno())


def test_a_directory_that_is_gone_is_named(open_table, place):
    place.rmdir()
    with (
        (place.parent / "out").open("wb") as out,
        pytest.raises(SpawnFailed, match=f"working directory '{place}' is gone"),
    ):
        open_table().spawn(
            ["/bin/true"], cwd=place, env={}, stdout=out.fileno(), stderr=out.fileno()
        )


def test_our_standard_streams_may_be_handed_down_in_any_order(open_table, place):
    """As after `oxoflow run <&- >&-`: what is opened next takes their numbers."""
    kept = [os.dup(number) for number in (1, 2)]
    with (place / "out").open("wb") as out, (place / "err").open("wb") as err:
        os.dup2(out.fileno(), 2)
        os.dup2(err.fileno(), 1)
        try:
            table = open_table()
            argv = ["/bin/bash", "-c", "echo out; echo err >&2"]
            child = table.spawn(argv, cwd=place, env={}, stdout=2, stderr=1)
            assert table.wait(child).code == 0
        finally:
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)
    assert (place / "out").read_text() == "out\n"
    assert (place / "err").read_text() == "err\n"
