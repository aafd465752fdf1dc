"""From a lab file to live instruments: finds drivers and simulators by entry point and joins them by shape."""
