"""Hold verification and clean-up of outputs, and where outputs may lie."""

import os

import pytest

from oxoflow.engine.outputs import ParentDirectories, clean_up, refused, shapes_before, verify


def test_only_declared_expanded_local_outputs_are_verified(tmp_path):
    (tmp_path / "a").write_text("abc")
    (tmp_path / "d").mkdir()
    (tmp_path / "g1.txt").touch()
    paths = ("a", "d/", "g*.txt", "b", "h*.txt", "{sample}.x", "s3://bucket/key")
    found = verify(str(tmp_path), "job", paths)
    assert found.missing == ("b", "h*.txt")
    assert [(record.path, record.size) for record in found.present] == [("a", 3), ("d/", -1)]


def test_created_goes_changed_is_set_aside_untouched_and_protected_stay(tmp_path):
    for name in ("changed", "same", "guarded", "tree"):
        (tmp_path / name).mkdir() if name == "tree" else (tmp_path / name).write_text("old")
    outputs = ("created", "changed", "same", "guarded", "dir/", "tree", "link")
    before = shapes_before(str(tmp_path), outputs)
    (tmp_path / "created").write_text("x")
    (tmp_path / "changed").write_text("longer")
    (tmp_path / "guarded").write_text("longer")
    (tmp_path / "dir/sub").mkdir(parents=True)
    (tmp_path / "tree/new").write_text("x")
    (tmp_path / "link").symlink_to("nowhere")
    assert clean_up(str(tmp_path), outputs, before, ("guarded",)) == ("changed", "tree")
    assert sorted(os.listdir(tmp_path)) == [
        "changed.oxo-failed",
        "guarded",
        "same",
        "tree.oxo-failed",
    ]


def test_a_changed_output_stays_where_something_is_in_the_way(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "a.oxo-failed").write_text("from before")
    before = shapes_before(str(tmp_path), ("a",))
    (tmp_path / "a").write_text("newer")
    assert clean_up(str(tmp_path), ("a",), before) == ()
    assert (tmp_path / "a").read_text() == "newer"
    assert (tmp_path / "a.oxo-failed").read_text() == "from before"


def test_a_link_that_was_created_goes_and_its_target_stays(tmp_path):
    (tmp_path / "precious").write_text("x")
    (tmp_path / "link").symlink_to("precious")
    clean_up(str(tmp_path), ("link",), {})
    assert os.listdir(tmp_path) == ["precious"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("a/b", True),
        ("a/../b", True),
        ("s3://bucket/../x", True),
        ("..x/a", True),
        ("../x", False),
        ("a/../../x", False),
        ("/etc/x", False),
        ("link/x", True),
        ("link/../x", False),
    ],
)
def test_outputs_lie_inside_the_working_directory(tmp_path, path, allowed):
    root = tmp_path / "work"
    root.mkdir()
    (tmp_path / "other").mkdir()
    (root / "link").symlink_to(tmp_path / "other")
    assert (refused(str(root), path) is None) is allowed


def test_an_absolute_path_inside_is_allowed(tmp_path):
    assert refused(str(tmp_path), f"{tmp_path}/a") is None


def test_parent_directories_are_made_again_when_somebody_removed_them(tmp_path):
    parents = ParentDirectories(str(tmp_path))
    parents.make(("a/b/c", "x", "{sample}/y", "d/"))
    assert (tmp_path / "a/b").is_dir()
    (tmp_path / "a/b").rmdir()
    parents.make(("a/b/c",))
    assert (tmp_path / "a/b").is_dir()
    assert sorted(os.listdir(tmp_path)) == ["a"]
