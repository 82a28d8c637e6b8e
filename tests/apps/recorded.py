"""Runs a module as `python -m` does, and writes down what becomes of each of its unittest tests.

    recorded.py FILE MODULE [ARGUMENT]...

A line for each, when it is known, so that a crash leaves what came before.
"""

import os
import runpy
import sys
import unittest

OUTCOMES = {
    "addSuccess": "passed",
    "addExpectedFailure": "passed",
    "addSkip": "skipped",
    "addError": "failed",
    "addFailure": "failed",
    "addUnexpectedSuccess": "failed",
}

file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
process = os.getpid()
write, getpid = os.write, os.getpid  # others are put in their place


def note(outcome, test):
    if getpid() == process:
        write(file, f"{outcome} {test.id()}\n".encode())


def record(name, outcome):
    real = getattr(unittest.TestResult, name)

    def method(self, test, *arguments):
        note(outcome, test)
        return real(self, test, *arguments)

    setattr(unittest.TestResult, name, method)


def record_parts():
    real = unittest.TestResult.addSubTest

    def method(self, test, part, error):
        if error is not None:
            note("failed", test)
        return real(self, test, part, error)

    unittest.TestResult.addSubTest = method


for name, outcome in OUTCOMES.items():
    record(name, outcome)
record_parts()
sys.argv[:] = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
