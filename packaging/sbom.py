#!/usr/bin/env python3
"""Writes the bill of materials of what is in build/dist, as SPDX 2.3: gcpreload-VERSION.spdx.json.

    packaging/sbom.py --version 0.1.0 --maps build/package --into build/dist

Each package with its digest; of each program in it which libraries it needs (of its own dynamic
section) and what was linked in (of the linker's maps). Nothing else of others is in them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import artifacts
import linked
import needs

Element = dict[str, Any]
NAME = "gcpreload"
NOT_SAID = "NOASSERTION"


def reference(name: str) -> str:
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.]+", "-", name)


class Bill:
    def __init__(self, version: str) -> None:
        self.packages: dict[str, Element] = {}
        self.relations: list[Element] = []
        self.version = version

    def package(self, name: str, **fields: object) -> str:
        key = reference(name)
        self.packages[key] = {
            "SPDXID": key,
            "name": name,
            "downloadLocation": NOT_SAID,
            "filesAnalyzed": False,
            "licenseConcluded": NOT_SAID,
            "licenseDeclared": NOT_SAID,
            "copyrightText": NOT_SAID,
            **fields,
        }
        return key

    def relate(self, one: str, kind: str, other: str, comment: str = "") -> None:
        relation = {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
        if comment:
            relation["comment"] = comment
        if relation not in self.relations:
            self.relations.append(relation)

    def component(self, name: str) -> str:
        return self.package(
            name,
            versionInfo=linked.version(name) or NOT_SAID,
            licenseDeclared=linked.LICENSES[name],
        )

    def program(self, package: str, name: str, data: bytes, maps: Path) -> None:
        with tempfile.TemporaryDirectory() as place:
            file = Path(place, "program")
            file.write_bytes(data)
            libraries, versions = needs.libraries(file), needs.versions(file)
        for library in libraries:
            newest = sorted(v for of, v in versions if of == library)
            comment = f"{name} needs it; it is not in the package"
            if newest:
                comment += f"; symbol versions: {', '.join(newest)}"
            other = self.package(library, comment="a shared library, found by its name")
            self.relate(package, "DYNAMIC_LINK", other, comment)
        link_map = maps / f"{Path(name).name}.map" if libraries else maps / "musl/gcpreload.map"
        for component, files in linked.parts(link_map).items():
            comment = f"linked into {name}: {', '.join(files)}"
            self.relate(package, "STATIC_LINK", self.component(component), comment)

    def artifact(self, path: Path, maps: Path) -> None:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        key = self.package(
            path.name,
            versionInfo=self.version,
            packageFileName=path.name,
            checksums=[{"algorithm": "SHA256", "checksumValue": digest}],
            licenseDeclared="MIT",
        )
        self.relate("SPDXRef-DOCUMENT", "DESCRIBES", key)
        self.relate(key, "GENERATED_FROM", reference(NAME))
        for name, data in artifacts.programs(path).items():
            self.program(key, name, data, maps)

    def document(self, when: datetime) -> Element:
        packages = [self.packages[key] for key in sorted(self.packages)]
        about = json.dumps([packages, self.relations], sort_keys=True).encode()
        space = f"https://spdx.org/spdxdocs/{NAME}-{self.version}"
        return {
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": f"{NAME}-{self.version}",
            "documentNamespace": f"{space}-{hashlib.sha256(about).hexdigest()[:32]}",
            "creationInfo": {
                "created": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "creators": [f"Tool: {NAME}-sbom-{self.version}"],
            },
            "packages": packages,
            "relationships": self.relations,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--version", required=True)
    parser.add_argument("--maps", type=Path, required=True, help="where the linker's maps are")
    parser.add_argument("--into", type=Path, required=True, help="where the packages are")
    options = parser.parse_args()
    when = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc)
    bill = Bill(options.version)
    bill.package(NAME, versionInfo=options.version, licenseDeclared="MIT", comment="the sources")
    for path in sorted(options.into.iterdir()):
        bill.artifact(path, options.maps)
    text = json.dumps(bill.document(when), indent=1) + "\n"
    (options.into / f"{NAME}-{options.version}.spdx.json").write_text(text)


if __name__ == "__main__":
    sys.exit(main())
