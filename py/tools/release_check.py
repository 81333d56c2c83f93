"""Checks what a release consists of: `make release-check`, or `python -m tools.release_check DIST TREE`.

DIST has the source distribution and the wheel that was built from it, TREE the wheel that was built from the source
tree, as `pip install ./py` does it. The version's heading must be the newest numbered one in the changelog, below an
"Unreleased" section or not; before the first release there is none, and "Unreleased" stands for it.
"""

import csv
import io
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from email.message import Message
from email.parser import Parser
from pathlib import Path, PurePosixPath


ROOT = Path(__file__).parents[2]
NEEDED = (
    "braintrust_mistral.pth",
    "braintrust_mistral.start",
    "braintrust_mistral/__init__.py",
    "braintrust_mistral/__pyinstaller/hook-braintrust_mistral.py",
    "braintrust_mistral/integrations/mistral/__init__.py",
    "braintrust_mistral/local/startup.py",
    "braintrust_mistral/py.typed",
)

# What the wheel may put into site-packages; `braintrust/` is the SDK's.
_OURS = re.compile(r"braintrust_mistral(/|\.pth$|\.start$|-[^/]*\.dist-info/)")
_NOT_RELEASED = re.compile(r"(^|/)(test_[^/]*\.py$|conftest\.py$|(cassettes|endurance|examples|benchmarks|tools)/)")
_HEADING = re.compile(r"^## \[(?P<name>[^]]+)\]", re.MULTILINE)


def main() -> int:
    """Check both folders, print each fault, and return how many there are."""
    dist, tree = map(Path, sys.argv[1:])
    (wheel,), (sdist,), (other,) = dist.glob("*.whl"), dist.glob("*.tar.gz"), tree.glob("*.whl")
    files = read_wheel(wheel)
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    faults = [
        *sdist_faults(names),
        *wheel_faults(files, (ROOT / "LICENSE").read_bytes()),
        *changelog_faults(_metadata(files)["Version"], (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")),
    ]
    if files != read_wheel(other):
        faults.append("the wheel of the source tree and that of the source distribution differ")
    print(*(faults or [f"{wheel.name} and {sdist.name} are fit for a release"]), sep="\n")
    return len(faults)


def read_wheel(path: Path) -> dict[str, bytes]:
    """Return the files of a wheel by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def sdist_faults(names: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with the files of a source distribution."""
    below = {"/".join(PurePosixPath(name).parts[1:]) for name in names}
    yield from (f"the source distribution has {name}" for name in sorted(below) if _NOT_RELEASED.search(name))
    yield from (
        f"the source distribution has no {name}" for name in ("LICENSE", "pyproject.toml") if name not in below
    )


def wheel_faults(files: Mapping[str, bytes], licence: bytes) -> Iterator[str]:
    """Yield what is wrong with a wheel: its files, its record, and its metadata."""
    yield from (f"the wheel has {name}" for name in files if _NOT_RELEASED.search(name))
    yield from (f"the wheel has no {name}" for name in NEEDED if name not in files)
    record = {row[0] for row in csv.reader(io.StringIO(_info_file(files, "RECORD").decode()))}
    yield from (f"the wheel owns {name}" for name in sorted(record) if not _OURS.match(name))
    if record != set(files):
        yield f"RECORD and the wheel differ: {sorted(record ^ set(files))}"
    metadata = _metadata(files)
    # A build takes nothing from above its folder, so the repository has the licence twice.
    if metadata["License-Expression"] != "MIT" or _info_file(files, "licenses/LICENSE") != licence:
        yield "the licence is missing, or not the repository's"
    yield from (f"the metadata lack {name}" for name in ("Summary", "Requires-Python") if not metadata[name])
    if not str(metadata.get_payload()).strip():
        yield "the metadata lack a description"


def changelog_faults(version: str, changelog: str) -> Iterator[str]:
    """Yield what is wrong with the changelog's headings for this version."""
    headings = [heading["name"] for heading in _HEADING.finditer(changelog)]
    if not headings:
        yield "the changelog has no section"
    if "Unreleased" in headings[1:]:
        yield "the changelog has its section Unreleased below a release"
    newest = next((name for name in headings if name != "Unreleased"), version)
    if newest != version:
        yield f"the version is {version}, and the newest one in the changelog {newest}"


def _metadata(files: Mapping[str, bytes]) -> Message:
    return Parser().parsestr(_info_file(files, "METADATA").decode())


def _info_file(files: Mapping[str, bytes], name: str) -> bytes:
    """Return the file of that name in the wheel's own `.dist-info`, or nothing where there is none."""
    return next((content for path, content in files.items() if path.endswith(f".dist-info/{name}")), b"")


if __name__ == "__main__":
    sys.exit(main())
