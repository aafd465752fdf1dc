"""The TopSpin macros and variables an AU program may use, and what each wants of its arguments.

Names and the meaning of arguments follow the AU reference of TopSpin 4 (aucmd.h, rev 1.155). Why argument types
matter: most macros print their arguments into a command line (``%d`` given a double prints rubbish), and FETCHPAR and
STOREPAR go through a C function with open argument list that trusts the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ArgumentKind = Literal[
    "text",  # char array, char pointer or literal text
    "text or 0",
    "int",  # printed with %d on the console: a double there is rubbish
    "double",  # printed with %f: an int there is rubbish; float is promoted and fine
    "out text",  # the macro assigns a pointer: the argument is a `const char *` variable, without &
    "out float",  # the macro takes the address itself: a float variable, without &
    "out parameter",  # &variable or char array, of the parameter's own type
    "parameter",
    "parameter value",
]


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro that the console carries out.

    ``kind``: a *command* stands alone and sets AUERR; a *reading* stands alone, assigns its out arguments and leaves
    AUERR; an *expression* has a value (int or text). ``selects_dataset``: the console first makes the program's
    dataset current, as SETCURDATA does. ``braced``: expands to a block, so that a semicolon before ``else`` is wrong.
    """

    name: str
    arguments: tuple[ArgumentKind, ...] = ()
    kind: Literal["command", "reading", "int expression", "text expression"] = "command"
    selects_dataset: bool = True
    braced: bool = True
    null_is_error: bool = False  # a reading that sets AUERR to -1 when it fails, and leaves it otherwise


def _commands(names: str, *arguments: ArgumentKind, selects_dataset: bool = True, braced: bool = True) -> list[Macro]:
    return [Macro(name, arguments, "command", selects_dataset, braced) for name in names.split()]


def _readings(names: str, *arguments: ArgumentKind) -> list[Macro]:
    return [Macro(name, arguments, "reading", selects_dataset=False) for name in names.split()]


_ALL = [
    # acquisition
    *_commands("ZG GO RGA II ATMA ZG_OVERWRITE GO_OVERWRITE LOCK LOCK_OFF ROT ROTOFF GETPROSOL"),
    # temperature
    *_commands("TESET TEGET TE1SET TE1GET TE2SET TE2GET TE3SET TE3GET TE4SET TE4GET TEGSET TEGGET"),
    *_commands("TEREADY TE1READY TE2READY TE3READY TE4READY TEGREADY", "int", "double"),
    *_commands("TEPAR VTU_ENABLE_CORRECTION", "text"),
    *_commands("VTU_DISABLE_CORRECTION"),
    *_commands("VTU_SET_CORRECTION", "text", "double", "double"),
    *_commands("VTU_LOG_DATA", "int"),
    *_commands("VTU_HEATER VTU_CHILLER", "text", selects_dataset=False),
    *_commands("VTU_GASFLOW", "double", selects_dataset=False),
    *_commands("VTU_SELFTUNE VTU_LOG_STOP", selects_dataset=False),
    *_commands("VTU_GASFLOW_STATUS", "out float", "out float", selects_dataset=False),
    Macro("VTU_GET_PARAM", ("text", "out text"), "reading", selects_dataset=False, null_is_error=True),
    *_commands("VTU_PUSH_PARAM", "text", "text", selects_dataset=False),
    # spinning
    *_commands("MASR MASRGET MASRATE_SET MASRATE_GET"),
    *_commands("MASI MASE MASH MAS_INSERT MAS_EJECT MAS_HALT MAS_GO", selects_dataset=False),
    *_commands("MAS_STATUS_LOG MAS_STATUS_LOG_STOP", selects_dataset=False),
    *_commands("MASG", "int", selects_dataset=False),
    *_readings(
        "MMAS_SPINRATE MMAS_SPINRATE_LEVEL MMAS_ROTATION_STATE MMAS_ROTATION_ERROR_CODES MMAS_BEARING_PRESSURE "
        "MMAS_BEARING_SENSE_PRESSURE MMAS_DRIVE_PRESSURE MMAS_MAIN_PRESSURE MMAS_IS_ROTATION_ON MMAS_IS_ROTATION_OFF "
        "MMAS_START_ROTATION MMAS_STOP_ROTATION MMAS_ABORT_ROTATION MMAS_REGULATION_TARGET_ROTATION_FREQUENCY",
        "out text",
    ),
    *_readings(
        "MMAS_SPINLOCK_TOLERANCE MMAS_AUTO_STOP_ON_ERRORS MMAS_AUTO_STOP_ON_COMMUNICATION_TIMEOUT "
        "MMAS_COMMUNICATION_TIMEOUT MMAS_DEMANDED_SPINRATE MMAS_ROTATION_MODE MMAS_ERROR_MESSAGES",
        "text",
        "out text",
    ),
    # datasets
    *_commands("SETCURDATA GETCURDATA GETCURDATA2 GETCURDATA3", selects_dataset=False, braced=False),
    *_commands("WRA WRP WRAPARAM WRPPARAM", "int"),
    *_commands("WRPA", "text", "int", "int", "text", "text"),
    *_commands("RPAR WPAR", "text", "text"),
    *_commands("DELPAR", "text"),
    *_commands("DELETERAWDATA DELETEEXPNO", "text", "int", "text", "text", selects_dataset=False, braced=False),
    *_commands("DELETEPROCNO", "text", "int", "int", "text", "text", selects_dataset=False, braced=False),
    *_commands("DELETENAME", "text", "text", "text", selects_dataset=False, braced=False),
    # parameters
    *_commands("FETCHPAR FETCHPARS FETCHPAR1 FETCHPAR1S FETCHPAR3 FETCHPAR3S", "parameter", "out parameter"),
    *_commands("STOREPAR STOREPARS STOREPAR1 STOREPAR1S STOREPAR3 STOREPAR3S", "parameter", "parameter value"),
    *_commands("FETCHPARN FETCHPARNS", "int", "parameter", "out parameter"),
    *_commands("STOREPARN STOREPARNS", "int", "parameter", "parameter value"),
    # processing, and other commands
    *_commands("EF EFP EM FT FP BC APK APKS ABS ABS1 ABS2 XF1 XF2 XFB SINO CT1 CT2 SIMFIT SREF"),
    *_commands("XCMD XPY XMAC", "text"),
    *_commands("XAU", "text", "text"),
    *_commands("WAIT_UNTIL", "int", "int", "int", "int", selects_dataset=False, braced=False),
    # functions
    Macro("CPR_exec", ("text", "int"), "int expression", selects_dataset=False),
    Macro("Show_status", ("text",), "int expression", selects_dataset=False),
    Macro("ACQUPATH", ("text or 0",), "text expression", selects_dataset=False),
    Macro("PROCPATH", ("text or 0",), "text expression", selects_dataset=False),
    Macro("NEWACQUPATH", ("int", "text or 0"), "text expression", selects_dataset=False),
    Macro("NEWPROCPATH", ("int", "text or 0"), "text expression", selects_dataset=False),
    Macro("VARACQUPATH", ("text", "int", "text or 0"), "text expression", selects_dataset=False),
    Macro("VARPROCPATH", ("text", "int", "int", "text or 0"), "text expression", selects_dataset=False),
]

MACROS: dict[str, Macro] = {macro.name: macro for macro in _ALL}
"""Everything the console carries out, by name; ``Proc_err`` (open argument list) comes on top of it."""

TEMPLATES: dict[str, tuple[int, str]] = {
    # control: number of arguments, C text ($1: first argument, inserted without parentheses, as on the console)
    "TIMES": (1, "for(loopcount1=0; loopcount1<$1; loopcount1++) {"),
    "TIMES2": (1, "for(loopcount2=0; loopcount2<$1; loopcount2++) {"),
    "TIMES3": (1, "for(loopcount3=0; loopcount3<$1; loopcount3++) {"),
    "TIMESINFINITE": (0, "for(loopcountinf=0; loopcountinf<10000000; loopcountinf++) {"),
    "END": (0, "}"),
    "QUIT": (0, "return(AUERR); }"),
    "QUITMSG": (1, '{ Proc_err(0, "%s", $1); return(AUERR); } }'),
    "ABORT": (0, "return(-1);"),
    "STOP": (0, "return(AUERR);"),
    "STOPMSG": (1, '{ Proc_err(0, "%s", $1); return(AUERR); }'),
    "ERRORABORT": (0, "if (AUERR<0) return(AUERR);"),
    # one variable of the dataset; takes effect at the next SETCURDATA
    "USELASTPARS": (0, "lastparflag=0;"),
    "USECURPARS": (0, "lastparflag=1;"),
    "DU": (1, "strcpy(disk, $1);"),
    "SETUSER": (1, "strcpy(user, $1);"),
    "RE": (1, "strcpy(name, $1);"),
    "REXPNO": (1, "expno=$1;"),
    "IEXPNO": (0, "expno++;"),
    "DEXPNO": (0, "expno--;"),
    "RPROCNO": (1, "procno=$1;"),
    "IPROCNO": (0, "procno++;"),
    "DPROCNO": (0, "procno--;"),
    # the fifth argument (user) is ignored by the console too
    "DATASET": (5, "{ strcpy(name, $1); expno=$2; procno=$3; strcpy(disk, $4); SETCURDATA(); }"),
}

_DIALOG = "it opens a dialog and waits for a person; read the value from a file or from the arguments"
_WINDOW = "it opens or changes windows of the user interface, which an unattended program must not do"
_LIST = "store each value with STOREPAR and send it with TESET"
REFUSED: dict[str, str] = {
    "GETSTRING": _DIALOG,
    "GETINT": _DIALOG,
    "GETFLOAT": _DIALOG,
    "GETDOUBLE": _DIALOG,
    "VIEWDATA": _WINDOW,
    "VIEWDATA_SAMEWIN": _WINDOW,
    "CLOSE_DATASETWIN": _WINDOW,
    "REFRESHDATA": _WINDOW,
    "VT": _LIST,
    "RVTLIST": _LIST,
    "IVTLIST": _LIST,
    "DVTLIST": _LIST,
    "VTU_HEATER_STATUS": "its definition in TopSpin ignores the argument; use VTU_GET_PARAM",
    "Hilfs_string": "the macros overwrite it; use a buffer of your own",
}
"""Names that exist on a console and that the simulator declines, with the reason."""

CONSTANTS: dict[str, int] = {
    "NULL": 0,
    "EOF": -1,
    # numbers of TopSpin's headers are not public: these only tell the values apart [mem]
    "WAIT_TERM": 1,
    "WAIT_START": 2,
    "NORM_TERM": 0,
    "INFO_OPT": 1,
    "DEF_ERR_OPT": 2,
    "ERROR_OPT": 3,
    "QUESTION_OPT": 4,
    "ERROPT_AK_NO": 5,
}

TEXT_CHARS = 256
PATH_CHARS = 1024
"""Sizes of TopSpin's own text variables; the true ones are not public, these are small on purpose."""

AU_TEXTS: dict[str, int] = {
    "disk": PATH_CHARS,
    "disk2": PATH_CHARS,
    "disk3": PATH_CHARS,
    "user": TEXT_CHARS,
    "user2": TEXT_CHARS,
    "user3": TEXT_CHARS,
    "name": TEXT_CHARS,
    "name2": TEXT_CHARS,
    "name3": TEXT_CHARS,
    "curdat": PATH_CHARS,
    "cmd": PATH_CHARS,
    "longpath": PATH_CHARS,
}
AU_INTS: tuple[str, ...] = (
    "AUERR",
    "expno",
    "expno2",
    "expno3",
    "procno",
    "procno2",
    "procno3",
    "lastparflag",
    "loopcount1",
    "loopcount2",
    "loopcount3",
    "loopcountinf",
)
