"""The library's table of settings, rules/settings.def, and what `gcpreload run --help` says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lib.paths import COMMAND, ROOT
from lib.run import environment, run

TEXT = r'((?:"[^"]*"\s*)+)'
ROW = re.compile(
    rf"^(ENVIRONMENT_)?SETTING\((\w+), \w+, (\w+)(?:\(([^()]*)\))?,\s*{TEXT},\s*{TEXT}\)", re.M
)


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


def joined(literals: str) -> str:
    return "".join(re.findall(r'"([^"]*)"', literals))


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
    for only, name, kind, arguments, default, help_ in ROW.findall(
        (ROOT / "rules" / "settings.def").read_text()
    ):
        option = "--" + name.lower().replace("_", "-")
        text, standard = joined(help_), joined(default)
        about = said[option].removeprefix(text + " (").removesuffix(")")
        allowed = about.removesuffix(f"; default: {standard}")
        found.append(Setting(name, kind, arguments, standard, text, allowed, bool(only)))
    return found


SETTINGS = every_setting()
