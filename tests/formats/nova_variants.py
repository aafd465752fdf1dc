"""NOVA exports composed from one spectrum in every variant that public readers of such files speak of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OHM, OHM_SIGN, DEGREE, INFINITY = "\u03a9", "\u2126", "\u00b0", "\u221e"
FREQUENCY_HZ = np.geomspace(1e5, 1.0, 16)
Z_OHM: NDArray[np.complex128] = np.asarray(
    120.0 + 1 / (1 / 4.2e4 + 3e-9 * (2j * np.pi * FREQUENCY_HZ) ** 0.91),
    dtype=np.complex128,
)

Columns = Sequence[tuple[str, Callable[[int], str]]]


def text_of(value: float, mark: str = ".") -> str:
    """Write a number as NOVA does: up to 17 digits, so that reading it back is exact."""
    return repr(float(value)).replace(".", mark)


def columns(mark: str = ".", *, ohm: str = OHM, scale: float = 1.0) -> list[tuple[str, Callable[[int], str]]]:
    """Return NOVA's usual seven columns."""
    f, Z = FREQUENCY_HZ, Z_OHM * scale
    return [
        ("Index", lambda i: str(i + 1)),
        ("Frequency (Hz)", lambda i: text_of(f[i], mark)),
        (f"Z' ({ohm})", lambda i: text_of(Z[i].real, mark)),
        (f"-Z'' ({ohm})", lambda i: text_of(-Z[i].imag, mark)),
        (f"Z ({ohm})", lambda i: text_of(abs(Z[i]), mark)),
        (f"-Phase ({DEGREE})", lambda i: text_of(-np.degrees(np.angle(Z[i])), mark)),
        ("Time (s)", lambda i: text_of(3.25 * (i + 1), mark)),
    ]


def table(
    separator: str,
    columns: Columns,
    *,
    end: str = "\n",
    rows: Iterable[int] = range(len(FREQUENCY_HZ)),
    header: bool = True,
) -> str:
    """Write rows below a header."""
    lines = [separator.join(name for name, _ in columns)] if header else []
    lines += [separator.join(cell(i) for _, cell in columns) for i in rows]
    return end.join(lines) + end


@dataclass(frozen=True)
class Variant:
    """A file and what must be read from it: how many spectra, and which points of the one spectrum each holds."""

    content: bytes
    spectra: int = 1
    keep: tuple[int, ...] = tuple(range(len(FREQUENCY_HZ)))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8")


def _with_infinity(separator: str, at: int) -> str:
    lines = table(separator, columns()).splitlines()
    cells = lines[at + 1].split(separator)
    cells[3] = INFINITY
    lines[at + 1] = separator.join(cells)
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "\n".join(",".join(f'"{cell}"' for cell in line.split(";")) for line in text.splitlines())


LEADING = [("WE(1).Potential (V)", lambda _i: "0.0001"), ("WE(1).Current (A)", lambda i: f"{1e-9 * i:g}")]
TRAILING = [
    ("OCP value (V)", lambda _i: "0.012"),
    ("A ratio", lambda _i: "1"),
    ("meas start time (s)", lambda i: f"{i:g}"),
]
ALL = tuple(range(len(FREQUENCY_HZ)))
BUT_THREE = tuple(i for i in ALL if i != 3)
ONE_BLOCK = table(";", columns())

VARIANTS: dict[str, Variant] = {
    "semicolon, point, UTF-8": Variant(_utf8(ONE_BLOCK)),
    "semicolon, decimal comma": Variant(_utf8(table(";", columns(",")))),
    "comma separated": Variant(_utf8(table(",", columns()))),
    "comma separated, leading current and potential": Variant(_utf8(table(",", [*LEADING, *columns()]))),
    "tab, point": Variant(_utf8(table("\t", columns()))),
    "tab, decimal comma, BOM": Variant(b"\xef\xbb\xbf" + _utf8(table("\t", columns(",")))),
    "colon separated": Variant(_utf8(table(":", columns()))),
    "blanks": Variant(_utf8(table(" ", columns()))),
    "columns of blanks": Variant(_utf8(table("   ", columns(",")))),
    "quoted cells with decimal commas between commas": Variant(_utf8(_quoted(table(";", columns(","))))),
    "UTF-16 with mark, semicolon": Variant(ONE_BLOCK.encode("utf-16")),
    "UTF-16 big endian with mark": Variant(b"\xfe\xff" + ONE_BLOCK.encode("utf-16-be")),
    "UTF-16 without mark": Variant(ONE_BLOCK.encode("utf-16-le")),
    "code page 1252, ohm lost": Variant(table(";", columns(ohm="?")).encode("cp1252")),
    "ohm sign U+2126": Variant(_utf8(table(";", columns(ohm=OHM_SIGN)))),
    "UTF-8 taken for 1252 and saved again": Variant(_utf8(ONE_BLOCK.encode("utf-8").decode("cp1252"))),
    "CR LF": Variant(_utf8(table(";", columns(), end="\r\n"))),
    "CR alone": Variant(_utf8(table(";", columns(), end="\r"))),
    "trailing calculated columns": Variant(_utf8(table(";", [*columns(), *TRAILING]))),
    "leading and trailing columns, decimal comma": Variant(
        _utf8(table(";", [*((n, lambda i: "0,0001") for n, _ in LEADING), *columns(",")]))
    ),
    "separator at the end of every line": Variant(_utf8(ONE_BLOCK.replace("\n", ";\n"))),
    "a remark row with a date above the header": Variant(_utf8("EIS run 3/14/2023 10:22:01\n" + ONE_BLOCK)),
    "two blocks, each with remark and header": Variant(
        _utf8("".join(f"Block {n} 3/14/2023\n{ONE_BLOCK}" for n in (1, 2))), spectra=2
    ),
    "two blocks cut by a remark row alone": Variant(
        _utf8(ONE_BLOCK + "4/15/2023 11:00:00\n" + table(";", columns(), header=False)), spectra=2
    ),
    "three blocks, index restarts": Variant(_utf8(ONE_BLOCK + 2 * table(";", columns(), header=False)), spectra=3),
    "two blocks without index, frequency jumps back": Variant(
        _utf8(table(";", columns()[1:]) + table(";", columns()[1:], header=False)), spectra=2
    ),
    "an infinity sign in a cell": Variant(_utf8(_with_infinity(";", 3)), keep=BUT_THREE),
    "an infinity sign, tabs": Variant(_utf8(_with_infinity("\t", 3)), keep=BUT_THREE),
    "another order of columns": Variant(_utf8(table(";", columns()[::-1]))),
    "Z'' with its natural sign, phase too": Variant(
        _utf8(
            table(
                ";",
                [
                    *columns()[:3],
                    (f"Z'' ({OHM})", lambda i: text_of(Z_OHM[i].imag)),
                    (f"Phase ({DEGREE})", lambda i: text_of(np.degrees(np.angle(Z_OHM[i])))),
                ],
            )
        )
    ),
    "modulus and phase only": Variant(_utf8(table(";", [columns()[1], *columns()[4:6]]))),
    "kiloohm": Variant(_utf8(table(";", columns(ohm=f"k{OHM}", scale=1e-3)))),
    "typographic primes": Variant(_utf8(ONE_BLOCK.replace("''", "\u2033").replace("Z' ", "Z\u2032 "))),
    "fit result export": Variant(
        _utf8(
            table(
                ";",
                [
                    *columns()[2:4],
                    ("Error Z' (%)", lambda _i: "0.1"),
                    ("Error Z'' (%)", lambda _i: "0.2"),
                    *columns()[4:6],
                    columns()[1],
                    ("Convergence", lambda _i: "1"),
                    ("Number of iterations", lambda _i: "17"),
                    ("\u03c7\u00b2", lambda _i: "0.001"),
                ],
            )
        )
    ),
    "the last line cut off": Variant(_utf8(ONE_BLOCK[: ONE_BLOCK.rindex(";", 0, -24)]), keep=ALL[:-1]),
    "blank lines between": Variant(_utf8(ONE_BLOCK.replace("\n", "\n\n"))),
    "thousands groups beside decimals": Variant(
        _utf8(table(";", [*columns()[:1], ("Frequency (Hz)", lambda i: f"{FREQUENCY_HZ[i]:,.12f}"), *columns()[2:]]))
    ),
}
