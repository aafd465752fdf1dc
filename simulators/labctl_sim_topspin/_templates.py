"""The template datasets a site keeps: one EXPNO per kind of experiment, calibrated and without data."""

from __future__ import annotations

from labctl_sim_topspin import _parameters as par
from labctl_sim_topspin._datasets import Datasets, Place
from labctl_sim_topspin._files import ConsoleFiles
from labctl_sim_topspin._parameters import Parameters
from labctl_sim_topspin._settings import Experiment, Settings
from labctl_sim_topspin._writing import lists_dir

_TITLES: dict[Experiment, str] = {
    "one_pulse": "template: one pulse, 6Li, MAS",
    "nutation": "template: nutation after saturation comb",
    "saturation_recovery": "template: saturation recovery",
    "exsy": "template: EXSY, States-TPPI, t1 rotor-synchronised",
}


def make(datasets: Datasets, files: ConsoleFiles, settings: Settings) -> None:
    """Create the template dataset as a lab would have left it."""
    for experiment, title in _TITLES.items():
        if experiment not in settings.templates:
            continue
        place = Place(str(settings.data_dir), settings.template_dataset, settings.templates[experiment], 1)
        direct = _direct(experiment, settings)
        datasets.put(place.folder / "acqu", direct)
        datasets.put(place.folder / "acqus", direct)
        processing = {**par.proc(), "SF": direct["BF1"], "AXNUC": direct["NUC1"]}
        datasets.put(place.processed / "proc", processing)
        datasets.put(place.processed / "procs", processing)
        if experiment != "one_pulse":
            indirect = _indirect(experiment, direct)
            datasets.put(place.folder / "acqu2", indirect)
            datasets.put(place.folder / "acqu2s", indirect)
            second = {**processing, "PPARMOD": 1, "SI": 512}
            datasets.put(place.processed / "proc2", second)
            datasets.put(place.processed / "proc2s", second)
        files.write_text(place.processed / "title", f"{title}\n")
        files.write_text(place.processed / "outd", "")
    datasets.flush()
    _lists(files, settings)


def _direct(experiment: Experiment, settings: Settings) -> Parameters:
    values = par.acqu()
    larmor_MHz = round(settings.larmor_MHz * par.RATIOS[settings.nucleus] / par.RATIOS["6Li"], 6)
    par.tune_to(values, settings.nucleus, larmor_MHz)
    for name, value in {
        "PULPROG": settings.pulse_programs[experiment],
        "INSTRUM": settings.instrument,
        "PARMODE": 0 if experiment == "one_pulse" else 1,
        "SW_h": 10000.0,
        "O1": settings.carrier_ppm * larmor_MHz,
        "TD": 2048,
        "NS": 8,
        "DS": 4 if experiment in {"one_pulse", "exsy"} else 0,
        "D 1": 50.0 if experiment in {"one_pulse", "exsy"} else 0.1,
        "D 8": 0.01 if experiment == "exsy" else 0.0,
        "D 20": 0.005,
        "L 20": 20,
        "P 1": 4.9,
        "PLW 1": 100.0,
        "RG": 101.0,
        "CNST 31": settings.spinning_Hz,
        "MASR": round(settings.spinning_Hz),
    }.items():
        par.write(values, name, value)
    if experiment == "nutation":
        par.write(values, "D 1", 5.0)
        par.write(values, "VPLIST", "default")
    if experiment == "saturation_recovery":
        par.write(values, "VDLIST", "default")
    if experiment == "exsy":
        par.write(values, "INF 1", 800.0)
        par.write(values, "IN 0", 800e-6)
    return values


def _indirect(experiment: Experiment, direct: Parameters) -> Parameters:
    values = par.acqu2()
    par.tune_to(values, str(direct["NUC1"]), par.number(direct, "BF1"))
    par.write(values, "O1", par.number(direct, "O1"))
    for name, value in {
        "TD": 320 if experiment == "exsy" else 10,
        "FnMODE": 5 if experiment == "exsy" else 0,
        "SW_h": 1250.0 if experiment == "exsy" else 5000.0,
    }.items():
        par.write(values, name, value)
    return values


def _lists(files: ConsoleFiles, settings: Settings) -> None:
    lists = lists_dir(settings)
    files.write_text(lists / "vd" / "default", "".join(f"{delay}\n" for delay in ("50m", "200m", "1s", "5s", "20s")))
    files.write_text(lists / "vp" / "default", "".join(f"{pulse}\n" for pulse in (1, 2, 3, 4, 5, 6, 8, 10, 12, 14)))
