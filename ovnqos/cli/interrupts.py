"""Ctrl-C that comes where Python can raise nothing: in a finalizer, or in the callback of a weak reference."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_AGAIN_S: Final = 0.01


def insist() -> None:
    """Let Ctrl-C come again a moment later where it would be printed as a traceback and ignored.

    Seen on the demo under load, about once in 200. Where was not seen; each first import of a module ends with such a
    callback.
    """
    sys.unraisablehook = _unraisable


def _unraisable(unraisable: UnraisableHookArgs) -> None:
    if unraisable.exc_type is KeyboardInterrupt:
        main = threading.main_thread().ident
        assert main is not None  # it runs
        threading.Timer(_AGAIN_S, signal.pthread_kill, (main, signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(unraisable)
