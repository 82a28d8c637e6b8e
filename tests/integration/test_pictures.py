"""scripts/terminal_svg.py: what a terminal showed, as a picture."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

from lib.paths import ROOT

SVG = "{http://www.w3.org/2000/svg}"


def picture(captured: str, *options: str) -> str:
    command = [sys.executable, ROOT / "scripts" / "terminal_svg.py", *options]
    return subprocess.run(
        command, input=captured.encode(), stdout=subprocess.PIPE, check=True
    ).stdout.decode()


def styles(svg: str) -> dict[str, str]:
    """Each piece of text with how it is drawn."""
    rules = dict(re.findall(r"^\.([\w-]+) \{ (.*) \}$", svg, re.M))
    return {
        (text.text or "").replace("\xa0", " ").strip(): rules.get(text.get("class", ""), "")
        for text in ET.fromstring(svg).iter(f"{SVG}text")
    }


def test_a_terminal_as_a_picture() -> None:
    svg = picture(
        "\x1b[1mhead\n"  # bold goes on in the next line, as tmux has it
        "still\x1b[0m plain <&>\n"
        "\x1b[31mred\x1b[39m\x1b[7m reversed \x1b[0m\x1b[2mdim\x1b[0m ▁█\n\n\n",
        "--title", "a title",
    )  # fmt: skip
    found = styles(svg)
    assert "bold" in found["head"]
    assert "bold" in found["still"]
    assert found["plain <&>"] == "fill: #c9d1d9"
    assert found["red"] == "fill: #ff7b72"
    assert found["reversed"] == "fill: #0d1117"
    assert found["dim"] not in ("", "fill: #c9d1d9")
    assert "▁█" in found
    assert "a title" in found
    # The bar behind what is reversed, in the colour of text.
    rects = [rect.get("fill") for rect in ET.fromstring(svg).iter(f"{SVG}rect")]
    assert "#c9d1d9" in rects


def test_it_needs_nothing_from_anywhere() -> None:
    svg = picture("text")
    assert re.findall(r"https?://[^\"]+", svg) == ["http://www.w3.org/2000/svg"]
    assert "url(#" in svg
    assert not re.search(r"url\([^#]", svg)
