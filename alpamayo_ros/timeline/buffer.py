"""A few seconds of one source, by stamp."""

from __future__ import annotations

from bisect import bisect_left
from typing import Generic, TypeVar

Item = TypeVar("Item")


class StampedBuffer(Generic[Item]):
    """Items in ascending order of their stamps, whatever the order in which they come.

    keep_ns: an item this much older than the newest is dropped. most: the oldest beyond so many are dropped, so that
    a source that runs wild cannot fill the memory.
    """

    def __init__(self, keep_ns: int, most: int) -> None:
        self._keep_ns = keep_ns
        self._most = most
        self.stamps_ns: list[int] = []
        self.items: list[Item] = []

    def __len__(self) -> int:
        return len(self.items)

    @property
    def newest_ns(self) -> int | None:
        return self.stamps_ns[-1] if self.stamps_ns else None

    def place(self, stamp_ns: int) -> int:
        """Index at which an item of this stamp belongs: that of the first which is not older."""
        return bisect_left(self.stamps_ns, stamp_ns)

    def __contains__(self, stamp_ns: int) -> bool:
        place = self.place(stamp_ns)
        return place < len(self.stamps_ns) and self.stamps_ns[place] == stamp_ns

    def add(self, stamp_ns: int, item: Item) -> None:
        place = self.place(stamp_ns)
        self.stamps_ns.insert(place, stamp_ns)
        self.items.insert(place, item)
        self.drop_before(self.stamps_ns[-1] - self._keep_ns)
        self._drop(max(0, len(self.items) - self._most))

    def drop_before(self, stamp_ns: int) -> None:
        self._drop(self.place(stamp_ns))

    def clear(self) -> None:
        self._drop(len(self.items))

    def _drop(self, count: int) -> None:
        del self.stamps_ns[:count]
        del self.items[:count]
