"""Disks that lose what was not synced when the power goes: file systems in image files, whose page cache the image knows nothing of.

What is written to a file system that is mounted from an image stays in the kernel's page cache until it is synced or grows old. A copy of
the image holds what the disk had: all that was synced, and nothing that was only written. Needs root and loop devices. What a drive's own
cache loses although it said that it wrote is not shown.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["Disk", "can_lose_power"]


class Disk:
    """A file system of its own under a folder.

    Parameters
    ----------
    image : Path
        File that is made for it.
    place : Path
        Folder where it is mounted; made if need be.
    megabytes : int
        Its size.
    """

    def __init__(self, image: Path, place: Path, megabytes: int = 256) -> None:
        self.image, self.place = image, place
        place.mkdir(parents=True, exist_ok=True)
        with image.open("wb") as file:
            file.truncate(megabytes * 2**20)
        _run("mkfs.ext4", "-q", "-F", str(image))
        self._mount()
        _run("sync")  # of an empty one nothing is lost

    def keep(self) -> None:
        """Copy what is on the disk now; who writes to it must be stopped."""
        shutil.copyfile(self.image, self._copy)

    def lose(self) -> None:
        """Put the disk back to what `keep` copied; who wrote to it must be dead."""
        _run("umount", str(self.place))
        os.replace(self._copy, self.image)
        self._mount()

    def close(self) -> None:
        """Take it away."""
        subprocess.run(["umount", str(self.place)], check=False, capture_output=True)
        self.image.unlink(missing_ok=True)

    @property
    def _copy(self) -> Path:
        return self.image.with_suffix(".kept")

    def _mount(self) -> None:
        # A journal that is written by itself every 300 s, not 5: what is not synced is then lost for certain.
        _run("mount", "-o", "loop,commit=300", str(self.image), str(self.place))


def can_lose_power(folder: Path) -> str:
    """Return why disks cannot be made here, nothing where they can."""
    try:
        disk = Disk(folder / "probe.img", folder / "probe", 8)
    except (OSError, subprocess.CalledProcessError) as exc:
        return f"no disk can be mounted from an image: {exc}"
    (disk.place / "written").write_text("and not synced")
    with (disk.place / "synced").open("w") as file:
        file.write("synced")
        file.flush()
        os.fsync(file.fileno())
    (disk.place / "late").write_text("and not synced")
    disk.keep()
    disk.lose()
    there = sorted(path.name for path in disk.place.iterdir())
    late = disk.place / "late"
    lost = not late.exists() or not late.read_text()
    disk.close()
    return "" if "synced" in there and lost else f"what was not synced is there all the same: {there}"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
