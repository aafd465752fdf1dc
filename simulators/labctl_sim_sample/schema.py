"""JSON Schema of sample files, so that editors complete and check as one types; `load_sample` has the last word."""

from __future__ import annotations

from typing import Any

_NUMBER = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"


def _quantity(example: str, meaning: str) -> dict[str, Any]:
    """Return the schema of text with a unit."""
    return {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*\S.*$", "description": meaning, "examples": [example]}


def _share(meaning: str) -> dict[str, Any]:
    """Return the schema of a fraction, written as 0.5 or "50 %"."""
    return {
        "description": meaning,
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": 1},
            {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*%$"},
        ],
    }


def _block(required: dict[str, Any], optional: dict[str, Any] | None = None, meaning: str = "") -> dict[str, Any]:
    """Return the schema of a mapping of exactly these keys."""
    schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": {**required, **(optional or {})},
    }
    return {**schema, "description": meaning} if meaning else schema


def _named(value: dict[str, Any], meaning: str) -> dict[str, Any]:
    """Return the schema of a mapping from names the author chooses."""
    return {"type": "object", "minProperties": 1, "additionalProperties": value, "description": meaning}


_EA = _quantity("0.107 eV", "activation energy")
_POPULATIONS = _named({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "Li fractions by phase; they sum to 1")
_SPIN_DIFFUSION = _quantity("0.001 1/s", "6Li spin diffusion, the same at every temperature")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a sample file."""
    site = _block(
        {"shift": _quantity("2.31 ppm", "chemical shift"), "width": _quantity("30 Hz", "full width at half maximum")},
        {
            "shift_slope": _quantity("-0.002 ppm/K", "change of the shift with temperature"),
            "width_Ea": _quantity("0.05 eV", "activation energy of motional narrowing"),
            "inhomogeneous": _share("share of the width that comes from lasting offsets"),
            "shape": {"enum": ["lorentz", "gauss", "voigt"]},
            "phase": {"type": "string", "description": "phase it belongs to; its own name if left out"},
            "fraction": _share("share of the phase's Li in this site"),
        },
    )
    layer = _block(
        {
            "phase": {"type": "string"},
            "outer": {"type": "number", "exclusiveMinimum": 0, "description": "outer radius; the first layer's is 1"},
            "density": _quantity("22.1 1/nm^3", "number density of Li"),
            "kD": _quantity("0.003 1/s", "D over the square of the first layer's radius"),
        },
        {
            "Ea": _EA,
            "flux": {
                "description": "exchange through the outer face; perfect contact if left out",
                "anyOf": [{"const": "perfect"}, _quantity("0.5 1/s", "finite exchange flux")],
            },
            "flux_Ea": _EA,
        },
    )
    jump = _block(
        {"from": {"type": "string"}, "to": {"type": "string"}, "rate": _quantity("0.4 1/s", "rate of one Li")},
        {"Ea": _EA},
    )
    contact = _block(
        {
            "between": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
            "kD": _quantity("0.01 1/s", "D over the square of the lamella's width"),
        },
        {"Ea": _EA},
    )
    exchange = {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {
            "layered": _block(
                {"layers": {"type": "array", "items": layer, "minItems": 2, "maxItems": 6}},
                {"geometry": {"enum": ["sphere", "slab"]}, "spin_diffusion": _SPIN_DIFFUSION},
                "diffusion through concentric layers, from the centre outwards",
            ),
            "discrete": _block(
                {"populations": _POPULATIONS, "rates": {"type": "array", "items": jump}},
                {"spin_diffusion": _SPIN_DIFFUSION},
                "first-order exchange; the way back follows from detailed balance",
            ),
            "pairwise": _block(
                {"populations": _POPULATIONS, "contacts": {"type": "array", "items": contact}},
                {"filling": _share("share of the period that a lamella fills")},
                "each pair by itself in the product form of three lamellae",
            ),
            "none": _block({"populations": _POPULATIONS}, {"spin_diffusion": _SPIN_DIFFUSION}),
        },
    }
    nmr = _block(
        {
            "nucleus": {"type": "string", "pattern": r"^\d{1,3}[A-Z][a-z]?$", "examples": ["6Li"]},
            "sites": _named(site, "lines of the spectrum"),
            "relaxation": _named(_block({"T1": _quantity("16.7 s", "T1")}, {"Ea": _EA}), "T1 by phase"),
            "exchange": exchange,
            "probe": _block(
                {"p90": _quantity("4.9 us", "true 90 degree pulse at the power of the templates")},
                {
                    "p90_slope": _quantity("0.02 %/K", "change of the pulse with temperature"),
                    "rf_spread": _share("spread of the rf field over the rotor"),
                    "comb_leaves": _share("magnetisation a saturation comb leaves behind"),
                },
            ),
            "noise_per_scan": {
                "type": "number",
                "minimum": 0,
                "description": "standard deviation of one channel of one point, in units of the whole sample's signal",
            },
        },
        {
            "reference_temperature": _quantity("293.15 K", "temperature of all values here"),
            "within_phase": _named(
                _block({"rate": _quantity("0.5 1/s", "hopping between sub-sites")}, {"Ea": _EA}), "by phase"
            ),
            "sidebands": _share("height of each first spinning sideband"),
            "drift": _block(
                {},
                {
                    "field": _quantity("0.5 Hz/h", "creep of the field"),
                    "decay": {"anyOf": [{"const": "never"}, _quantity("6 h", "how fast it calms down")]},
                    "gain": _quantity("0.2 %/day", "drift of the gain"),
                },
            ),
        },
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "labctl sample file",
        "description": "What simulators pretend is in rotor or cell; neither engine nor analysis reads it.",
        **_block(
            {"version": {"const": 1}, "name": {"type": "string", "minLength": 1}},
            {"nmr": nmr, "eis": _eis(), "cell": _cell()},
        ),
        "anyOf": [{"required": ["nmr"]}, {"required": ["eis"]}, {"required": ["cell"]}],
    }


def _eis() -> dict[str, Any]:
    """Return the schema of what a potentiostat sees."""
    exponent = {"type": "number", "exclusiveMinimum": 0.2, "maximum": 1, "description": "of a constant phase element"}
    return _block(
        {
            "pellet": _block(
                {
                    "thickness": _quantity("1.28 mm", "between the electrodes"),
                    "diameter": _quantity("10 mm", "of each electrode"),
                }
            ),
            "conductivity": _block(
                {
                    "sigma": _quantity("6.72e-9 S/cm", "ionic conductivity, bulk and grain boundaries in series"),
                    "Ea": _EA,
                },
                {
                    "at": _quantity("25 degC", "temperature at which sigma holds; 25 degC if left out"),
                    "convention": {
                        "enum": ["ln sigma", "ln sigma T"],
                        "description": "which of them is a straight line over 1/T",
                    },
                },
            ),
            "permittivity": {"type": "number", "minimum": 1, "maximum": 1e6, "description": "relative, of the bulk"},
        },
        {
            "bulk_exponent": exponent,
            "grain_boundary": _block(
                {
                    "share": _share("of the resistance at every temperature"),
                    "capacitance": _quantity("10 nF", "of the boundaries' arc"),
                },
                {"exponent": exponent},
            ),
            "electrode": _block(
                {"capacitance": _quantity("2 uF/cm^2", "that has the modulus of the electrodes at 1 Hz")},
                {"exponent": exponent},
                "electrodes that block ions",
            ),
            "holder": _block(
                {},
                {
                    "stray_capacitance": _quantity("20 pF", "parallel to the pellet"),
                    "leakage": _quantity("1e12 ohm", "parallel to the pellet"),
                    "lead_resistance": _quantity("0.5 ohm", "in series"),
                    "lead_inductance": _quantity("0.5 uH", "in series"),
                },
                "what is there without a pellet",
            ),
            "open_circuit": _quantity("0 V", "voltage without current; 0 V between blocking electrodes"),
        },
        "what a potentiostat sees",
    )


def _cell() -> dict[str, Any]:
    """Return the schema of what a cycler sees."""
    return _block(
        {
            "electrode": _block({"diameter": _quantity("10 mm", "of the working electrode")}),
            "active": _block(
                {
                    "mass": _quantity("2.435 mg", "of the substance that is charged, such as Li2S"),
                    "specific_capacity": _quantity("1166.5 mAh/g", "theoretical, per gram of it"),
                },
                {"utilisation": _share("of the theoretical capacity that can be had; beyond it the voltage rises")},
            ),
            "equilibrium": _quantity("1.59 V", "of the plateau, against the counter electrode"),
            "exchange_current": _quantity("0.0052 mA/cm^2", "of charge transfer"),
            "resistance": _quantity("120 ohm*cm^2", "in series"),
        },
        {
            "open_circuit": _quantity("0.9 V", "of the cell as assembled"),
            "resistance_growth": _share("of the series resistance with each cycle"),
            "polarisation": _block(
                {
                    "resistance": _quantity("100 ohm*cm^2", "of the slow part"),
                    "time": _quantity("10 min", "in which it builds up and relaxes"),
                }
            ),
            "coulombic_loss": _share("of each charge that does not come back"),
            "plateau": _block(
                {},
                {
                    "knee": _share("width of its ends, of the capacity that can be had"),
                    "drop": _quantity("1.2 V", "at the discharged end"),
                    "rise": _quantity("1.5 V", "at the charged end"),
                },
            ),
            "noise": _quantity("20 uV", "standard deviation of a reading"),
            "shorted": _quantity("50 ohm", "a cell that is short-circuited from the beginning"),
        },
        "what a cycler sees",
    )
