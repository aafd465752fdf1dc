"""The `cell:` section of a sample file."""

from __future__ import annotations

from labctl_sim_sample._cell import CellTruth
from labctl_sim_sample._reading import Node


def read_cell(node: Node) -> CellTruth:
    """Return what the section says; mistakes are noted with the reading the node belongs to."""
    node.keys(
        required=("electrode", "active", "equilibrium", "exchange_current", "resistance"),
        optional=("open_circuit", "resistance_growth", "polarisation", "coulombic_loss", "plateau", "noise", "shorted"),
    )
    electrode = node.at("electrode").keys(required=("diameter",))
    active = node.at("active").keys(required=("mass", "specific_capacity"), optional=("utilisation",))
    polarisation = node.at("polarisation")
    if node.has("polarisation"):
        polarisation.keys(required=("resistance", "time"))
    plateau = node.at("plateau")
    if node.has("plateau"):
        plateau.keys(optional=("knee", "drop", "rise"))
    equilibrium_V = node.quantity("equilibrium", "V", example="1.59 V", default=1.59, above=0.0, most=6.0)
    drop_V = plateau.quantity("drop", "V", example="1.2 V", default=1.2, above=0.0, most=6.0)
    open_circuit_V = node.quantity(
        "open_circuit", "V", example="0.9 V", default=equilibrium_V - 0.575 * drop_V, most=6.0
    )
    if not equilibrium_V - drop_V <= open_circuit_V < equilibrium_V:
        (node.at("open_circuit") if node.has("open_circuit") else node).complain(
            "is not between the end of the discharge and the plateau",
            value=open_circuit_V,
            expected=f"{equilibrium_V - drop_V:.3g} V to less than {equilibrium_V:.3g} V",
        )
    return CellTruth(
        diameter_cm=electrode.quantity("diameter", "cm", example="10 mm", default=1.0, above=0.0, most=20.0),
        active_g=active.quantity("mass", "g", example="2.435 mg", default=1e-3, above=0.0, most=1e3),
        specific_capacity_Ah_per_g=active.quantity(
            "specific_capacity", "A*hour/g", example="1166.5 mAh/g", default=1.0, above=0.0, most=10.0
        ),
        utilisation=active.fraction("utilisation", default=0.8, above=0.0),
        equilibrium_V=equilibrium_V,
        open_circuit_V=open_circuit_V,
        exchange_current_A_per_cm2=node.quantity(
            "exchange_current", "A/cm**2", example="0.0052 mA/cm^2", default=1e-6, above=0.0, most=10.0
        ),
        resistance_ohm_cm2=node.quantity(
            "resistance", "ohm*cm**2", example="120 ohm*cm^2", default=1.0, least=0.0, most=1e9
        ),
        resistance_growth=node.fraction("resistance_growth", default=0.0),
        polarisation_ohm_cm2=polarisation.quantity(
            "resistance", "ohm*cm**2", example="100 ohm*cm^2", default=0.0, least=0.0, most=1e9
        ),
        polarisation_s=polarisation.quantity("time", "s", example="10 min", default=600.0, above=0.0),
        coulombic_loss=node.fraction("coulombic_loss", default=0.0, most=0.9),
        knee=plateau.fraction("knee", default=0.015, above=0.0, most=0.3),
        drop_V=drop_V,
        rise_V=plateau.quantity("rise", "V", example="1.5 V", default=1.5, above=0.0, most=6.0),
        noise_V=node.quantity("noise", "V", example="20 uV", default=2e-5, least=0.0, most=1.0),
        shorted_ohm=node.quantity("shorted", "ohm", example="50 ohm", above=0.0) if node.has("shorted") else None,
    )
