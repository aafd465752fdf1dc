"""``labctl new``: a commented protocol and lab file that check clean, to be changed line by line."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from labctl.cli.locating import DEFAULT_LAB, shipped_protocols
from labctl.errors import InputError
from labctl.units import QuantityError, parse

KINDS: Mapping[str, str] = {"exsy": "nmr500", "eis": "autolab", "cycling": "maccor"}
"""What can be begun with, and the station it is for."""
SCHEMAS = ".labctl"
"""Folder beside the files with the JSON Schemas that their first lines name."""

_SITES = "Li2S=2.31, LPSC=1.29, LiI=-4.56"
_TEMPERATURES = {"exsy": "20, 60, 100", "eis": "25, 50, 75, 100, 125, 150", "cycling": "24"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What somebody wants to begin with; None is asked for on a terminal, and taken as proposed elsewhere."""

    kind: str | None = None
    sample: str | None = None
    nucleus: str | None = None
    sites: str | None = None
    temperatures: str | None = None


def new_command(name: str, directory: Path, wishes: Wishes) -> None:
    """Write ``<name>.yaml``, ``<name>-lab.yaml`` and the schemas that editors complete by; refuse to overwrite."""
    from labctl.cli.planning import checked
    from labctl.protocol.schema import json_schema

    ask = _asker()
    kind = wishes.kind or ask("What is to be measured (exsy, eis, cycling)", "exsy")
    if kind not in KINDS:
        raise InputError(f"{kind!r} is nothing labctl measures", expected=" or ".join(KINDS))
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}", name):
        raise InputError(f"{name!r} cannot be the name of a campaign", expected="letters, digits, _ . -, at most 40")
    protocol, lab = directory / f"{name}.yaml", directory / f"{name}-lab.yaml"
    for path in (protocol, lab):
        if path.exists():
            raise InputError(f"{path} exists and is left as it is", next_step="Choose another name, or --dir")
    sample = wishes.sample or ask("Sample, for titles and reports", "mLi2S(LiI)-mLPSC")
    texts = {
        lab: _modeline("lab") + lab_text(KINDS[kind]),
        protocol: _modeline("protocol") + protocol_text(kind, name, sample, wishes, ask),
    }
    schemas = directory / SCHEMAS
    schemas.mkdir(parents=True, exist_ok=True)
    for what in ("protocol", "lab"):
        (schemas / f"{what}.json").write_text(json.dumps(json_schema(what), indent=1) + "\n", encoding="utf-8")
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    try:
        findings = checked(protocol, lab).findings
    except InputError:
        for path in texts:
            path.unlink()
        raise
    print(f"{protocol}\n{lab}")
    for finding in findings:
        print(finding)
    print(f"check it:     labctl check {protocol} --lab {lab}")
    print(f"rehearse it:  labctl run {protocol} --lab {lab} --simulate")


def _asker() -> Callable[[str, str], str]:
    if not sys.stdin.isatty():
        return lambda _question, proposed: proposed
    import typer

    return lambda question, proposed: str(typer.prompt(question, default=proposed))


def _modeline(what: str) -> str:
    return f"# yaml-language-server: $schema={SCHEMAS}/{what}.json\n"


def lab_text(station: str) -> str:
    """Return a lab file of one station, simulated until somebody takes that out."""
    text = (shipped_protocols() / DEFAULT_LAB).read_text(encoding="utf-8")
    found = re.search(rf"(?ms)^  {re.escape(station)}:.*?\n(?=  \w|\S|\Z)", text)
    if found is None:
        raise InputError(f"the lab file that comes with labctl has no station {station}")
    return (
        "# The stations of a lab: addresses, calibrations, hardware limits, signatures.\n"
        "# As it stands this lab exists only in simulators. For a real one take `simulated`, `simulator` and `sample`\n"
        "# out, put your own addresses, calibration and limits in, and commission each stage (`labctl sign`). Without\n"
        "# limits and signatures a real run is refused; SIM, for simulators, counts nothing there.\n"
        "# Manuals of probe, rotor, oven and cell win.\n"
        "version: 1\nlab: my-lab\n\nstations:\n" + found.group().rstrip() + "\n"
    )


def protocol_text(kind: str, name: str, sample: str, wishes: Wishes, ask: Callable[[str, str], str]) -> str:
    """Return a protocol with a comment on every line that somebody will want to change."""
    head = (
        f"# A campaign for labctl; `labctl check` says what is wrong, doubtful or wasteful, line by line.\n"
        f"# Quantities are text with a unit. Every key, its range and default: protocols/README.md.\n"
        f"version: 1\ncampaign: {name}\nsample:\n  name: {json.dumps(sample, ensure_ascii=False)}\n"
    )
    if kind == "cycling":
        return head + _CYCLING
    question = "Temperatures of the sample [degC], in the order they are visited"
    celsius = _celsius(wishes.temperatures or ask(question, _TEMPERATURES[kind]))
    if kind == "eis":
        return head + _EIS.format(temperatures=celsius)
    nucleus = wishes.nucleus or ask("Nucleus", "6Li")
    written = wishes.sites or ask("Lines as name=ppm", _SITES)
    sites = _sites(written)
    like = "  simulated_as: paper_like    # what simulators pretend is inside; real runs ignore it\n"
    head += f"  nucleus: {json.dumps(nucleus)}\n  sites: {sites}    # shift of each line\n"
    head += like if sites == _sites(_SITES) else ""
    return head + _EXSY.format(temperatures=celsius)


def _celsius(text: str) -> str:
    values = []
    for one in text.split(","):
        word = one.strip()
        written = f"{word} degC" if re.fullmatch(r"[+-]?\d+(\.\d+)?", word) else word
        try:
            parse(written, "K", example="20 degC")
        except QuantityError as problem:
            raise InputError(f"temperatures: {problem}") from None
        values.append(written)
    return ", ".join(values)


def _sites(text: str) -> str:
    found = []
    for one in text.split(","):
        site, equals, shift = one.partition("=")
        if not equals or not re.fullmatch(r"\s*[+-]?\d+(\.\d+)?\s*(ppm)?\s*", shift):
            raise InputError(f"{one.strip()!r} is no line", expected="name=ppm, such as Li2S=2.31")
        found.append(f"{json.dumps(site.strip())}: {shift.replace('ppm', '').strip()} ppm")
    return "{" + ", ".join(found) + "}"


_EXSY = """
procedures:
  - vt_exsy:
      station: nmr500                 # as the lab file calls it
      temperatures: [{temperatures}]  # of the sample; the lab file calibrates the set point
      ramp: 2 K/min                   # the rotor spins already: labctl never spins it up
      settle: {{within: 0.5 K, for: 30 min, give_up: 90 min, shift: 0.02 ppm per 15 min}}
      spinning: 10 kHz
      tune: operator                  # asked at each temperature; `atma` or `none` for nights alone
      t1:
        expect: 17 s                  # what the plan reckons with until it is measured
        delays: {{from: 50 ms, to: 90 s, points: 10, spacing: log}}     # to about 5 T1
      recycle_delay: {{times_T1: 1.5, of: slowest, max: 60 s}}          # at least 1.3 T1
      mixing_times: [10 ms, 500 ms, 2 s, 8 s]     # the shortest shows the line shapes; none beyond 2 T1
      order: palindrome               # so that a drift in time cannot pass for exchange
      increments: 48                  # rows of F1, two for each t1 point
      increment: 0.8 ms               # whole rotor periods: 8 at 10 kHz
      scans: 24                       # whole phase cycles of 8
      max_dataset: 12 h               # several short 2Ds survive what kills one long one

on_fault: {{nmr500: safe}}
"""

_EIS = """
procedures:
  - eis_ladder:
      station: autolab                # as the lab file calls it
      temperatures: [{temperatures}]  # of the sample, rising
      ramp: 2 K/min
      hold: 30 min                    # in the band without a break, before each spectrum
      sweep:
        from: 100 kHz
        to: 1 Hz
        points_per_decade: 10
        amplitude: 5 mV rms           # or `7 mV peak`; above 20 mV rms interfaces are no longer linear
        bias: 0 V                     # symmetric, blocking electrodes; `open circuit` for any other cell
      pellet: {{mass: 200 mg, diameter: 10 mm, thickness: 0.74 mm}}     # as you measured it

on_fault: {{autolab: safe}}
"""

_CYCLING = """
procedures:
  - fixed_capacity_cycling:
      station: maccor                 # one channel, one cell
      cell:
        electrode_diameter: 10 mm
        mixture: {mass: 12 mg, mass_uncertainty: 0.1 mg, by_mass: {composite: 4, LPSC: 4, carbon: 2}}
        composite: {by_mole: {Li2S: 3, LiI: 1}}
        mass_basis: Li2S              # whose gram: per gram of composite, 600 mAh/g could not be held
        reference: In-Li
        reference_offset: 0.62 V      # against Li/Li+
        equilibrium: 1.59 V           # overpotentials refer to it
      charge_to: [200 mAh/g, 400 mAh/g, 600 mAh/g]    # one cycle each; `then` for more, all alike
      current_density: 0.132 mA/cm^2
      discharge_to: 0.8 V
      guards:
        charge_above: 2.1 V           # below where the electrolyte oxidises
        charge_below: 0.3 V           # a shorted cell takes any capacity happily

on_fault: {maccor: pause}
"""
