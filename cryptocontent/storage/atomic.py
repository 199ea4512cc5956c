"""Files that are written whole or not at all."""

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, data: bytes, *, mode: int = 0o600, durable: bool = False) -> None:
    """Write `data` beside `path`, then rename it over: a reader never sees half a file, and a failed
    write leaves what was there. `durable`: the bytes are on the disk before the rename."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_if_changed(path: Path, data: bytes, *, mode: int = 0o644) -> bool:
    """`write_whole` unless the file is so already and can be left in peace; returns whether it wrote."""
    if path.is_file() and path.read_bytes() == data:
        return False
    write_whole(path, data, mode=mode)
    return True
