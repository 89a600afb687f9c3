#!/usr/bin/env python
from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    from orchestrator import quickstart
    from orchestrator.env import EnvError
    from orchestrator.servers import addresses
    from orchestrator.servers.errors import ServerError

    try:
        if sys.argv[1:] == ["quickstart"]:
            # The parent of everything needs no app; loading them all would make each start a second slower.
            quickstart.run(lambda line: print(line, flush=True))
        else:
            execute_from_command_line(sys.argv)
    except (EnvError, ServerError) as error:
        fail(str(error))
    except OperationalError as error:
        sentence = addresses.unreachable(error)
        if not sentence or "--traceback" in sys.argv:
            raise
        fail(sentence)


def fail(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.exit(2)


if __name__ == "__main__":
    main()
