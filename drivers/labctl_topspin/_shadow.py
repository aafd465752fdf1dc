"""What an order would have done on a console, in words, without doing it."""

from __future__ import annotations

from collections.abc import Mapping

from labctl.errors import ForeignDataError, InstrumentError
from labctl.ports import Evidence, Order, Standing
from labctl_topspin._codec import Value


def shadow_lines(order: Order, pairs: Mapping[str, Value], *, evidence: Evidence, station: str) -> tuple[str, ...]:
    """Return what would have been handed to the executor.

    Raises
    ------
    ForeignDataError
        Somebody else's data stand where the acquisition would go.
    InstrumentError
        Data of this very order are there already: a shadow run goes before the real one.
    """
    if evidence.standing is Standing.FOREIGN:
        raise ForeignDataError(
            evidence.detail,
            instrument=station,
            command=order.step_id,
            next_step="Move those data or give labctl another dataset name; nothing was touched",
        )
    if evidence.standing not in {Standing.NOT_STARTED, Standing.PREPARED}:
        raise InstrumentError(
            f"it has been begun already: {evidence.detail}", instrument=station, command=order.step_id
        )
    action = str(pairs.get("action", ""))
    told = ", ".join(f"{key} {value}" for key, value in pairs.items() if key not in _OURS)
    would = f"would hand to the executor: {action}: {told}"
    if action == "acquire":
        lists = [str(pairs[key]) for key in ("vd_list", "vp_list") if key in pairs]
        listed = f", with the list {lists[0]}" if lists else ""
        return (would, f"would create EXPNO {pairs['expno']} of {pairs['dataset']}{listed}, and start zg")
    return (would,)


_OURS = frozenset({"seq", "token", "epoch", "action", "title", "step_id"})
