"""napari's notifications with a button."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import (
    Notification,
    NotificationSeverity,
    notification_manager,
)

from napari_tilewise._napari.widgets.panel_titles import PLUGIN

if TYPE_CHECKING:
    from collections.abc import Callable


class PluginNotification(Notification):  # type: ignore[misc]  # napari has no types
    """Says which plugin it is from, where napari would show an object of its own."""

    @property
    def source(self) -> str:
        """The plugin's name."""
        return PLUGIN


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
    notification_manager.dispatch(PluginNotification(message, NotificationSeverity.INFO, actions))
