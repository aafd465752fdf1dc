"""The command line."""


def main() -> None:
    """Run the command line."""
    raise SystemExit("labctl: not built yet")
