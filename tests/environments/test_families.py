"""Each kind of environment composes its command and its creation (spec/oxoflow-format.md 5.13)."""

import subprocess

import pytest

from oxoflow.environments.choice import choose_family, effective_environment
from oxoflow.environments.family import Command
from oxoflow.environments.shell import quote
from oxoflow.environments.wrapping import SHIM, one_line
from oxoflow.errors import RunError
from oxoflow.lang.model import SYSTEM, Defaults, Environment, EnvironmentKind, Rule, Workflow

KIND = EnvironmentKind
YAML = b"# tools\nname: tools  # the name\nchannels: [x]\n"
MODULES = "/usr/share/modules/init/bash"
LOAD = (
    f". {MODULES}\ntype module >/dev/null 2>&1 || "
    "{ echo \"oxoflow: no 'module' command\" >&2; exit 127; }\nmodule load "
)


def text_of(host, environment, command=None, **fields):
    argv = choose_family(environment, host.site(**fields)).argv(command or Command("run 'it'"))
    assert argv[1] == "-c"
    return argv[2]


@pytest.mark.parametrize(
    ("tools", "environment", "fields", "text"),
    [
        (
            ["conda"],
            Environment(KIND.CONDA, "e.yaml"),
            {"files": {"e.yaml": YAML}},
            "conda run --no-capture-output -n tools bash -c "
            """'export PATH="$CONDA_PREFIX/bin:$PATH"; run '\\''it'\\'''""",
        ),
        (
            ["conda"],
            Environment(KIND.CONDA, "envs/e.yaml", prefix="my env"),
            {"files": {"envs/e.yaml": YAML}},
            "conda run --no-capture-output -p '/w/my env' bash -c "
            """'export PATH="$CONDA_PREFIX/bin:$PATH"; run '\\''it'\\'''""",
        ),
        (
            ["mamba", "micromamba", "conda"],
            Environment(KIND.MAMBA, "e.yaml"),
            {"files": {"e.yaml": b"dependencies: []"}},
            "mamba run -n e bash -c 'run '\\''it'\\'''",
        ),
        (
            ["micromamba", "conda"],
            Environment(KIND.MAMBA, "e.yaml"),
            {"files": {"e.yaml": b'name: "quoted"'}},
            "micromamba run -n quoted bash -c 'run '\\''it'\\'''",
        ),
        (
            ["pixi"],
            Environment(KIND.PIXI, "p/pixi.toml"),
            {"files": {"p/pixi.toml": b""}},
            "pixi run --manifest-path '/w/p/pixi.toml' bash -c 'run '\\''it'\\'''",
        ),
        (
            ["docker"],
            Environment(KIND.DOCKER, "quay.io/b/bwa:1"),
            {"marks": ("RUN", "JOB")},
            "docker run --rm --init --user $(id -u):$(id -g) --env RUN --env JOB "
            f"-v '/w':'/w' -w '/w' 'quay.io/b/bwa:1' sh -c '{SHIM}' sh 'run '\\''it'\\'''",
        ),
        (
            ["apptainer", "singularity"],
            Environment(KIND.SINGULARITY, "img/x.sif"),
            {"present": ("/w/img/x.sif",)},
            f"apptainer exec --bind '/w':'/w' '/w/img/x.sif' sh -c '{SHIM}' sh 'run '\\''it'\\'''",
        ),
        (
            ["singularity"],
            Environment(KIND.SINGULARITY, "docker://quay.io/b/bwa:1"),
            {},
            f"singularity exec --bind '/w':'/w' '/w/bwa_1.sif' sh -c '{SHIM}' "
            "sh 'run '\\''it'\\'''",
        ),
        (
            ["python3"],
            Environment(KIND.VENV, "envs/it's"),
            {},
            ". '/w/envs/it'\\''s'/bin/activate || exit 1\nrun 'it'",
        ),
        (
            [],
            Environment(KIND.MODULES, "a/1,b", modules=("a/1", "b c")),
            {"present": (MODULES,)},
            f"{LOAD}a/1 'b c' || exit 1\nrun 'it'",
        ),
        ([], SYSTEM, {}, "run 'it'"),
    ],
)
def test_a_command_is_wrapped(host, tools, environment, fields, text):
    host.install(*tools)
    assert text_of(host, environment, **fields) == text


def test_docker_passes_in_the_gpus_that_the_author_names(host):
    host.install("docker")
    environment = Environment(KIND.DOCKER, "i:1", gpus="device=0,1")
    argv = choose_family(environment, host.site()).argv(Command("c"))
    assert "--gpus 'device=0,1'" in argv[-1]


def test_fact_65_docker_has_one_mount_the_caller_and_the_working_directory(host):
    host.install("docker")
    text = text_of(host, Environment(KIND.DOCKER, "i"))
    assert "--user $(id -u):$(id -g)" in text
    assert text.count(" -v '") == 1
    assert " -v '/w':'/w' -w '/w' " in text
    assert "--memory" not in text


@pytest.mark.parametrize(("asked", "given"), [(500, "500m"), (4000, "1000m")])
def test_docker_is_promised_the_job_s_memory_but_no_more_than_there_is(host, asked, given):
    host.install("docker")
    command = Command("x", memory_mb=asked)
    text = text_of(host, Environment(KIND.DOCKER, "i"), command, memory_mb=1000)
    assert f" --memory {given} " in text


@pytest.mark.parametrize(
    ("kind", "words"), [(KIND.DOCKER, ' -w "$PWD" '), (KIND.SINGULARITY, ' --pwd "$PWD" ')]
)
def test_a_scratch_job_works_in_its_own_directory(host, kind, words):
    host.install("docker", "apptainer")
    site = {"present": ("/w/i",)}
    assert words in text_of(host, Environment(kind, "i"), Command("x", scratch=True), **site)


@pytest.mark.parametrize(
    ("kind", "spec", "fields"),
    [
        (KIND.CONDA, "e.yaml", {"files": {"e.yaml": YAML}}),
        (KIND.PIXI, "p.toml", {"files": {"p.toml": b""}}),
        (KIND.DOCKER, "i", {}),
        (KIND.SINGULARITY, "i", {"present": ("/w/i",)}),
        (KIND.VENV, "v", {}),
    ],
)
def test_prelude_and_exports_are_inside_the_environment(host, kind, spec, fields):
    host.install("conda", "pixi", "docker", "apptainer", "python3")
    command = Command("echo $K", prelude="set -eu", variables={"K": "it's"})
    text = text_of(host, Environment(kind, spec), command, **fields)
    inner = "set -eu\nexport K='it'\\''s'\necho $K"
    if kind in (KIND.CONDA, KIND.PIXI):
        assert quote(one_line(inner))[1:-1] in text
        assert "\n" not in text
    else:
        assert inner in text or quote(inner)[1:-1] in text


@pytest.mark.parametrize("text", ["a\nb", "echo 'x' \\\n  && printf '%s\\t' y\r\n", "one"])
def test_one_line_runs_as_the_lines_did(text):
    one = one_line(text)
    assert "\n" not in one
    plain = subprocess.run(["bash", "-c", text], capture_output=True)
    again = subprocess.run(["bash", "-c", one], capture_output=True)
    assert (again.stdout, again.returncode) == (plain.stdout, plain.returncode)


@pytest.mark.parametrize(
    ("tools", "environment", "fields", "create", "undo"),
    [
        (
            ["conda"],
            Environment(KIND.CONDA, "e.yaml"),
            {"files": {"e.yaml": YAML}},
            "conda env create -n tools -f '/w/e.yaml' || "
            "conda env update -n tools -f '/w/e.yaml' --prune",
            "conda env remove -y -n tools",
        ),
        (
            ["micromamba"],
            Environment(KIND.MAMBA, "e.yaml", prefix="/p"),
            {"files": {"e.yaml": YAML}},
            "micromamba env create -y -p '/p' -f '/w/e.yaml' || "
            "micromamba env update -p '/p' -f '/w/e.yaml' --prune",
            "micromamba env remove -y -p '/p'",
        ),
        (
            ["pixi"],
            Environment(KIND.PIXI, "p.toml"),
            {"files": {"p.toml": b""}},
            "pixi install --manifest-path '/w/p.toml'",
            None,
        ),
        (["docker"], Environment(KIND.DOCKER, "i:1"), {}, "docker pull 'i:1'", None),
        (
            ["apptainer"],
            Environment(KIND.SINGULARITY, "docker://a/b:1"),
            {},
            "apptainer pull --force '/w/b_1.sif.part' 'docker://a/b:1' && "
            "mv -f '/w/b_1.sif.part' '/w/b_1.sif'",
            "rm -f '/w/b_1.sif.part'",
        ),
        (
            ["apptainer"],
            Environment(KIND.SINGULARITY, "/i.sif"),
            {"present": ("/i.sif",)},
            None,
            "rm -f '/i.sif.part'",
        ),
        (
            ["python3"],
            Environment(KIND.VENV, "v", requirements="r.txt"),
            {"files": {"r.txt": b"six"}},
            "mkdir -p '/w/v' && python3 -m venv '/w/v' && '/w/v'/bin/python -m pip install --quiet "
            "--no-input --disable-pip-version-check -r '/w/r.txt'",
            "rm -rf '/w/v'",
        ),
        (
            ["python3", "uv"],
            Environment(KIND.VENV, "v"),
            {"files": {"requirements.txt": b"six"}},
            "mkdir -p '/w/v' && uv venv --quiet --no-project --allow-existing '/w/v' && "
            "uv pip install --quiet --python '/w/v'/bin/python -r '/w/requirements.txt'",
            "rm -rf '/w/v'",
        ),
        (
            ["python3"],
            Environment(KIND.VENV, "v"),
            {},
            "mkdir -p '/w/v' && python3 -m venv '/w/v'",
            "rm -rf '/w/v'",
        ),
    ],
)
def test_an_environment_says_how_it_is_made(host, tools, environment, fields, create, undo):
    host.install(*tools)
    setup = choose_family(environment, host.site(**fields)).setup
    assert (setup.create, setup.undo) == (create, undo)


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        (Environment(KIND.CONDA, "f"), "f"),
        (Environment(KIND.MAMBA, "f"), "f"),
        (Environment(KIND.PIXI, "f"), "f"),
        (Environment(KIND.PIXI, "f"), "pixi.lock"),
        (Environment(KIND.VENV, "v"), "requirements.txt"),
        (Environment(KIND.VENV, "v", requirements="r"), "r"),
    ],
)
def test_the_content_of_the_definition_is_part_of_the_key(host, environment, path):
    host.install("conda", "mamba", "pixi", "python3")
    files = {"f": b"name: n\n", "r": b"x", path: b"name: n\n# one"}
    one = choose_family(environment, host.site(files=files)).setup
    same = choose_family(environment, host.site(files=dict(files))).setup
    two = choose_family(environment, host.site(files=files | {path: b"name: n\n# two"})).setup
    assert one.key == same.key != two.key
    assert one.place == two.place


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (Environment(KIND.CONDA, "e.yaml"), "'conda' is not on PATH; install Miniforge"),
        (Environment(KIND.MAMBA, "e.yaml"), "'mamba' or 'micromamba' or 'conda' is not on PATH"),
        (Environment(KIND.PIXI, "p.toml"), "'pixi' is not on PATH; install pixi"),
        (Environment(KIND.DOCKER, "i"), "'docker' is not on PATH; install Docker Engine"),
        (Environment(KIND.SINGULARITY, "i"), "'apptainer' or 'singularity' is not on PATH"),
        (Environment(KIND.VENV, "v"), "'python3' is not on PATH; install Python 3"),
        (Environment(KIND.MODULES, "a", modules=("a",)), "install environment-modules or lmod"),
    ],
)
def test_a_missing_tool_is_named_with_what_to_install(host, environment, words):
    with pytest.raises(RunError) as caught:
        choose_family(environment, host.site())
    assert words in caught.value.message


def test_a_module_function_passed_on_by_the_caller_is_enough(host):
    site = host.site(variables={"BASH_FUNC_module%%"})
    family = choose_family(Environment(KIND.MODULES, "a", modules=("a",)), site)
    assert "/init/" not in family.argv(Command("x"))[2]


@pytest.mark.parametrize(
    ("environment", "files", "words"),
    [
        (Environment(KIND.CONDA, "e.yaml"), {"e.yaml": b"name: a;b\n"}, "'a;b' is no environment"),
        (Environment(KIND.CONDA, "my tools.yaml"), {}, "'my tools' is no environment name"),
        (Environment(KIND.PIXI, "p.toml"), {}, "'p.toml' is not there"),
        (Environment(KIND.SINGULARITY, "x.sif"), {}, "'x.sif' is not there"),
        (Environment(KIND.VENV, "v", requirements="r"), {}, "'r' of venv 'v' is not there"),
        (Environment(KIND.VENV, "."), {}, None),
        (Environment(KIND.DOCKER, "--privileged"), {}, "no image"),
    ],
)
def test_fact_65_a_definition_that_cannot_be_used_is_an_error(host, environment, files, words):
    host.install("conda", "pixi", "apptainer", "docker", "python3")
    if words is None:
        environment, words = Environment(KIND.VENV, "/w/"), "is the working directory"
    with pytest.raises(RunError) as caught:
        choose_family(environment, host.site(files=files))
    assert words in caught.value.message


@pytest.mark.parametrize("kind", [KIND.DOCKER, KIND.SINGULARITY])
def test_a_directory_that_cannot_be_mounted_is_an_error(host, kind):
    host.install("docker", "apptainer")
    with pytest.raises(RunError, match="cannot be"):
        choose_family(Environment(kind, "docker://i"), host.site(workdir="/a:b"))


DOCKER = Environment(KIND.DOCKER, "i")
VENV = Environment(KIND.VENV, "v")
PIXI = Environment(KIND.PIXI, "p")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule("a", environment=DOCKER, env_group="g"), VENV),
        (Rule("a", environment=DOCKER), DOCKER),
        (Rule("a"), PIXI),
        (Rule("a", env_group="g"), VENV),
    ],
)
def test_the_group_beats_the_rule_and_the_rule_beats_the_default(rule, expected):
    workflow = Workflow("w", env_groups={"g": VENV}, defaults=Defaults(environment=PIXI))
    assert effective_environment(rule, workflow) == expected


def test_an_unknown_group_is_an_error_and_not_the_host():
    with pytest.raises(RunError, match=r"no \[env_groups.g\]"):
        effective_environment(Rule("a", env_group="g"), Workflow("w"))
