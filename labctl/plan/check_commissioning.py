"""A commissioning stage against what it must show and how far it may go; and whether a station is signed at all. Pure.

A campaign that commissions a stage is run before that stage is signed, so it is held to less than a signed station
may do: one station, a bounded time, a bounded temperature.
"""

from __future__ import annotations

from labctl.plan.findings import Notebook, celsius, suggestion
from labctl.plan.steps import Plan
from labctl.ports import SetTemperature
from labctl.protocol.commissioning import RULES, Commissioning, StageRule, rule_of
from labctl.protocol.lab import Lab, Station, still_unsigned
from labctl.protocol.model import Protocol
from labctl.units import duration_text


def check_readiness(lab_note: Notebook, station: Station, commissions: str) -> None:
    """Note on the station in the lab file what a real run will be refused for."""
    if missing := station.missing_limits():
        lab_note.warning(("limits",), "a real run will be refused; limits missing", value=", ".join(missing))
    if unsigned := still_unsigned(station, commissions):
        lab_note.warning(("commissioning",), "a real run will be refused; stages not signed", value=", ".join(unsigned))


def check_commissioning(note: Notebook, protocol: Protocol, lab: Lab) -> None:
    """Note what shows without a plan: one station, a stage of its driver, what that stage must be held to."""
    wanted = protocol.commissioning
    if wanted is None:
        return
    here = note.below("commissioning")
    names = dict.fromkeys(procedure.wanted.station for procedure in protocol.procedures)
    if len(names) > 1:
        here.error((), "commissions a stage on several stations", value=", ".join(names), expected="one station a run")
        return
    station = lab.stations.get(next(iter(names)))
    if station is None:
        return  # said where the station is named
    rule = rule_of(station.driver, wanted.stage)
    if rule is None:
        known = suggestion(wanted.stage, RULES[station.driver])
        here.error(("stage",), f"is no stage of the driver {station.driver}", value=repr(wanted.stage), expected=known)
        return
    _check_expectation(here, wanted, rule)
    for index, procedure in enumerate(protocol.procedures):
        if procedure.exsy is not None and procedure.exsy.adapt is not None:
            below = note.below("procedures", index, procedure.name)
            below.error(
                ("adapt",), "lets the campaign grow by itself", expected="a commissioning stage is run as written"
            )


def _check_expectation(here: Notebook, wanted: Commissioning, rule: StageRule) -> None:
    given = wanted.expect.model_fields_set
    of_key = {str(field.alias): name for name, field in type(wanted.expect).model_fields.items()}
    for name in rule.needs:
        if of_key[name] not in given:
            here.error(("expect",), f"says nothing of `{name}`, and the stage {wanted.stage} is signed by it")
    if wanted.part not in rule.parts and (rule.parts or wanted.part):
        here.error(
            ("part",),
            f"is no run that the stage {wanted.stage} takes",
            value=repr(wanted.part),
            expected=suggestion(wanted.part, rule.parts),
        )
    lasted_s = wanted.expect.lasted_s
    if lasted_s is not None and lasted_s < rule.shortest_s:
        here.error(
            ("expect", "lasted"),
            "is too short for this stage",
            value=duration_text(lasted_s),
            expected=f"at least {duration_text(rule.shortest_s)}",
        )


def check_envelope(note: Notebook, protocol: Protocol, lab: Lab, plan: Plan, longest_s: float) -> None:
    """Note where the plan goes further than a stage may that is not signed; `longest_s` is what the plan takes [s]."""
    wanted = protocol.commissioning
    rule = None if wanted is None else rule_of(lab.station(plan.steps[0].station).driver, wanted.stage)
    if wanted is None or rule is None:
        return
    here = note.below("commissioning")
    hottest_K = max((step.task.sample_K for step in plan.steps if isinstance(step.task, SetTemperature)), default=0.0)
    if rule.hottest_K is not None and hottest_K > rule.hottest_K + 1e-6:
        here.error(
            ("stage",),
            f"goes to {celsius(hottest_K)}",
            expected=f"at most {celsius(rule.hottest_K)} before {wanted.stage} is signed",
        )
    if longest_s > rule.longest_s:
        here.error(
            ("stage",),
            f"takes {duration_text(longest_s)}",
            expected=f"at most {duration_text(rule.longest_s)} before {wanted.stage} is signed",
        )
    lasted_s = wanted.expect.lasted_s
    if lasted_s is not None and longest_s < lasted_s:
        here.warning(
            ("expect", "lasted"),
            f"is longer than the plan, which takes {duration_text(longest_s)}",
            value=duration_text(lasted_s),
        )
