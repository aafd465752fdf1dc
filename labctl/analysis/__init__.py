"""From finished datasets to numbers with uncertainties, assumptions and warnings."""
