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


@pytest.mark.parametrize(
    ("error", "status", "last"),
    [
        (UserError("x.wav:\n is empty"), 2, "train: error: x.wav: is empty"),
        (
            OSError(28, "No space left on device", "a"),
            1,
            "train: error: a: No space left on device",
        ),
        (MemoryError(), 1, "train: error: there is not enough memory"),
        (KeyboardInterrupt(), 130, "train: error: stopped"),
        (
            NameError("name 'x'"),
            1,
            f"train: error: unexpected NameError: name 'x'; {console.REPORT}",
        ),
    ],
)
def test_all_programs_treat_errors_alike(capsys, error, status, last):
    def fail():
        raise error

    assert console.run_program(fail, "train", interrupted="stopped") == status
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == last
    assert (len(lines) > 1) == isinstance(error, NameError) and ("in fail" in str(lines)) == (
        len(lines) > 1
    )
    console.run_program(fail, "train", debug=True)
    assert ("in fail" in capsys.readouterr().err) != isinstance(error, KeyboardInterrupt)


def test_a_program_whose_reader_has_gone_ends_quietly(tmp_path):
    import subprocess

    script = (
        "import sys; from xumx_jax.commands.console import run_program\n"
        "def work():\n    while True: print('line', flush=True)\n"
        "sys.exit(run_program(work))"
    )
    ran = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    ran.stdout.readline()
    ran.stdout.close()
    assert ran.stderr.read() == b"" and ran.wait() == 1
    ran.stderr.close()
