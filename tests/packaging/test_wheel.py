"""What the wheel holds, seen from outside the project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built and installed into a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    return site


def run_in(site: Path, *arguments: str) -> str:
    """Run Python on the installed wheel alone, away from the source tree."""
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=site, env=environment, check=True, capture_output=True, encoding="utf-8"
    )
    return done.stdout


def test_the_wheel_holds_our_packages_and_nothing_else(installed: Path) -> None:
    """No generic name (drivers, simulators, README.md) lands in site-packages, where others would overwrite it."""
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")} - {"bin", "Scripts"}
    packages = {
        path.name
        for folder in (ROOT, ROOT / "drivers", ROOT / "simulators")
        for path in folder.glob("labctl*")
        if (path / "__init__.py").is_file()
    }
    assert names == packages


def test_every_package_says_that_it_is_typed(installed: Path) -> None:
    """Type checkers of our users see our annotations."""
    for package in installed.glob("labctl*"):
        if package.suffix != ".dist-info":
            assert (package / "py.typed").is_file(), package.name


def test_the_command_runs_from_the_wheel(installed: Path) -> None:
    """`labctl --help` works where only the wheel is installed, and lists the verbs."""
    program = (
        "import labctl, sys; print(labctl.__file__)\n"
        "from labctl.cli import main; sys.argv = ['labctl', '--help']; main()"
    )
    out = run_in(installed, "-c", program)
    assert out.startswith(str(installed))
    for verb in ("check", "plan", "run", "resume", "analyze", "report", "simulate", "schema"):
        assert verb in out


def test_protocols_travel_with_the_wheel(installed: Path) -> None:
    """The ready campaigns and the AU programs are found from the wheel as from the repository."""
    assert (installed / "labctl" / "_protocols" / "vt_exsy_demo.yaml").is_file()
    assert list((installed / "labctl_topspin" / "au").glob("labctl_executor*"))


def test_the_words_load_without_the_numerics(installed: Path) -> None:
    """A driver that imports the ports does not pay for scipy, matplotlib or pint."""
    program = (
        "import sys, labctl.ports, labctl.plan.steps, labctl.errors\n"
        "print([m for m in ('numpy', 'scipy', 'matplotlib', 'pint', 'pydantic') if m in sys.modules])"
    )
    assert run_in(installed, "-c", program).strip() == "[]"
