"""Carry one job that must run to its end: attempt, verify, record, clean up.

Owns the life of a job (spec/oxoflow-format.md 5.2-5.5, 5.7) from the note of its start to the
record of its end, as one worker thread lives it. Whether it must run at all is decided before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from oxoflow.engine.attempt import JobLogs
from oxoflow.engine.deciding import Decision
from oxoflow.engine.disk import is_full
from oxoflow.engine.failures import (
    BEFORE_SPAWN,
    STOPPED,
    TIMED_OUT,
    describe_exit,
    describe_overuse,
    describe_timeout,
    ran_out_of_memory,
)
from oxoflow.engine.fingerprint import Fingerprint
from oxoflow.engine.jobtools import JobTools
from oxoflow.engine.journal import Shape
from oxoflow.engine.outputs import clean_up, lies_inside, shapes_before, verify
from oxoflow.engine.ownlogs import log_ends
from oxoflow.engine.placing import Attempt
from oxoflow.engine.preparing import Prepared
from oxoflow.engine.process import Exit, SpawnFailed
from oxoflow.engine.products import settle
from oxoflow.engine.provisioning import Provided
from oxoflow.engine.records import OutputRecord
from oxoflow.engine.reentry import check_manifest
from oxoflow.engine.references import is_reference
from oxoflow.engine.reporting import Failure, Notes, Usage
from oxoflow.engine.scheduler import Status
from oxoflow.engine.scratch import bring_home, forget_scratch, make_scratch, remove_scratch
from oxoflow.engine.shadow import fill_shadow
from oxoflow.engine.wording import absent_words
from oxoflow.errors import RunError


class JobEnd(Struct, frozen=True):
    """How a job ended for the scheduler. With `grow_mb` it wants another attempt with more.

    `interrupted` jobs did not fail: the run was stopped before they could end, or before they had
    `begun`. `others` are the ends of jobs that ran with it; when they failed, the first one is to
    blame.
    """

    index: int
    status: Status
    error: str | None = None
    grow_mb: int | None = None
    interrupted: bool = False
    begun: bool = True
    others: tuple[JobEnd, ...] = ()


class JobLife(Struct):
    """One job under way; one thread at a time works on it."""

    tools: JobTools
    decision: Decision
    prepared: Prepared
    usage: Usage = field(default_factory=Usage)
    before: Mapping[str, Shape] = field(default_factory=dict)
    scratch: Path | None = None
    provided: Provided | None = None
    _logs: JobLogs | None = None
    _present: tuple[OutputRecord, ...] = ()

    @property
    def begun(self) -> bool:
        """True once the job's start is noted."""
        return self._logs is not None

    @property
    def logs(self) -> JobLogs:
        assert self._logs is not None  # `begin` opens them before anything else
        return self._logs

    @property
    def cwd(self) -> str:
        return str(self.scratch) if self.scratch is not None else self.tools.root

    def begin(self) -> JobEnd:
        """Live from the start until the end, or until more memory is wanted."""
        failure = self.prepare()
        return self.go_on() if failure is None else self.fail(failure)

    def prepare(self) -> Failure | None:
        """Note what is there, make the directories, run the hook before the first attempt."""
        tools, job = self.tools, self.decision.job
        outputs = self.decision.outputs
        self.before = shapes_before(tools.root, outputs)
        if job.rule.scratch or job.rule.shadow:
            self.scratch = make_scratch(tools.commands.directory, job.name)
        if self.scratch is not None and job.rule.shadow and not job.rule.scratch:
            fill_shadow(job.rule.shadow, tools.root, self.scratch, self.decision.inputs, outputs)
        tools.reporter.begun(job, self.usage)
        tools.journal.will_start(
            job.name, self._volatile(), self.before, self.usage.started_at or 0.0
        )
        self._logs = tools.open_logs(job.name)
        tools.linked.own((*self.decision.inputs, *outputs))
        try:
            tools.parents.make(self.prepared.parents)
            if self.scratch is not None:
                tools.parents.make(outputs, below=str(self.scratch))
        except OSError as error:
            words = f"'{error.filename}' could not be made: {error.strerror}"
            return Failure(BEFORE_SPAWN, words)
        return self._provide() or self._pre_exec()

    def _volatile(self) -> tuple[str, ...]:
        """What must go if we die: outputs that are not kept, pipes, and files of our own."""
        prepared, own = self.prepared, [] if self.scratch is None else [str(self.scratch)]
        outputs = (*self.decision.outputs, *self.decision.pipes)
        if prepared.kept:
            outputs = tuple(path for path in outputs if path not in prepared.kept)
        hooks = filter(None, (prepared.pre_exec, prepared.on_success, prepared.on_failure))
        for argv in (prepared.argv, *hooks):
            script = self.tools.commands.script_of(argv, self.decision.job.name)
            own += [] if script is None else [str(script)]
        return (*outputs, *own)

    def go_on(self) -> JobEnd:
        """Attempt until success, or until there is no sense in another attempt."""
        rule, tools = self.decision.job.rule, self.tools
        allowed = 1 + max(tools.retry, rule.retries)
        while True:
            failure = self.attempt()
            if failure is None:
                failure = self.check()
                return self.record() if failure is None else self.fail(failure)
            stop = self.usage.attempt >= allowed or not failure.may_retry
            if stop or tools.stopping.is_set():
                return self.fail(failure)
            self.tell_retry(failure)
            if tools.stopping.wait(self.prepared.retry_delay):
                return self.fail(failure)
            grow_mb = self._memory_wanted(failure)
            if grow_mb is not None:
                return JobEnd(self.decision.index, Status.FAILED, grow_mb=grow_mb)

    def tell_retry(self, failure: Failure) -> None:
        """An attempt failed that will be followed by another."""
        tools, job = self.tools, self.decision.job
        tail = tools.preparer.mask.text(self.logs.tail())
        tools.reporter.attempt_failed(job, self.usage, failure, tail, will_retry=True)

    def _provide(self) -> Failure | None:
        """See to it that the job's environment is there; its making stands in the job's log."""
        provisioner, setup = self.tools.provisioner, self.prepared.setup
        if setup is None or provisioner is None:
            return None
        try:
            self.provided = provisioner.provide(setup, self._host_command)
        except RunError as error:
            self.logs.note(f"oxoflow: {error.message}")
            return Failure(BEFORE_SPAWN, f"rule '{self.decision.job.rule.name}': {error.message}")
        return None

    def _host_command(self, text: str) -> int:
        """Run a text of our own in the working directory, without the rule's variables."""
        return self.tools.commands.run(
            self.tools.preparer.site.shell.argv(text),
            job=self.decision.job.name,
            token=f"{self.decision.index}.0",
            logs=self.logs,
            cwd=self.tools.root,
            variables={},
        ).code

    def _pre_exec(self) -> Failure | None:
        if self.prepared.pre_exec is None:
            return None
        try:
            ended = self._command(self.prepared.pre_exec, self.cwd)
        except SpawnFailed as error:
            return Failure(BEFORE_SPAWN, error.message)
        if ended.code == 0:
            return None
        code = TIMED_OUT if ended.timed_out else ended.code
        return Failure(code, f"pre_exec hook failed: {describe_exit(ended.code)}")

    def attempt(self) -> Failure | None:
        """Run the command once; what it made is looked at by `check`."""
        self.usage.attempt += 1
        self.tools.reporter.attempt(self.decision.job, self.usage)
        self.logs.begin_attempt()
        try:
            ended, out_of_memory = self._caged_command()
        except SpawnFailed as error:
            return Failure(BEFORE_SPAWN, error.message)
        self.usage.add(ended)
        if ended.timed_out:
            words = describe_timeout(self.prepared.timeout or 0.0)
            self._tell_own_logs()
            self.logs.note(f"oxoflow: {words}")
            return Failure(TIMED_OUT, words, may_retry=True)
        if out_of_memory:
            words = describe_overuse(self.prepared.rendered.memory_mb or 0)
            return Failure(ended.code or 137, words, may_retry=True, out_of_memory=True)
        if ended.code != 0:
            where = self._tell_own_logs()
            tail = self.logs.tail()
            lacking = ran_out_of_memory(ended.code, tail)
            words = describe_exit(ended.code, tail, no_space=is_full(self.cwd)) + where
            return Failure(ended.code, words, may_retry=True, out_of_memory=lacking)
        return None

    def _tell_own_logs(self) -> str:
        """Copy the ends of logs that the command wrote itself into ours; say where they are."""
        if self.tools.stopping.is_set():
            return ""
        rendered, since = self.prepared.rendered, self.usage.started_at or 0.0
        told = [
            end
            for end in log_ends(self.cwd, rendered.command or "", rendered.log, since)
            if not self.logs.says(end.text)
        ]
        for end in told:
            self.logs.note(f"oxoflow: the end of '{end.path}':\n{end.text}")
        return "; see " + " and ".join(f"'{end.path}'" for end in told) if told else ""

    def _caged_command(self) -> tuple[Exit, bool]:
        """Run the command, held to its memory if so wished; whether it was ended for that."""
        argv, cages = self.prepared.argv, self.tools.cages
        memory_mb = self.prepared.rendered.memory_mb
        if cages is None or memory_mb is None:
            return self._place(argv), False
        name = f"{self.decision.index}.{self.usage.attempt}"
        fitting = self.tools.commands.fitting(argv, self.decision.job.name)
        with fitting as short, cages.enter(name, memory_mb) as cage:
            ended = self._place(cage.argv(short))
            return ended, ended.code != 0 and cage.killed()

    def _place(self, argv: tuple[str, ...]) -> Exit:
        """Have the attempt carried out wherever jobs go; some stay on this machine."""
        tools, prepared = self.tools, self.prepared
        if self._stays_here():
            return self._command(argv, self.cwd)
        attempt = Attempt(
            self.decision.job.name,
            f"{self.decision.index}.{self.usage.attempt}",
            argv,
            self.cwd,
            prepared.rendered.env,
            prepared.timeout,
            prepared.rendered.threads,
            prepared.rendered.memory_mb,
        )
        return tools.backend.run(attempt, tools.commands, self.logs)

    def _stays_here(self) -> bool:
        """True for local rules, for references, whose lock is here, and for ends of pipes."""
        rule, pipes = self.decision.job.rule, self.tools.planner.pipes.of_job
        return rule.localrule or self.decision.index in pipes or is_reference(rule)

    def _command(self, argv: tuple[str, ...], cwd: str) -> Exit:
        """Run a command here, wherever jobs go: a hook, say (5.5)."""
        return self.tools.commands.run(
            argv,
            job=self.decision.job.name,
            token=f"{self.decision.index}.{self.usage.attempt}",
            logs=self.logs,
            cwd=cwd,
            variables=self.prepared.rendered.env,
            timeout=self.prepared.timeout,
        )

    def check(self) -> Failure | None:
        """Bring home and verify what the command made."""
        tools, job, outputs = self.tools, self.decision.job, self.decision.outputs
        if self.scratch is not None:
            bring_home(self.scratch, Path(tools.root), outputs)
        found = verify(tools.root, job.name, outputs)
        if found.missing:
            shown = ", ".join(f"'{path}'" for path in found.missing[:5])
            words = (
                f"output validation: the command succeeded but did not make {shown}; correct "
                "the rule's output or its command"
            )
            words += self._tell_own_logs()
            self.logs.note(f"oxoflow: {words}")
            return Failure(BEFORE_SPAWN, words)
        self._present = found.present
        workflow, files = tools.preparer.workflow, tools.planner.files
        complaint = check_manifest(job, workflow, tools.planner.renderer, files)
        if complaint is not None:
            self.logs.note(f"oxoflow: {complaint}")
            return Failure(BEFORE_SPAWN, complaint)
        return None

    def record(self) -> JobEnd:
        """The job is done: protect, count and record what was verified."""
        tools, job = self.tools, self.decision.job
        files = tools.planner.files
        if self.scratch is not None:
            forget_scratch(tools.commands.directory, job.name)
        if self.prepared.on_success is not None:
            self._hook(self.prepared.on_success)
        present = settle(files, job.rule, self.prepared, self.usage, self._present)
        key = tools.planner.fingerprint(self.decision)
        tools.learn()
        command = self.prepared.shown_command
        notes = self._notes()
        tools.reporter.done(job, self.usage, key, present, command, notes)
        kept = self._leave(key, present, notes)
        if kept is not None:
            self.logs.note(f"oxoflow: {kept}")
        self.logs.close()
        return JobEnd(self.decision.index, Status.SUCCESS)

    def _leave(
        self, key: Fingerprint, present: tuple[OutputRecord, ...], notes: Notes
    ) -> str | None:
        """Leave the result for other runs, if they are shared; says what kept it from that."""
        reuse = self.tools.reuse
        return reuse.leave(self.decision, key, present, notes.environment) if reuse else None

    def _notes(self) -> Notes:
        return Notes(self.provided.text() if self.provided is not None else None)

    def give_up(self) -> None:
        """End without another attempt."""
        self.fail(Failure(BEFORE_SPAWN, ""))

    def fail(self, failure: Failure) -> JobEnd:
        """End without a result: undo what was made, and record why."""
        tools, job = self.tools, self.decision.job
        interrupted = tools.stopping.is_set()
        if self.scratch is not None and interrupted:
            remove_scratch(self.scratch)
        elif self.scratch is not None:
            self.logs.note(f"oxoflow: scratch directory kept: {self.scratch}")
        if interrupted:
            failure = Failure(failure.code, STOPPED)
        elif self.prepared.on_failure is not None and self.usage.attempt > 0:
            self._hook(self.prepared.on_failure)
        absent = "" if interrupted or not failure.error else absent_words(self.decision)
        failure = replace(failure, error=tools.preparer.mask.text(failure.error + absent))
        kept = self.prepared.kept
        clean_up(tools.root, self.decision.outputs, self.before, kept)
        scraps = tools.planner.fleeting.scraps(self.decision.index)
        clean_up(tools.root, (p for p in scraps if lies_inside(tools.root, p)), {}, kept)
        tail = tools.preparer.mask.text(self.logs.tail())
        command, notes = self.prepared.shown_command, self._notes()
        tools.reporter.failed(job, self.usage, failure, command, tail, notes)
        self.logs.close()
        return JobEnd(self.decision.index, Status.FAILED, failure.error, interrupted=interrupted)

    def _hook(self, argv: tuple[str, ...]) -> None:
        """Run on_success or on_failure: best effort, without influence on the job (5.5)."""
        try:
            code = self._command(argv, self.tools.root).code
        except SpawnFailed as error:
            self.logs.note(f"oxoflow: hook: {error.message}")
            return
        if code != 0:
            self.logs.note(f"oxoflow: hook: {describe_exit(code)}")

    def _memory_wanted(self, failure: Failure) -> int | None:
        """The megabytes for the next attempt after memory ran out, if the rule asks for growth."""
        factor = self.decision.job.rule.retry_memory_factor
        if factor is None or not failure.out_of_memory:
            return None
        return max(1, int((self.prepared.rendered.memory_mb or self.usage.peak_mb) * factor))
