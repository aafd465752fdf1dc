"""The `settings:` block of an Autolab station, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from labctl.units import QuantityError, parse
from labctl_autolab._ranges import MEMBERS, DEFAULT_CORNERS_Hz, Ladder, nearest
from labctl_oven import SettingsReader

RANGE_CAP_A = 1e-3
"""No range above this one: it bounds what a cell can be made to carry by mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedureSettings:
    """A procedure made in NOVA, and where in it the numbers of a sweep are written: ``<command>/<parameter>``.

    `amplitude` empty: the procedure's own amplitude is used, and must be the campaign's.
    """

    file: str = "procedures/FRA impedance potentiostatic.nox"
    bias: str = "FHSetSetpointPotential/Setpoint value"
    range: str = "FHGetSetValues/EI_0.CurrentRange"
    amplitude: str = "FIAMeasPotentiostatic/Amplitude"
    scan: str = "FIAScan"
    point: str = "FIAMeasurement"
    frequency: str = "DsgFrequency"
    integration: str = "IntegrationTime"
    cycles: str = "IntegrationCycle"
    result: str = "FIAMeasPotentiostatic"
    save_wait_s: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one Autolab is reached, what its rig is like, and what is known of it.

    Attributes
    ----------
    data_dir : str
        Folder on the instrument's computer for checkpoints and results.
    assembly, extensions : str
        Paths of the SDK's two assemblies, without ``.dll``.
    embedded, hardware_setup : str
        ``Adk.x``, and the XML of this instrument and its modules.
    route : str
        ``direct``: the FRA object, point by point; ``procedure``: a ``.nox`` made in NOVA.
    amplitude_kind, imaginary : str
        What ``Fra.Amplitude`` is, and whether ``Fra.Imaginary`` holds Z'' or -Z''; found once on an RC dummy cell.
    bias_away_max_V : float
        A bias further than this from the cell's open-circuit potential is refused.
    open_circuit_samples : int
        Samples of 25 ms over which the open-circuit potential is averaged.
    open_circuit_drift_V : float
        A repeated sweep is refused when the cell's potential moved by more since the attempt before.
    current_noise_A, gain_noise : float or None
        Of each quadrature of the current (rms) after 1 s of integration, and of the gain; written beside the data.
    open_capacitance_F, open_leakage_ohm : float or None
        Of the holder without a pellet, measured once; a cell that passes no more than this is open.
    short_below_ohm : float
        A cell of less than this at every frequency is shorted; 0: not looked for.
    bridged : str
        What becomes of a spectrum that is a plain resistor's at every frequency, so that no pellet between electrodes
        that block shows: ``flag`` notes it for people, ``fail`` makes it none, ``ignore`` for electrodes that do not.
    reconnect_s : float
        How long a sweep waits at its beginning for a line that is lost.
    cell_lag_s : float
        Time constant with which a cell without a sensor follows the oven; 0: it has one, or follows at once.
    latched_after : int
        So many equal samples in a row, on more than one range, are no samples; 0: not looked for.
    """

    data_dir: str
    assembly: str = ""
    extensions: str = ""
    embedded: str = "Adk.x"
    hardware_setup: str = "HardwareSetup.FRA32M.xml"
    instrument: str = "Metrohm Autolab PGSTAT302N, FRA32M"
    route: Literal["direct", "procedure"] = "direct"
    procedure: ProcedureSettings = field(default_factory=ProcedureSettings)
    amplitude_kind: Literal["rms", "peak"] = "rms"
    imaginary: Literal["Z''", "-Z''"] = "-Z''"
    bandwidth: str = "High_Stability"
    ladder: Ladder
    bias_away_max_V: float = 0.02
    open_circuit_samples: int = 20
    open_circuit_drift_V: float = 0.02
    first_settle_s: float = 5.0
    range_settle_s: float = 0.5
    current_noise_A: float | None = None
    gain_noise: float | None = None
    open_capacitance_F: float | None = None
    open_leakage_ohm: float | None = None
    short_below_ohm: float = 1.0
    bridged: Literal["flag", "fail", "ignore"] = "flag"
    latched_after: int = 5
    reconnect_s: float = 180.0
    temperature_poll_s: float = 5.0
    controller: str = ""
    oven: Mapping[str, Any] = field(default_factory=dict)
    sample_within_K: float | None = None
    sample_offset_K: float = 0.0
    cell_lag_s: float = 0.0


def read_settings(settings: Mapping[str, Any], *, station: str, simulated: bool) -> Settings:
    """Return the settings of a station.

    Raises
    ------
    InputError
        One finding for each key that is unknown, missing, or holds what cannot be used.
    """
    reader = SettingsReader(settings, where=f"stations.{station}.settings")
    sdk = reader.block("sdk")
    needed = None if not simulated else ""
    dll = "the path of an assembly of the Autolab SDK, without .dll"
    noise, holder = reader.block("noise"), reader.block("open_holder")
    chosen = Settings(
        data_dir=reader.text("data_dir", expected="a folder for checkpoints and results"),
        assembly=_path(sdk, "assembly", needed, dll),
        extensions=_path(sdk, "extensions", needed, dll),
        embedded=_path(sdk, "embedded", "Adk.x" if simulated else None, "the path of Adk.x (older: Adk.bin)"),
        hardware_setup=_path(
            sdk, "hardware_setup", "HardwareSetup.FRA32M.xml" if simulated else None, "the XML of this instrument"
        ),
        instrument=reader.text("instrument", "Metrohm Autolab PGSTAT302N, FRA32M", expected="a line of text"),
        route=cast("Literal['direct', 'procedure']", reader.choice("route", ("direct", "procedure"), "direct")),
        procedure=_procedure(reader.block("procedure")),
        amplitude_kind=cast("Literal['rms', 'peak']", reader.choice("amplitude_kind", ("rms", "peak"), "rms")),
        imaginary=cast("Any", reader.choice("imaginary", ("Z''", "-Z''"), "-Z''")),
        bandwidth=reader.choice("bandwidth", ("High_Stability", "High_Speed", "UltraHigh_Speed"), "High_Stability"),
        ladder=_ladder(reader),
        bias_away_max_V=reader.quantity("bias_away_max", "V", "20 mV", 0.0, 0.02),
        open_circuit_samples=reader.integer("open_circuit_samples", 20, 1, 1000),
        open_circuit_drift_V=reader.quantity("open_circuit_drift", "V", "20 mV", 0.0, 1.0),
        first_settle_s=reader.quantity("first_settle", "s", "5 s", 0.0, 600.0),
        range_settle_s=reader.quantity("range_settle", "s", "500 ms", 0.0, 60.0),
        current_noise_A=_optional(noise, "current", "A", "3 pA"),
        gain_noise=_optional(noise, "gain", "dimensionless", "0.2 %"),
        open_capacitance_F=_optional(holder, "capacitance", "F", "20 pF"),
        open_leakage_ohm=_optional(holder, "leakage", "ohm", "1e12 ohm"),
        short_below_ohm=reader.quantity("short_below", "ohm", "1 ohm", 0.0, 1e9),
        bridged=cast("Any", reader.choice("bridged", ("flag", "fail", "ignore"), "flag")),
        latched_after=reader.integer("latched_after", 5, 0, 100),
        reconnect_s=reader.quantity("reconnect", "s", "3 min", 0.0, 3600.0),
        temperature_poll_s=reader.quantity("temperature_poll", "s", "5 s", 0.5, 120.0),
        **_oven(reader),
    )
    for inner in (sdk, noise, holder):
        inner.refuse_unknown()
    reader.finish()
    return chosen


def _path(reader: SettingsReader, key: str, default: str | None, expected: str) -> str:
    if default == "":  # not needed: nothing is loaded
        return str(reader.get(key, ""))
    return reader.text(key, default, expected=expected)


def _optional(reader: SettingsReader, key: str, unit: str, example: str) -> float | None:
    if reader.get(key) is None:
        return None
    return reader.quantity(key, unit, example, 0.0, float("inf"))


def _procedure(reader: SettingsReader) -> ProcedureSettings:
    default = ProcedureSettings()
    texts = {
        name: reader.text(name, getattr(default, name), expected="<command>/<parameter> as the SDK names them")
        for name in ("file", "bias", "range", "scan", "point", "frequency", "integration", "cycles", "result")
    }
    amplitude = str(reader.get("amplitude", default.amplitude) or "")
    wait_s = reader.quantity("save_wait", "s", "2 s", 0.0, 60.0)
    reader.refuse_unknown()
    return ProcedureSettings(**texts, amplitude=amplitude, save_wait_s=wait_s)


def _ladder(reader: SettingsReader) -> Ladder:
    lowest_A = _range(reader, "range_min", "10 nA", RANGE_CAP_A)
    highest_A = _range(reader, "range_max", "1 mA", RANGE_CAP_A)
    if lowest_A > highest_A:
        reader.refuse("range_min", "is above range_max", "", "range_min: 10 nA, range_max: 1 mA")
    corners = dict(DEFAULT_CORNERS_Hz)
    given = reader.get("range_bandwidth", {})
    if not isinstance(given, Mapping):
        reader.refuse("range_bandwidth", "is not a block of keys and values", repr(given), "100 nA: 1 kHz")
        given = {}
    for name, corner in given.items():
        try:
            range_A, corner_Hz = nearest(parse(str(name), "A", example="100 nA")), parse(corner, "Hz", example="1 kHz")
        except QuantityError as problem:
            reader.refuse(f"range_bandwidth.{name}", problem.what, "", problem.expected)
            continue
        if range_A is None or not corner_Hz > 0.0:
            reader.refuse(f"range_bandwidth.{name}", "cannot be used", repr(corner), "100 nA: 1 kHz")
            continue
        corners[range_A] = corner_Hz
    return Ladder(lowest_A=lowest_A, highest_A=max(lowest_A, highest_A), corners_Hz=corners)


def _range(reader: SettingsReader, key: str, default: str, cap_A: float) -> float:
    full_A = reader.quantity(key, "A", default, 1e-13, 100.0)
    found = nearest(full_A)
    if found is None or found > cap_A * 1.01:
        known = ", ".join(f"{one:g} A" for one in sorted(MEMBERS) if one <= cap_A)
        reader.refuse(key, "is not a range that may be used", f"{full_A:g} A", f"one of {known}")
        return cap_A
    return found


def _oven(reader: SettingsReader) -> dict[str, Any]:
    """Return what is for the oven's own driver, and what of it concerns settling."""
    block = reader.get("oven", {})
    if not isinstance(block, Mapping):
        reader.refuse("oven", "is not a block of keys and values", repr(block), "{controller: lakeshore, ...}")
        return {}
    inner = reader.block("oven")
    controller = inner.text("controller", "", expected="lakeshore or eurotherm") if "controller" in block else ""
    if block and not controller:
        inner.refuse("controller", "is missing", "", "lakeshore or eurotherm")
    second = str(block.get("sample_input", "none")) != "none"
    lag_s = inner.quantity("cell_lag", "s", "15 min", 0.0, 86400.0)
    return {
        "controller": controller,
        "oven": {key: value for key, value in block.items() if key not in {"controller", "cell_lag"}},
        "sample_within_K": inner.quantity("sample_within", "K", "1 K", 0.0, 50.0, difference=True) if second else None,
        "sample_offset_K": inner.quantity("sample_offset", "K", "0 K", -50.0, 50.0, difference=True),
        "cell_lag_s": 0.0 if second or not block else lag_s,
    }
