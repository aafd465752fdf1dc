"""The matter in the rotor."""
