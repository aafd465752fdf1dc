"""From a checked protocol and lab file to steps, findings and hours. Pure: no clock, file or random number."""
