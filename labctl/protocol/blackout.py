"""Times in which a station is not ours: magnet fills, bookings; the same block in protocols and lab files."""

from __future__ import annotations

from typing import Annotated, Literal

from labctl.protocol.quantity import Moment, Written, key


class Blackout(Written):
    """A time in which nothing may be acquired: a magnet fill, somebody's booking."""

    from_epoch_s: Annotated[float, Moment()] = key("from", "begin")
    to_epoch_s: Annotated[float, Moment("2026-03-02 09:00+01:00")] = key("to", "end")
    why: str = key("why", "for people", default="")
    during: Literal["wait", "run_on", "halt"] = key(
        "during",
        "`wait`: nothing is begun that would run into it, what runs all the same goes on; `halt`: likewise, and what"
        " runs when it begins is halted, its data kept; `run_on`: for people only",
        default="wait",
    )
