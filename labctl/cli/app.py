"""The verbs of ``labctl`` and their options; what each does stands in a module of its own."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from typer.main import get_command

from labctl.errors import InputError, InternalError, LabctlError

app = typer.Typer(
    name="labctl",
    help="Unattended acquisition campaigns for solid-state-battery labs: protocol YAML in, D(T) and Ea out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help takes half the time
    context_settings={"help_option_names": ["-h", "--help"]},
)

Protocol = Annotated[Path, typer.Argument(metavar="PROTOCOL", help="protocol YAML", show_default=False)]
Lab = Annotated[
    Path | None, typer.Option("--lab", help="lab file; by default the simulated lab that comes with labctl")
]
RunDir = Annotated[Path, typer.Argument(metavar="DIR", help="run folder", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", metavar="WHY", help="for the journal", show_default=False)]
Station = Annotated[str, typer.Option("--station", metavar="NAME", help="one station only; default all")]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on standard output, nothing else")]


@app.callback(invoke_without_command=True)
def labctl(version: Annotated[bool, typer.Option("--version", help="print the version")] = False) -> None:
    """Options that stand before a verb."""
    if version:
        from labctl import __version__

        typer.echo(f"labctl {__version__}")
        raise typer.Exit


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="name of the campaign and of its files")],
    kind: Annotated[str | None, typer.Option(help="exsy, eis or cycling")] = None,
    sample: Annotated[str | None, typer.Option(help="name of the sample")] = None,
    nucleus: Annotated[str | None, typer.Option(help="exsy: such as 6Li")] = None,
    sites: Annotated[str | None, typer.Option(help='exsy: lines, such as "Li2S=2.31,LPSC=1.29" [ppm]')] = None,
    temperatures: Annotated[str | None, typer.Option(help='of the sample, such as "20,60,100" [degC]')] = None,
    directory: Annotated[Path, typer.Option("--dir", help="where to write them")] = Path(),
) -> None:
    """Write a commented protocol and lab file to begin with.

    Asks on a terminal for what no option says.
    """
    from labctl.cli.authoring import Wishes, new_command

    wishes = Wishes(kind=kind, sample=sample, nucleus=nucleus, sites=sites, temperatures=temperatures)
    new_command(name, directory, wishes)


@app.command()
def check(protocol: Protocol, lab: Lab = None) -> None:
    """Check a protocol against itself and the lab.

    Findings name file:line:column, key, value and what would be right.
    """
    from labctl.cli.planning import check_command

    check_command(protocol, lab)


@app.command()
def plan(
    protocol: Protocol,
    lab: Lab = None,
    start: Annotated[str | None, typer.Option(help="start, ISO 8601 with zone; default now")] = None,
    every_step: Annotated[bool, typer.Option("--all", help="list every settling check, needed or not")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="draw the time line of all stations as a page")
    ] = None,
    as_json: Json = False,
    design: Annotated[
        bool, typer.Option("--design", help="propose what reaches the goal of the design block in the fewest hours")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="with --design: file for the proposal")] = None,
    pilot: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="DIR", help="with --design: finished data, instead of what the design block believes"
        ),
    ] = None,
) -> None:
    """Show what a campaign will do and cost.

    Steps with their hours, end time, set and sample temperatures, RF duty, EXPNOs and disk.
    """
    if design:
        from labctl.cli.designing import design_command

        design_command(protocol, lab, out, pilot)
        return
    if pilot is not None:
        from labctl.errors import InputError

        raise InputError("--from is of --design", next_step="Add --design, or leave --from out")
    from labctl.cli.planning import plan_command

    plan_command(protocol, lab, start=start, every_step=every_step, as_json=as_json, html=html)


@app.command()
def doctor(protocol: Protocol, lab: Lab = None, as_json: Json = False) -> None:
    """Look at every station before a campaign; touch nothing.

    Reach, versions, templates, EXPNOs, disk and limits.
    """
    from labctl.cli.doctoring import doctor_command

    raise typer.Exit(doctor_command(protocol, lab, as_json=as_json))


@app.command()
def run(
    protocol: Protocol,
    lab: Lab = None,
    simulate: Annotated[
        str | None,
        typer.Option(
            metavar="[SAMPLE]", help="rehearse on simulators in virtual time, with this sample or the lab's default"
        ),
    ] = None,
    faults: Annotated[Path | None, typer.Option(help="fault script for the simulators")] = None,
    directory: Annotated[Path | None, typer.Option("--dir", help="run folder; default runs/<campaign>-<time>")] = None,
    seed: Annotated[int, typer.Option(help="seed of simulated noise, drift and wander")] = 0,
    start: Annotated[str | None, typer.Option(help="simulated start, ISO 8601 with zone")] = None,
    show_notifications: Annotated[
        bool, typer.Option("--show-notifications", help="dry runs: say what people would be told, and when")
    ] = False,
    shadow: Annotated[
        bool,
        typer.Option("--shadow", help="go through every step with heat, pulses and current off; nothing is begun"),
    ] = False,
    attended: Annotated[
        str,
        typer.Option(
            metavar="WHO", help="commissioning: who stands at the instrument; kept with the run", show_default=False
        ),
    ] = "",
) -> None:
    """Run a campaign, for real or on simulators.

    The run folder is left with journal, raw data, results.json and report.html.
    """
    if shadow:
        from labctl.cli.shadowing import shadow_command

        if faults is not None or start is not None or show_notifications:
            raise InputError("--shadow begins nothing: --faults, --start and --show-notifications mean nothing there")
        raise typer.Exit(shadow_command(protocol, lab, simulate, directory, seed))
    from labctl.cli.running import run_command

    code = run_command(protocol, lab, simulate, faults, directory, seed, start, show_notifications, attended=attended)
    raise typer.Exit(code)


@app.command()
def resume(
    directory: RunDir,
    outage: Annotated[
        str | None, typer.Option(help='dry runs: how long the engine was gone in simulated time, such as "2 h"')
    ] = None,
    attended: Annotated[
        str | None,
        typer.Option(metavar="WHY", help="you stand at the instrument: let paused and safe stations go on; journaled"),
    ] = None,
) -> None:
    """Go on after any death of labctl or its computer.

    The instruments are asked what they have; what runs is adopted, nothing is repeated.
    """
    from labctl.cli.running import resume_command

    raise typer.Exit(resume_command(directory, outage, attended))


@app.command()
def status(directory: RunDir, as_json: Json = False) -> None:
    """Say where a campaign stands; works while it runs."""
    from labctl.cli.standing import status_command

    status_command(directory, as_json=as_json)


@app.command()
def watch(directory: RunDir) -> None:
    """Show a running campaign live, from another terminal.

    Stations, phases, temperatures, progress, last results and last alarms; plain lines where there is no terminal.
    Ctrl-C leaves the campaign as it is.
    """
    from labctl.cli.watching import watch_command

    raise typer.Exit(watch_command(directory))


@app.command()
def pause(directory: RunDir, reason: Reason, station: Station = "") -> None:
    """Begin nothing new until `continue`.

    What is being acquired goes on to its end.
    """
    from labctl.cli.operating import operate_command

    operate_command(directory, "pause", reason, station=station)


@app.command()
def acknowledge(directory: RunDir, reason: Reason) -> None:
    """Say that you have seen what labctl told people.

    Reminders end, nothing else changes.
    """
    from labctl.cli.operating import operate_command

    operate_command(directory, "acknowledge", reason)


@app.command("continue")
def continue_(directory: RunDir, reason: Reason, station: Station = "") -> None:
    """Let a station that waits for a person go on.

    You stand by its safety with your reason.
    """
    from labctl.cli.operating import operate_command

    operate_command(directory, "continue", reason, station=station)


@app.command()
def abort(directory: RunDir, reason: Reason, station: Station = "") -> None:
    """Halt, keep the data, and go to the safe state."""
    from labctl.cli.operating import operate_command

    operate_command(directory, "abort", reason, station=station)


@app.command()
def skip(
    directory: RunDir,
    step: Annotated[str, typer.Argument(metavar="STEP", help="step id, as plan and status print it")],
    reason: Reason,
) -> None:
    """Leave a step out.

    One that is under way is halted, and what it has acquired is kept.
    """
    from labctl.cli.operating import operate_command

    operate_command(directory, "skip", reason, step_id=step)


@app.command()
def amend(
    directory: RunDir,
    protocol: Annotated[Path, typer.Argument(metavar="NEW_PROTOCOL", help="the protocol as it should go on")],
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Change what has not begun of a campaign.

    The change is shown as a difference, checked, agreed to, and journaled.
    """
    from labctl.cli.amending import amend_command

    amend_command(directory, protocol, reason, yes=yes)


@app.command()
def verify(directory: RunDir) -> None:
    """Check journal and raw data; print the certificate.

    The journal's chain of hashes and every raw file's checksum.
    """
    from labctl.cli.standing import verify_command

    raise typer.Exit(verify_command(directory))


@app.command()
def sign(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR...", help="run folder, or those of all parts")],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="who signs: first name and surname")],
    lab: Annotated[
        Path | None, typer.Option("--lab", help="lab file to sign in; left out, the entry is printed only")
    ] = None,
    initials: Annotated[str | None, typer.Option(help="if not those of the name")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask: you stand by all of it")] = False,
) -> None:
    """Sign a commissioning stage that a finished run has shown.

    The run is verified and held against what its protocol expects; the change of the lab file is shown first.
    """
    from labctl.cli.signing import sign_command

    raise typer.Exit(sign_command(directories, lab, by, initials, yes=yes))


@app.command()
def analyze(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="run folder, dataset folder, or many")],
    sites: Annotated[
        str | None, typer.Option(help='known lines, such as "Li2S=2.31,LPSC=1.29,LiI=-4.56" [ppm]')
    ] = None,
    tables: Annotated[
        Path | None, typer.Option("--csv", metavar="DIR", help="write tidy CSV tables and results.json")
    ] = None,
    spectra: Annotated[
        Path | None,
        typer.Option("--export", metavar="DIR", help="write phased 2Ds as Bruker pdata and CSDM, and figures"),
    ] = None,
    beside_raw: Annotated[
        bool, typer.Option("--pdata", help="with --export: the next free PROCNO of each acquired EXPNO")
    ] = False,
    as_json: Json = False,
) -> None:
    """Analyse finished data, acquired by labctl or not.

    T1, exchange matrices, rates, conductivities, capacities and activation energies.
    """
    from labctl.cli.analysing import analyze_command

    analyze_command(paths, sites, as_json=as_json, tables=tables, spectra=spectra, beside_raw=beside_raw)


@app.command()
def report(
    directory: RunDir,
    png: Annotated[bool, typer.Option("--png", help="figures as PNG too")] = False,
    crate: Annotated[
        Path | None, typer.Option("--crate", metavar="FILE.zip", help="everything as one RO-Crate, to deposit")
    ] = None,
    license_url: Annotated[str, typer.Option("--license", metavar="URL", help="of the data in the crate")] = "",
) -> None:
    """Make results, figures and report of a run folder again."""
    from labctl.cli.analysing import report_command

    report_command(directory, png=png, crate=crate, license_url=license_url)


@app.command()
def export(
    protocol: Protocol,
    au: Annotated[Path, typer.Option("--au", metavar="DIR", help="new folder for AU programs, lists and a README")],
    lab: Lab = None,
) -> None:
    """Write a campaign as programs of the console's own.

    For consoles where nothing may be installed: TopSpin compiles and runs them, `labctl analyze` reads the data.
    """
    from labctl.cli.exporting import export_command

    export_command(protocol, lab, au)


@app.command()
def schema(
    what: Annotated[str, typer.Argument(metavar="protocol|lab|sample|results", help="which file")] = "protocol",
) -> None:
    """Print a JSON Schema for editors.

    With it they complete and check as one types.
    """
    from labctl.cli.planning import schema_command

    schema_command(what)


@app.command()
def simulate(
    instrument: Annotated[
        str, typer.Argument(metavar="INSTRUMENT", help="topspin, lakeshore, eurotherm, maccor, autolab; all: a lab")
    ],
    directory: Annotated[
        Path | None,
        typer.Option("--dir", help="where the simulated instrument keeps files and state; default temporary"),
    ] = None,
    sample: Annotated[
        str | None, typer.Option(help="sample file or its name; all: also station=NAME,station=NAME")
    ] = None,
    lab: Lab = None,
    speed: Annotated[float, typer.Option("--speed", "--time-factor", help="simulated seconds per real second")] = 1.0,
    seed: Annotated[int, typer.Option(help="seed of noise, drift and wander")] = 0,
    faults: Annotated[Path | None, typer.Option(help="fault script")] = None,
    port: Annotated[
        int | None, typer.Option(help="TCP port on this computer; 0: any free one; all: the first of several")
    ] = None,
    json_port: Annotated[int | None, typer.Option(help="maccor: TCP port of JSON messages (real: 57570)")] = None,
    bin_port: Annotated[int | None, typer.Option(help="maccor: TCP port of binary messages (real: 57560)")] = None,
    profile: Annotated[str | None, typer.Option(help="maccor: faithful, or pymacnet (canned replies)")] = None,
    procedures: Annotated[Path | None, typer.Option(help="maccor: folder of test procedures")] = None,
) -> None:
    """Run a simulated instrument, or a whole lab, for any client.

    Prints one JSON line with ports and paths for each when ready. Loopback only; Ctrl-C ends it.
    """
    from labctl.cli.simulating import simulate_command

    own = {"json_port": json_port, "bin_port": bin_port, "profile": profile, "procedures": procedures}
    simulate_command(instrument, directory, sample, lab, speed, seed, faults, port, own)


@functools.cache
def _program() -> Callable[..., object]:
    """Return all of it; whoever runs many command lines in a process has it put together once."""
    return get_command(app)


def run_app(arguments: list[str]) -> int:
    """Run one command line and return its exit code (0 done, 1 fault, 2 input, 3 refused, 4 person, 70 bug)."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a Windows console may still speak cp1252
            reconfigure(encoding="utf-8", errors="replace")
    try:
        code = _program()(with_optional_sample(arguments), standalone_mode=False)
    except LabctlError as problem:
        return complain(problem)
    except typer.Abort:
        print("aborted", file=sys.stderr)
        return 4
    except KeyboardInterrupt:
        print(
            "interrupted: what the instruments are at goes on until their own guard ends it; `labctl resume DIR` asks "
            "them and goes on from here",
            file=sys.stderr,
        )
        return 4
    except BrokenPipeError:
        return 0
    except OSError as problem:
        if problem.filename is None:
            return report_bug(problem)
        return complain(
            InputError(
                f"{problem.filename} cannot be used ({problem.strerror or problem})",
                next_step="Look at the path, the rights to it and the space on its disk",
            )
        )
    except Exception as problem:  # noqa: BLE001 - the last net: people get a line, never a traceback
        usage = getattr(problem, "format_message", None)  # typer's own complaints about arguments
        if usage is not None and hasattr(problem, "exit_code"):
            getattr(problem, "show", lambda: print(usage(), file=sys.stderr))()
            return 2
        return report_bug(problem)
    return code if isinstance(code, int) else 0


def complain(problem: LabctlError) -> int:
    """Print an error of ours and return its exit code."""
    print(problem, file=sys.stderr)
    if isinstance(problem, InternalError):
        print("This is a bug in labctl; please report it with the run folder.", file=sys.stderr)
    return problem.exit_code


def report_bug(problem: Exception) -> int:
    """Print what is needed to mend a bug; the traceback goes to a file, people get one line."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="labctl-bug-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write("".join(traceback.format_exception(problem)))
    print(
        f"labctl has a bug: {type(problem).__name__}: {problem}\n"
        f"Nothing acquired is lost. The details are in {file.name}; please report them.",
        file=sys.stderr,
    )
    return InternalError.exit_code


def with_optional_sample(arguments: list[str]) -> list[str]:
    """Return the arguments with ``--simulate`` always carrying a value.

    ``--simulate [SAMPLE]`` has an optional value, which the option parser cannot express: the next word is the
    sample when a protocol stands somewhere else on the line too, otherwise it is the protocol.
    """
    if "--simulate" not in arguments or arguments[:1] != ["run"]:
        return arguments
    at = arguments.index("--simulate")
    rest = arguments[at + 1 :]
    following = rest[0] if rest and not rest[0].startswith("-") else None
    others = positionals(arguments[1:at]) + positionals(rest[1:] if following is not None else rest)
    if following is not None and others:
        return [*arguments[:at], f"--simulate={following}", *rest[1:]]
    return [*arguments[:at], "--simulate=", *rest]


def positionals(words: list[str]) -> list[str]:
    """Return the words of a ``run`` line that are neither options nor values of options."""
    valued = {"--lab", "--faults", "--dir", "--seed", "--start", "--attended"}
    found: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in valued:
            skip = True
        elif not word.startswith("-"):
            found.append(word)
    return found
