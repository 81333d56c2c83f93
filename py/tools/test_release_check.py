"""What a release must not be."""

import pytest

from tools.release_check import NEEDED, changelog_faults, sdist_faults, wheel_faults


LICENCE = b"MIT License"
INFO = "braintrust_mistral-1.0.0.dist-info"
METADATA = (
    b"Metadata-Version: 2.4\nVersion: 1.0.0\nSummary: Traces\nLicense-Expression: MIT\nRequires-Python: >=3.10\n\nText"
)


def wheel(**changes: bytes | None) -> dict[str, bytes]:
    """Return the files of a good wheel, but for these, by their names; None leaves one out."""
    files: dict[str, bytes | None] = dict.fromkeys(NEEDED, b"")
    files |= {f"{INFO}/METADATA": METADATA, f"{INFO}/licenses/LICENSE": LICENCE, **changes}
    present = {name: content for name, content in files.items() if content is not None}
    record = f"{INFO}/RECORD"
    return present | {record: "".join(f"{name},,\n" for name in [*present, record]).encode()}


def test_a_good_wheel_has_no_fault() -> None:
    assert list(wheel_faults(wheel(), LICENCE)) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"braintrust_mistral/test_overlay.py": b""}, "the wheel has braintrust_mistral/test_overlay.py"),
        ({"braintrust_mistral/cassettes/latest.yaml": b""}, "the wheel has braintrust_mistral/cassettes/latest.yaml"),
        ({"local/server.py": b""}, "the wheel owns local/server.py"),
        ({"braintrust_mistral/local/startup.py": None}, "the wheel has no braintrust_mistral/local/startup.py"),
        ({"endurance/plan.py": b""}, "the wheel has endurance/plan.py"),
        ({"braintrust_mistral/py.typed": None}, "the wheel has no braintrust_mistral/py.typed"),
        ({"braintrust/logger.py": b""}, "the wheel owns braintrust/logger.py"),
        ({f"{INFO}/licenses/LICENSE": None}, "the licence is missing, or not the repository's"),
        ({f"{INFO}/METADATA": METADATA.replace(b"Summary: Traces\n", b"")}, "the metadata lack Summary"),
        ({f"{INFO}/METADATA": METADATA.removesuffix(b"Text")}, "the metadata lack a description"),
    ],
)
def test_a_bad_wheel(changes: dict[str, bytes | None], fault: str) -> None:
    assert fault in list(wheel_faults(wheel(**changes), LICENCE))


def test_a_record_that_tells_lies() -> None:
    files = wheel() | {"braintrust_mistral/more.py": b""}
    assert list(wheel_faults(files, LICENCE)) == ["RECORD and the wheel differ: ['braintrust_mistral/more.py']"]


def test_a_source_distribution() -> None:
    names = ["b-1/LICENSE", "b-1/pyproject.toml", "b-1/src/braintrust_mistral/__init__.py"]
    assert list(sdist_faults(names)) == []
    test = "src/braintrust_mistral/test_overlay.py"
    assert list(sdist_faults([*names[1:], f"b-1/{test}"])) == [
        f"the source distribution has {test}",
        "the source distribution has no LICENSE",
    ]


@pytest.mark.parametrize(
    ("headings", "is_good"),
    [
        (["Unreleased"], True),
        (["1.0.0"], True),
        (["Unreleased", "1.0.0", "0.9.0"], True),
        (["Unreleased", "0.9.0"], False),
        (["1.0.0", "Unreleased"], False),
        ([], False),
    ],
)
def test_the_changelog(headings: list[str], is_good: bool) -> None:
    changelog = "# Changelog\n\n" + "".join(f"## [{heading}] - 2026-03-02\n\n- Things.\n\n" for heading in headings)
    assert (list(changelog_faults("1.0.0", changelog)) == []) == is_good
