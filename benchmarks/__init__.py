"""Measurements. Each file is a command; a claim of speed anywhere in the project names one of them."""
