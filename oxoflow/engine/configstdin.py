"""Hand config values to `oxoflow run` so that they stand in no process list and in no file.

Owns the word that goes on the command line in their place, and the open file without a name that
becomes the process's stdin. Starts nothing; `commands.configfile` reads the other end.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping

CONFIG_FROM_STDIN = "--config-file=-"


def config_words(values: Mapping[str, str]) -> list[str]:
    """What a command line says instead of the values; nothing when there are none."""
    return [CONFIG_FROM_STDIN] if values else []


@contextlib.contextmanager
def config_stdin(values: Mapping[str, str]) -> Iterator[int]:
    """Give a descriptor to be the stdin of what is started: of the values, else of /dev/null.

    It lies in memory and is gone with its last descriptor; a pipe would make us wait for the
    reader when the values are longer than its buffer.
    """
    if not values:
        descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    else:
        descriptor = os.memfd_create("config", os.MFD_CLOEXEC)
    try:
        if values:
            content = json.dumps(dict(values)).encode()
            while content:
                content = content[os.write(descriptor, content) :]
            os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
