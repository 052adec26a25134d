"""Edges, order and errors of the DAG (spec 4.1, 4.2)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from oxoflow.engine.dag import build_dag, topological_order
from oxoflow.engine.select import (
    RuleGraph,
    critical_path,
    job_graph,
    jobs_called,
    jobs_of_module,
    levels,
    metrics,
    order,
    rule_graph,
    select,
)
from oxoflow.errors import GraphError, UsageError
from oxoflow.lang.model import ExecutionGroup, ExpandInput, FileSet, Job, Module, Rule
from oxoflow.limits import Limits
from tests.engine.making import job

DIAMOND = [
    job("source", [], ["s.txt"]),
    job("left", ["s.txt"], ["l.txt"]),
    job("right", ["s.txt"], ["r.txt"]),
    job("merge", ["l.txt", "r.txt"], ["m.txt"]),
]


def edges(dag):
    return {
        (dag.jobs[one].name, dag.jobs[two].name) for two, up in enumerate(dag.parents) for one in up
    }


def test_order_is_topological_with_ties_as_declared():
    assert order(build_dag(DIAMOND)) == ["source", "left", "right", "merge"]
    assert order(build_dag(DIAMOND[::-1])) == ["source", "right", "left", "merge"]
    assert order(build_dag([job("z"), job("a")])) == ["z", "a"]


def test_children_mirror_parents():
    dag = build_dag(DIAMOND)
    assert dag.children == ((1, 2), (3,), (3,), ())
    assert dag.parents == ((), (0,), (0,), (1, 2))
    assert dag.edge_count == 4


def test_config_is_expanded_on_both_sides():
    jobs = [job("a", [], ["{config.d}/x.txt"]), job("b", ["out/x.txt"], ["y"])]
    assert edges(build_dag(jobs, config={"d": "out"})) == {("a", "b")}
    jobs = [job("a", [], ["out/x.txt"]), job("b", ["{config.d}/x.txt"], ["y"])]
    assert edges(build_dag(jobs, config={"d": "{config.e}", "e": "out"})) == {("a", "b")}


def test_a_declared_directory_is_matched_with_its_filter():
    reads = FileSet(("d",), pattern="*.fq")
    reader = Job("c", Rule("c", input=reads), input=reads)
    dag = build_dag([job("a", [], ["d/x.fq"]), job("b", [], ["d/x.txt"]), reader])
    assert edges(dag) == {("a", "c")}


def test_expand_inputs_connect_templates():
    rule = Rule("c", expand_inputs=(ExpandInput("v/{s}.g"),))
    dag = build_dag([job("a", [], ["v/{sample}.g"]), job("c", rule=rule)])
    assert edges(dag) == {("a", "c")}


def test_sequential_groups_order_their_members():
    jobs = [job("b"), job("a"), job("c")]
    dag = build_dag(
        jobs, execution_groups=[ExecutionGroup("g", ("a", "b", "gone", "c"), "sequential")]
    )
    assert edges(dag) == {("a", "b"), ("b", "c")}
    assert edges(build_dag(jobs, execution_groups=[ExecutionGroup("g", ("a", "b"))])) == set()


def test_unknown_depends_on_names_the_nearest():
    with pytest.raises(
        GraphError, match=r"rule 'b': depends_on names 'alin'.*nearest: 'align'"
    ) as found:
        build_dag([job("align"), job("b", after=["alin"])])
    assert found.value.diagnostics[0].code == "E007"


def test_two_jobs_of_one_name_are_refused():
    with pytest.raises(GraphError, match="duplicate rule name 'a'"):
        build_dag([job("a"), job("a")])


def test_a_cycle_through_a_directory_says_so():
    jobs = [job("a", ["qc"], ["x.txt"]), job("b", ["x.txt"], ["qc/y.txt"])]
    with pytest.raises(GraphError, match=r"a → b → a.*'qc', which counts as a directory"):
        build_dag(jobs)


def test_a_deep_glob_is_read_as_bash_does_where_it_would_close_a_circle():
    deep = [job("a", [], ["d/x.txt"]), job("b", ["**/*.txt"], ["b.md"]), job("top", [], ["y.txt"])]
    assert edges(build_dag(deep)) == {("a", "b"), ("top", "b")}
    circle = [*deep, job("c", ["b.md"], ["c.txt"])]
    assert edges(build_dag(circle)) == {("a", "b"), ("b", "c")}
    with pytest.raises(GraphError, match="b → c → b"):
        build_dag([*deep, job("c", ["b.md"], ["d/c.txt"])])


def test_a_long_cycle_is_shortened():
    jobs = [job(f"r{at}", [f"f{at}.txt"], [f"f{(at + 1) % 50}.txt"]) for at in range(50)]
    with pytest.raises(GraphError, match=r"cycle.*r0 → r1 → .*… 31 more … → r0") as found:
        build_dag(jobs)
    assert len(found.value.message) < 1000


def test_a_cycle_closed_by_an_execution_group_names_the_group_and_what_to_change_there():
    jobs = [job("table", [], ["t.tsv"]), job("minor", ["t.tsv"], ["m.tsv"])]
    groups = [
        ExecutionGroup("other", ("table",)),
        ExecutionGroup("g", ("minor", "table"), "sequential"),
    ]
    with pytest.raises(
        GraphError,
        match=r"'table' follows 'minor' in the execution group 'g'\).*, or give the rules",
    ) as found:
        build_dag(jobs, execution_groups=groups)
    assert found.value.diagnostics[0].key == "execution_group.1.rules.1"


def test_a_cycle_of_dependencies_is_not_cured_by_writing_elsewhere():
    jobs = [job("a", after=["b"]), job("b", after=["a"])]
    with pytest.raises(GraphError, match=r"\); take out of depends_on what is not needed$"):
        build_dag(jobs)


def test_a_cycle_behind_good_jobs_is_found():
    jobs = [job("good", [], ["g.txt"]), job("a", ["g.txt"], after=["b"]), job("b", after=["a"])]
    with pytest.raises(GraphError, match=r"b → a → b|a → b → a"):
        build_dag(jobs)


def test_several_writers_of_one_file_are_all_linked_and_reported():
    jobs = [job("a", [], ["x"]), job("b", [], ["x"]), job("c", ["x"])]
    dag = build_dag(jobs)
    assert edges(dag) == {("a", "c"), ("b", "c")}
    assert dag.shared_outputs == (("x", (0, 1)),)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("left", ["source", "left"]),
        ("lef", ["source", "left"]),
        ("r.txt", ["source", "right"]),
        ("./r.txt", ["source", "right"]),
        ("merge", ["source", "left", "right", "merge"]),
    ],
)
def test_targets_are_jobs_prefixes_and_files(name, expected):
    dag = build_dag(DIAMOND)
    assert [dag.jobs[at].name for at in select(dag, [name])] == expected


@pytest.mark.parametrize("name", ["res/x.vcf", "./res/x.vcf", "{config.out}/x.vcf"])
def test_a_target_is_a_file_as_the_config_names_it_or_as_it_is_written(name):
    jobs = [job("a", [], ["{config.out}/x.vcf"]), job("b", [], ["res/d/"])]
    dag = build_dag(jobs, config={"out": "res"})
    assert jobs_called(dag, name) == [0]
    assert jobs_called(dag, "res/d") == [1]
    modules = [Module("m", "m.oxoflow", (), (name,))]
    assert jobs_of_module(dag, modules, "m") == [0]


def test_a_rule_name_means_all_its_jobs_and_nothing_longer():
    rule = Rule("align")
    dag = build_dag([job("align_S1", rule=rule), job("align_S2", rule=rule), job("aligned")])
    assert jobs_called(dag, "align") == [0, 1]
    assert jobs_called(dag, "alig") == [0, 1, 2]


def test_a_module_means_its_rules_and_who_makes_its_declared_inputs():
    dag = build_dag([job("raw", [], ["r"]), job("m::x", [], ["x"]), job("end", ["x"], ["e"])])
    modules = [Module("trimming", "qc.oxoflow", ("m::x",), ("./r",))]
    assert [dag.jobs[at].name for at in jobs_of_module(dag, modules, "trimming")] == ["raw", "m::x"]
    with pytest.raises(UsageError, match=r"'triming' is no module.*nearest: 'trimming'"):
        jobs_of_module(dag, modules, "triming")
    with pytest.raises(UsageError, match="'x' is no module"):
        jobs_of_module(dag, (), "x")


def test_an_unknown_target_names_the_nearest():
    with pytest.raises(UsageError, match=r"'megre' is no rule, job or output.*nearest: 'merge'"):
        select(build_dag(DIAMOND), ["megre"])
    with pytest.raises(UsageError):
        select(build_dag(DIAMOND), [""])


def test_a_rule_without_jobs_is_told_from_a_misspelt_one():
    dag = replace(build_dag(DIAMOND), jobless={"call": ()})
    with pytest.raises(UsageError, match=r"rule 'call' makes no job here.*condition"):
        select(dag, ["call"])


def test_levels_and_critical_path_break_ties_by_name():
    dag = build_dag(DIAMOND)
    assert levels(dag) == [["source"], ["left", "right"], ["merge"]]
    assert critical_path(dag) == ["source", "left", "merge"]
    figures = metrics(dag)
    assert (figures.node_count, figures.edge_count) == (4, 4)
    assert (figures.max_depth, figures.max_width) == (3, 2)
    assert critical_path(build_dag([])) == []


def test_jobs_fold_to_rules_without_self_edges():
    one, two, three = Rule("al"), Rule("m"), Rule("never")
    jobs = [
        job("al_1", [], ["1.bam"], rule=one),
        job("al_2", ["1.bam"], ["2.bam"], rule=one),
        job("m", ["1.bam", "2.bam"], rule=two),
    ]
    graph = rule_graph(build_dag(jobs), (one, two, three))
    assert graph == RuleGraph(("al", "m", "never"), ((0, 1),))


def test_rules_without_jobs_are_linked_by_their_paths_as_written():
    def paths(*found: str) -> FileSet:
        return FileSet(found)

    rules = (
        Rule("make", output=paths("{config.d}/db.txt")),
        Rule("split", input=paths("{config.d}/db.txt"), output=paths("p/{part}.txt", "p/all.log")),
        Rule("find", output_pattern="q/{piece}.txt"),
        Rule("each", input=paths("q/{piece}.txt"), depends_on=("make", "gone")),
        Rule("join", expand_inputs=(ExpandInput("p/{k}.txt", {"k": "config.none"}),)),
        Rule("look", input=paths("p/*.log"), output=paths("look.txt")),
        Rule("else", input=paths("p/{other}.txt")),
    )
    jobs = [job(rules[at].name, [], [], rule=rules[at]) for at in (0, 4, 5, 6)]
    graph = rule_graph(build_dag(jobs), rules)
    assert graph.names == tuple(rule.name for rule in rules)
    assert graph.edges == ((0, 1), (0, 3), (1, 4), (1, 5), (2, 3))


def test_rules_whose_jobs_interleave_still_have_levels():
    graph = RuleGraph(("a", "b", "c"), ((0, 1), (1, 0), (1, 2)))
    assert [name for group in levels(graph) for name in sorted(group)] == ["a", "b", "c"]
    assert critical_path(graph)


files = st.sampled_from(["a.txt", "b.txt", "c.txt", "d/e.txt", "d/f.txt", "g"])
inputs = st.sampled_from(["a.txt", "b.txt", "d/*.txt", "d", "d/", "{x}.txt", "g"])


@st.composite
def workflows(draw):
    count = draw(st.integers(1, 7))
    jobs = []
    for at in range(count):
        after = (
            draw(st.lists(st.sampled_from([f"r{n}" for n in range(at)]), max_size=2)) if at else []
        )
        jobs.append(
            job(
                f"r{at}",
                draw(st.lists(inputs, max_size=3)),
                draw(st.lists(files, max_size=2, unique=True)),
                after=after,
            )
        )
    return jobs


@settings(max_examples=150, deadline=None)
@given(workflows(), st.randoms(use_true_random=False))
def test_edges_do_not_depend_on_the_order_of_declaration(jobs, random):
    shuffled = list(jobs)
    random.shuffle(shuffled)
    try:
        expected = edges(build_dag(jobs))
    except GraphError:
        with pytest.raises(GraphError, match="cycle"):
            build_dag(shuffled)
        return
    dag = build_dag(shuffled)
    assert edges(dag) == expected
    place = {dag.jobs[at].name: number for number, at in enumerate(dag.order)}
    assert all(place[one] < place[two] for one, two in expected)
    graph = job_graph(dag)
    assert set(graph.named_edges) == expected


def many(kind: str, count: int = 30) -> list[Job]:
    """Give as many jobs of `a`, and as many of `b` that all wait for all of these."""
    names = tuple(f"a{n}" for n in range(count))
    found = [job(name, [], [f"{name}.txt"]) for name in names]
    reads = {"own": "a{}.txt", "other": "c{}.txt"}.get(kind)
    if kind == "other":
        found += [job(f"c{n}", [], [f"c{n}.txt"]) for n in range(count)]
    for n in range(count):
        found.append(job(f"b{n}", [reads.format(n)] if reads else [], [f"b{n}.txt"], after=names))
    found.append(job("end", [f"b{n}.txt" for n in range(count)]))
    return found


def plain_order(dag):
    """Give the order by counting every single edge."""
    done: list[int] = []
    left = list(range(len(dag.jobs)))
    while left:
        at = next(at for at in left if set(dag.parents[at]) <= set(done))
        done.append(at)
        left.remove(at)
    return tuple(done)


@pytest.mark.parametrize(("kind", "tuples"), [("plain", 3), ("own", 3), ("other", 32)])
def test_jobs_that_all_wait_for_all_others_share_what_they_wait_for(kind: str, tuples: int) -> None:
    jobs = many(kind)
    dag = build_dag(jobs)
    wanted = {(name, each.name) for each in jobs for name in each.depends_on}
    wanted |= {(path.removesuffix(".txt"), each.name) for each in jobs for path in each.input.paths}
    assert edges(dag) == wanted
    assert dag.edge_count == len(wanted)
    mirrored = {(at, child) for at, found in enumerate(dag.children) for child in found}
    assert mirrored == {(up, at) for at, found in enumerate(dag.parents) for up in found}
    assert all(list(found) == sorted(found) for found in (*dag.parents, *dag.children))
    assert dag.order == plain_order(dag)
    assert len({id(found) for found in dag.parents}) == tuples
    makers = dag.children[: len(jobs[-2].depends_on)]
    assert len({id(found) for found in makers}) == 1
    assert set(rule_graph(dag).named_edges) == wanted  # each job is of a rule of its own here


def test_a_job_that_names_its_own_rule_waits_for_the_others_alone() -> None:
    names = tuple(f"a{n}" for n in range(20))
    with pytest.raises(GraphError, match="cycle"):
        build_dag([job(name, after=names) for name in names])
    dag = build_dag([job("a0", after=("a0",)), job("b", after=("a0",) * 20)])
    assert dag.parents == ((), (0,))


def test_edges_are_bounded_one_by_one_however_they_are_stored() -> None:
    jobs = many("plain")
    count = build_dag(jobs).edge_count
    assert build_dag(jobs, limits=Limits(edges=count)).edge_count == count
    with pytest.raises(GraphError, match="more than"):
        build_dag(jobs, limits=Limits(edges=count - 1))


@given(st.integers(1, 12), st.data())
def test_the_order_is_the_same_whether_children_are_shared_or_not(count: int, data) -> None:
    below = [
        data.draw(st.lists(st.integers(at + 1, count - 1), unique=True).map(sorted).map(tuple))
        if at + 1 < count
        else ()
        for at in range(count)
    ]
    parents = [[up for up in range(count) if at in below[up]] for at in range(count)]
    shared = {found: found for found in below}
    together = [shared[found] for found in below]
    apart = [list(found) for found in below]
    assert topological_order(parents, together) == topological_order(parents, apart)
