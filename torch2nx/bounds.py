"""The sizes that only ``nms`` gives: each becomes its upper bound, with the count of valid rows beside it.

``torchvision::nms`` keeps some of N boxes, at least one. Its result gets N rows, of which those after the count
repeat the first (so that what is looked up by them exists), and a second result, the count. Every tensor after
it whose size holds that number gets the bound in its place, as long as each call on the way treats these rows one
by one (``torch2nx.row_rules``). A call that does not is refused, with its line; so is every other size or value
that depends on data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from torch2nx import row_rules
from torch2nx.row_rules import Mixes
from torch2nx.trace import RESULT, Step, Symbol, Trace, Value, extent, replaced

NMS: Final = "torchvision.nms.default"
#: a slice that has no end
_NO_END: Final = 2**62


@contextmanager
def known_nms() -> Iterator[None]:
    """While torch traces: nms keeps at least one box and at most all, whatever its registered fake kernel says.

    That kernel (torchvision's) lets torch take for granted that at least two boxes are kept, so that a branch on
    the number would be traced wrongly. Without torchvision's schema, or a fake kernel, nothing is replaced.
    """
    import torch
    from torch._library import simple_registry

    entry = simple_registry.singleton._data.get("torchvision::nms")
    kernel = entry.fake_impl.kernel if entry is not None else None
    if kernel is None:
        yield
        return
    registered: Callable[..., torch.Tensor] = kernel.func

    def fake(dets: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
        boxes = dets.shape[0]
        if not isinstance(boxes, int):
            return registered(dets, scores, iou_threshold)
        kept: Any = boxes if boxes < 2 else torch.library.get_ctx().new_dynamic_size(min=1, max=boxes)
        return dets.new_empty(kept, dtype=torch.int64)

    kernel.func = fake
    try:
        yield
    finally:
        kernel.func = registered


def bound_sizes(trace: Trace) -> None:
    """Put the bound in the place of each size that nms gives, and record the counts in ``trace``.

    What cannot be bounded keeps torch's symbol, and its step the reason in ``refusal``: ``build`` raises them all.
    """
    if not any(step.target == NMS for step in trace.steps):
        return
    _Bounder(trace).run()


@dataclass
class _Bounder:
    trace: Trace
    #: torch's expression for a size -> ours
    sizes: dict[Any, Symbol] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    #: results of steps that are another value
    same: dict[Value, Value] = field(default_factory=dict)

    def run(self) -> None:
        for step in self.trace.steps:
            step.arguments = {k: replaced(v, self.same) for k, v in step.arguments.items()}
            if step.target == NMS:
                self._nms(step)
            elif any(v.is_tensor for v in step.outputs) and self._is_bounded(step):
                self._follow(step)
            self.steps.append(step)
        self.trace.steps = [s for s in self.steps if not any(v in self.same for v in s.outputs)]
        self.trace.results = [replaced(v, self.same) for v in self.trace.results]
        self._record()
        self._write()

    def _is_bounded(self, step: Step) -> bool:
        tensors = [v for v in (*step.operands, *step.outputs) if v.is_tensor]
        scalars = any(not v.is_tensor for v in step.operands)
        return scalars or any(self._axes(v) for v in tensors)

    def _axes(self, value: Value) -> dict[int, Symbol]:
        return {axis: self.sizes[d] for axis, d in enumerate(value.shape) if not isinstance(d, int) and d in self.sizes}

    def _nms(self, step: Step) -> None:
        import torch

        boxes = step.arguments["dets"].shape[0]
        if not isinstance(boxes, int):
            step.refusal = "how many boxes it chooses from is known only at run time"
            return
        count = Value(RESULT, _like(step.outputs[0].meta, (), torch.int64))
        step.outputs.append(count)
        kept = step.outputs[0].shape[0]
        if isinstance(kept, int):
            if boxes > 1:
                step.refusal = f"a later line only works when exactly {kept} boxes are kept"
        elif kept in self.sizes or not kept.is_Symbol:
            step.refusal = "a later line only works when as many boxes are kept as by another nms"
        else:
            self.sizes[kept] = Symbol(1, boxes, count)

    def _follow(self, step: Step) -> None:
        """Check a step that has to do with a bounded size, and write the bound where it takes a number."""
        try:
            if self._is_count(step):
                return
            if not self._is_slice(step):
                row_rules.check(step, self._axes)
            for name, argument in step.arguments.items():
                step.arguments[name] = self._without_scalars(name, argument)
            for value in step.outputs:
                if any(not isinstance(d, int) and d not in self.sizes for d in value.shape):
                    raise Mixes("its result's size depends on the data in a way that has no bound")
        except Mixes as reason:
            step.refusal = str(reason)

    def _without_scalars(self, name: str, argument: Any) -> Any:
        if isinstance(argument, list):
            return [self._without_scalars(name, a) for a in argument]
        if not isinstance(argument, Value) or argument.is_tensor:
            return argument
        number = extent(argument.meta)
        if not getattr(number, "free_symbols", set()) & set(self.sizes):
            return argument  # it is not nms that gives it
        size = self.sizes.get(number)
        if size is None or name not in ("size", "shape", "end"):
            raise Mixes(f"its {name} is a number that depends on the data")
        return size.high

    def _is_count(self, step: Step) -> bool:
        """``torch.tensor(keep.shape[0])`` is the count itself."""
        import torch

        scalar = step.arguments.get("s")
        if step.target != "aten.scalar_tensor.default" or not isinstance(scalar, Value):
            return False
        size = self.sizes.get(extent(scalar.meta))
        if size is None or step.outputs[0].dtype != torch.int64:
            return False
        self.same[step.outputs[0]] = size.count
        return True

    def _is_slice(self, step: Step) -> bool:
        """Rows from a constant start to a constant end: a size of its own, whose count is computed."""
        if step.target != "aten.slice.Tensor":
            return False
        operand, dim = step.arguments["self"], step.arguments["dim"] % len(step.arguments["self"].shape)
        size = self._axes(operand).get(dim)
        start, end = step.arguments["start"] or 0, step.arguments["end"]
        end = _NO_END if end is None else end
        if size is None:
            if not isinstance(start, int) or not isinstance(end, int):
                raise Mixes("where it starts or ends depends on the data")
            return True
        if not isinstance(start, int) or not isinstance(end, int) or start < 0 or step.arguments["step"] != 1:
            raise Mixes("which rows it takes is known only at run time: it must start at a constant from 0 up, step 1")
        new = step.outputs[0].shape[dim]
        if not isinstance(new, int) and new not in self.sizes:
            self.sizes[new] = self._sliced(step, size, start, end)
        return True

    def _sliced(self, step: Step, size: Symbol, start: int, end: int) -> Symbol:
        import torch

        def after(number: int) -> int:
            stop = number + end if end < 0 else min(number, end)
            return max(stop - start, 0)

        count = size.count
        if 0 <= end < size.high:
            count = self._call(step, torch.ops.aten.clamp.default, count, min=None, max=end)
        taken = start - min(end, 0)
        if taken:
            count = self._call(step, torch.ops.aten.sub.Tensor, count, other=taken, alpha=1)
        if after(size.low) == 0:
            count = self._call(step, torch.ops.aten.clamp.default, count, min=0, max=None)
        return Symbol(after(size.low), after(size.high), count)

    def _call(self, step: Step, overload: Any, count: Value, **arguments: Any) -> Value:
        """A step that computes a count, at the line of ``step``."""
        import torch

        result = Value(RESULT, _like(step.outputs[0].meta, (), torch.int64))
        self.steps.append(Step(str(overload), overload, {"self": count, **arguments}, [result], dict(step.origin)))
        return result

    def _record(self) -> None:
        """The sizes that results have, their counts behind the results."""
        used: dict[Symbol, list[tuple[int, int]]] = {}
        for index, value in enumerate(self.trace.results):
            if isinstance(value, Value) and value.is_tensor:
                for axis, size in self._axes(value).items():
                    used.setdefault(size, []).append((index, axis))
        for size, places in used.items():
            size.places = places
        self.trace.symbols = list(used)
        self.trace.results += [size.count for size in used]

    def _write(self) -> None:
        """The bounds in the place of torch's symbols."""
        for step in self.trace.steps:
            for value in step.outputs:
                if value.is_tensor and self._axes(value):
                    shape = [self.sizes[d].high if d in self.sizes else d for d in value.shape]
                    if all(isinstance(d, int) for d in shape):
                        value.meta = _like(value.meta, shape, value.dtype)


def _like(meta: Any, shape: Any, dtype: Any) -> Any:
    """A fake tensor of the trace with another shape."""
    with meta.fake_mode:
        return meta.new_empty(tuple(shape), dtype=dtype)
