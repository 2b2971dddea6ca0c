"""Telling people what is: `doctor` finds what is wrong with an installation, `why` explains a number.

Gathering (I/O) and judging (pure functions on what was gathered) are apart; nothing here writes to the cluster.
"""
