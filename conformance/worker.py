"""A process that judges entries: one JSON request per line in, one JSON verdict per line out."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict


def main() -> None:
    """Serve until standard input ends. What libraries print goes to standard error."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import torch

    from conformance.entry import judge

    torch.set_num_threads(1)
    for line in sys.stdin:
        request = json.loads(line)
        verdict = judge(request["name"], request["dtype"], request["limit"])
        replies.write(json.dumps(asdict(verdict)) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
