"""One library's side of the comparison: `python -m benchmarks.worker ferax|jax|numpy|torch`.

Reads a request per line from its standard input and answers each with a line of JSON:
    {"prepare": index}                              -> {"phases": [name, …]}
    {"measure": index, "phase": name, "turn": n}    -> {"value": number}
A failure is answered with {"error": text}; the worker lives on.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from benchmarks.case import Case, Library, Measure


def all_cases() -> list[Case]:
    """Every case, in the order of the report."""
    from benchmarks import dispatch, eager, examples, transformer, transforms

    rooms = (eager, transforms, dispatch, transformer, examples)
    return [case for room in rooms for case in room.CASES]


def serve(name: str) -> None:
    """Answer requests until the input ends."""
    # Answers have a channel of their own: a library's prints go to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    library: Library | None = None
    cases = all_cases()
    prepared: dict[int, dict[str, Measure]] = {}
    for line in sys.stdin:
        try:
            library = library or Library(name)  # where it fails, the answer says why
            answer = _answer(json.loads(line), library, cases, prepared)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(
    request: dict[str, Any],
    library: Library,
    cases: list[Case],
    prepared: dict[int, dict[str, Measure]],
) -> dict[str, Any]:
    if "prepare" in request:
        prepared.clear()  # the memory of the case before is free again
        index = request["prepare"]
        prepared[index] = cases[index].make(library)
        return {"phases": list(prepared[index])}
    measure = prepared[request["measure"]][request["phase"]]
    return {"value": measure(request["turn"])}


if __name__ == "__main__":
    serve(sys.argv[1])
