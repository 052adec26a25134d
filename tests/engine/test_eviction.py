"""A cache within bounds: the least recently used goes, and nobody who uses it is hurt."""

import fcntl
import hashlib
import os
from pathlib import Path

import pytest

from oxoflow.engine import eviction
from oxoflow.engine.eviction import Use, evict, read_use, refusal
from oxoflow.engine.results import Entry, ResultCache, Stored
from oxoflow.engine.reuse import Caching
from tests.engine.running import execute, rule
from tests.engine.several import run_at_once

BLOCK = 4096
DAY = 86_400


class Shelf:
    """A cache that is filled with results of given contents."""

    def __init__(self, place: Path) -> None:
        self.place = place / "cache"
        self.cache = ResultCache(self.place)
        self._made = place

    def keep(self, key: str, *contents: str, used: int = 0) -> Entry:
        """Keep a result; `used` orders the times of last use."""
        outputs, sources = [], {}
        for number, content in enumerate(contents):
            file = self._made / f"{key}{number}"
            file.write_text(content)
            digest = hashlib.sha256(content.encode()).hexdigest()
            outputs.append(Stored(file.name, digest, len(content), 0o644))
            sources[file.name] = str(file)
        entry = Entry("run", "/w", "job", tuple(outputs))
        self.cache.put(key * 64, entry, sources)
        os.utime(self.place / "entries" / (key * 2) / f"{key * 64}.json", (used, used))
        return entry

    def keys(self) -> str:
        """The keys under which something whole is kept."""
        return "".join(key for key in "abcdef" if self.cache.find(key * 64))

    def objects(self) -> int:
        return sum(path.is_file() for path in (self.place / "objects").rglob("*"))


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path)


def test_what_was_used_longest_ago_goes_first_with_its_content(shelf):
    for used, key in enumerate("abcd", 1):
        shelf.keep(key, f"content of {key}", used=used)
    assert evict(shelf.place, 5 * BLOCK) == Use(4 * BLOCK, 2)
    assert (shelf.keys(), shelf.objects()) == ("cd", 2)
    assert read_use(shelf.place) == Use(4 * BLOCK, 2)


def test_taking_a_result_is_a_use_of_it(shelf, tmp_path):
    entry = shelf.keep("a", "a", used=1)
    shelf.keep("b", "b", used=2)
    assert shelf.cache.give("a" * 64, entry, [str(tmp_path / "out")])
    evict(shelf.place, 3 * BLOCK)
    assert shelf.keys() == "a"


def test_a_content_that_another_result_needs_stays(shelf):
    shelf.keep("a", "shared", "own", used=1)
    shelf.keep("b", "shared", used=2)
    evict(shelf.place, 3 * BLOCK)
    assert (shelf.keys(), shelf.objects()) == ("b", 1)


def test_within_bounds_nothing_goes(shelf):
    shelf.keep("a", "a")
    assert evict(shelf.place, 2 * BLOCK) == Use(2 * BLOCK, 1)
    assert shelf.keys() == "a"


def test_what_the_dead_left_goes_when_it_is_old(shelf, monkeypatch):
    shelf.keep("a", "a")
    entry = shelf.keep("b", "b")
    os.unlink(shelf.place / "objects" / entry.outputs[0].sha256[:2] / entry.outputs[0].sha256)
    orphan = shelf.place / "objects/aa" / ("a" * 64)
    drafts = [shelf.place / name / "aa" / f".{'d' * 32}" for name in ("objects", "entries")]
    for path in (orphan, *drafts):
        path.parent.mkdir(exist_ok=True)
        path.write_text("{")
    evict(shelf.place, 100 * BLOCK, thorough=True)
    assert all(path.exists() for path in (orphan, *drafts)), "somebody may be writing them"
    now = eviction.time.time()
    monkeypatch.setattr(eviction.time, "time", lambda: now + DAY)
    assert evict(shelf.place, 100 * BLOCK, thorough=True) == Use(2 * BLOCK, 1)
    assert not any(path.exists() for path in (orphan, *drafts))
    assert shelf.keys() == "a"


def test_no_link_leads_the_eviction_elsewhere(shelf, tmp_path):
    """Rules can write into the cache, and the server keeps it within bounds."""
    shelf.keep("a", "a", used=1)
    precious = [tmp_path / "other/aa" / name for name in ("b" * 64, "notes.txt")]
    precious[0].parent.mkdir(parents=True)
    for path in precious:
        path.write_text("precious")
        os.utime(path, (0, 0))
    for name in ("objects", "entries"):
        (shelf.place / name / "bb").symlink_to(precious[0].parent)
        (shelf.place / name / "aa").mkdir(exist_ok=True)
        (shelf.place / name / "aa/notes.txt").write_text("not ours")
    for name in ("use.json", "lock"):
        (shelf.place / name).symlink_to(precious[1])
    assert evict(shelf.place, 1) is None
    (shelf.place / "lock").unlink()
    assert evict(shelf.place, 1) == Use(0, 0)
    assert [path.read_text() for path in precious] == ["precious", "precious"]
    assert (shelf.place / "objects/aa/notes.txt").exists()
    (shelf.place / "use.json").unlink()
    os.mkfifo(shelf.place / "use.json")
    assert read_use(shelf.place) == Use(0, 0)


def test_one_looks_through_a_cache_at_a_time(shelf):
    shelf.keep("a", "a")
    lock = os.open(shelf.place / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert evict(shelf.place, 1) is None
    os.close(lock)
    assert evict(shelf.place, 1) == Use(0, 0)
    assert evict(shelf.place / "none", 1) is None


def test_a_disk_that_fills_up_takes_room_from_the_cache(shelf, monkeypatch):
    shelf.keep("a", "a", used=1)
    shelf.keep("b", "b", used=2)
    monkeypatch.setattr(eviction, "_spare", lambda place: -BLOCK)
    evict(shelf.place, 100 * BLOCK)
    assert shelf.keys() == "b"
    assert refusal(shelf.place, 1, 100 * BLOCK) == "the disk is nearly full"


def test_a_result_that_would_evict_all_others_is_not_kept(shelf):
    shelf.keep("a", "a")
    assert "more than half" in refusal(shelf.place, 60, 100)
    assert refusal(shelf.place, 50, 100) is None


def test_a_result_that_went_while_it_was_looked_for_is_computed(tmp_path):
    """Between finding an entry and taking its files another run may evict it."""
    place = tmp_path / "run"
    place.mkdir()
    flow = rule("one", "echo ran >> count; echo one > {output}", output=["one"])
    (tmp_path / "first").mkdir()
    execute(tmp_path / "first", flow, cache=Caching(tmp_path / "cache"))
    for path in (tmp_path / "cache/objects").rglob("*"):
        if path.is_file():
            path.unlink()
    assert execute(place, flow, cache=Caching(tmp_path / "cache")).exit_code == 0
    assert (place / "one").read_text() == "one\n"


def test_a_run_leaves_no_more_than_may_be_kept(tmp_path):
    many = "".join(rule(f"j{n}", f"echo {n} > {{output}}", output=[f"o/{n}"]) for n in range(30))
    (tmp_path / "run").mkdir()
    caching = Caching(tmp_path / "cache", 20 * BLOCK)
    assert execute(tmp_path / "run", many, cache=caching).exit_code == 0
    use = read_use(tmp_path / "cache")
    assert 0 < use.results <= 10
    assert use.bytes <= 20 * BLOCK


def test_runs_that_share_while_all_is_evicted_come_to_their_results(tmp_path):
    many = "".join(
        rule(f"j{n}", f"yes {n} | head -c 200000 > {{output}}", output=[f"o/{n}"])
        for n in range(12)
    )
    places = [tmp_path / f"r{n}" for n in range(3)]
    cache = ("--cache", str(tmp_path / "cache"), "--cache-size", "1M")
    assert run_at_once(places, many, *cache) == [0, 0, 0]
    for place in places:
        for n in range(12):
            assert (place / f"o/{n}").read_text() == (f"{n}\n" * 200_000)[:200_000]
    assert read_use(tmp_path / "cache").bytes <= 1_048_576
