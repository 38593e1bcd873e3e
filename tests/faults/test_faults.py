"""The faults of tracks that `xumx separate` has to stand, one row of the list each.

Every row has a number, what may go wrong, and the result that is wanted; FAULTS says which tests
show it. Those that other files test already stay there.
"""

import ast
from pathlib import Path

import numpy as np
import pytest
import soundfile
from separating import RATE, SOURCES, noise, write

from xumx_jax import audio
from xumx_jax.audio import containers

HERE = Path(__file__).parents[1]
ROOT = HERE.parent
# {row: (fault, wanted, tests)}; rows that are missing are not about separation and weights
FAULTS = {
    10: (
        "truncated audio",
        "declared and decoded frames compared: an error, --allow-truncated takes the rest",
        "commands/test_cli.py::test_bad_files_are_one_line_and_nothing_is_written "
        "commands/test_cli.py::test_a_cut_track_if_allowed "
        "audio/test_audio.py::test_half_a_file_is_an_error_that_names_it "
        "audio/test_audio_blocks.py::test_half_a_file_is_taken_where_that_is_allowed",
    ),
    11: (
        "not audio, 0 bytes",
        "one line, exit 1",
        "commands/test_cli.py::test_bad_files_are_one_line_and_nothing_is_written "
        "audio/test_audio.py::test_what_is_not_audio",
    ),
    12: (
        "zero frames",
        "stems of no samples, and a warning",
        "commands/test_cli.py::test_odd_input_has_a_defined_result "
        "faults/test_faults.py::test_row_12_no_samples_in_any_format",
    ),
    13: (
        "one sample to less than a window",
        "padded inside, exact length out",
        "commands/test_cli.py::test_odd_input_has_a_defined_result "
        "faults/test_faults.py::test_row_13_short_tracks",
    ),
    14: (
        "NaN, infinite samples",
        "0 instead, count reported; --strict: an error",
        "commands/test_cli.py::test_odd_input_has_a_defined_result "
        "commands/test_batch.py::test_strict",
    ),
    15: (
        "silence",
        "silent stems, no NaN",
        "commands/test_cli.py::test_odd_input_has_a_defined_result "
        "faults/test_faults.py::test_row_15_silence",
    ),
    16: (
        "DC, full scale, above 0 dBFS",
        "finite; integers never wrap; the shared gain is reported",
        "faults/test_faults.py::test_row_16_dc_and_full_scale "
        "commands/test_cli.py::test_stems_share_a_gain_which_is_said_and_files_are_replaced",
    ),
    17: (
        "mono",
        "doubled for the model, mono out",
        "faults/test_faults.py::test_row_17_mono "
        "separation/test_separator.py::test_mono_input_gives_mono_stems",
    ),
    18: (
        "six channels",
        "the front pair and a warning; --channels all pairwise",
        "commands/test_cli.py::test_odd_input_has_a_defined_result "
        "commands/test_batch.py::test_all_channels_are_separated_in_pairs",
    ),
    19: (
        "8 to 192 kHz, odd rates",
        "resampled and back, exact length",
        "commands/test_cli.py::test_rates_from_8_to_192_kilohertz "
        "faults/test_faults.py::test_row_19_odd_rates",
    ),
    20: (
        "a 10 h file",
        "less than 2 GB; RF64 where it is larger than 4 GB (memory: bench/)",
        "faults/test_faults.py::test_row_20_stems_of_more_than_four_gigabytes "
        "audio/test_audio_encode.py::test_ten_hours_fit_into_a_header "
        "audio/test_audio_blocks.py::test_memory_does_not_grow_with_length",
    ),
    21: (
        "Unicode, 255 bytes, a dash in front, a folder that is read-only",
        "works, or says so before it computes",
        "faults/test_faults_names.py::test_row_21_names "
        "faults/test_faults_names.py::test_row_21_dashes "
        "faults/test_faults_names.py::test_row_21_names_that_no_file_can_have "
        "faults/test_faults_names.py::test_row_21_places_that_cannot_be_written "
        "commands/test_cli.py::test_a_place_that_cannot_be_written_is_told_before_the_work",
    ),
    22: (
        "one base name twice",
        "distinct outputs, nothing overwritten",
        "commands/test_batch.py::test_tracks_of_one_name "
        "commands/test_input_files.py::test_tracks_of_one_name_get_distinct_folders",
    ),
    23: (
        "a malicious pickle",
        "refused, and its payload does not run",
        "faults/test_faults_pickles.py::test_row_23_payloads "
        "faults/test_faults_pickles.py::test_row_23_pickles_elsewhere "
        "faults/test_faults_pickles.py::test_row_23_values_that_are_named_over_and_over "
        "faults/test_faults_pickles.py::test_row_23_names_that_grow "
        "faults/test_faults_pickles.py::test_row_23_a_payload_beside_good_weights "
        "weights/test_readers.py::test_hostile_files_are_refused_even_with_weights_in_them",
    ),
    24: (
        "bad headers of safetensors and HDF5",
        "an error; no more memory than the file may need",
        "faults/test_faults_headers.py::test_row_24_headers "
        "faults/test_faults_headers.py::test_row_24_promises "
        "faults/test_faults_headers.py::test_row_24_flipped_bits "
        "faults/test_faults_headers.py::test_row_24_descriptions_of_our_own_files "
        "weights/test_readers.py::test_every_cut_is_noticed",
    ),
    25: (
        "a download that is cut, wrong, or impossible",
        "resumed or tried again; refused; the cache serves offline",
        "faults/test_faults_cache.py::test_row_25_cut "
        "faults/test_faults_cache.py::test_row_25_resumed_by_the_next_call "
        "faults/test_faults_cache.py::test_row_25_wrong_or_offline "
        "weights/test_zoo.py::test_several_files_make_one_model",
    ),
    27: (
        "two processes, one cache, one OUT",
        "a lock, and files that appear whole",
        "faults/test_faults_cache.py::test_row_27_one_download_for_two_processes "
        "faults/test_faults_cache.py::test_row_27_compiled_code "
        "faults/test_faults_batch.py::test_row_27_one_folder_of_stems",
    ),
    28: (
        "the device's memory does not suffice",
        "smaller steps, then an error that names the CPU",
        "faults/test_faults_batch.py::test_row_28_out_of_memory "
        "separation/test_stream.py::test_where_memory_is_short_batches_are_halved_then_chunks "
        "separation/test_stream.py::test_where_memory_is_short_segments_are_halved "
        "separation/test_stream.py::test_in_the_end_the_cpu_goes_on",
    ),
    29: (
        "Ctrl-C in a batch",
        "no temporary files; --skip-existing resumes",
        "commands/test_signals.py::test_nothing_unfinished_is_left "
        "commands/test_signals.py::test_the_program_itself",
    ),
    30: (
        "a device that is not there",
        "a clear message; the CPU only if auto",
        "commands/test_batch.py::test_a_device_that_is_not_there "
        "commands/test_options.py::test_only_auto_may_fall_back",
    ),
    31: (
        "clock, locale, umask",
        "no effect on what is written",
        "faults/test_faults_names.py::test_row_31_clock_locale_umask "
        "faults/test_faults_names.py::test_row_31_a_terminal_that_knows_ascii_alone "
        "faults/test_faults_names.py::test_row_31_permissions_follow_the_umask",
    ),
    33: (
        "a title that is no file name: ...wav, ..wav, a track ....stem.mp4, a source ../x",
        "its folder or file is inside the chosen one, under another name; of stems an error",
        "commands/test_input_files.py::test_a_title_is_no_path "
        "commands/test_input_files.py::test_titles_that_are_no_names_stay_distinct "
        "evaluation/test_odd_tracks.py::test_titles_are_no_paths "
        "separation/test_selection.py::test_names_of_stems_are_names_of_files_and_not_paths "
        "house/test_spleeter_web.py::test_the_name_in_a_url_is_no_path",
    ),
    34: (
        "a name that FFmpeg takes for a protocol",
        "a file's name and nothing else, to read and to write",
        "audio/test_what_is_opened.py::test_a_name_is_never_an_address "
        "audio/test_audio_names.py::test_a_name_is_a_name",
    ),
    35: (
        "a playlist, or a film that names other files",
        "refused; no other file is opened, no host is asked",
        "audio/test_what_is_opened.py::test_playlists_are_refused "
        "audio/test_what_is_opened.py::test_a_film_whose_sound_is_said_to_be_in_another_file",
    ),
    36: (
        "rate or channels that change on the way",
        "all at the first frame's, and a warning that says where",
        "audio/test_uniform.py::test_pitch_and_length_stay_whatever_changes "
        "audio/test_uniform.py::test_a_part_of_a_stream_that_changes",
    ),
    37: (
        "big-endian WAV and other relatives",
        "read exactly",
        "audio/test_headers.py::test_every_legal_wav_is_read_whole_and_silently",
    ),
    38: (
        "lengths in headers: 0, unknown, slightly off",
        "read to the end, with a warning where it is unusual, alike in training",
        "audio/test_headers.py::test_a_length_of_0_in_every_coding "
        "audio/test_headers.py::test_a_length_that_is_not_far_off_is_a_warning "
        "audio/test_headers.py::test_relatives_of_wav_whose_length_was_never_written",
    ),
    39: (
        "half a file of any format that states its length",
        "an error; --allow-truncated takes the rest",
        "audio/test_headers.py::test_half_a_file_is_told_in_every_format_that_states_its_length "
        "audio/test_headers.py::test_half_a_file_of_other_lossless_formats "
        "audio/test_headers.py::test_a_cut_film_in_fragments",
    ),
    40: (
        "whole files whose containers state another length",
        "read whole, without a warning",
        "audio/test_headers.py::test_a_film_may_be_longer_than_its_sound "
        "audio/test_headers.py::test_mp3_inside_wav_is_whole_though_its_header_counts_otherwise",
    ),
    41: (
        "files of sums beside the stems of a track",
        "no sources; one line names those that make up the mixture",
        "pipelines/test_sums.py::test_files_called_like_sums_are_no_sources "
        "pipelines/test_sums.py::test_sums_are_found_by_their_names_and_by_their_samples "
        "evaluation/test_odd_tracks.py::test_a_source_of_one_track_is_not_missed_in_the_others",
    ),
    42: (
        "arrays of integers, [time, channel], paths, rates that are none",
        "scaled like files, or one line",
        "separation/test_arrays.py::test_every_type_of_a_sample_has_its_scale "
        "separation/test_arrays.py::test_what_is_no_mixture_is_one_line "
        "separation/test_arrays.py::test_rates_that_are_none_are_one_line",
    ),
    43: (
        "samples too large to be transformed; numbers that JSON has not got",
        "0 instead, count reported; null",
        "separation/test_arrays.py::test_samples_too_large_to_be_transformed_are_replaced "
        "commands/test_existing_stems.py::test_numbers_that_json_has_not_got",
    ),
    44: (
        "stems of other music, models or options in the folder",
        "they stay, and the new ones get another folder",
        "commands/test_existing_stems.py::test_albums_with_titles_alike_lose_nothing "
        "commands/test_existing_stems.py::test_other_options_lose_nothing_either "
        "separation/test_record.py::test_changed_stems_are_not_lost",
    ),
    45: (
        "no network for the default model",
        "a single track by the bundled one, which is said and recorded; several are refused",
        "commands/test_existing_stems.py::test_one_track_is_separated_by_the_bundled_model "
        "commands/test_existing_stems.py::test_several_tracks_are_not_unless_allowed "
        "commands/test_existing_stems.py::test_stems_of_the_bundled_model_are_replaced_later",
    ),
    46: (
        "rates and channels that an encoder cannot take",
        "the nearest rate, or an error before the work",
        "audio/test_audio_limits.py::test_every_signal_is_written_or_refused "
        "audio/test_audio_limits.py::test_what_no_file_holds_is_refused_before_any_sample",
    ),
    47: (
        "pipes, devices, sockets",
        "pipes are read to their end and can be interrupted; others are one line",
        "commands/test_input_files.py::test_pipes_are_read_to_their_end_once "
        "commands/test_signals.py::test_waiting_for_a_pipe_ends_at_the_first_interrupt "
        "audio/test_what_is_opened.py::test_what_is_no_file_is_told_at_once",
    ),
    48: (
        "a process that was forked after a model was loaded",
        "one line; Spleeter Web's class works",
        "separation/test_fork.py::test_a_separator_in_a_forked_process "
        "separation/test_celery.py::test_a_separator_loaded_before_the_fork_is_one_line "
        "separation/test_celery.py::test_spleeter_webs_class_is_made_before_the_fork_and_works_after_it",
    ),
    49: (
        "covers and tags that are damaged or mislabelled",
        "left out with a warning",
        "audio/test_audio_covers.py::test_a_bad_picture_costs_nothing_but_itself "
        "audio/test_audio_covers.py::test_odd_text_is_stored_as_far_as_it_can_be",
    ),
    50: (
        "inputs that cannot even be looked at",
        "an error of their own",
        "commands/test_input_files.py::test_a_track_where_its_stems_would_go_is_refused_alone "
        "commands/test_input_files.py::test_links_are_followed_and_rings_end "
        "audio/test_what_is_opened.py::test_whatever_is_wrong_with_a_name_is_one_line",
    ),
    51: (
        "training files of any case and format, NaN, silence",
        "read, or named",
        "pipelines/test_training_files.py::test_suffixes_and_usual_names_in_any_case "
        "pipelines/test_training_files.py::test_other_formats_are_decoded_once "
        "pipelines/test_training_files.py::test_samples_that_are_not_finite_are_named "
        "pipelines/test_training_files.py::test_music_that_is_silent_throughout_is_named",
    ),
    52: (
        "sound that starts after the pictures",
        "silence in front, and a warning",
        "audio/test_uniform.py::test_sound_that_starts_late_is_aligned_with_the_film",
    ),
    53: (
        "links, brackets, ~, empty names",
        "found as the user means them",
        "commands/test_input_files.py::test_folders_with_brackets_and_patterns_below_them "
        "commands/test_input_files.py::test_home_is_known_where_the_shell_left_it "
        "commands/test_input_files.py::test_an_empty_name_is_no_folder "
        "commands/test_existing_stems.py::test_home_is_known_in_options "
        "pipelines/test_training_files.py::test_the_users_folder_within_options",
    ),
    54: (
        "errors of the system, and faults of the program",
        "the system's words; a traceback and a request for a report",
        "commands/test_console.py::test_all_programs_treat_errors_alike "
        "commands/test_cli.py::test_errors_of_the_system_are_told_in_its_words "
        "faults/test_faults_errors.py::test_errors_of_ours_are_no_damaged_files "
        "commands/test_existing_stems.py::test_a_report_that_cannot_be_written_does_not_hide_the_error_before",
    ),
    55: (
        "a cache that cannot be made",
        "one line",
        "test_runtime.py::test_a_cache_that_cannot_be_made_is_one_line",
    ),
}


def test_every_row_has_its_tests():
    rows = {*range(10, 56)} - {26, 32}
    assert set(FAULTS) == rows
    for row, (_, _, tests) in FAULTS.items():
        for name in tests.split():
            file, test = name.split("::")
            tree = ast.parse((HERE / file).read_text())
            assert test in {node.name for node in tree.body if hasattr(node, "name")}, (row, name)


@pytest.fixture
def run(run_separate):
    return run_separate


def stem(name, track, out="separated"):
    return audio.decode(f"{out}/{track}/{name}.wav")[0]


@pytest.mark.parametrize("format", ["wav", "aiff"])
def test_row_12_no_samples_in_any_format(run, format):
    soundfile.write(f"none.{format}", np.zeros((0, 2)), RATE)
    status, _, err = run(f"none.{format}", "--stems", "bass,vocals")
    assert status == 0 and err.count("\n") == 1 and "no samples" in err
    assert stem("bass", "none").shape == stem("vocals", "none").shape == (2, 0)


@pytest.mark.slow
def test_row_13_short_tracks(run):
    lengths = (1, 2, 31, 127, 128, 129)  # the window has 128 samples, its hop 32
    for length in lengths:
        write(f"{length}.wav", noise(length))
    status, _, err = run(*(f"{length}.wav" for length in lengths), "--bits", "32f")
    assert (status, err) == (0, "")
    for length in lengths:
        stems = [stem(name, length) for name in SOURCES]
        assert {one.shape for one in stems} == {(2, length)} and np.isfinite(stems).all()


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--softmask", "--niter", 0), ("--niter", 3)])
def test_row_15_silence(run, options):
    write("silent.wav", np.zeros((2, 4000)))
    status, out, err = run("silent.wav", "--bits", "32f", *options)
    assert (status, err) == (0, "") and "silent" in out
    for name in SOURCES:
        assert not np.abs(stem(name, "silent")).max() > 1e-6


@pytest.mark.parametrize("bits", ["16", "24", "32f"])
@pytest.mark.parametrize("level", [1.0, -1.0, 3.0])
def test_row_16_dc_and_full_scale(run, bits, level):
    wave = np.full((2, 2500), level, np.float32)
    wave[:, 1200:] *= np.sign(np.sin(np.arange(1300)))  # then a square wave as loud
    write("loud.wav", wave)
    # what is left once a stem is taken away exceeds full scale more easily than a stem
    status, _, err = run("loud.wav", "--bits", bits, "--two-stems", "bass")
    assert status == 0, err
    stems = {name: stem(name, "loud") for name in ("bass", "rest")}
    both = sum(stems.values())
    assert np.isfinite(both).all()
    peak = max(np.abs(one).max() for one in stems.values())
    if bits == "32f":
        assert err == ""
        np.testing.assert_allclose(both, wave, atol=1e-5)
        return
    # one gain for both, so that they still add up to the mixture
    gain = float(np.vdot(both, wave) / np.vdot(wave, wave))
    assert peak <= 1 and ("stems were attenuated by" in err) == (gain < 0.999)
    np.testing.assert_allclose(both, gain * wave, atol=2e-4)
    assert abs(level) < 2 or gain < 0.5


def test_row_17_mono(run):
    mono = noise(2500, channels=1)
    write("mono.wav", mono)
    write("both.wav", np.repeat(mono, 2, axis=0))
    assert run("mono.wav", "both.wav", "--bits", "32f")[::2] == (0, "")
    for name in SOURCES:
        one, two = stem(name, "mono"), stem(name, "both")
        assert one.shape == (1, 2500)
        np.testing.assert_allclose(one, two.mean(axis=0, keepdims=True), atol=1e-5)


def test_row_19_odd_rates(run):
    rates = (7919, 12345, 44099, 96001)
    for rate in rates:
        write(f"{rate}.wav", noise(rate // 7), rate)
    status, _, err = run(*(f"{rate}.wav" for rate in rates), "--stems", "other")
    assert (status, err) == (0, "")
    for rate in rates:
        read, found = audio.decode(f"separated/{rate}/other.wav")
        assert found == rate and read.shape == (2, rate // 7) and read.any()


def test_row_20_stems_of_more_than_four_gigabytes(run, monkeypatch):
    """With a limit of 50 kB in place of what 32 bits can count."""
    monkeypatch.setattr(containers, "LIMIT_BYTES", 50000)
    mix = noise(20000)
    write("long.wav", mix)
    assert run("long.wav", "--bits", "32f")[::2] == (0, "")
    for name in SOURCES:
        path = Path(f"separated/long/{name}.wav")
        assert path.read_bytes()[:4] == b"RF64" and soundfile.info(path).format == "RF64"
        assert stem(name, "long").shape == mix.shape
