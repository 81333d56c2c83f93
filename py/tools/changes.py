"""What changed for this project from one mistralai to another: `python -m tools.changes OLD NEW`.

Both are files that `tools.surface` wrote. The exit status is 0, unless a traced method vanished and no
other resource took its place.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.surface import Members, Surface


LONGEST = 160
"""The most characters of a type that are printed."""


REPLACED = {"mistral.beta.rag.managed_indexes": "mistral.beta.context.search_indexes"}
"""Resources in whose place a newer mistralai has another one, which is traced."""


def main() -> int:
    """Print the changes, and return the exit status."""
    old, new = (json.loads(Path(path).read_text(encoding="utf-8")) for path in sys.argv[1:])
    print(f"mistralai {old['version']} → {new['version']}: + new, - gone, ~ changed")
    print(*changes(old, new), sep="\n")
    still_there = {_resource_of(name) for name in new["methods"]}
    vanished = sorted(
        name
        for name in old["methods"].keys() - new["methods"].keys()
        if REPLACED.get(_resource_of(name)) not in still_there
    )
    if vanished:
        print(f"These methods are traced and are gone: {', '.join(vanished)}")
    return 1 if vanished else 0


def _resource_of(method: str) -> str:
    return method.rpartition(".")[0]


def changes(old: Surface, new: Surface) -> Iterator[str]:
    """Yield what is new, gone and changed, line by line: the methods first, then the models of their answers."""
    for title, before, after in (
        ("traced methods", old["methods"], new["methods"]),
        ("models of their answers", old["models"], new["models"]),
    ):
        lines = list(_changes(before, after))
        yield f"\n{title}: {'' if lines else 'no change'}".rstrip()
        yield from lines


def _changes(before: Mapping[str, Members], after: Mapping[str, Members]) -> Iterator[str]:
    yield from (f"  + {name}" for name in after if name not in before)
    yield from (f"  - {name}" for name in before if name not in after)
    # Sync and async twins change alike, and so do the methods of one family.
    alike: dict[tuple[str, ...], list[str]] = {}
    for name in before.keys() & after.keys():
        if members := tuple(_member_changes(before[name], after[name])):
            alike.setdefault(members, []).append(name)
    for members, names in sorted(alike.items(), key=lambda item: sorted(item[1])):
        yield from (f"  ~ {name}" for name in sorted(names))
        yield from members


def _member_changes(before: Members, after: Members) -> Iterator[str]:
    yield from (f"      + {name}: {_cut(after[name])}" for name in after if name not in before)
    yield from (f"      - {name}" for name in before if name not in after)
    for name in before:
        if name in after and before[name] != after[name]:
            old, new = _words(before[name]), _words(after[name])
            gone, come = [word for word in old if word not in new], [word for word in new if word not in old]
            if not gone + come:
                gone, come = [before[name]], [after[name]]
            yield f"      ~ {name}"
            yield from (
                f"          {sign} {_cut(', '.join(words))}" for sign, words in (("-", gone), ("+", come)) if words
            )


def _words(annotation: str) -> list[str]:
    return re.findall(r"[^\s|,=[\]]+", annotation)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


if __name__ == "__main__":
    sys.exit(main())
