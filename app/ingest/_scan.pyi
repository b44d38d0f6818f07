from features.batch import Call, Presence
from features.event import ErrorRecord

_Groups = tuple[tuple[tuple[str, str], ...], bytearray, bytearray, bytearray, bytearray]
_Ends = tuple[bytearray, bytearray, bytearray, bytearray, tuple[str, ...]]

def scan(
    body: bytes,
    logs: bool,
    limits: tuple[int, int, int, int, int, int, int, int, int, int],
    ranks: tuple[str, ...],
    types: tuple[type[ErrorRecord], type[Call], type[Presence]],
    /,
) -> (
    tuple[int, int, _Groups, _Ends, tuple[ErrorRecord, ...], tuple[Call, ...], tuple[Presence, ...], dict[str, int]] | None
): ...
