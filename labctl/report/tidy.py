"""Results as tidy tables: one observation a row, one unit a column, the uncertainty beside the value."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from labctl.analysis.results import Results
from labctl.report.by_sample import views

Row = Mapping[str, object]


def write_tables(results: Results, folder: Path) -> list[Path]:
    """Write every table that has rows (`csv_tables`), and ``results.json`` with all of it, into a folder.

    Returns the files. Files of these names, which an earlier call left, are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "results.json"]
    written[0].write_text(results.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return written + write_csv(results, folder)


def write_csv(results: Results, folder: Path) -> list[Path]:
    """Write the tables alone and return the files; tables of an earlier call that have no rows now are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    made = csv_tables(results)
    for name in _tables(results):
        if name not in made:
            (folder / f"{name}.csv").unlink(missing_ok=True)
    written = []
    for name, text in made.items():
        written.append(folder / f"{name}.csv")
        written[-1].write_text(text, encoding="utf-8", newline="")
    return written


def csv_tables(results: Results) -> dict[str, str]:
    """Return every table that has rows as the text of a CSV file (RFC 4180), by name.

    ``published``, ``hours``, ``datasets``, ``t1``,
    ``recoveries``, ``exsy_matrices``, ``exsy_rates``, ``exsy_diffusion``, ``exsy_buildup``,
    ``arrhenius``, ``exsy_paper``, ``impedance``, ``conductivity``, ``cycles`` and ``warnings``.
    """
    listed = {name: list(rows) for name, rows in _tables(results).items()}
    return {name: _text(rows) for name, rows in listed.items() if rows}


def _tables(results: Results) -> dict[str, Iterable[Row]]:
    return {
        "published": (one.model_dump() for one in results.published),
        "hours": (one.model_dump() for one in results.hours),
        "datasets": _datasets(results),
        "t1": _of_samples(results, _t1),
        "recoveries": _of_samples(results, _recoveries),
        "exsy_matrices": _of_samples(results, _matrices),
        "exsy_rates": _of_samples(results, _rates),
        "exsy_diffusion": _of_samples(results, _diffusion),
        "exsy_buildup": _of_samples(results, _buildup),
        "arrhenius": _of_samples(results, lambda one: (_energy(line.model_dump()) for line in one.exsy.arrhenius)),
        "exsy_paper": _of_samples(results, _paper),
        "impedance": (_scalars(one.model_dump()) for one in results.eis.spectra),
        "conductivity": (_energy(one.model_dump()) for one in results.eis.arrhenius),
        "cycles": _cycles(results),
        "warnings": (one.model_dump() for one in results.warnings),
    }


def _of_samples(results: Results, rows: Callable[[Results], Iterable[Row]]) -> Iterable[Row]:
    """Rows of every sample in the rotor; which it is stands in the last column where there is more than one."""
    seen = views(results)
    for view in seen:
        for row in rows(view.results):
            yield {**row, "sample": view.sample} if len(seen) > 1 else row


def _t1(results: Results) -> Iterable[Row]:
    for one in results.t1:
        yield {**one.model_dump(exclude=_LISTS), "warnings": "; ".join(one.warnings)}


_LISTS = {"delays_s", "intensities", "intensity_se"}


def _text(rows: Sequence[Row]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns, restval="")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def _datasets(results: Results) -> Iterable[Row]:
    for one in results.datasets:
        row = one.model_dump(exclude={"shape", "parameters", "remarks"})
        rows, points = [*one.shape, 0, 0][:2]
        yield {**row, "rows": rows, "points": points, **one.parameters, "remarks": "; ".join(one.remarks)}


def _recoveries(results: Results) -> Iterable[Row]:
    for one in results.t1:
        for delay_s, value, se in zip(one.delays_s, one.intensities, one.intensity_se, strict=True):
            yield {
                "dataset": one.dataset,
                "T_K": one.T_K,
                "site": one.site,
                "delay_s": delay_s,
                "intensity": value,
                "intensity_se": se,
            }


def _matrices(results: Results) -> Iterable[Row]:
    names = [site.name for site in results.exsy.sites]
    for one in results.exsy.matrices:
        sites = names if len(names) == len(one.A) else [f"site {index + 1}" for index in range(len(one.A))]
        for i, source in enumerate(sites):
            for j, detected in enumerate(sites):
                yield {
                    "dataset": one.dataset,
                    "T_K": one.T_K,
                    "tmix_s": one.tmix_s,
                    "source": source,
                    "detected": detected,
                    "A": one.A[i][j],
                    "A_se": one.A_se[i][j],
                    "normalisation": one.normalisation,
                    "recycle_delay_s": one.recycle_delay_s,
                    "rows": one.rows,
                    "chi2_red": one.chi2_red,
                }


def _rates(results: Results) -> Iterable[Row]:
    for fit in results.exsy.fits:
        if fit.model == "exchange":
            for i, source in enumerate(fit.sites):
                for j, target in enumerate(fit.sites):
                    if i != j:
                        yield {
                            "T_K": fit.T_K,
                            "source": source,
                            "target": target,
                            "k_per_s": fit.k_per_s[i][j],
                            "k_se_per_s": fit.k_se[i][j],
                            "k_upper_per_s": fit.k_upper_per_s[i][j] if fit.k_upper_per_s is not None else None,
                            "population_source": fit.population[i],
                            "population_source_se": fit.population_se[i],
                            "relaxation": fit.relaxation,
                            "chi2_red": fit.chi2_red,
                        }


def _diffusion(results: Results) -> Iterable[Row]:
    for fit in results.exsy.fits:
        if fit.model == "exchange":
            continue
        common = {"T_K": fit.T_K, "model": fit.model, "mode": fit.mode, "geometry": fit.geometry}
        if fit.model == "product":
            row: Row = {"of": "-".join(fit.pair), "kD_per_s": fit.kD_per_s, "kD_se_per_s": fit.kD_se}
            yield {**common, **row, "bound": "", "kD_upper_per_s": fit.kD_upper_per_s, "chi2_red": fit.chi2_red}
        else:
            for phase in fit.phases:
                told = _scalars(phase.model_dump(exclude={"phase", "kD_se"}))
                yield {
                    **common,
                    "of": phase.phase,
                    **told,
                    "kD_se_per_s": phase.kD_se,
                    "bound": phase.bound or "",
                    "chi2_red": fit.chi2_red,
                }


def _paper(results: Results) -> Iterable[Row]:
    paper = results.exsy.paper
    for one in paper.pairs if paper is not None else ():
        row = {**_scalars(one.model_dump()), "pair": "-".join(one.pair)}
        for T_K, kD_per_s, se, chi2_red in zip(one.T_K, one.kD_per_s, one.kD_se_per_s, one.chi2_red, strict=True):
            yield {**row, "T_K": T_K, "kD_per_s": kD_per_s, "kD_se_per_s": se, "chi2_red": chi2_red}


def _buildup(results: Results) -> Iterable[Row]:
    for one in results.exsy.buildup:
        for dataset, tmix_s, cross, se in zip(one.datasets, one.tmix_s, one.cross, one.cross_se, strict=True):
            yield {
                "dataset": dataset,
                "T_K": one.T_K,
                "pair": "-".join(one.pair),
                "tmix_s": tmix_s,
                "cross": cross,
                "cross_se": se,
            }


def _cycles(results: Results) -> Iterable[Row]:
    for cell in results.cycling.cells:
        for cycle in cell.cycles:
            row = {"cell": cell.cell, **_scalars(cycle.model_dump())}
            for half in ("charge", "discharge"):
                part = getattr(cycle, half)
                if part is not None:
                    row |= {f"{half}_{name}": value for name, value in _scalars(part.model_dump()).items()}
            yield row


def _energy(row: Mapping[str, object]) -> Row:
    low, high = row["Ea_ci95_eV"] if isinstance(row["Ea_ci95_eV"], list) else (None, None)
    return {**_scalars(row), "Ea_ci95_low_eV": low, "Ea_ci95_high_eV": high}


def _scalars(row: Mapping[str, object]) -> dict[str, object]:
    """What fits into one cell."""
    return {name: value for name, value in row.items() if value is None or isinstance(value, (str, int, float))}
