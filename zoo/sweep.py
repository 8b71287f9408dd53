"""Take the zoo through the whole pipeline, one model per process, and write the table.

    python -m zoo.sweep                                  every model of this zoo
    python -m zoo.sweep 'timm.*' own.lstm                those
    python -m zoo.sweep --write docs/zoo.md              and the page
    python -m zoo.sweep --from path/to/list.py[:NAME]    the models of a mapping name -> (family, make)

``--results FILE`` appends a JSON line per model and skips what the file already holds, so that a sweep can be cut
into pieces. The exit status is 1 when a model is wrong, crashes or does not run, 2 for a request that makes no sense.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from zoo.process import Settings, list_names, run_one
from zoo.result import CRASHED, NOT_RUN, WRONG, Result


def sweep(
    names: Sequence[tuple[str, str]],
    settings: Settings,
    *,
    workers: int = 1,
    report: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Measure every (name, family), ``workers`` at a time; the results in the order of the names."""
    pending: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    for index in [*range(len(names)), *[None] * workers]:
        pending.put(index)
    results: dict[int, Result] = {}
    lock = threading.Lock()

    def serve() -> None:
        while (index := pending.get()) is not None:
            result = run_one(*names[index], settings)
            with lock:
                results[index] = result
                report(result)

    threads = [threading.Thread(target=serve) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[i] for i in range(len(names))]


def main() -> int:
    """Parse the command line and sweep; the exit status."""
    parser = argparse.ArgumentParser(prog="zoo.sweep", description=__doc__.partition("\n")[0])
    parser.add_argument("patterns", nargs="*", help="models by name or pattern")
    parser.add_argument("--workers", type=int, default=1, help="models at a time; more than 1 spoils the times")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds per model")
    parser.add_argument("--from", dest="source", default="", help="another list: path/to/file.py[:NAME]")
    parser.add_argument("--untimed", action="store_true", help="compare only, measure no latency")
    parser.add_argument("--results", type=Path, help="JSON lines, one per model; those in it are not run again")
    parser.add_argument("--write", type=Path, help="the page to write, such as docs/zoo.md")
    options = parser.parse_args()
    settings = Settings(
        options.source, options.timeout, timed=not options.untimed, compile_workers=0 if options.workers == 1 else 1
    )
    known = list_names(settings)
    chosen = [p for p in known if not options.patterns or any(fnmatch.fnmatch(p[0], w) for w in options.patterns)]
    if not chosen:
        print(f"no model of {len(known)} fits {' '.join(options.patterns)}", file=sys.stderr)
        return 2
    if options.write and len(chosen) < len(known):
        print(f"--write makes the page of a whole list, not of {len(chosen)} models of {len(known)}", file=sys.stderr)
        return 2
    earlier = _read(options.results)
    began = time.monotonic()

    def report(result: Result) -> None:
        print(result, flush=True)
        if options.results:
            with options.results.open("a") as file:
                file.write(json.dumps(asdict(result)) + "\n")

    missing = [pair for pair in chosen if pair[0] not in earlier]
    fresh = {r.name: r for r in sweep(missing, settings, workers=options.workers, report=report)}
    results = [fresh.get(name) or earlier[name] for name, _ in chosen]
    print(f"{len(results)} models in {time.monotonic() - began:.0f} s:", dict(Counter(r.status for r in results)))
    if options.write:
        from zoo.page import page

        options.write.write_text(page(results, source=options.source, workers=options.workers))
    return 1 if any(r.status in (WRONG, CRASHED, NOT_RUN) for r in results) else 0


def _read(path: Path | None) -> dict[str, Result]:
    if path is None or not path.exists():
        return {}
    rows = [Result(**json.loads(line)) for line in path.read_text().splitlines()]
    return {row.name: row for row in rows}


if __name__ == "__main__":
    sys.exit(main())
