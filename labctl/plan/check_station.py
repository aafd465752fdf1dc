"""A procedure against the station it is to run on: probe, calibration, hardware limits, readiness."""

from __future__ import annotations

from labctl.errors import InputError
from labctl.plan import calibration
from labctl.plan.check_vt_exsy import check_sites
from labctl.plan.findings import Notebook, celsius, suggestion
from labctl.protocol.lab import Nucleus, Station
from labctl.protocol.model import Sample, VtExsy
from labctl.units import duration_text


def check_station(
    note: Notebook, top: Notebook, lab_note: Notebook, sample: Sample, p: VtExsy, station: Station
) -> None:
    """Note on `note` (the procedure), `top` (what holds the sample) and `lab_note` (the station in the lab file)."""
    nucleus = sample.nucleus
    probe = station.nuclei.get(nucleus or "")
    if nucleus is None or not sample.sites:
        pass  # the sample's own check has said so
    elif probe is None:
        top.error(
            ("sample", "nucleus"),
            f"station {p.station} is not set up for it",
            value=repr(nucleus),
            expected=suggestion(nucleus, station.nuclei),
        )
    else:
        check_sites(note, p, sample, probe.frequency_Hz)
        _check_pulse(note, lab_note, nucleus, probe, p, station)
    _check_temperatures(note, p, station)
    _check_spinning(note, p, station)
    if p.adapt is not None and p.adapt.stop_early and station.settings.get("live_rows") != "ser":
        note.warning(
            ("adapt", "stop_early"),
            f"ends nothing: the lab file does not say that {p.station} shows rows as they are acquired",
            expected="settings: {live_rows: ser} of the station, once that was seen on this console",
        )
    ramp_max = station.limits.ramp_max_K_per_s
    if ramp_max is not None and p.ramp_K_per_s > ramp_max * (1 + 1e-9):
        note.error(
            ("ramp",),
            "is steeper than the hardware limit",
            value=f"{60 * p.ramp_K_per_s:.3g} K/min",
            expected=f"at most {60 * ramp_max:.3g} K/min",
        )
    if station.calibration is None:
        lab_note.warning(("calibration",), "is missing: set points are taken for sample temperatures, off by friction")


def _check_pulse(note: Notebook, lab_note: Notebook, nucleus: str, probe: Nucleus, p: VtExsy, station: Station) -> None:
    limits = station.limits
    pulse_s = p.pulse_s if p.pulse_s is not None else probe.p90_s
    if pulse_s is None:
        note.error(("pulse",), "the 90° pulse is given neither here nor in the lab file", expected='such as "4.9 us"')
        return
    if p.pulse_s is not None and probe.p90_s is not None and abs(p.pulse_s / probe.p90_s - 1) > 0.2:
        note.warning(
            ("pulse",),
            "is more than 20 % off the lab file's for this nucleus",
            value=f"{1e6 * p.pulse_s:.3g} us",
            expected=f"about {1e6 * probe.p90_s:.3g} us",
        )
    if limits.pulse_max_s is not None and pulse_s * p.p90.longest_p90 > limits.pulse_max_s:
        note.error(
            ("p90", "longest") if pulse_s <= limits.pulse_max_s else ("pulse",),
            f"the pulse check reaches {1e6 * pulse_s * p.p90.longest_p90:.3g} us, beyond the hardware limit",
            expected=f"at most {1e6 * limits.pulse_max_s:.3g} us",
        )
    if probe.power_W is not None and limits.power_max_W is not None and probe.power_W > limits.power_max_W:
        lab_note.error(
            ("nuclei", nucleus, "power"),
            "is above the hardware limit",
            value=f"{probe.power_W:g} W",
            expected=f"at most {limits.power_max_W:g} W",
        )
    aq_s = p.points / (2 * p.spectral_width_Hz)
    if limits.acquisition_max_s is not None and aq_s > limits.acquisition_max_s:
        note.error(
            ("points",),
            f"makes an acquisition time of {duration_text(aq_s)}, beyond the hardware limit",
            value=str(p.points),
            expected=f"at most {int(2 * p.spectral_width_Hz * limits.acquisition_max_s)} points at this spectral width",
        )


def _check_temperatures(note: Notebook, p: VtExsy, station: Station) -> None:
    limits, seen = station.limits, set[float]()
    for index, sample_K in enumerate(p.temperatures_K):
        path = ("temperatures", index)
        if sample_K in seen:
            note.warning(path, "is visited twice", value=celsius(sample_K))
        seen.add(sample_K)
        setpoint_K, se_K = sample_K, 0.0
        if station.calibration is not None:
            try:
                setpoint_K, se_K = calibration.setpoint(station.calibration, sample_K, p.spinning.rate_Hz)
            except calibration.RateNotCalibrated as problem:
                note.error(("spinning",), problem.what, expected=problem.expected)
                return
            except InputError as problem:
                note.error(path, problem.what, expected=problem.expected)
                continue
        both = f"sample {celsius(sample_K)}, set point {celsius(setpoint_K)}"
        if limits.sensor_max_K is not None and setpoint_K > limits.sensor_max_K:
            note.error(
                path,
                "is hotter than the probe allows",
                value=both,
                expected=f"set point at most {celsius(limits.sensor_max_K)}",
            )
        if limits.sample_max_K is not None and sample_K > limits.sample_max_K:
            note.error(
                path,
                "is hotter than the sample may get",
                value=both,
                expected=f"at most {celsius(limits.sample_max_K)}",
            )
        elif limits.sample_max_K is not None and sample_K + 2 * se_K > limits.sample_max_K:
            note.warning(
                path,
                f"may be hotter than the sample's limit of {celsius(limits.sample_max_K)}",
                value=both,
                expected=f"the calibration is good to {se_K:g} K",
            )
        if limits.sensor_min_K is not None and setpoint_K < limits.sensor_min_K:
            note.error(
                path,
                "is colder than the probe allows",
                value=both,
                expected=f"set point at least {celsius(limits.sensor_min_K)}",
            )
        elif limits.coldest_gas_K is not None and setpoint_K < limits.coldest_gas_K:
            note.error(
                path,
                "needs gas colder than the supply gives",
                value=both,
                expected=f"a chiller, or a set point of at least {celsius(limits.coldest_gas_K)}",
            )
        cooled_above_K = limits.frame_cooling_above_K
        if cooled_above_K is not None and setpoint_K > cooled_above_K and limits.frame_cooling is not True:
            note.error(
                path,
                f"needs shim and frame cooling above {celsius(cooled_above_K)}",
                value=both,
                expected="`frame_cooling: true` in the lab file once it runs",
            )


def _check_spinning(note: Notebook, p: VtExsy, station: Station) -> None:
    limits, rate_Hz = station.limits, p.spinning.rate_Hz
    if limits.spinning_max_Hz is not None and rate_Hz > limits.spinning_max_Hz:
        note.error(
            ("spinning",),
            "is faster than the rotor allows",
            value=f"{rate_Hz:g} Hz",
            expected=f"at most {limits.spinning_max_Hz:g} Hz",
        )
    hot_K, hot_Hz = limits.hot_above_K, limits.spinning_max_hot_Hz
    if hot_K is not None and hot_Hz is not None and rate_Hz > hot_Hz and max(p.temperatures_K) > hot_K:
        note.error(
            ("spinning",),
            f"is faster than the rotor allows above {celsius(hot_K)}",
            value=f"{rate_Hz:g} Hz",
            expected=f"at most {hot_Hz:g} Hz",
        )
    guard_Hz = limits.spinning_tolerance_Hz
    if guard_Hz is not None and p.spinning.tolerance_Hz > guard_Hz:
        note.error(
            ("spinning", "tolerance"),
            "is wider than the deviation at which the guard switches the heater off",
            value=f"{p.spinning.tolerance_Hz:g} Hz",
            expected=f"at most {guard_Hz:g} Hz",
        )
