"""Devices whose compilers are under NDA (CV22, ARA1): all that they need, and the user's own command, if any."""
