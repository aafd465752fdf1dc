"""What the spectrometer saw, sample by sample: each as results of its own, for figures and tables that know one."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.analysis.results import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleView:
    """One sample in the rotor; `procedure` is empty for the campaign's first, which holds everything else too."""

    sample: str
    procedure: str
    results: Results

    @property
    def folder(self) -> str:
        """Name of a folder for its files, empty for the first: ``nmr500_vt_exsy.2``."""
        return self.procedure.replace("/", "_")


def views(results: Results) -> tuple[SampleView, ...]:
    """Return the first sample, with all that is not exchange, then the others; none sees another's data."""
    apart = tuple(f"{one.procedure}/" for one in results.other_samples)
    first = results.model_copy(
        update={"datasets": [one for one in results.datasets if not one.dataset.startswith(apart)]} if apart else {}
    )
    name = str(results.provenance.get("sample", ""))
    found = [SampleView(sample=name, procedure="", results=first)]
    for other in results.other_samples:
        mine = f"{other.procedure}/"
        own = Results(
            campaign=results.campaign,
            provenance=results.provenance,
            datasets=[one for one in results.datasets if one.dataset.startswith(mine)],
            t1=other.t1,
            exsy=other.exsy,
        )
        found.append(SampleView(sample=other.sample, procedure=other.procedure, results=own))
    return tuple(found)
