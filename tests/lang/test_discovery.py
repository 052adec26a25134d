"""Samples and pairs are found by the names of files, of those that have one."""

import os

from oxoflow.lang.discovery import discover_pairs, discover_samples
from tests.lang.fakes import Files

ODD = os.fsdecode(b"raw/s\xff.txt")


def test_a_file_whose_name_is_no_text_is_nobody_s_sample():
    view = Files({"raw/a.txt": "", ODD: ""})
    found = discover_samples("raw/{sample}.txt", view, "")
    assert found is not None
    assert found.samples == ("a",)


def test_a_file_whose_name_is_no_text_is_in_no_pair():
    view = Files({"raw/p-e-c.txt": "", os.fsdecode(b"raw/p-e-\xff.txt"): ""})
    pairs = discover_pairs("raw/{pair_id}-{experiment}-{control}.txt", view, "")
    assert [pair.control for pair in pairs] == ["c"]
