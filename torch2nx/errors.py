"""The refusals of tracing and of reading a graph file."""

from __future__ import annotations

from devices.errors import UserError


class ConvertError(UserError):
    """A module that cannot be traced as it stands: train mode, data-dependent control flow, mutated state.

    Example: ``Torch2GraphConverter().convert(model=nn.Dropout(), fake_torch_data=[x])`` in train mode.
    Fix: call ``model.eval()`` first.
    """


class UnsupportedOp(UserError):
    """Operators that Optima, or the device chosen for them, cannot run. All of them are listed.

    Example: a model that calls ``torch.linalg.svd``. Fix: the hint says what to edit.
    """


class RegisterError(UserError):
    """An operator of the user's own that cannot be registered as its entry states it. Every fault is listed.

    Example: an entry with the operand ``input`` for a torch operator whose argument is called ``x``.
    Fix: use the schema's names; docs/adding_an_op.md walks through an entry.
    """


class GraphError(UserError):
    """A graph file or networkx graph that breaks the contract: truncated, cyclic, dangling, mistyped.

    Example: a ``.gpickle`` cut off by a full disk. Fix: export the graph again with ``export_to_gpickle``.
    """


class UnsafePickle(GraphError):
    """A pickle that names something a graph never holds. Nothing in it was executed.

    Example: a ``.gpickle`` whose bytes call ``os.system``. Fix: do not trust its source; export it again.
    """


class ArgumentsError(UserError, TypeError):
    """Arguments that do not have the structure with which the model was traced.

    Example: ``model.run({"x": [a]})`` for a model traced with ``x={"left": a, "right": b}``.
    Fix: pass the same nesting, keys and non-tensor values as the samples had.
    """


class PlotError(UserError):
    """A picture that cannot be drawn: no pygraphviz, no graph yet, or a map of another graph.

    Example: ``converter.plot_network(...)`` before ``convert``. Fix: the hint says what to do first.
    """
