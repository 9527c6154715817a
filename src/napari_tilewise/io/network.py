"""Sources and destinations behind a network: what fails for a moment is tried again.

Servers answer 503 under load and connections are lost; the same request succeeds a moment later.
Every request of this package goes through `patiently` or a `patient` store, which try again with
growing pauses. What still fails then is called a network error: nothing is wrong with the image.
"""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, TypeVar

from napari_tilewise.errors import SourceUnreachable, SourceUnreadable, TilewiseError

if TYPE_CHECKING:
    from collections.abc import Callable


T = TypeVar("T")

PAUSES = [0.1, 0.3, 1.0, 3.0, 9.0]
"""Seconds before a request is tried again, for the first time, the second, ..."""

NEAR = frozenset({"file", "local", "memory"})
"""Protocols of fsspec without a network."""

_LIBRARIES = frozenset(
    {"aiobotocore", "aiohttp", "botocore", "gcsfs", "http", "requests", "urllib3"}
)
_BUSY = frozenset({408, 425, 429})  # besides 5xx: what these statuses refuse may succeed later
_ERRNOS = frozenset(
    getattr(errno, name, errno.EBUSY)
    for name in (
        "EBUSY", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH",
        "ENETDOWN", "ENETRESET", "ENETUNREACH", "EPIPE", "EREMOTEIO", "ETIMEDOUT",
    )
)  # fmt: skip
_LASTING = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


def is_transient(error: BaseException) -> bool:
    """Return whether the same request may succeed a moment later.

    Parameters
    ----------
    error
        What a request raised: of the standard library, aiohttp, botocore, ... (none is imported).
    """
    if isinstance(error, (TilewiseError, *_LASTING)):
        return False
    status = _status(error)
    if status is not None:
        return status >= 500 or status in _BUSY
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    if isinstance(error, OSError) and error.errno in _ERRNOS:
        return True
    return _is_of_library(error) and not isinstance(error, ValueError)  # such as an invalid URL


def is_of_network(error: BaseException, name: str) -> bool:
    """Return whether a network, or a server behind it, is the cause of an error.

    Parameters
    ----------
    error
        What a request raised.
    name
        The path or URL that was read.
    """
    is_refusal = isinstance(error, PermissionError) and "://" in name
    return is_refusal or is_transient(error) or _is_of_library(error)


def _is_of_library(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in _LIBRARIES


def _status(error: BaseException) -> int | None:
    """Return the status that a server answered, of an error or of what caused it."""
    for part in (error, error.__cause__):
        status = getattr(part, "status", None) or getattr(part, "code", None)
        response = getattr(part, "response", None)
        if isinstance(response, dict):  # botocore's
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", status)
        try:
            return int(status)  # type: ignore[arg-type]  # what is not a number is not a status
        except (TypeError, ValueError):
            continue
    return None


def network_error(error: BaseException, subject: str) -> SourceUnreadable:
    """Return the error that says that a source could not be reached, or that a server refuses it.

    Parameters
    ----------
    error
        What the last request raised.
    subject
        What was read, such as ``"Region [0:512] of 'https://...'"``.
    """
    status = _status(error)
    if status is not None:
        reason = f"the server answers with status {status}"
    else:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if not is_transient(error):
        return SourceUnreadable(
            f"{subject} cannot be read over the network ({reason}); expected a server that lets "
            "you read it: check the address and the login."
        )
    return SourceUnreachable(
        f"{subject} cannot be read over the network ({reason}), after {len(PAUSES) + 1} attempts; "
        "expected a server that answers: start again when it does."
    )


def patiently(request: Callable[[], T]) -> T:
    """Return the answer to a request, which is made again where that may help.

    Parameters
    ----------
    request
        Makes the request.
    """
    for pause in PAUSES:
        try:
            return request()
        except Exception as error:
            if not is_transient(error):
                raise
        time.sleep(pause)
    return request()
