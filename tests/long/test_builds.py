# SPDX-License-Identifier: MIT
"""Runs the tests of the connection with other builds of the program: static, with sanitizers, and some with valgrind.

Sanitizers and valgrind do not work with the filter of system calls, so these builds have none (-DWITHOUT_FILTER).  A script
starts them, so that launch.filtered() knows.  They write their reports to files, because standard error is often the
connection.
"""

import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

import project
import pytest
from require import require, require_root

# Tests that cannot run with these builds, and why.  Tests that need the filter are skipped besides.
SHADOW = "the sanitizers reserve terabytes of address space, which the test limits"
START = "counts calls at the start, and the script and the sanitizers make additional ones"
DEBUGGERS = "a build for debuggers allows it"
NO_MEMORY = [f"protocol/test_own_close.py::test_{name}[no-memory" for name in (
    "the_end_of_the_stream_follows_the_peers_close_at_once", "frames_before_the_peers_close_are_skipped",
    "a_refused_message_may_go_on_up_to_its_end", "the_peers_end_of_the_stream_ends_the_wait_at_once",
    "signals_in_the_wait_change_nothing")]
UNFIT = {
    "process/test_instruction_counts.py": "counts for one build",
    **dict.fromkeys(NO_MEMORY, SHADOW),
    "process/test_signal_races.py": "preloads a library, but that of the sanitizers must come first",
    "process/test_faults.py::test_a_message_for_which_there_is_no_memory_is_1011_and_a_local_fault": SHADOW,
    "process/test_faults.py::test_a_peer_that_goes_without_waiting_for_the_1011_does_not_hide_the_fault": SHADOW,
    "process/test_faults.py::test_a_compressed_message_for_whose_reply_there_is_no_memory_is_1011_too": SHADOW,
    "system/test_channels.py::test_a_local_fault_is_an_error_and_the_record_after_it_a_notice": SHADOW,
    "protocol/test_compression.py::test_the_largest_message_fits_the_address_space_of_the_shipped_entry_for_xinetd": SHADOW,
    "protocol/test_compression.py::test_a_bomb_costs_no_more_than_the_limit": "the sanitizers use memory themselves",
    "protocol/test_compression.py::test_compressed_messages_cost_one_read_and_one_write_each": "the sanitizers make calls",
    "process/test_faults.py::test_it_does_not_serve_without_its_protections": START,
    "process/test_faults.py::test_unread_output_that_cannot_be_discarded_is_a_local_fault":
        "the message has to be read within a fifth of a second",
    "process/test_faults.py::test_a_connection_that_cannot_be_made_to_block_is_a_local_fault": START,
    "system/test_users.py::test_a_process_with_some_ids_of_root_changes_all_of_them_or_is_refused":
        "the sanitizers ignore their environment variables if real and effective user differ",
    "process/test_record.py::test_it_serves_although_standard_error_is_closed":
        "the shell that runs the script opens a file in its place",
    "process/test_privileges.py::test_nobody_but_root_may_look_into_the_process": DEBUGGERS,
    "system/test_users.py::test_not_even_its_own_user_may_look_into_the_process": DEBUGGERS,
}

# The tests for valgrind, few because each start of the program takes half a second, and each megabyte longer.
CHOSEN = [
    "clients/test_recordings.py", "protocol/test_handshake.py", "protocol/test_frames.py::test_every_ping_is_answered_in_order",
    "protocol/test_frames.py::test_a_message_of_exactly_the_largest_size_is_echoed",
    "protocol/test_frames.py::test_a_payload_is_unmasked_wherever_in_memory_it_begins_and_ends",
    "protocol/test_frames.py::test_fragmented_and_whole_messages_may_follow_each_other",
    "protocol/test_compression.py::test_a_character_may_be_cut_by_blocks_fragments_and_the_buffers",
    "protocol/test_compression.py::test_a_large_message_is_taken_as_it_comes",
    "protocol/test_compression.py::test_compressed_and_plain_fragmented_messages_may_follow_each_other",
    "protocol/test_compression.py::test_messages_share_a_window_unless_it_was_agreed_otherwise",
    "protocol/test_closing.py::test_messages_complete_before_the_end_of_the_stream_are_answered_before_it",
    "protocol/test_closing.py::test_the_answer_to_a_close_comes_after_a_large_echo",
]


@pytest.fixture(name="folder")
def that_everybody_can_enter():
    """A folder that all users can enter, unlike tmp_path: some tests start the program as another user."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(name="build")
def that_compiles(folder):
    """A function that compiles the program and writes a script that starts it, for example under valgrind."""
    def build(*flags, before=(), **environment):
        program, script = folder / "program", folder / "ws-echo"
        subprocess.run(["make", "-s", project.ONE_SOURCE], cwd=project.TOP, check=True, timeout=project.LIMIT)
        subprocess.run([require("gcc", "gcc"), *project.compiler_flags(), "-U_FORTIFY_SOURCE", "-g", "-DWITHOUT_FILTER",
                        *flags, "-pie", "-o", program, project.ONE_SOURCE, "-lnettle", "-lz", "-ldl"],
                       cwd=project.TOP, check=True, timeout=2 * project.LIMIT)
        lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
        # argv[0] of the program is the name by which the script is called.
        start = shlex.join([*before, str(program)]) if before else f'-a "$0" {program}'
        script.write_text("\n".join(["#!/bin/bash -p", *lines, f'exec {start} "$@"\n']))
        script.chmod(0o755)
        return script
    return build


def passes(program, files, *arguments, **environment):
    """Runs tests with a program."""
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider",
         f"--numprocesses={os.cpu_count()}", *arguments, *[f"tests/{name}" for name in files]],
        cwd=project.TOP, env={**os.environ, "WS_ECHO": str(program), **environment}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False)
    print(result.stdout[-400:])
    assert result.returncode == 0 and " passed" in result.stdout, result.stdout[-6000:]


def passes_without_a_finding(program, found, files):
    """Runs the tests that are fit for it with a program, which must write no report into the folder `found`."""
    try:
        passes(program, files, *[f"--deselect=tests/{name}" for name in UNFIT if "::" in name])
    finally:
        said = {path.name: path.read_text(errors="replace")[:2000] for path in found.iterdir() if path.stat().st_size}
        assert not said, said


def files_of_the_connection():
    return sorted(set(project.tests_in(project.OF_THE_PROGRAM)) - set(UNFIT))


@pytest.fixture(name="found")
def folder_of_findings(folder):
    found = folder / "found"
    found.mkdir()
    found.chmod(0o777)
    return found


@pytest.fixture(name="sanitized")
def with_sanitizers(build, found):
    sanitizers = "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1"
    options = f"log_path={found}/sanitizer:exitcode=99"
    # LeakSanitizer starts a process, which the program's limits forbid.
    return build(*sanitizers, ASAN_OPTIONS=options + ":detect_leaks=0", UBSAN_OPTIONS=options)


@pytest.mark.parametrize("folder", sorted(set(project.OF_THE_PROGRAM) - set(project.WITH_EACH_PROGRAM)))
def test_what_make_check_runs_with_the_ordinary_program_passes_with_the_static_one_too(folder):
    dumpable = project.TOP / "build/dumpable/ws-echo-static"
    passes(project.PROGRAMS["static"], project.tests_in([folder]), WS_ECHO_DUMPABLE=str(dumpable))


def test_everything_passes_with_sanitizers_too(sanitized, found):
    passes_without_a_finding(sanitized, found, files_of_the_connection())


def test_tests_that_need_root_pass_with_sanitizers_too(sanitized, found):
    require_root()
    passes_without_a_finding(sanitized, found, project.AS_ROOT)


def test_a_chosen_part_passes_under_valgrind(build, found):
    valgrind = [require("valgrind", "valgrind"), "--quiet", "--vgdb=no", "--error-exitcode=99",
                f"--log-file={found}/%p"]
    passes_without_a_finding(build("-O1", before=valgrind), found, CHOSEN)
