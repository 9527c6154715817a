"""napari's notifications with a button."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import (
    Notification,
    NotificationSeverity,
    notification_manager,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def notify(message: str, action: str, act: Callable[[], object]) -> None:
    """Show a notification with a button.

    Parameters
    ----------
    message
        One sentence.
    action
        The button's text.
    act
        Called if the user clicks the button.
    """
    actions = ((action, lambda _: act()),)
    notification_manager.dispatch(Notification(message, NotificationSeverity.INFO, actions))
