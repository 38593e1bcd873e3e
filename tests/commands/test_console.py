"""What is printed where nobody reads it."""

import logging
import os
import sys

import pytest

from xumx_jax.commands import console
from xumx_jax.commands.batch import input_files
from xumx_jax.errors import UserError


def test_work_goes_on_where_nobody_reads_its_lines(capsys):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        for line in ("one", "two"):
            console.say_line(line, out)
    told = capsys.readouterr().err
    assert told == "xumx: warning: stdout: cannot be written: Broken pipe\n"


def test_a_program_started_without_stdout_and_stdin(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    console.print_any_name()
    console.say_line("line", sys.stdout)
    sys.stdout.close()
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UserError, match="stdin: is closed; wanted an audio file"):
        input_files.Spool().copy("-")


def test_what_the_library_logs_is_a_line_each(capsys):
    log = logging.getLogger("xumx_jax.weights.zoo")
    with console.shown_log():
        log.warning("published weights unavailable (%s);\nusing the demo", "no network")
        with console.shown_log():  # a command that another one runs
            log.info("said once")
        log.debug("not said")
    assert capsys.readouterr().err == (
        "xumx: published weights unavailable (no network); using the demo\nxumx: said once\n"
    )
