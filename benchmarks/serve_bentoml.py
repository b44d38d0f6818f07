"""The ensemble in BentoML: one service with one route, which `benchmarks.serve` starts with `bentoml serve`."""

import bentoml  # pyright: ignore[reportMissingImports] - installed where this runs

from benchmarks.serve_ensemble import artifact, predicted

__all__ = ["EnsembleBento"]


@bentoml.service(workers=1)
class EnsembleBento:
    """One row of features in, the probabilities by horizon out."""

    def __init__(self) -> None:
        self.ensemble = artifact()

    @bentoml.api
    def predict(self, row: list[float]) -> dict[str, float]:
        """Answer one request."""
        return predicted(self.ensemble, row)
