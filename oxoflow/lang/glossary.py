"""Say in one line what each key of the format means, for the schema that editors show.

Owns the sentences alone (spec/oxoflow-format.md section 1); a test holds them complete. Paths
start at a top-level table or at one of the schema's named tables.
"""

from __future__ import annotations

from collections.abc import Mapping

DEPRECATED = frozenset(("rule.threads", "rule.memory"))

_TOP: Mapping[str, str] = {
    "workflow": "What the workflow is called and by whom it was written",
    "config": "Values for {config.key}; a table with default, required or help declares an option",
    "defaults": "What rules get that do not say otherwise",
    "rules": "The steps; a rule with wildcards becomes one job for each value",
    "report": "How the report of a run is written",
    "include": "Other workflow files whose rules belong to this one",
    "pairs": "Experiment and control samples that are analysed together",
    "sample_groups": "Named sets of samples, for {group} and {sample}",
    "values": "Lists of values; {name} makes one job for each",
    "wildcard_constraints": "Patterns (RE2, unanchored) that values of a wildcard must match",
    "resource_groups": "Named limits that rules share, such as licences or disk streams",
    "env_groups": "Named environments for env_group",
    "resource_budget": "What one run may use at most",
    "execution_group": "Rules that run side by side or one after another",
    "reference_dir": "Directory of the usual reference files; sets config keys for them",
    "references": "Reference files and how to build them before the first job",
    "reference_db": "Databases that were used, for the record",
    "cluster": "Where and how jobs are submitted when a profile names a cluster",
    "citation": "How to cite the workflow",
    "plugins": "Extensions, for the record",
}
_WORKFLOW: Mapping[str, str] = {
    "name": "Name of the workflow",
    "version": "Version of the workflow, 0.1.0 when absent",
    "description": "What the workflow does",
    "author": "Who wrote it",
    "min_version": "Oldest oxoflow that it is written for; a newer need only warns",
    "format_version": "Version of this format: 1.0",
    "genome_build": "Genome build that it is written for, such as GRCh38",
    "interpreter_map": 'Programs for scripts by suffix, such as ".r" = "Rscript"',
    "pairs_file": "CSV, TSV or JSON file with further [[pairs]]",
    "sample_groups_file": "CSV, TSV or JSON file with further [[sample_groups]]",
    "pairs_pattern": "Path with {pair_id}, {experiment} and {control} to discover pairs by",
    "sample_pattern": "Path with {sample} to discover samples by",
    "profile_mode": "Whether a profile fills gaps (fill) or wins (override)",
}
_RULE: Mapping[str, str] = {
    "name": "Name, unique in the workflow: letters, digits, _ - :",
    "input": "Files that it reads: a list, named files, or { path, pattern } for a directory",
    "output": "Files that it makes: a list or named files",
    "expand_inputs": "Further inputs: a pattern and the lists that fill it",
    "shell": "Command, run by bash",
    "script": "Script and its arguments; the suffix chooses the interpreter",
    "interpreter": "Program that runs the script",
    "description": "What the rule is for",
    "threads": "Old form of resources.threads",
    "memory": "Old form of resources.memory",
    "resources": "What a job needs",
    "environment": "Where the command's programs come from",
    "env_group": "Name of an environment in [env_groups]",
    "log": "Path for {log}",
    "benchmark": "Path of a small table with time and memory of the job",
    "params": "Values for {params.key}",
    "envvars": "Environment variables of command and hooks",
    "priority": "Higher runs first among jobs that are ready",
    "target": "Marks a final result",
    "required": "Whether a failure makes the run fail; true when absent",
    "optional": "Skip the job when an input is missing",
    "when": 'Condition, such as config.trim == "true"; when false the job is skipped',
    "depends_on": "Rules that must be done first, besides those that make its inputs",
    "extends": "Rule to inherit resources, environment, params and more from",
    "checkpoint": "The job writes a manifest of samples or pairs that join the run",
    "checkpoint_manifest": "Path of that manifest",
    "scatter": "One job for each value of a list",
    "transform": "Split, map over the parts, and combine",
    "retries": "How often a failed job is tried again",
    "retry_delay": "Pause before a retry, such as 30s",
    "retry_memory_factor": "Memory grows by this factor after running out of it",
    "pre_exec": "Command before the first attempt; its failure fails the job",
    "on_success": "Command after success",
    "on_failure": "Command after the last failed attempt",
    "temporary": "Delete the outputs once everything that needs them is done",
    "temp_output": "Further files that are deleted afterwards",
    "protected_output": "Files that are never deleted or overwritten by clean-up",
    "scratch": "Run in an empty directory and move the outputs back",
    "shadow": "Run in a private copy of the working directory",
    "ancient": "Inputs whose changes never cause a re-run",
    "pipe": "Stream the outputs into the rule that reads them; of a last rule, its inputs",
    "checksum": "Record checksums of the outputs",
    "cache": "Whether results may be taken over from other runs; true when absent",
    "cache_key": "Kept for other programs",
    "input_function": "Kept for other programs",
    "localrule": "Run on the submitting machine even with a cluster",
    "group": "Label for cluster jobs",
    "format_hint": "Formats of the files, for the record",
    "tags": "Words to find the rule by",
    "rule_metadata": "Anything worth keeping with the rule",
    "resource_hint": "Rough size, memory and speed, for estimates",
}
_RESOURCES: Mapping[str, str] = {
    "threads": "Threads; 1 counts as unset",
    "memory": "Memory, such as 8G or 500M",
    "gpu": "Number of GPUs",
    "gpu_spec": "Which GPUs, in place of gpu",
    "gpu_spec.count": "Number of GPUs",
    "gpu_spec.model": "Model, such as A100",
    "gpu_spec.memory_gb": "Memory of each GPU in GB",
    "gpu_spec.compute_capability": "Compute capability, such as 8.0",
    "disk": "Disk space, such as 100G",
    "time_limit": "Longest time of one attempt, such as 4h or 24:00:00",
    "partition": "Cluster queue",
    "groups": "Units taken from [resource_groups]",
}
_ENVIRONMENT: Mapping[str, str] = {
    "mamba": "Conda file, created with mamba or micromamba",
    "mamba_prefix": "Directory of that environment",
    "conda": "Conda file",
    "conda_prefix": "Directory of that environment",
    "pixi": "Pixi manifest",
    "docker": "Docker image",
    "singularity": "Singularity image: a URI or a file",
    "venv": "Directory of a Python virtual environment",
    "venv_requirements": "Its requirements file, requirements.txt when absent",
    "modules": "Environment modules to load",
}
_TRANSFORM: Mapping[str, str] = {
    "split": "What to split by; the first of values, values_from, n and glob counts",
    "split.by": "Name of the wildcard",
    "split.values": "Its values",
    "split.values_from": "Config key with its values",
    "split.n": "Number of parts, or a config key with it",
    "split.glob": "Pattern of files, one part each",
    "map": "Command for one part",
    "combine": "How the parts become the outputs: a command, or a table",
    "cleanup": "Delete the parts after the run",
}
_COMBINE: Mapping[str, str] = {
    "shell": "Command; {chunks} are the parts, {output} the outputs",
    "aggregate": "Combine by method instead of a command",
    "method": "concat or json_merge",
    "header": "First line of the combined file, with concat",
}
_SCATTER: Mapping[str, str] = {
    "variable": "Name of the wildcard",
    "values": "Its values",
    "values_from": "Config key with its values",
    "gather": "Rule that reads all outputs",
}
_DECLARATION: Mapping[str, str] = {
    "default": "Value when none is given",
    "required": "A value must be given",
    "help": "What the value is for",
    "sensitive": "Never show the value",
    "type": "string, int, float, bool or path",
    "choices": "Allowed values",
    "range": "Allowed range, such as 1..64",
    "must_exist": "The path must exist",
}
_PAIR: Mapping[str, str] = {
    "pair_id": "Name of the pair, for {pair_id}",
    "experiment": "Sample under study, for {experiment}",
    "tumor": "The same as experiment",
    "control": "Sample to compare with, for {control}; may be absent",
    "normal": "The same as control",
    "experiment_type": "Kind of experiment, for {experiment_type}",
    "tumor_type": "The same as experiment_type",
    "metadata": "Further wildcards of the pair",
    "when": "Condition without which the pair does not count",
}
_REFERENCE: Mapping[str, str] = {
    "name": "Name, also the config key for the output",
    "output": "File or directory that is built",
    "build": "Template (samtools_faidx, picard_dict, bwa_index, star_index, …) or command",
    "source": "File that it is built from",
    "threads": "Threads for the build",
    "memory": "Memory for the build",
    "description": "What the reference is",
    "environment": "Where the build's programs come from",
}
_OTHER: Mapping[str, Mapping[str, str]] = {
    "defaults": {
        "threads": "Threads",
        "memory": "Memory",
        "environment": "Environment",
        "shell_prelude": "Lines put above every command",
        "time_limit": "Time limit",
    },
    "report": {
        "template": "Template file",
        "format": "Formats, for other programs",
        "sections": "Sections to show; all when empty",
    },
    "include": {
        "path": "The file, relative to this one",
        "namespace": "Prefix of its rule names: namespace::rule",
        "name": "Name of the module, for --module",
        "repo": "Git repository that holds the file",
        "ref": "Branch, tag or commit of the repository",
        "inputs": "Files that the module expects from this workflow",
        "outputs": "Files that the module promises",
        "params": "Config values for the module",
    },
    "sample_groups": {
        "name": "Name, for {group}",
        "samples": "Samples, for {sample}",
        "metadata": "Further placeholders of the group",
    },
    "values": {
        "name": "Name of the wildcard",
        "values": "Strings, numbers or booleans",
        "values_from": "Config key with the values, instead of values",
    },
    "resource_groups": {"max": "Units there are", "wait": "queue, or fail when none is left"},
    "resource_budget": {
        "max_threads": "Threads of all jobs together",
        "max_memory": "Memory of all jobs together",
        "max_jobs": "Jobs at the same time",
    },
    "execution_group": {
        "name": "Name of the group",
        "rules": "Its rules",
        "mode": "parallel, or sequential in the order of rules",
    },
    "reference_db": {
        "name": "Name",
        "version": "Version",
        "source": "Where it came from",
        "checksum": "Checksum",
        "accessed_date": "When it was fetched",
    },
    "cluster": {
        "backend": "Scheduler",
        "partition": "Queue",
        "account": "Account",
        "walltime": "Longest time of a job",
        "max_submitted": "Jobs in the queue at the same time",
        "max_array_size": "Jobs in one array",
        "poll_interval": "Pause between looks at the queue",
        "extra_args": "Further directives, as they are",
    },
    "citation": {
        "doi": "DOI",
        "url": "Address",
        "authors": "Authors",
        "title": "Title",
    },
    "plugins": {
        "rules": "Rule plugins",
        "executor": "Executor plugin",
        "reports": "Report plugins",
        "trusted_keys_file": "File of trusted keys",
    },
}


def _below(name: str, meanings: Mapping[str, str]) -> dict[str, str]:
    return {f"{name}.{key}": text for key, text in meanings.items()}


MEANINGS: Mapping[str, str] = {
    **_TOP,
    **_below("workflow", _WORKFLOW),
    **_below("rule", _RULE),
    **_below("resources", _RESOURCES),
    **_below("environment", _ENVIRONMENT),
    **_below("transform", _TRANSFORM),
    **_below("combine", _COMBINE),
    **_below("scatter", _SCATTER),
    **_below("declaration", _DECLARATION),
    **_below("pair", _PAIR),
    **_below("reference", _REFERENCE),
    **{key: text for name, each in _OTHER.items() for key, text in _below(name, each).items()},
    "rule.expand_inputs.pattern": "Path with placeholders",
    "rule.expand_inputs.variables": "For each placeholder a config key, or a list as text",
}
