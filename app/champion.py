"""A batch model under its version, as it goes from the registry to the forecasters.

`app.succession` loads it, `app.members` lets it serve, `app.rivalry` compares it.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.ensemble import Ensemble

__all__ = ["Champion"]


@dataclass(frozen=True, slots=True)
class Champion:
    """The batch model that is served.

    Parameters
    ----------
    version : str
        Its id in the registry.
    ensemble : Ensemble
        The fitted model.
    """

    version: str
    ensemble: Ensemble
