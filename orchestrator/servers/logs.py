"""The log of one process: kept small, watched for errors."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

LARGEST = 20_000_000
# The rest of a stormy minute is in the log.
MENTION_SECONDS = 60.0
_ERROR = re.compile(rb"\b(ERROR|CRITICAL|FATAL|PANIC)\b|^Traceback ", re.MULTILINE)


class Log:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = self._size()
        self._mentioned = -MENTION_SECONDS

    def has_new_errors(self) -> bool:
        """Whether an error was written since the last call; true at most once a minute."""
        size = self._size()
        if size <= self._read:
            self._read = size
            return False
        with self.path.open("rb") as file:
            file.seek(self._read)
            found = _ERROR.search(file.read(size - self._read)) is not None
        self._read = size
        self.rotate()
        if not found or time.monotonic() - self._mentioned < MENTION_SECONDS:
            return False
        self._mentioned = time.monotonic()
        return True

    def rotate(self) -> None:
        """Keep one older part beside a log that has grown large.

        Copied and emptied, not renamed: the process goes on appending to the file it has open.
        """
        if self._size() > LARGEST:
            shutil.copyfile(self.path, self.path.with_suffix(".log.1"))
            os.truncate(self.path, 0)
            self._read = 0

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0
