"""Sample files: YAML in, a `Sample` out, and for every mistake its line.

The grammar is told key by key in ``simulators/README.md``. Nothing but simulators reads these files: labctl itself
has to find out what is in the rotor.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labctl import located_yaml
from labctl.errors import InputError
from labctl_sim_sample._cell import CellSample
from labctl_sim_sample._layered import populations as layered_populations
from labctl_sim_sample._load_cell import read_cell
from labctl_sim_sample._load_pellet import read_eis
from labctl_sim_sample._model import (
    Activated,
    Contact,
    Discrete,
    Drift,
    Jump,
    Layer,
    Layered,
    NmrTruth,
    Pairwise,
    Probe,
    Site,
)
from labctl_sim_sample._nmr import NmrSample
from labctl_sim_sample._pellet import EisSample
from labctl_sim_sample._reading import Node, Reading

_NUCLEUS = re.compile(r"\d{1,3}[A-Z][a-z]?")
_MODELS = ("layered", "discrete", "pairwise", "none")
_SHAPES: dict[str, Literal["lorentz", "gauss", "voigt"]] = {"lorentz": "lorentz", "gauss": "gauss", "voigt": "voigt"}
_MAX_LAYERS = 6
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Sample:
    """What is in the simulated lab's rotor, or between its electrodes.

    Attributes
    ----------
    name : str
        As the file says.
    file : str
        For messages.
    """

    name: str
    file: str
    _nmr: NmrSample | None
    _eis: EisSample | None
    _cell: CellSample | None = None

    @property
    def nmr(self) -> NmrSample:
        """What the spectrometer sees of it; InputError where the file does not say."""
        if self._nmr is None:
            raise InputError(f"the sample file {self.file} has no section nmr, and a spectrometer has nothing to see")
        return self._nmr

    @property
    def eis(self) -> EisSample:
        """What the potentiostat sees of it; InputError where the file does not say."""
        if self._eis is None:
            raise InputError(f"the sample file {self.file} has no section eis, and a potentiostat has nothing to see")
        return self._eis

    @property
    def cell(self) -> CellSample:
        """What the cycler sees of it; InputError where the file does not say."""
        if self._cell is None:
            raise InputError(f"the sample file {self.file} has no section cell, and a cycler has nothing to cycle")
        return self._cell


def load_sample(path: Path) -> Sample:
    """Read a sample file.

    Raises
    ------
    InputError
        The file cannot be read or says something that cannot be: one finding per mistake.
    """
    reading = Reading(located_yaml.load(path))
    root = reading.root().keys(required=("version", "name"), optional=("nmr", "eis", "cell"))
    if not (root.has("nmr") or root.has("eis") or root.has("cell")):
        root.complain(
            "must say what an instrument sees: the key 'nmr' is missing, and so are 'eis' and 'cell'",
            expected="nmr: ...",
        )
    if root.has("version") and root.data["version"] != 1:
        root.at("version").complain("is a version this labctl does not know", value=root.data["version"], expected="1")
    name = root.text("name")
    truth = _nmr(root.at("nmr")) if root.has("nmr") else None
    pellet = read_eis(root.at("eis")) if root.has("eis") else None
    cell = read_cell(root.at("cell")) if root.has("cell") else None
    reading.close()
    return Sample(
        name=name,
        file=path.name,
        _nmr=None if truth is None else NmrSample(truth),
        _eis=None if pellet is None else EisSample(pellet),
        _cell=None if cell is None else CellSample(cell),
    )


def _nmr(node: Node) -> NmrTruth | None:
    node.keys(
        required=("nucleus", "sites", "relaxation", "exchange", "probe", "noise_per_scan"),
        optional=("reference_temperature", "within_phase", "sidebands", "drift"),
    )
    nucleus = node.text("nucleus")
    if nucleus and not _NUCLEUS.fullmatch(nucleus):
        node.at("nucleus").complain("is not a nucleus", value=nucleus, expected="mass number and symbol, such as 6Li")
    reference_K = node.quantity("reference_temperature", "K", example="293.15 K", default=293.15, above=0.0)
    exchange = _exchange(node.at("exchange"), reference_K) if node.has("exchange") else None
    populations = _populations(exchange)
    sites = _sites(node.at("sites"), reference_K, tuple(populations)) if node.has("sites") else ()
    T1_s = _by_phase(node, "relaxation", "T1", "s", "16.7 s", tuple(populations), reference_K)
    within = _by_phase(node, "within_phase", "rate", "1/s", "0.5 1/s", tuple(populations), reference_K)
    for phase in populations:
        if node.has("relaxation") and phase not in T1_s:
            node.at("relaxation").complain(f"says nothing of phase {phase!r}", expected=f"{phase}: {{T1: ...}}")
    probe = _probe(node.at("probe")) if node.has("probe") else None
    drift = _drift(node.at("drift") if node.has("drift") else None)
    sideband = node.fraction("sidebands", default=0.0, most=0.3)
    noise = math.nan
    if node.has("noise_per_scan"):
        noise_node = node.at("noise_per_scan")
        noise = noise_node.bounded(noise_node.number(), "", above=-math.inf, least=0.0, most=math.inf)
    if exchange is None or probe is None or not sites:
        return None
    return NmrTruth(
        nucleus=nucleus,
        reference_K=reference_K,
        phases=tuple(populations),
        sites=sites,
        T1_s=T1_s,
        within_phase_per_s=within,
        exchange=exchange,
        probe=probe,
        drift=drift,
        sideband=sideband,
        noise_per_scan=noise,
    )


def _populations(exchange: Layered | Discrete | Pairwise | None) -> dict[str, float]:
    match exchange:
        case None:
            return {}
        case Layered():
            return layered_populations(exchange)
        case _:
            return exchange.populations


def _activated(node: Node, key: str, unit: str, example: str, reference_K: float) -> Activated:
    return Activated(
        value=node.quantity(key, unit, example=example, above=0.0),
        Ea_eV=node.quantity("Ea", "eV", example="0.107 eV", default=0.0, least=0.0),
        reference_K=reference_K,
    )


def _by_phase(
    node: Node, section: str, key: str, unit: str, example: str, phases: tuple[str, ...], reference_K: float
) -> dict[str, Activated]:
    """Return ``{phase: {key: quantity, Ea: energy}}`` of a section."""
    result = {}
    if node.has(section):
        for phase, entry in node.at(section).named("{" + f"{key}: {example}, Ea: 0.09 eV" + "}"):
            if phases and phase not in phases:
                entry.complain(f"there is no phase {phase!r}", expected=f"one of {', '.join(phases)}")
            result[phase] = _activated(entry.keys(required=(key,), optional=("Ea",)), key, unit, example, reference_K)
    return result


# ----------------------------------------------------------------------------------------------- sites


def _sites(node: Node, reference_K: float, phases: tuple[str, ...]) -> tuple[Site, ...]:
    sites = [_site(name, entry, reference_K) for name, entry in node.named("{shift: 2.31 ppm, width: 30 Hz, ...}")]
    if not phases or not sites:
        return tuple(sites)
    for site in sites:
        if site.phase not in phases:
            place = node.at(site.name)
            (place.at("phase") if place.has("phase") else place).complain(
                f"there is no phase {site.phase!r}", expected=f"phase: one of {', '.join(phases)}"
            )
    for phase in phases:
        shares = [site.fraction for site in sites if site.phase == phase]
        if not shares:
            node.complain(f"no site shows phase {phase!r}", expected=f"a site named {phase} or with phase: {phase}")
        elif abs(sum(shares) - 1.0) > _SUM_TOLERANCE:
            node.complain(f"the fractions of the sites of phase {phase!r} sum to {sum(shares):.4g}", expected="1")
    return tuple(sites)


def _site(name: str, node: Node, reference_K: float) -> Site:
    node.keys(
        required=("shift", "width"),
        optional=("shift_slope", "width_Ea", "inhomogeneous", "shape", "phase", "fraction"),
    )
    return Site(
        name=name,
        phase=node.text("phase") if node.has("phase") else name,
        fraction=node.fraction("fraction", default=1.0, above=0.0),
        shift_ppm=node.quantity("shift", "ppm", example="2.31 ppm"),
        shift_slope_ppm_per_K=node.quantity("shift_slope", "ppm/K", example="-0.002 ppm/K", default=0.0),
        width_Hz=Activated(
            value=node.quantity("width", "Hz", example="30 Hz", above=0.0),
            Ea_eV=node.quantity("width_Ea", "eV", example="0.05 eV", default=0.0, least=0.0),
            reference_K=reference_K,
        ),
        inhomogeneous=node.fraction("inhomogeneous", default=0.0),
        shape=_SHAPES[node.choice("shape", tuple(_SHAPES), default="lorentz")],
        reference_K=reference_K,
    )


# -------------------------------------------------------------------------------------------- exchange


def _exchange(node: Node, reference_K: float) -> Layered | Discrete | Pairwise | None:
    node.keys(optional=_MODELS)
    chosen = [model for model in _MODELS if node.has(model)]
    if len(chosen) != 1:
        node.complain("must hold one exchange model", value=chosen, expected=f"one of {', '.join(_MODELS)}")
        return None
    inner = node.at(chosen[0])
    match chosen[0]:
        case "layered":
            return _layered(inner, reference_K)
        case "discrete":
            return _discrete(inner, reference_K)
        case "pairwise":
            return _pairwise(inner, reference_K)
        case _:
            inner.keys(required=("populations",), optional=("spin_diffusion",))
            populations = _shares(inner)
            spin_diffusion_per_s = _spin_diffusion(inner)
            if not populations:
                return None
            return Discrete(populations=populations, jumps=(), spin_diffusion_per_s=spin_diffusion_per_s)


def _layered(node: Node, reference_K: float) -> Layered | None:
    node.keys(required=("layers",), optional=("geometry", "spin_diffusion"))
    layers: list[Layer] = []
    entries = node.at("layers").items("layers, from the centre outwards") if node.has("layers") else ()
    for index, entry in enumerate(entries):
        entry.keys(required=("phase", "outer", "density", "kD"), optional=("Ea", "flux", "flux_Ea"))
        layer = _layer(entry, reference_K)
        if layer.phase in [other.phase for other in layers]:
            entry.at("phase").complain("names a phase twice", value=layer.phase, expected="one layer for each phase")
        if layers and layer.outer <= layers[-1].outer:
            entry.at("outer").complain(
                "lies inside the layer before", value=layer.outer, expected=f"more than {layers[-1].outer:g}"
            )
        if layer.flux_per_s is not None and index == len(entries) - 1:
            entry.at("flux").complain("the outermost face is closed", expected="no flux on the last layer")
        layers.append(layer)
    if layers and layers[0].outer != 1.0:
        entries[0].at("outer").complain("must be the unit of length", value=layers[0].outer, expected="1")
    if node.has("layers") and not 2 <= len(layers) <= _MAX_LAYERS:
        node.at("layers").complain(f"has {len(layers)} layers", expected=f"2 to {_MAX_LAYERS}")
    geometry: Literal["sphere", "slab"] = (
        "slab" if node.choice("geometry", ("sphere", "slab"), default="sphere") == "slab" else "sphere"
    )
    spin_diffusion_per_s = _spin_diffusion(node)
    if not layers or any(math.isnan(layer.outer * layer.density_per_nm3) or not layer.phase for layer in layers):
        return None
    return Layered(geometry=geometry, layers=tuple(layers), spin_diffusion_per_s=spin_diffusion_per_s)


def _layer(node: Node, reference_K: float) -> Layer:
    flux = None
    if node.has("flux") and node.data["flux"] != "perfect":
        flux = Activated(
            value=node.quantity("flux", "1/s", example="0.5 1/s", above=0.0),
            Ea_eV=node.quantity("flux_Ea", "eV", example="0.2 eV", default=0.0, least=0.0),
            reference_K=reference_K,
        )
    elif node.has("flux_Ea"):
        node.at("flux_Ea").complain("belongs to a finite flux", expected="flux: 0.5 1/s beside it")
    outer = math.nan
    if node.has("outer"):
        outer = node.at("outer").bounded(node.at("outer").number(), "", above=0.0, least=0.0, most=1e6)
    return Layer(
        phase=node.text("phase"),
        outer=outer,
        density_per_nm3=node.quantity("density", "1/nm^3", example="22.1 1/nm^3", above=0.0),
        kD_per_s=_activated(node, "kD", "1/s", "0.003 1/s", reference_K),
        flux_per_s=flux,
    )


def _discrete(node: Node, reference_K: float) -> Discrete | None:
    node.keys(required=("populations", "rates"), optional=("spin_diffusion",))
    populations = _shares(node)
    jumps: list[Jump] = []
    for entry in node.at("rates").items("{from: A, to: B, rate: 2 1/s, Ea: 0.15 eV}") if node.has("rates") else ():
        entry.keys(required=("from", "to", "rate"), optional=("Ea",))
        jump = Jump(
            source=entry.text("from"),
            target=entry.text("to"),
            rate_per_s=_activated(entry, "rate", "1/s", "2 1/s", reference_K),
        )
        _pair(entry, (jump.source, jump.target), populations, [(other.source, other.target) for other in jumps])
        jumps.append(jump)
    spin_diffusion_per_s = _spin_diffusion(node)
    if not populations:
        return None
    return Discrete(populations=populations, jumps=tuple(jumps), spin_diffusion_per_s=spin_diffusion_per_s)


def _pairwise(node: Node, reference_K: float) -> Pairwise | None:
    node.keys(required=("populations", "contacts"), optional=("filling",))
    populations = _shares(node)
    contacts: list[Contact] = []
    for entry in node.at("contacts").items("{between: [A, B], kD: 0.01 1/s}") if node.has("contacts") else ():
        entry.keys(required=("between", "kD"), optional=("Ea",))
        between = entry.at("between").data
        if not (isinstance(between, list) and len(between) == 2 and all(isinstance(name, str) for name in between)):
            (entry.at("between") if entry.has("between") else entry).complain("must name two phases", value=between)
            continue
        pair = (between[0], between[1])
        _pair(entry.at("between"), pair, populations, [contact.phases for contact in contacts])
        contacts.append(Contact(phases=pair, kD_per_s=_activated(entry, "kD", "1/s", "0.01 1/s", reference_K)))
    filling = node.fraction("filling", default=0.5, above=0.0, most=0.95)
    if not populations:
        return None
    return Pairwise(populations=populations, contacts=tuple(contacts), filling=filling)


def _pair(node: Node, pair: tuple[str, str], populations: dict[str, float], earlier: list[tuple[str, str]]) -> None:
    for phase in pair:
        if phase and populations and phase not in populations:
            node.complain(f"there is no phase {phase!r}", expected=f"one of {', '.join(populations)}")
    if pair[0] and pair[0] == pair[1]:
        node.complain("joins a phase with itself", value=pair[0], expected="two phases")
    if set(pair) in [set(other) for other in earlier]:
        node.complain(
            "gives the same pair twice",
            value=" - ".join(pair),
            expected="once; the way back follows from detailed balance",
        )


def _shares(node: Node) -> dict[str, float]:
    """Return the populations, scaled to sum to 1 exactly; empty when they cannot be used."""
    shares: dict[str, float] = {}
    if not node.has("populations"):
        return {}
    inner = node.at("populations")
    for phase, entry in inner.named("Li fractions, such as {Li2S: 0.6, LPSC: 0.4}"):
        shares[phase] = entry.bounded(entry.number(), "", above=0.0, least=0.0, most=1.0)
    total = sum(shares.values())
    if shares and abs(total - 1.0) > _SUM_TOLERANCE:
        inner.complain(f"sums to {total:.4g}", expected="Li fractions that sum to 1")
    if not total > 0.0:
        return {}
    return {phase: share / total for phase, share in shares.items()}


def _spin_diffusion(node: Node) -> float:
    return node.quantity("spin_diffusion", "1/s", example="0.001 1/s", default=0.0, least=0.0)


# --------------------------------------------------------------------------------- probe and its hours


def _probe(node: Node) -> Probe:
    node.keys(required=("p90",), optional=("p90_slope", "rf_spread", "comb_leaves"))
    return Probe(
        p90_s=node.quantity("p90", "s", example="4.9 us", above=0.0, most=1e-3),
        p90_slope_per_K=node.quantity("p90_slope", "1/K", example="0.02 %/K", default=0.0, least=-0.002, most=0.002),
        rf_spread=node.fraction("rf_spread", default=0.0, most=0.3),
        comb_leaves=node.fraction("comb_leaves", default=0.0, most=0.5),
    )


def _drift(node: Node | None) -> Drift:
    """Return the drift; the field creeps by 0.5 Hz/h and calms down within hours unless the file says otherwise."""
    if node is None:
        return Drift(field_Hz_per_h=0.5, decay_s=6 * 3600.0, gain_per_day=0.0)
    node.keys(optional=("field", "decay", "gain"))
    decay_s = (
        None
        if node.has("decay") and node.data["decay"] == "never"
        else node.quantity("decay", "s", example="6 h", default=6 * 3600.0, above=0.0)
    )
    return Drift(
        field_Hz_per_h=node.quantity("field", "Hz/hour", example="0.5 Hz/h", default=0.5),
        decay_s=decay_s,
        gain_per_day=node.quantity("gain", "1/day", example="0.2 %/day", default=0.0, least=-0.2, most=0.2),
    )
