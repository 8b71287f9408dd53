"""Turn the ``let``s inside expressions into assignments to local cells, before the store that they serve.

TVM 0.27's LLVM code generator proves things about each ``let`` by substituting all those around it: the cost is a
power of the nesting, and a fused chain of four activations took minutes. Its simplifier substitutes too, and
then cancels ``(a + b) - b`` of floats, which rounds on purpose. A load from a cell is opaque to both, and LLVM
turns the cells into registers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tvm


def bind_lets(module: tvm.IRModule) -> tvm.IRModule:
    """The scheduled module with each store's ``let``s as assignments in front of it, in order of evaluation.

    Those inside a branch of ``if_then_else`` stay: what they load may exist only where the condition holds.
    """
    import tvm

    functions = {g: f.with_body(_Binder().statement(f.body)) for g, f in module.functions.items()}
    return tvm.IRModule(functions, attrs=module.attrs)


class _Binder:
    """Rewrites one function body.

    ``_pending`` holds the assignments of the store at hand, None inside a branch. ``_lanes`` is the innermost
    vectorised loop's (variable, extent) and ``_cells`` what is to be allocated in front of it: inside it, TVM would
    shrink a cell to one element that all lanes share.
    """

    def __init__(self) -> None:
        self._pending: list[Any] | None = None
        self._lanes: tuple[Any, int] | None = None
        self._cells: list[Any] = []

    def statement(self, body: Any) -> Any:
        """``body`` rewritten."""
        from tvm import tirx
        from tvm.ir import Call
        from tvm_ffi import structural_mutate

        rules = (
            (tirx.For, self._for), (tirx.BufferStore, self._store), (tirx.Bind, self._bind), (tirx.Let, self._let),
            (Call, self._call),
        )  # fmt: skip
        return structural_mutate(body, rules)

    def _for(self, loop: Any, mutator: Any) -> Any:
        from tvm import tirx

        if loop.kind != tirx.ForKind.VECTORIZED:
            return mutator.default_mutate(loop)
        outer = self._lanes, self._cells
        self._lanes, self._cells = (loop.loop_var, int(loop.extent)), []
        result = mutator.default_mutate(loop)
        allocations = [tirx.AllocBuffer(cell) for cell in self._cells]
        self._lanes, self._cells = outer
        return tirx.SeqStmt([*allocations, result]) if allocations else result

    def _store(self, store: Any, mutator: Any) -> Any:
        from tvm import tirx

        self._pending = []
        stored = mutator.default_mutate(store)
        assignments, self._pending = self._pending, None
        return tirx.SeqStmt([*assignments, stored]) if assignments else stored

    def _bind(self, bind: Any, mutator: Any) -> Any:
        """A statement ``v = value``, as a reduction of pairs has: a vectorised loop would be split at it, so that
        the statements behind it read one lane's value for all."""
        from tvm import tirx

        if self._lanes is None:
            return mutator.default_mutate(bind)
        self._pending = []
        value = mutator.mutate(bind.value)
        assignments, self._pending = self._pending, None
        assignment, loaded = self._assigned(bind.var, value)
        mutator.var_remap_set(bind.var, loaded)
        return tirx.SeqStmt([*assignments, assignment]) if assignments else assignment

    def _assigned(self, var: Any, value: Any) -> tuple[Any, Any]:
        """(the store of ``value`` to a new cell, what reads it back); the cell is allocated where its scope begins."""
        from tvm import tirx

        lane, lanes = self._lanes or (0, 1)
        dtype = str(var.ty.dtype)
        # TVM stores a bool as a byte, but does not carry that through a vector of its local cells.
        stored = "int8" if dtype == "bool" else dtype
        cell = tirx.decl_buffer((lanes,), stored, name=var.name, scope="local")
        if self._lanes:
            self._cells.append(cell)
        elif self._pending is not None:
            self._pending.append(tirx.AllocBuffer(cell))
        loaded = tirx.BufferLoad(cell, [lane])
        return (
            tirx.BufferStore(cell, value if stored == dtype else value.astype(stored), [lane]),
            loaded if stored == dtype else tirx.NE(loaded, tirx.const(0, stored)),
        )

    def _let(self, let: Any, mutator: Any) -> Any:
        if self._pending is None:
            return mutator.default_mutate(let)
        value = mutator.mutate(let.value)
        assignment, loaded = self._assigned(let.var, value)
        self._pending.append(assignment)
        outer = mutator.var_remap_get(let.var)
        mutator.var_remap_set(let.var, loaded)
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
