"""The `eis:` section of a sample file."""

from __future__ import annotations

from labctl_sim_sample._model import Activated
from labctl_sim_sample._pellet import Boundaries, Convention, Electrode, Holder, PelletTruth
from labctl_sim_sample._reading import Node

_ROOM_K = 298.15
_CONVENTIONS: tuple[Convention, ...] = ("ln sigma", "ln sigma T")


def read_eis(node: Node) -> PelletTruth:
    """Return what the section says; mistakes are noted with the reading the node belongs to."""
    node.keys(
        required=("pellet", "conductivity", "permittivity"),
        optional=("bulk_exponent", "grain_boundary", "electrode", "holder", "open_circuit"),
    )
    pellet = node.at("pellet").keys(required=("thickness", "diameter"))
    conductivity = node.at("conductivity").keys(required=("sigma", "Ea"), optional=("at", "convention"))
    permittivity = node.at("permittivity")
    given = permittivity.number(1.0) if node.has("permittivity") else 1.0
    return PelletTruth(
        thickness_cm=pellet.quantity("thickness", "cm", example="1.28 mm", default=1.0, above=0.0, most=10.0),
        diameter_cm=pellet.quantity("diameter", "cm", example="10 mm", default=1.0, above=0.0, most=20.0),
        conductivity_S_per_cm=Activated(
            value=conductivity.quantity("sigma", "S/cm", example="6.72e-9 S/cm", default=1.0, above=0.0),
            Ea_eV=conductivity.quantity("Ea", "eV", example="0.212 eV", default=0.0, least=0.0, most=5.0),
            reference_K=conductivity.quantity("at", "K", example="25 degC", default=_ROOM_K, above=0.0),
        ),
        convention=_convention(conductivity),
        permittivity=permittivity.bounded(given, "", above=0.0, least=1.0, most=1e6),
        bulk_exponent=_exponent(node, "bulk_exponent", 1.0),
        boundaries=_boundaries(node.at("grain_boundary")) if node.has("grain_boundary") else None,
        electrode=_electrode(node),
        holder=_holder(node),
        open_circuit_V=node.quantity("open_circuit", "V", example="0 V", default=0.0, least=-10.0, most=10.0),
    )


def _convention(node: Node) -> Convention:
    chosen = node.choice("convention", _CONVENTIONS, default="ln sigma")
    return next(convention for convention in _CONVENTIONS if convention == chosen)


def _exponent(node: Node, key: str, default: float) -> float:
    return node.fraction(key, default=default, above=0.2)


def _boundaries(node: Node) -> Boundaries:
    node.keys(required=("share", "capacitance"), optional=("exponent",))
    return Boundaries(
        share=node.fraction("share", default=0.5, above=0.0, most=0.999),
        capacitance_F=node.quantity("capacitance", "F", example="10 nF", default=1e-9, above=0.0),
        exponent=_exponent(node, "exponent", 1.0),
    )


def _electrode(node: Node) -> Electrode:
    inner = node.at("electrode")
    if node.has("electrode"):
        inner.keys(required=("capacitance",), optional=("exponent",))
    return Electrode(
        capacitance_F_per_cm2=inner.quantity(
            "capacitance", "F/cm**2", example="2 uF/cm^2", default=2e-6, above=0.0, most=1e4
        ),
        exponent=_exponent(inner, "exponent", 0.9),
    )


def _holder(node: Node) -> Holder:
    inner = node.at("holder")
    if node.has("holder"):
        inner.keys(optional=("stray_capacitance", "leakage", "lead_resistance", "lead_inductance"))
    return Holder(
        stray_F=inner.quantity("stray_capacitance", "F", example="20 pF", default=20e-12, least=0.0, most=1e-6),
        leakage_ohm=inner.quantity("leakage", "ohm", example="1e12 ohm", default=1e12, above=0.0),
        lead_ohm=inner.quantity("lead_resistance", "ohm", example="0.5 ohm", default=0.5, least=0.0, most=1e6),
        lead_H=inner.quantity("lead_inductance", "H", example="0.5 uH", default=0.5e-6, least=0.0, most=1.0),
    )
