"""Read and write the zip of files that belong to a saved workflow.

Owns the limits: a zip is untrusted, so its paths, its number of files and its true size are checked
before anything is believed. Writes nothing to disk.
"""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Mapping

from oxoflow.errors import InvalidInput, TooLarge
from oxoflow.workspace import EXECUTION_LOG, WORKFLOW_FILE, checked_path

LARGEST_ZIP = 16 * 1024**2  # bytes as stored
LARGEST_WHOLE = 64 * 1024**2  # bytes when unpacked, together
MOST_FILES = 1000
EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip knows no earlier time; the same files, the same bytes
CHUNK = 64 * 1024


def read_bundle(data: bytes) -> dict[str, bytes]:
    """The files in a zip by relative path; raises InvalidInput or TooLarge for a bad one."""
    if len(data) > LARGEST_ZIP:
        raise TooLarge("Bundle too large", f"the limit is {LARGEST_ZIP} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > MOST_FILES:
                raise TooLarge("Bundle too large", f"it may hold at most {MOST_FILES} files")
            return _unpacked(archive, entries)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise InvalidInput("Not a usable zip", str(error)[:200]) from None


def _unpacked(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    left = LARGEST_WHOLE
    for entry in entries:
        path = _path_of(entry)
        if path in files:
            raise InvalidInput("Not a usable zip", f"'{path}' is in it twice")
        files[path] = _content(archive, entry, left)
        left -= len(files[path])
    for path in files:
        if any(other.startswith(path + "/") for other in files):
            raise InvalidInput("Not a usable zip", f"'{path}' is a file and a directory")
    return files


def _path_of(entry: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise InvalidInput("Not a usable zip", f"'{entry.filename[:200]}' is no plain file")
    path = str(checked_path(entry.filename))
    if path in (WORKFLOW_FILE, EXECUTION_LOG):
        raise InvalidInput("Not a usable zip", f"'{path}' is written by the run itself")
    return path


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> bytes:
    """Unpack one file without believing the size that the zip claims."""
    parts = []
    with archive.open(entry) as file:
        while part := file.read(CHUNK):
            parts.append(part)
            left -= len(part)
            if left < 0:
                raise TooLarge(
                    "Bundle too large", f"it may hold at most {LARGEST_WHOLE} bytes unpacked"
                )
    return b"".join(parts)


def write_bundle(files: Mapping[str, bytes]) -> bytes:
    """A zip of these files; the same files always give the same bytes."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, EARLIEST)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[path])
    return written.getvalue()


def bundle_files(bundle: bytes | None) -> dict[str, bytes]:
    """The files of a stored bundle; none without one."""
    return {} if bundle is None else read_bundle(bundle)
