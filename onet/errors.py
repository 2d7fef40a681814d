"""Errors that are meant to be read by the person who caused them.

Every message names the file or field at fault and says what to do about it. The command line prints
these without a traceback; anything else that escapes is a defect of the package.
"""


class OnetError(Exception):
    """Base of all errors that `onet` raises on purpose."""


class ConfigError(OnetError, ValueError):
    """A configuration file, key or override that cannot be used."""


class DataError(OnetError, ValueError):
    """A mesh, point cloud or dataset file that cannot be used."""


class CheckpointError(OnetError, ValueError):
    """A checkpoint that is unreadable or belongs to another architecture."""


class FieldError(OnetError, ValueError):
    """A field that returned NaN, the wrong shape or the wrong type."""


class FolderInUse(OnetError, RuntimeError):
    """A folder that another process is writing to; the message names it."""


class MissingDependency(OnetError, ImportError):
    """An optional package that is not installed; the message names the extra to install."""


class TrainingError(OnetError, ArithmeticError):
    """Training that cannot go on because the loss or the weights are no longer finite."""


class StorageError(OnetError, OSError):
    """A disk that is full, or a folder that cannot be written: the next file would fail too."""


class WorkerDied(OnetError, RuntimeError):
    """The process that worked on an item died: out of memory, or a crash in native code."""

    def __init__(self) -> None:
        super().__init__("its process died: out of memory, or a crash in native code")
