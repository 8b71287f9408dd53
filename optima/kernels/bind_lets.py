"""Turn the ``let``s inside expressions into statements before the store that they serve.

TVM 0.27's simplifier works through a ``let`` several times, so one inside another's value costs a power of the
depth: a fused chain of eight activations took minutes to compile, and takes milliseconds after this.
It also gives each binding a variable of its own, where inlining a stage twice had copied them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tvm


def bind_lets(module: tvm.IRModule) -> tvm.IRModule:
    """The module with each store's ``let``s as ``Bind`` statements in front of it, in order of evaluation.

    Those inside a branch of ``if_then_else`` stay: what they load may exist only where the condition holds.
    """
    import tvm

    functions = {g: f.with_body(_Binder().statement(f.body)) for g, f in module.functions.items()}
    return tvm.IRModule(functions, attrs=module.attrs)


class _Binder:
    """Rewrites one function body. ``_pending`` holds the bindings of the store at hand; None inside a branch."""

    def __init__(self) -> None:
        self._pending: list[Any] | None = None

    def statement(self, body: Any) -> Any:
        from tvm import tirx
        from tvm.ir import Call
        from tvm_ffi import structural_mutate

        entries = [(tirx.BufferStore, self._store), (tirx.Let, self._let), (Call, self._call)]
        return structural_mutate(body, entries)

    def _store(self, store: Any, mutator: Any) -> Any:
        from tvm import tirx

        self._pending = []
        stored = mutator.default_mutate(store)
        bindings, self._pending = self._pending, None
        return tirx.SeqStmt([*bindings, stored]) if bindings else stored

    def _let(self, let: Any, mutator: Any) -> Any:
        from tvm import tirx

        if self._pending is None:
            return mutator.default_mutate(let)
        value = mutator.mutate(let.value)
        fresh = tirx.Var(let.var.name, let.var.ty)
        outer = mutator.var_remap_get(let.var)
        self._pending.append(tirx.Bind(fresh, value))
        mutator.var_remap_set(let.var, fresh)
        body = mutator.mutate(let.body)
        if outer is not None:
            mutator.var_remap_set(let.var, outer)
        return body

    def _call(self, call: Any, mutator: Any) -> Any:
        from tvm import tirx

        if getattr(call.op, "name", "") != "tirx.if_then_else":
            return mutator.default_mutate(call)
        condition, *branches = call.args
        condition = mutator.mutate(condition)
        pending, self._pending = self._pending, None
        branches = [mutator.mutate(b) for b in branches]
        self._pending = pending
        return tirx.if_then_else(condition, *branches)
