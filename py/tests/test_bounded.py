import threading

import hypothesis.strategies as st
from braintrust.integrations.mistral.bounded import BoundedMap, size_of
from braintrust.logger import Attachment
from hypothesis import given


def test_it_holds_what_was_set_last_until_it_is_popped() -> None:
    held: BoundedMap[str, int] = BoundedMap()
    held.set("a", 1)
    held.set("a", 2)
    assert (held.get("a"), len(held)) == (2, 1)
    assert (held.pop("a"), held.pop("a"), held.get("a"), len(held)) == (2, None, None, 0)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 50)), max_size=60))
def test_it_keeps_the_newest_that_fit(entries: list[tuple[int, int]]) -> None:
    held: BoundedMap[int, int] = BoundedMap(4, most_bytes=100)
    newest: dict[int, int] = {}
    for key, size in entries:
        held.set(key, size, size)
        newest.pop(key, None)
        newest[key] = size
        while len(newest) > 4 or sum(newest.values()) > 100:
            del newest[next(iter(newest))]
        found = {key: held.get(key) for key in range(10)}
        assert {key: size for key, size in found.items() if size is not None} == newest


def test_what_is_larger_than_all_may_be_is_not_held() -> None:
    held: BoundedMap[str, str] = BoundedMap(most_bytes=10)
    held.set("large", "…", 11)
    assert len(held) == 0


def test_many_threads_leave_it_within_its_bounds() -> None:
    held: BoundedMap[int, int] = BoundedMap(100)

    def fill(offset: int) -> None:
        for key in range(2_000):
            held.set(offset + key, key)

    threads = [threading.Thread(target=fill, args=(number * 10_000,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held.set(-1, -1)
    assert len(held) == 100


def test_the_size_of_a_value_is_that_of_its_texts_and_its_media() -> None:
    media = Attachment(data=b"x" * 50_000, filename="a.png", content_type="image/png")
    assert 150_000 <= size_of({"rest": [media, 1, None, {"a": True}], "text": "x" * 100_000}) < 152_000
