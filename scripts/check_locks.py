"""The locks say what they should: packages from the public registries only, and in step with what we ask for.

A lock made on a machine with a mirror or a folder of wheels would name it, and fail everywhere else.
"""

import json
import sys
import tomllib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from steps import ROOT

PYTHON_HOSTS = {"pypi.org", "files.pythonhosted.org"}
NPM_HOSTS = {"registry.npmjs.org"}


def main() -> None:
    """Print every complaint, each with its remedy; fail if there is one."""
    complaints = [*python_complaints(), *npm_complaints()]
    for complaint in complaints:
        sys.stderr.write(f"{complaint}\n")
    sys.exit(1 if complaints else 0)


def python_complaints() -> Iterator[str]:
    """What is wrong with ``uv.lock``."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    remedy = "lock again with UV_INDEX*, UV_DEFAULT_INDEX, UV_FIND_LINKS and PIP_FIND_LINKS unset: uv lock"
    for place in sorted(set(foreign_places(lock["package"]))):
        yield f"uv.lock names {place}, not the public index: {remedy}"
    (ours,) = (package for package in lock["package"] if package["name"] == "parlour")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"].get("optional-dependencies", {})
    everything = [*project["project"]["dependencies"], *(line for lines in extras.values() for line in lines)]
    asked = {"": everything, **project["dependency-groups"]}
    locked = {"": ours["metadata"].get("requires-dist", []), **ours["metadata"].get("requires-dev", {})}
    for group, requirements in asked.items():
        if {as_asked(line) for line in requirements} != {as_locked(entry) for entry in locked.get(group, [])}:
            yield f"uv.lock is not in step with pyproject.toml ({group or 'dependencies'}): uv lock"


def foreign_places(packages: list[dict[str, Any]]) -> Iterator[str]:
    """Every source and file that is not on the public index and not the project itself."""
    for package in packages:
        source = package["source"]
        if source.get("editable") != ".":
            yield from foreign([source.get("registry", str(source))], PYTHON_HOSTS)
        files = [package["sdist"]] if "sdist" in package else []
        yield from foreign(
            [file.get("url", str(file)) for file in files + package.get("wheels", [])], PYTHON_HOSTS
        )


def foreign(addresses: list[str], known: set[str]) -> Iterator[str]:
    """The addresses whose host is not one of ``known``, shortened to the host where there is one."""
    for address in addresses:
        parts = urlsplit(address)
        if parts.scheme != "https" or parts.hostname not in known:
            yield parts.hostname or address


Asked = tuple[str, frozenset[str], SpecifierSet]


def as_asked(line: str) -> Asked:
    """A requirement as ``pyproject.toml`` writes it."""
    requirement = Requirement(line)
    return canonicalize_name(requirement.name), frozenset(requirement.extras), requirement.specifier


def as_locked(entry: dict[str, Any]) -> Asked:
    """The same requirement as ``uv.lock`` repeats it."""
    return entry["name"], frozenset(entry.get("extras", [])), SpecifierSet(entry.get("specifier", ""))


def npm_complaints() -> Iterator[str]:
    """What is wrong with ``web/package-lock.json``."""
    path = ROOT / "web" / "package-lock.json"
    if not path.exists():
        yield "web/package-lock.json is missing: npm install in web/"
        return
    packages = json.loads(path.read_text())["packages"]
    addresses = [
        entry["resolved"] for entry in packages.values() if "resolved" in entry and not entry.get("link")
    ]
    for host in sorted(set(foreign(addresses, NPM_HOSTS))):
        yield f"web/package-lock.json names {host}: npm install with no registry of your own"
    for name, entry in packages.items():
        if name.startswith("node_modules/") and not entry.get("link") and "integrity" not in entry:
            yield f"web/package-lock.json has no checksum for {name}: npm install again"


if __name__ == "__main__":
    main()
