"""The public names of the room."""

import tapemill.lake.control as room


def test_exported_names_are_pinned():
    assert room.__all__ == [
        "COMPLETE",
        "MARKET",
        "Batch",
        "Build",
        "Call",
        "CallTotals",
        "Cell",
        "CellMatrix",
        "CellRecord",
        "CellState",
        "Claim",
        "ContentRecord",
        "ControlState",
        "Effects",
        "EventKind",
        "Finding",
        "HistoryEvent",
        "ImportedFile",
        "Incident",
        "StoredAnswer",
        "TaskCounts",
        "TaskState",
        "open_control",
        "this_process",
    ]
    assert all(hasattr(room, name) for name in room.__all__)
