"""labctl: unattended acquisition campaigns for solid-state-battery labs."""

__version__ = "0.1.0"
