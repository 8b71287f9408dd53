"""The refusals of writing and reading a model folder."""

from __future__ import annotations

from devices import UserError

#: the hint of most refusals to read
COMPILE_AGAIN = "compile the model again, or copy its folder again, whole"


class ArtifactError(UserError):
    """A model folder that is not what its maker wrote: absent, cut off, changed, or of another format.

    Example: ``rt.Context().load_model("outputs/Net")`` after a kernel file in it was edited.
    Fix: compile the model again with ``Manager().optimize``, or copy the folder again, whole.
    """


class OutputFolderError(UserError):
    """The place where a model folder should go cannot take it. What is there is left as it was.

    Example: ``optimize("Net", ..., output_folder_dir="~/outputs")`` where ``~/outputs/Net`` holds photos.
    Fix: choose another ``output_folder_dir`` or ``module_name``, or move what is there.
    """


class ModuleNameError(UserError):
    """A ``module_name`` that is not a plain file name.

    Example: ``optimize("nets/a", ...)``. Fix: ``optimize("a", ..., output_folder_dir="outputs/nets")``.
    """


class TargetBusyError(OutputFolderError):
    """Another process is compiling into the same model folder, and waiting was not wanted.

    Example: two CI jobs that write ``outputs/Net``, the second with ``wait=False``.
    Fix: give each its own ``output_folder_dir``, or let the second wait.
    """
