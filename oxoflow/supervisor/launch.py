"""Start a runner that does nothing until it is told that its identity is on record (design 2).

Owns the launch pipe and the environment a runner gets. Nothing here waits for the runner, and
nothing is decided about the run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from oxoflow import sandbox
from oxoflow.db.runs import Options, Run
from oxoflow.engine.configstdin import config_stdin, config_words
from oxoflow.engine.identity import ProcessIdentity, identify
from oxoflow.supervisor.descriptors import LIMIT
from oxoflow.workspace import RECORDS, WORKFLOW_FILE, cache_beside, open_below

ROOT = Path(__file__).resolve().parents[2]  # the directory that holds the package `oxoflow`
PROGRAM = (sys.executable, "-s", "-m", "oxoflow")  # what a person types as `oxoflow`
SEEDER = (sys.executable, "-s", "-m", "oxoflow.supervisor.seed")  # becomes what stands behind it
RUNNER_LOG = f"{RECORDS}/runner.log"  # what the runner itself says; its rules have their own logs
PASSED = frozenset({"PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL"})
PASSED_FAMILIES = ("LC_", "CONDA_", "MAMBA_", "MODULE", "LMOD_")

# The command of a kind of run: (run, its directory, threads) to a program and its arguments.
Command = Callable[[Run, Path, int], Sequence[str]]


def workflow_command(run: Run, directory: Path, threads: int, cache_size: int = 0) -> list[str]:
    """What a person would type to run a submitted workflow; `cache_size` bytes may be shared."""
    options = run.options
    command = [*PROGRAM, "run", str(directory / WORKFLOW_FILE), "--workdir", str(directory)]
    command += ["-j", str(threads)]
    if options.keep_going:
        command.append("-k")
    command += selection(options) + sharing(options, directory, cache_size)
    command += [f"--force={name}" for name in options.force]
    if options.seeded:
        return [*SEEDER, str(directory), *command]
    return command


def selection(options: Options) -> list[str]:
    """What was chosen, as flags: one word each, so that no value can be taken for a flag.

    Config values may be secret, and any account can read the process list: they come by stdin.
    """
    words = config_words(options.config)
    words += [f"--target={target}" for target in options.targets]
    return words + [f"--samples={samples}" for samples in options.samples]


def sharing(options: Options, directory: Path, cache_size: int) -> list[str]:
    """Where results of the owner's other runs may be taken and left, as flags."""
    if options.no_cache or not cache_size:
        return []
    return [f"--cache={cache_beside(directory)}", f"--cache-size={cache_size}"]


class Launched(Struct):
    """A runner that waits for its word; exactly one of `release` and `abandon` is called."""

    process: subprocess.Popen[bytes]
    identity: ProcessIdentity
    nonce: str
    pipe: int

    def release(self) -> None:
        """Tell it to begin. When it is gone already, its end is noticed like any other."""
        try:
            os.write(self.pipe, b"g")
        except BrokenPipeError:
            pass
        finally:
            os.close(self.pipe)

    def abandon(self) -> None:
        """Let it end without having done anything, and wait for that."""
        os.close(self.pipe)
        self.process.wait()


def launch(
    run: Run, directory: Path, command: Sequence[str], environment: Mapping[str, str]
) -> Launched:
    """Start a runner in a session of its own, so that it survives us; raises OSError."""
    nonce = uuid.uuid4().hex
    read_end, write_end = os.pipe()
    try:
        log = open_below(directory, RUNNER_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            argv = [*command, "--launch", f"{nonce}:{read_end}:{run.id}"]
            with config_stdin(run.options.config) as stdin:
                process = subprocess.Popen(
                    sandbox.wrap(argv, directory),
                    cwd=ROOT,  # trusted, and where `-m` finds the package; never the run directory
                    env=dict(environment),
                    stdin=stdin,
                    stdout=log,
                    stderr=log,
                    pass_fds=(read_end,),
                    start_new_session=True,
                )
        finally:
            os.close(log)
    except BaseException:
        os.close(write_end)
        raise
    finally:
        os.close(read_end)
    LIMIT.give_back(process.pid)
    identity = identify(process.pid)
    if identity is None:  # not reaped by anybody but us, so it has a stat: only /proc can be absent
        os.close(write_end)
        process.wait()
        raise OSError("/proc does not show the runner; is it mounted?")
    return Launched(process, identity, nonce, write_end)


def runner_environment(
    environ: Mapping[str, str], pass_names: Sequence[str] = ()
) -> dict[str, str]:
    """What a runner may see of the server's environment, and its rules through it."""
    wanted = PASSED | {name for name in pass_names if not name.startswith("OXO_FLOW_")}
    return {
        name: text
        for name, text in environ.items()
        if name in wanted or name.startswith(PASSED_FAMILIES)
    }
