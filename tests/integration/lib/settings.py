"""The library's table of settings, rules/settings.def, and what `gcpreload run --help` says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lib.paths import COMMAND, ROOT
from lib.run import environment, run

TEXT = r'((?:"[^"]*"\s*)+)'
ROW = re.compile(
    rf"^(ENVIRONMENT_|SAFE_)?SETTING\((\w+), \w+, (\w+)(?:\(([^()]*)\))?,\s*{TEXT},\s*{TEXT}\)",
    re.M,
)


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


def joined(literals: str) -> str:
    return "".join(re.findall(r'"([^"]*)"', literals))


UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6}


def is_true(text: str) -> bool:
    return text.lower() in ("1", "true", "yes", "on")


def number(text: str) -> float:
    """A time in its setting's unit of seconds, a share, a plain number."""
    if text.endswith("%"):
        return float(text[:-1]) / 100
    if "/" in text:
        part, whole = text.split("/")
        return float(part) / float(whole)
    if text[-1:].isalpha():
        parts = re.findall(r"([0-9.]+)([a-z]+)", text.lower())
        return sum(float(value) * UNITS[unit] for value, unit in parts)
    return float(text)


@dataclass(frozen=True)
class Setting:
    name: str
    type: str
    arguments: str
    """Of the type, as they stand in the table."""
    default: str
    help: str
    allowed: str
    only_environment: bool
    safe: bool
    """Where its value cannot be used, nothing is tuned."""

    @property
    def variable(self) -> str:
        return f"GCPRELOAD_{self.name}"

    @property
    def option(self) -> str:
        return "--" + self.name.lower().replace("_", "-")

    def bounds(self) -> tuple[float, float]:
        low, high = self.arguments.split(", ")
        return _number(low), _number(high)

    def words(self) -> list[str]:
        return [word for word in re.findall(r"\w+", joined(self.arguments)) if word != "or"]


def options_of_run() -> dict[str, str]:
    """Each option of a setting, with the text behind it in one line."""
    text = run([COMMAND, "run", "--help"], environment()).stdout.decode()
    found = re.findall(r"^  (--[a-z-]+) +(.*(?:\n {21}.*)*)", text, re.M)
    return {option: " ".join(said.split()) for option, said in found}


def every_setting() -> list[Setting]:
    found = []
    said = options_of_run()
    for prefix, name, kind, arguments, default, help_ in ROW.findall(
        (ROOT / "rules" / "settings.def").read_text()
    ):
        option = "--" + name.lower().replace("_", "-")
        text, standard = joined(help_), joined(default)
        about = said[option].removeprefix(text + " (").removesuffix(")")
        allowed = about.removesuffix(f"; default: {standard}")
        only = prefix == "ENVIRONMENT_"
        found.append(Setting(name, kind, arguments, standard, text, allowed, only, bool(prefix)))
    return found


SETTINGS = every_setting()
