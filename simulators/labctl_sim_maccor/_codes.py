"""Numbers of MacNet: states, what a channel does, and why a step ended (vendor's MacNet reference)."""

from __future__ import annotations

from enum import IntEnum


class Stat(IntEnum):
    """`Stat`: the state of a channel. An enumeration, not bits."""

    AVAILABLE = 0
    SELECTED = 1
    ACTIVE = 2
    SUSPENDED = 3
    COMPLETED = 4
    PROBLEM = 5
    POWER_FAIL = 9
    NO_CONTROLLER = 10
    SHUTDOWN = 11
    STARTING = 12
    BLOCKED = 13
    REMOTE_MAINTENANCE = 16


class Doing(IntEnum):
    """`RF1`: the type of the step that runs."""

    AVAILABLE = 0
    CHARGE = 1
    DISCHARGE = 2
    REST = 4
    PAUSE = 5
    PROBLEM = 29
    SUSPENDED = 30
    COMPLETE = 31


class Why(IntEnum):
    """`RF2` and the `ES` column: below 128 a report during a step, from 128 on the step's end."""

    STEP_BEGAN = 0
    STEP_TIME_REPORT = 1
    CURRENT_REPORT = 4
    VOLTAGE_REPORT = 5
    NONE = 128
    STEP_TIME = 129
    TEST_TIME = 130
    CYCLE = 131
    CURRENT = 132
    VOLTAGE = 133
    AMP_HOUR = 136
    WATT_HOUR = 137
    LOOP_COUNT = 147
    THERMOCOUPLE = 158
    SAFETY_CAPACITY = 189
    SAFETY_VOLTAGE = 190
    SUSPENDED = 192
    NORMAL_END = 193
    FORCED = 199


CHECK_TEXT = {
    0: "OK",
    1: "Channel not available or selected",
    2: "Test procedure does not exist",
    3: "Subroutine does not exist",
    4: "File name exists in Archive",
    5: "Invalid file name",
    6: "Invalid chamber number",
    7: "Compile error",
}
"""Answers of (6,11)."""

START_TEXT = {
    0: "OK",
    14: "No procedure selected",
    18: "Data file name is too long",
    19: "Test name is not unique",
    20: "Test name is not unique in Archive",
    21: "Chamber in use",
    22: "Invalid entry",
    23: "Channel in use",
    24: "No channel selected",
}
"""Answers of (6,2)."""
