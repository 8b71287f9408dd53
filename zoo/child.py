"""The process of one model. Its JSON lines go to standard output; what libraries print goes to standard error.

    python -m zoo.child --names [--from FILE]           {"names": [[name, family], ...]}
    python -m zoo.child --one NAME [--from FILE] ...    {"stage": ...} as each begins, then {"result": {...}}
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from typing import Any


def main() -> None:
    """Answer one request."""
    parser = argparse.ArgumentParser(prog="zoo.child", description=__doc__)
    parser.add_argument("--from", dest="source", default="")
    parser.add_argument("--names", action="store_true")
    parser.add_argument("--one", default="")
    parser.add_argument("--untimed", action="store_true")
    parser.add_argument("--compile-workers", type=int, default=0)
    options = parser.parse_args()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def reply(message: dict[str, Any]) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    from zoo.entry import entries

    found = entries(options.source)
    if options.names:
        reply({"names": [[e.name, e.family] for e in found.values()]})
        return
    import torch

    from zoo.measure import measure

    torch.set_num_threads(1)
    result = measure(
        found[options.one],
        timed=not options.untimed,
        workers=options.compile_workers,
        at_stage=lambda stage: reply({"stage": stage}),
    )
    reply({"result": asdict(result)})


if __name__ == "__main__":
    main()
    sys.stdout.flush()
