"""Random small torch modules from a grammar, their comparison with eager PyTorch, and their shrinking.

A module is a list of steps over a list of values. A step that torch refuses for the values at hand is left out, so
the grammar need not know torch's rules.
"""
