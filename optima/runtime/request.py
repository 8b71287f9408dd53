"""``InferRequest``: one inference at a time, started without blocking, with buffers of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from devices import UserError
from optima.runtime.dispatch import gate, submit
from optima.runtime.errors import RequestError
from optima.runtime.inputs import conform, conform_one
from optima.runtime.profile import ProfileData
from optima.runtime.session import Session
from optima.runtime.tensors import Array, Tensor, TensorInfo, find

Callback = Callable[[Any], None]


class InferRequest:
    """Made by ``Model.create_request()``. Requests of one model share its weights and run at the same time.

    ``infer`` copies nothing and does not block; ``wait`` tells when the results can be read. Its methods may
    be called from any thread.
    """

    def __init__(
        self,
        session: Session,
        inputs: Sequence[TensorInfo],
        outputs: Sequence[TensorInfo],
        log: logging.Logger,
    ) -> None:
        """Used by ``Model``."""
        self._session = session
        self._inputs = tuple(inputs)
        self._outputs = tuple(outputs)
        self._log = log
        self._changed = threading.Condition()
        self._unset = set(range(len(self._inputs)))
        self._running = False
        self._unfinished = 0  # inferences whose callback has not returned yet
        self._in_callback: set[int] = set()  # threads that are in this request's callback
        self._done = False
        self._error: BaseException | None = None
        self._callback: tuple[Callback, Any] | None = None

    # ---- inputs and outputs

    def set_inputs(self, inputs: Any) -> None:
        """Copy in every input: an array (of a model with one input), a list in order, or a dict by name.

        Names are the argument names of the traced module, or the graph's tensor names. Raises InputError with
        everything that does not fit (nothing is copied then), RequestError while the request runs.
        """
        with self._changed:
            self._refuse_while_running("set_inputs()")
            for index, array in enumerate(conform(self._inputs, inputs)):
                self._session.write_input(index, array)
            self._unset.clear()

    def get_input_tensor(self, key: int | str) -> Tensor:
        """The input by index or name. Raises UnknownTensor."""
        index = find(self._inputs, key, "input")

        def read() -> Array:
            with self._changed:
                self._refuse_while_running("reading an input")
                if index in self._unset:
                    raise RequestError(f"input {self._inputs[index].title!r} was not set yet")
                return self._session.read_input(index)

        def write(value: Any) -> None:
            with self._changed:
                self._refuse_while_running("copy_from()")
                self._session.write_input(index, conform_one(self._inputs[index], value))
                self._unset.discard(index)

        return Tensor(self._inputs[index], read, write)

    def get_output_tensor(self, key: int | str) -> Tensor:
        """The output by index or name. Raises UnknownTensor."""
        index = find(self._outputs, key, "output")

        def read() -> Array:
            with self._changed:
                self._refuse_without_result()
                return self._session.read_output(index)

        def write(value: Any) -> None:
            raise RequestError(f"output {self._outputs[index].title!r} cannot be written", hint="copy into an input")

        return Tensor(self._outputs[index], read, write)

    def get_outputs(self) -> list[Array]:
        """Copies of the outputs that the caller owns, one per tensor leaf of the result in pytree order.

        Raises RequestError while it runs or before the first ``infer``, and what a failed inference raised.
        """
        with self._changed:
            self._refuse_without_result()
            return [self._session.read_output(i) for i in range(len(self._outputs))]

    @property
    def profile_data(self) -> ProfileData:
        """Times of the last inference. Raises like ``get_outputs``."""
        with self._changed:
            self._refuse_without_result()
            return self._session.profile()

    # ---- running

    def set_callback(self, callback: Callback | None, userdata: Any = None) -> None:
        """Call ``callback(userdata)`` on a dispatch thread after each inference, failed ones included; None
        for no callback.

        In it results may be read and ``infer`` called again. It should be short: it must not wait for other
        requests, whose turn may come only after it. What it raises is logged.
        """
        if callback is not None and not callable(callback):
            raise UserError(f"{callback!r} is no function", hint="pass a function of one argument")
        with self._changed:
            self._callback = None if callback is None else (callback, userdata)

    def infer(self) -> None:
        """Start an inference on the inputs as they are, and return. ``wait`` tells how it ended.

        Raises RequestError while one is running, or when an input was never set.
        """
        with self._changed:
            self._refuse_while_running("infer()")
            if self._unset:
                names = ", ".join(repr(self._inputs[i].title) for i in sorted(self._unset))
                raise RequestError(f"inputs {names} were not set", hint="call set_inputs() before infer()")
            submit(self._execute)
            self._running, self._done, self._error = True, False, None
            self._unfinished += 1

    def wait(self, timeout: float = 0) -> bool:
        """Wait up to ``timeout`` milliseconds for the inference and its callback to end; 0 waits for ever.

        Returns True if the time ran out, False as soon as the inference is over (at once if none was
        started). Raises what the inference raised, each time until the next ``infer``.
        """
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0:
            raise RequestError(f"a timeout is a number of milliseconds from 0 up, not {timeout!r}")
        seconds = None if timeout == 0 else min(timeout / 1000, threading.TIMEOUT_MAX)
        with self._changed:
            if not self._changed.wait_for(self._is_over, seconds):
                return True
            if self._error is not None:
                raise self._error
            return False

    def _is_over(self) -> bool:
        # Inside its own callback the result is there, and the callback cannot be waited for.
        return not self._running if threading.get_ident() in self._in_callback else self._unfinished == 0

    def _execute(self) -> None:
        error: BaseException | None = None
        try:
            with gate():
                self._session.run()
        # Whatever it is, it belongs to the thread that waits.
        except BaseException as raised:  # noqa: BLE001
            error = raised
        with self._changed:
            self._running, self._done, self._error = False, True, error
            callback = self._callback
            self._in_callback.add(threading.get_ident())
            self._changed.notify_all()
        self._call(callback)
        with self._changed:
            self._in_callback.discard(threading.get_ident())
            self._unfinished -= 1
            self._changed.notify_all()

    def _call(self, callback: tuple[Callback, Any] | None) -> None:
        if callback is None:
            return
        function, userdata = callback
        try:
            function(userdata)
        # A user's callback may raise anything; nobody above this frame could take it.
        except BaseException:  # noqa: BLE001
            self._log.exception("the callback %r of a request raised", function)

    def _refuse_while_running(self, what: str) -> None:
        if self._running:
            raise RequestError(f"{what} while the request is running", hint="call wait() first, or use another request")

    def _refuse_without_result(self) -> None:
        self._refuse_while_running("reading results")
        if self._error is not None:
            raise self._error
        if not self._done:
            raise RequestError("the request has no results yet", hint="call infer() and wait() first")
