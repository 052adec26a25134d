"""What `clean` takes for made by a workflow whose jobs only a run could tell."""

GROWING = """[workflow]
name = "w"
[[sample_groups]]
name = "g"
samples = ["S1"]
[[rules]]
name = "find"
output = ["new.toml"]
checkpoint = true
checkpoint_manifest = "new.toml"
shell = "printf '[reentry]\\\\nsample = [\\"S2\\"]\\\\n' > {output}"
[[rules]]
name = "count"
output = ["{sample}.txt"]
depends_on = ["find"]
shell = "echo {sample} > {output}"
"""


def test_clean_knows_what_a_checkpoint_has_added(here, shell):
    (here / "main.oxoflow").write_text(GROWING)
    assert shell("run").code == 0
    assert (here / "S2.txt").exists()
    assert shell("clean").out.splitlines()[:-1] == ["new.toml", "S1.txt", "S2.txt"]
    changed = GROWING.replace("printf", ": anew; printf")
    (here / "main.oxoflow").write_text(changed)
    assert shell("clean", "--force").out.splitlines()[:-1] == ["new.toml", "S1.txt", "S2.txt"]
    assert [path.name for path in here.glob("*.t*")] == []


FINDING = """[workflow]
name = "w"
[[rules]]
name = "cut"
output_pattern = "parts/{part}.txt"
shell = "touch parts/1.txt parts/2.txt"
[[rules]]
name = "use"
input = ["parts/{part}.txt"]
output = ["{part}.done"]
shell = "cp {input} {output}"
"""


def test_clean_knows_the_files_that_an_output_pattern_finds(here, shell):
    (here / "main.oxoflow").write_text(FINDING)
    assert shell("run").code == 0
    made = ["parts/1.txt", "parts/2.txt", "1.done", "2.done"]
    assert shell("clean", "--force").out.splitlines()[:-1] == made
    assert not any((here / path).exists() for path in made)
