"""Runs checks in the order in which they stand in a script.

A JSON line for each on the standard output, tracebacks of those that fail on standard error, exit status 1 if one did.
"""

import json
import sys
import time
import traceback

CHECKS = []
# Messages of the libraries' own, and of the program that is built with them, are not in what programs counted.
OF_PROGRAMS = "target NOT LIKE 'micromegas\\_%' ESCAPE '\\'"
LEVELS = ["", "fatal", "error", "warn", "info", "debug", "trace"]


def check(function):
    """What this says is to be checked."""
    CHECKS.append(function)
    return function


def same(found, expected, what=""):
    """Stops a check with both values if they differ."""
    if found != expected:
        raise AssertionError(f"{what}: {found!r} was found, {expected!r} was expected")


def raises(kinds, action):
    """The exception that the action must end with."""
    try:
        action()
    except kinds as error:
        return error
    raise AssertionError(f"no {kinds} although it should fail")


def run(*arguments):
    """All of them, each with these arguments; a check that needs what is not there returns why it was left out."""
    failed = 0
    for function in CHECKS:
        line = {"check": function.__name__.replace("_", " ")}
        began = time.monotonic()
        try:
            left_out = function(*arguments)
            line["result"] = "ok" if left_out is None else f"left out: {left_out}"
        except Exception as error:  # whatever it is, the next check can still tell something
            failed += 1
            line["result"] = "failed"
            line["error"] = f"{type(error).__name__}: {error}"[:2000]
            traceback.print_exc()
        line["seconds"] = round(time.monotonic() - began, 3)
        print(json.dumps(line), flush=True)
    sys.exit(1 if failed else 0)
