"""The datasets that orders leave: what stands in their folders, whether it still changes, and room for more."""

from __future__ import annotations

from labctl.clock import Clock
from labctl.ports import Acquire, Order
from labctl_topspin._agents import Seen
from labctl_topspin._codec import expno, rows
from labctl_topspin._evidence import DatasetView, Signature, look_at
from labctl_topspin._link import Link
from labctl_topspin._settings import Settings

_MARGIN_BYTES = 20_000_000


class Datasets:
    """Looks at the folders of orders, and remembers since when their raw data have been as they are."""

    def __init__(self, *, link: Link, settings: Settings, clock: Clock) -> None:
        self._link = link
        self._settings = settings
        self._clock = clock
        self._raw: dict[str, Seen] = {}

    def view(self, order: Order) -> DatasetView:
        """Return what stands in the order's EXPNO now."""
        return look_at(self._link.data_dir / self._settings.dataset / str(expno(order)))

    def grew(self, order: Order, view: DatasetView | None) -> bool:
        """Whether the raw data changed since the last look."""
        if view is None:
            return False
        now_s = self._clock.monotonic_s()
        signature: Signature | None = view.signature
        seen = self._raw.get(order.token)
        if seen is not None and seen.what == signature:
            return False
        self._raw[order.token] = Seen(signature, now_s)
        return seen is not None and signature is not None

    def quiet_in_s(self, order: Order, view: DatasetView) -> float:
        """In how many seconds the raw data will have been the same for the quiet period; 0: they have been."""
        self.grew(order, view)
        unchanged_s = self._clock.monotonic_s() - self._raw[order.token].since_s
        return max(0.0, self._settings.quiet_period_s - unchanged_s)

    def room_missing(self, task: Acquire) -> str:
        """Say what a person does about a disk that has no room for an acquisition; empty if it has."""
        free = self._link.free_bytes()
        wanted = _MARGIN_BYTES + max(1, rows(task)) * (task.points * 8 + 1024)
        if free >= wanted:
            return ""
        return (
            f"the disk that holds {self._link.data_dir} is full: {free / 1e6:.0f} MB left, {wanted / 1e6:.0f} MB"
            " wanted. Nothing is lost so far. Make room there"
        )
