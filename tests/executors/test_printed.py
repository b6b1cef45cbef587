"""What a process prints comes as lines, however the bytes arrive."""

from __future__ import annotations

import multiprocessing
import os

from selector.executors.printed import Printed


def test_lines_come_whole_without_blank_ones_and_the_last_one_needs_no_end() -> None:
    reader, writer = multiprocessing.Pipe(duplex=False)
    lines: list[str] = []
    printed = Printed(reader, lines.append)

    os.write(writer.fileno(), b"one\n\ntwo and")
    printed.take_in()
    assert lines == ["one"]
    os.write(writer.fileno(), b" a half\nthe end")
    writer.close()
    printed.take_in_all()
    assert lines == ["one", "two and a half", "the end"]
    reader.close()


def test_a_bar_is_one_line_as_it_ended() -> None:
    reader, writer = multiprocessing.Pipe(duplex=False)
    lines: list[str] = []

    os.write(writer.fileno(), b"\r 10%\r100%\r\n")
    writer.close()
    Printed(reader, lines.append).take_in_all()
    assert lines == ["100%"]
    reader.close()
