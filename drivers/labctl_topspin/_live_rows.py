"""Rows of a 2D that is being acquired, where the console writes them to the ``ser`` one by one.

Consoles differ: some allocate the whole file and fill it, some let it grow, and some bring it over at the end only. So
rows are counted by what they hold, up to the first that is all zero; the last of them may still be under way and does
not count. Status parameters may be those of the template until the acquisition has written its own: rows count only
once mixing time, scans and points in ``acqus`` are those asked for.
"""

from __future__ import annotations

from pathlib import Path

from labctl.errors import InstrumentError
from labctl.formats.bruker_jcamp import Value
from labctl.ports import Acquire, Exsy, Order
from labctl_topspin._evidence import BLOCK_BYTES, SAMPLE_BYTES, DatasetView

PARTS = "parts"
"""Folder beside the EXPNOs of a run folder that holds what was brought in before the end."""
GROUP = 16
"""Rows of a part are a multiple of this: whole complex increments, and as many as tell anything."""
MOST_PARTS = 8
_SOONEST_S = 5.0


def rows_per_part(rows: int) -> int:
    """Return how many rows more each part of a 2D holds: an eighth of all, in whole groups."""
    return max(GROUP, GROUP * -(-rows // (MOST_PARTS * GROUP)))


class LiveRows:
    """Counts complete rows, and reads the file only when by the clock there should be a part more."""

    def __init__(self) -> None:
        self._parts: dict[str, int] = {}

    def look(self, order: Order, view: DatasetView, *, spent_s: float) -> tuple[int, float | None]:
        """Return the parts that are complete, and in how many seconds there may be another [s]."""
        task = order.task
        if not isinstance(task, Acquire) or not isinstance(task.experiment, Exsy):
            return 0, None
        rows, step = task.experiment.rows, rows_per_part(task.experiment.rows)
        last = (rows - 1) // step
        parts, row_s = self._parts.get(order.token, 0), max(task.duration_s, 1.0) / rows
        if parts < last and spent_s >= ((parts + 1) * step + 1) * row_s:
            parts = max(parts, min(last, (complete_rows(view, task) - 1) // step))
            self._parts[order.token] = parts
        if parts >= last:
            return parts, None
        return parts, max(_SOONEST_S, ((parts + 1) * step + 1.5) * row_s - spent_s)


def complete_rows(view: DatasetView, task: Acquire) -> int:
    """Return how many rows of the ``ser`` hold data, the last one perhaps not all; 0 while that cannot be told."""
    stride = _stride(view, task)
    if view.raw is None or not stride:
        return 0
    count, zeros = 0, bytes(stride)
    with view.raw.open("rb") as file:
        while len(row := file.read(stride)) == stride and row != zeros:
            count += 1
    return count


def snapshot(view: DatasetView, order: Order, part: int, target: Path, *, station: str) -> tuple[tuple[str, ...], int]:
    """Write the rows of `part` and the parameters to `target`, and return the files below it and the number of rows.

    A file that is there already is kept: rows that were acquired do not change any more.

    Raises
    ------
    InstrumentError
        There are fewer rows now, or the parameters are not those of this acquisition.
    """
    task = order.task
    assert isinstance(task, Acquire)
    assert isinstance(task.experiment, Exsy)
    count, stride = part * rows_per_part(task.experiment.rows), _stride(view, task)
    if view.raw is None or not stride or complete_rows(view, task) < count:
        raise InstrumentError(
            f"{view.folder} does not show {count} rows",
            instrument=station,
            next_step="It is looked at again; the whole is brought in at the end",
        )
    with view.raw.open("rb") as file:
        rows = file.read(count * stride)
    texts = [name for name in ("acqus", "acqu", "acqu2", "pdata/1/title") if (view.folder / name).is_file()]
    contents = {name: (view.folder / name).read_bytes() for name in texts}
    contents["acqu2s"] = contents["acqu2"]  # the console's own may still be the template's; what was asked for is known
    contents["ser"] = rows
    for name, content in contents.items():
        path = target / name
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.part")
        unfinished.write_bytes(content)
        unfinished.rename(path)
    return tuple(sorted(contents)), count


def _stride(view: DatasetView, task: Acquire) -> int:
    """Bytes of a row, 0 while the parameters on disk are not those of this acquisition."""
    acqus = view.acqus
    assert isinstance(task.experiment, Exsy)
    delays = acqus.get("D")
    mixing_s = delays[8] if isinstance(delays, list) and len(delays) > 8 else None
    sample = SAMPLE_BYTES.get(_whole(acqus.get("DTYPA")))
    same = (
        isinstance(mixing_s, int | float)
        and abs(mixing_s - task.experiment.mixing_time_s) <= 1e-6 * task.experiment.mixing_time_s
        and _whole(acqus.get("NS")) == task.scans
        and _whole(acqus.get("TD")) == task.points
        and _whole(view.acqu2.get("TD")) == task.experiment.rows
    )
    return -(-task.points * sample // BLOCK_BYTES) * BLOCK_BYTES if same and sample else 0


def _whole(value: Value | None) -> int:
    return int(value) if isinstance(value, int | float) else -1
