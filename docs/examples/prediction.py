"""Look ahead: which services are likeliest to break, why, and what was said of the last incident before it began.

    python docs/examples/prediction.py [--url http://127.0.0.1:8318] [--horizon 15min]

It needs a running service with predictions (`make run`).
"""

from __future__ import annotations

import argparse

from app.client import Foreshock

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> list[str]:
    """Print the riskiest services and return their names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8318", help="of the service")
    parser.add_argument("--horizon", default="15min", choices=["5min", "15min", "60min"], help="how far ahead")
    asked = parser.parse_args(arguments)
    with Foreshock(asked.url) as client:
        of_services = client.predictions(operations="whole")
        riskiest = of_services.sort_values(f"probability_{asked.horizon}", ascending=False).head(5)
        for row in riskiest.to_dict("records"):
            p, lower, upper = (row[f"{part}_{asked.horizon}"] for part in ("probability", "lower", "upper"))
            print(
                f"{row['service']}: {p:.3f} within {asked.horizon} ({lower:.3f} to {upper:.3f}), {row['status']}, {row['age_s']:.0f} s old"
            )
            for reason in row["reasons"][:2]:
                print(f"    {reason['contribution']:+.2f}  {reason['text']}")
        for row in client.incidents(limit=1).to_dict("records"):
            detail = client.incident(row["id"])
            print(f"last incident: {detail.service} {detail.operation} at {detail.start:%H:%M} UTC, said before it began:")
            for earlier in detail.earlier:
                print(f"    {earlier.as_of:%H:%M}  {earlier.horizons[asked.horizon]:.3f}")
    return [str(service) for service in riskiest["service"]]


if __name__ == "__main__":
    main()
