"""What to measure next: Fisher information of EXSY blocks, and campaigns that spend few hours on a given uncertainty.

Pure: everything is computed from what is believed (a prior, or pilot data), nothing is measured or random here.
"""
