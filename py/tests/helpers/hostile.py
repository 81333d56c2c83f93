"""Values of which nothing can be read: whatever looks at one raises."""

import dataclasses
import datetime
import decimal
import enum
import os
from collections import UserDict
from collections.abc import Callable
from typing import Any, NoReturn

from pydantic import BaseModel


class Broken(Exception):  # noqa: N818 - not an error of the project
    """Raised by everything that must not be relied upon."""


def broken(*args: Any, **kwargs: Any) -> NoReturn:
    """Raise."""
    raise Broken


class BrokenDict(dict[str, Any]):
    items = keys = values = get = __iter__ = __len__ = __getitem__ = broken


class BrokenUserDict(UserDict[str, Any]):
    items = keys = values = __iter__ = __len__ = __getitem__ = broken


class BrokenList(list[Any]):
    __iter__ = __len__ = __getitem__ = broken


class BrokenText(str):
    __slots__ = ()
    __str__ = __repr__ = __len__ = __getitem__ = __contains__ = __eq__ = startswith = encode = broken
    __hash__ = broken  # type: ignore[assignment]


class BrokenInteger(int):
    __int__ = __index__ = __str__ = __repr__ = broken


class BrokenDecimal(decimal.Decimal):
    __str__ = __repr__ = broken


class BrokenDate(datetime.datetime):
    isoformat = __str__ = __repr__ = broken


class BrokenPath(os.PathLike[str]):
    __fspath__ = __str__ = __repr__ = broken


class BrokenKey:
    __str__ = __repr__ = broken


class BrokenEnum(enum.Enum):
    LOAF = 1

    @property
    def value(self) -> Any:
        raise Broken


@dataclasses.dataclass
class BrokenDataclass:
    dough: Any = "sour"

    def __getattribute__(self, name: str) -> Any:
        if name == "dough":
            raise Broken
        return super().__getattribute__(name)


class BrokenModel(BaseModel):
    """A model whose fields can be read, and whose methods raise."""

    dough: str = "sour"

    model_dump = model_dump_json = dict = json = __iter__ = __repr__ = __str__ = broken  # type: ignore[assignment]


class UnreadableModel(BaseModel):
    dough: str = "sour"

    __getattribute__ = broken


class NoModel:
    model_fields = {"dough": None}  # noqa: RUF012 - looks like a model to whoever looks no further
    model_dump = broken


class BrokenObject:
    __getattribute__ = __str__ = __repr__ = __bool__ = __eq__ = __len__ = __iter__ = broken
    __hash__ = broken  # type: ignore[assignment]


class OfNoClass:
    @property  # type: ignore[misc]
    def __class__(self) -> type:  # type: ignore[override]
        raise Broken


def of_broken_class() -> Any:
    """Return an object whose class cannot even be asked for its name."""

    class BrokenClass(type):
        __getattribute__ = __hash__ = __instancecheck__ = __subclasscheck__ = broken  # type: ignore[assignment]

    class OfBrokenClass(metaclass=BrokenClass):
        pass

    return OfBrokenClass()


HOSTILE: dict[str, Callable[[], Any]] = {
    "a dict that raises": lambda: BrokenDict(dough=1),
    "a mapping that raises": BrokenUserDict,
    "a list that raises": lambda: BrokenList([1]),
    "a text that raises": lambda: BrokenText("dough"),
    "a number that raises": lambda: BrokenInteger(3),
    "a decimal that raises": lambda: BrokenDecimal(3),
    "a date that raises": lambda: BrokenDate(2026, 10, 5),
    "a path that raises": BrokenPath,
    "a model whose methods raise": BrokenModel,
    "a model that raises": UnreadableModel.model_construct,
    "a fake model that raises": NoModel,
    "an enum that raises": lambda: BrokenEnum.LOAF,
    "a dataclass that raises": BrokenDataclass,
    "an object that raises": BrokenObject,
    "an object that raises as a value": lambda: {"key": BrokenKey()},
    "an object that raises as a key": lambda: {BrokenKey(): 1},
    "an object that denies its class": OfNoClass,
}
"""What makes such values, by what they are; each is to cost nothing but itself."""
