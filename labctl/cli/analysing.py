"""``labctl analyze`` and ``labctl report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from labctl.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from labctl.analysis.results import Results


def analyze_command(
    paths: list[Path],
    sites: str | None,
    *,
    as_json: bool,
    tables: Path | None = None,
    spectra: Path | None = None,
    beside_raw: bool = False,
) -> None:
    """Print what finished data say, as tables or as one JSON document; write tables and spectra where asked.

    Parameters
    ----------
    tables : Path, optional
        Folder for tidy CSV files and ``results.json``.
    spectra : Path, optional
        Folder for processed 2Ds (Bruker, CSDM) and figures.
    beside_raw : bool
        Processed Bruker data go into the next free PROCNO of the acquired EXPNO instead.
    """
    import sys

    from labctl.analysis.campaign import analyze_paths
    from labctl.errors import InputError

    if beside_raw and spectra is None:
        raise InputError("--pdata says where exported spectra go", next_step="Give --export DIR too")
    results = analyze_paths(paths, sites=parse_sites(sites) if sites else None)

    def tell(text: str) -> None:
        print(text, file=sys.stderr)

    if tables is not None:
        from labctl.report.tidy import write_tables

        tell(f"{len(write_tables(results, tables))} files written to {tables}")
    if spectra is not None:
        from labctl.report.exporting import export_spectra

        written = export_spectra(results, spectra, beside_raw=beside_raw, tell=tell)
        tell(f"{len(written)} spectra and figures written to {spectra}{' and beside the raw data' * beside_raw}")
    if as_json:
        print(results.model_dump_json(indent=2))
    else:
        print_results(results)


def report_command(directory: Path, *, png: bool = False, crate: Path | None = None, license_url: str = "") -> None:
    """Make results, tables, figures and report of a run folder again.

    Parameters
    ----------
    png : bool
        Write the figures as PNG beside their SVG.
    crate : Path, optional
        A zip to write everything into, for deposit.
    """
    from contextlib import nullcontext

    from labctl.cli.finishing import finish, print_summary
    from labctl.errors import InputError

    if crate is not None and crate.exists():
        raise InputError(f"{crate} exists", next_step="Name another file; nothing is overwritten")
    if license_url and crate is None:
        raise InputError("--license is that of a crate", next_step="Give --crate FILE too")
    if png:
        from labctl.report.figures import png_too
    with png_too() if png else nullcontext():
        results = finish(directory)
    print_summary(results, "as acquired so far", {}, directory)
    if crate is not None:
        from labctl.report.crate import write_crate

        print(f"crate {write_crate(directory, results, crate, license_url=license_url)}")


def parse_sites(text: str) -> dict[str, float]:
    """Return ``"Li2S=2.31,LPSC=1.29"`` as name to ppm.

    Raises
    ------
    InputError
        Not of that form, or a name given twice.
    """
    sites: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        try:
            shift_ppm = float(value.lower().removesuffix("ppm"))
        except ValueError:
            equals = ""
        if not equals or not name.strip() or name.strip() in sites:
            raise InputError(
                f"--sites: {part.strip()!r} cannot be used", expected="name=ppm, each name once: Li2S=2.31"
            )
        sites[name.strip()] = shift_ppm
    return sites


def print_results(results: Results) -> None:
    """Print the numbers as people read them."""
    from rich.table import Table

    from labctl.cli.console import console
    from labctl.report.numbers import plus_minus
    from labctl.units import duration_text

    out = console(wide=True)
    found = Table(
        "dataset", "kind", "state", "rows x points", "nucleus", "T [K]", "remarks", title="Datasets", box=None
    )
    for entry in results.datasets:
        found.add_row(
            entry.dataset,
            entry.kind,
            entry.completeness,
            " x ".join(map(str, entry.shape)),
            entry.nucleus,
            "" if entry.T_K is None else f"{entry.T_K:.1f}",
            "; ".join(entry.remarks),
        )
    out.print(found)
    if results.t1:
        table = Table("T [K]", "site", "T1", "alpha", "chi2/nu", "dataset", title="T1, saturation recovery", box=None)
        for t1 in results.t1:
            table.add_row(
                _kelvin(t1.T_K),
                t1.site,
                plus_minus(t1.T1_s, t1.T1_se_s, "s"),
                plus_minus(t1.alpha, t1.alpha_se),
                f"{t1.chi2_red:.2f}",
                t1.dataset,
            )
        out.print(table)
    if results.exsy.matrices:
        table = Table("T [K]", "Tmix", "A (row: source)", "chi2/nu", "dataset", title="Mixing matrices", box=None)
        for matrix in sorted(results.exsy.matrices, key=lambda one: (one.T_K or 0.0, one.tmix_s)):
            rows = "\n".join(
                "  ".join(plus_minus(a, se) for a, se in zip(row, errors, strict=True))
                for row, errors in zip(matrix.A, matrix.A_se, strict=True)
            )
            chi2 = "" if matrix.chi2_red is None else f"{matrix.chi2_red:.2f}"
            table.add_row(_kelvin(matrix.T_K), duration_text(matrix.tmix_s), rows, chi2, matrix.dataset)
        out.print(table)
    for fit in results.exsy.fits:
        whole = fit.campaign if fit.model == "layered" else None
        at = f"{_kelvin(fit.T_K)} K" if whole is None else f"all temperatures, kD at {whole.T_ref_K:.1f} K"
        out.print(f"{at}, {fit.model} model, chi2/nu {fit.chi2_red:.2f}", style="bold")
        if fit.model == "exchange":
            for i, source in enumerate(fit.sites):
                for j, target in enumerate(fit.sites):
                    if i != j:
                        upper = fit.k_upper_per_s[i][j] if fit.k_upper_per_s is not None else None
                        rate = f"= {plus_minus(fit.k_per_s[i][j], fit.k_se[i][j], '1/s')}"
                        told = rate if upper is None else f"< {upper:.2g} 1/s (95 %)"
                        out.print(f"  k({source} -> {target}) {told}")
        elif fit.model == "product":
            kD = f"= {plus_minus(fit.kD_per_s, fit.kD_se, '1/s')}"
            kD = kD if fit.kD_upper_per_s is None else f"< {fit.kD_upper_per_s:.2g} 1/s (95 %)"
            out.print(f"  D/d^2({'-'.join(fit.pair)}) {kD}")
        else:
            for phase in fit.phases:
                if phase.bound is not None and phase.kD_per_s is not None:
                    sign = ">" if phase.bound == "lower" else "<"
                    out.print(f"  D/d^2({phase.phase}) {sign} {phase.kD_per_s:.3g} 1/s (95 %)")
                else:
                    out.print(f"  D/d^2({phase.phase}) = {plus_minus(phase.kD_per_s, phase.kD_se, '1/s')}")
    for one in (one for one in results.exsy.arrhenius if one.model != "product"):
        energy = plus_minus(one.Ea_eV, one.Ea_se_eV, "eV")
        out.print(f"Ea of {one.quantity} ({one.model}, {one.convention} against 1/T) = {energy}", style="bold")
    if results.exsy.paper is not None:
        from labctl.cli.paper_lines import paper_lines

        for line in paper_lines(results.exsy.paper):
            out.print(line, style="dim", markup=False)
    print_impedance(results, out)
    print_cycling(results, out)
    for warning in results.warnings:
        said = ": ".join(part for part in ("warning", warning.code, warning.where, warning.message) if part)
        out.print(f"{said}; {warning.advice}" if warning.advice else said, markup=False)


def print_impedance(results: Results, out: Console) -> None:
    """Print resistances, conductivities and their activation."""
    from rich.table import Table

    from labctl.report.numbers import plus_minus

    if results.eis.spectra:
        table = Table("T [K]", "sample", "R", "sigma", "circuit", "KK", "dataset", title="Impedance", box=None)
        for one in results.eis.spectra:
            sigma = plus_minus(one.sigma_S_per_cm, one.sigma_se_S_per_cm, "S/cm")
            if one.sigma_upper_S_per_cm is not None:
                sigma = f"< {one.sigma_upper_S_per_cm:.2g} S/cm (95 %)"
            elif one.resolved and one.sigma_S_per_cm is None:
                sigma = "dimensions unknown"
            kk = "" if one.kramers_kronig is None else ("passed" if one.kramers_kronig.passed else "failed")
            table.add_row(
                _kelvin(one.T_K),
                one.sample,
                plus_minus(one.R_ohm, one.R_se_ohm, "ohm"),
                sigma,
                one.fit.circuit if one.fit else "",
                kk,
                one.dataset,
            )
        out.print(table)
    for line in results.eis.arrhenius:
        energy = plus_minus(line.Ea_eV, line.Ea_se_eV, "eV")
        room = plus_minus(line.sigma_25C_S_per_cm, line.sigma_25C_se_S_per_cm, "S/cm")
        if line.sigma_25C_S_per_cm is None:
            room = plus_minus(line.G_25C_S, line.G_25C_se_S, "S")
        out.print(f"Ea of {line.sample} ({line.convention} against 1/T) = {energy}; at 25 °C {room}", style="bold")


def print_cycling(results: Results, out: Console) -> None:
    """Print cycles with why their charges ended, and what holds over those that count."""
    from rich.table import Table

    from labctl.report.numbers import plus_minus

    for cell in results.cycling.cells:
        per_gram = cell.mass_mg is not None and bool(cell.mass_basis)
        unit = f"mAh/g of {cell.mass_basis}" if per_gram else "mAh"
        table = Table("cycle", f"charge, {unit}", "ended by", f"discharge, {unit}", "ended by", "CE", "remarks",
                      title=f"Cycling of {cell.cell}", box=None)  # fmt: skip
        for one in cell.cycles:
            cells = []
            for half in (one.charge, one.discharge):
                Q = None if half is None else half.Q_mAh_per_g if per_gram else half.Q_mAh
                cells += ["" if Q is None else f"{Q:.5g}", "" if half is None else half.end]
            CE = "" if one.CE is None else plus_minus(100 * one.CE, None if one.CE_se is None else 100 * one.CE_se, "%")
            table.add_row(str(one.cycle), *cells, CE, "; ".join(one.flags))
        out.print(table)
        told = cell.summary
        if told.CE_mean is not None:
            out.print(
                f"CE of {told.counted} cycles that count: {100 * told.CE_mean:.2f} % (mean); "
                f"activation plateau {plus_minus(told.activation_plateau_V, None, 'V')}",
                style="bold",
            )


def _kelvin(T_K: float | None) -> str:
    return "?" if T_K is None else f"{T_K:.1f}"
