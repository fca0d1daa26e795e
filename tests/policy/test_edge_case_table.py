"""Where each known fault of other compactors is tested: one row a fault, the tests that show it is not here."""

import ast
from pathlib import Path

import pytest

_TESTS = Path(__file__).parents[1]
_CASES, _REPORTS = "policy/test_edge_cases.py", "policy/test_edge_reports.py"
_WORKER, _FAULTS = "worker/test_edge_cases.py", "worker/test_worker_faults.py"

_FOUND_IN_OTHERS = {
    "parallel calls split": (_CASES, "test_parallel_calls_are_not_split"),
    "result before call on replay": (_CASES, "test_a_result_before_its_call_is_sent_in_order_or_not_at_all"),
    "duplicate late result": (_CASES, "test_a_duplicate_late_result_stays_with_its_call"),
    "call whose process died": (_CASES, "test_a_call_whose_process_died_does_not_block_compaction"),
    "thinking block at loop start": (_CASES, "test_thinking_that_opens_a_tool_loop_is_not_parted_from_its_call"),
    "cut inside a turn larger than the tail budget": (_CASES, "test_a_turn_larger_than_the_tail_is_cut_inside"),
    "huge first user message": (_CASES, "test_a_huge_first_message_of_mine_does_not_block_the_rest"),
    "summary larger than input": (_CASES, "test_a_summary_that_says_nothing_or_too_much_is_not_installed"),
    "empty summary": (_WORKER, "test_a_bad_summary_is_not_installed_and_leaves_no_trace"),
    "summarizer overflow": (_FAULTS, "test_a_summarizer_that_fails_costs_no_history"),
    "summarizer sees only part": (_WORKER, "test_a_summarizer_sees_all_that_its_summary_stands_for"),
    "extract made of only part": (_CASES, "test_a_summary_is_made_of_all_that_it_stands_for"),
    "provider usage summed over passes": (_REPORTS, "test_usage_summed_over_passes_starts_no_compaction"),
    "usage from before the last compaction": (
        _REPORTS,
        "test_usage_from_before_the_last_compaction_does_not_start_another",
    ),
    "subagent usage counted as the parent's": (_REPORTS, "test_usage_of_a_subagent_is_not_the_parent_s"),
    "model switch to a smaller window": (
        _WORKER,
        "test_a_switch_to_a_smaller_window_is_summarised_from_the_whole_old_history",
    ),
    "the same under every preset": (
        _REPORTS,
        "test_a_switch_to_a_smaller_window_compacts_what_the_larger_one_held",
    ),
    "streamed text that no report counts": (_REPORTS, "test_streamed_text_counts_before_the_turn_ends"),
    "fixed overhead above the window": (
        _CASES,
        "test_a_fixed_overhead_above_the_window_is_named_and_not_tried_for_ever",
    ),
    "CJK, emoji, base64 blobs, one 5,000-char word": (_CASES, "test_texts_that_break_estimates_still_fit"),
    "resumed class-typed payload": (_CASES, "test_messages_of_another_type_are_read_or_refused_by_name"),
    "resumed from a store": (_CASES, "test_a_resumed_payload_gives_the_same_decision"),
    "store that drops the compaction field": (
        _CASES,
        "test_a_store_that_keeps_only_role_and_text_does_not_break_the_chain",
    ),
    "rewound content leaking through a summary": (
        _REPORTS,
        "test_rewound_content_does_not_leak_through_a_summary",
    ),
    "credential events in a summary": (_CASES, "test_a_call_that_waits_for_a_person_stays"),
    "user text repeated in summary and tail": (_CASES, "test_what_i_said_is_not_in_the_summary_and_the_tail"),
    "latest user message summarized away": (_CASES, "test_the_latest_message_of_mine_is_never_summarised_away"),
    "undo across a compaction": (_REPORTS, "test_an_undo_across_a_compaction_gives_the_very_history_before"),
    "compaction marker left open by a crash": (_WORKER, "test_a_plan_left_open_by_a_crash_does_not_block"),
    "two workers compact the same range": (_WORKER, "test_two_workers_compact_a_range_once"),
    "clear during compaction resurrected by it": (
        _WORKER,
        "test_what_was_cleared_while_a_worker_compacted_does_not_come_back",
    ),
    "clock skew": (_WORKER, "test_clocks_that_run_backwards_change_no_compaction"),
    "content=null provider block": (_REPORTS, "test_an_empty_compaction_block_of_a_provider_replaces_nothing"),
    "signature altered by re-serialization": (_REPORTS, "test_a_signature_comes_through_as_it_was_written"),
}
"""Found in the issue trackers and the code of other tools."""

_OPEN_IN_CODEX = {
    "a tool-only summary must not be installed": (_FAULTS, "test_a_summarizer_that_fails_costs_no_history"),
    "overflow drops enough in one step, never the latest request": (
        _CASES,
        "test_a_history_ten_times_the_window_is_compacted_in_one_step",
    ),
    "partial output of a failed attempt must not leak": (
        _WORKER,
        "test_a_bad_summary_is_not_installed_and_leaves_no_trace",
    ),
    "rollback across a compaction must not duplicate context": (
        _REPORTS,
        "test_a_rewind_across_a_compaction_does_not_double_what_stays",
    ),
    "thrash guard when the irreducible prefix exceeds the limit": (
        "policy/test_stopping.py",
        "test_two_tries_that_free_too_little_stop_the_loop",
    ),
    "compaction must be visible in the event stream": (_WORKER, "test_a_compaction_is_seen_in_the_event_stream"),
    "crash between request and commit leaves no half-compaction": (
        "worker/test_worker_laws.py",
        "test_a_worker_killed_between_any_two_effects_is_replaced_without_a_trace",
    ),
    "an in-flight compaction applies only if its base is still a prefix": (
        _FAULTS,
        "test_an_edit_while_a_model_writes_abandons_the_plan",
    ),
    "what was said meanwhile is kept": (_FAULTS, "test_what_an_agent_says_while_a_worker_works_is_kept_and_follows"),
}
"""What Codex gets wrong or leaves open, found by experiment."""

_USERS_PAINS = {
    "a failed compaction ends the session": (_FAULTS, "test_a_summarizer_that_fails_costs_no_history"),
    "too long to run, too long to compact": (
        _CASES,
        "test_a_history_ten_times_the_window_is_compacted_in_one_step",
    ),
    "answered messages replayed as new work": (
        _CASES,
        "test_a_summary_says_that_it_is_a_record_and_what_was_dealt_with",
    ),
    "loops": ("policy/test_policy_laws.py", "test_a_history_that_does_not_grow_is_not_compacted_again"),
    "log bloat": (_REPORTS, "test_a_compaction_event_does_not_repeat_the_history"),
    "rules ignored after compaction": (_CASES, "test_a_pinned_message_of_mine_that_crosses_the_budget_is_not_cut"),
    "hangs": (_WORKER, "test_a_summarizer_that_hangs_is_given_up"),
    "no off switch": (_WORKER, "test_a_session_can_switch_compaction_off_and_ask_for_it"),
    "trigger point unpredictable": (
        _REPORTS,
        "test_the_size_that_starts_a_compaction_is_the_one_that_is_documented",
    ),
    "nothing can be had back": (
        _WORKER,
        "test_what_was_offloaded_comes_back_from_the_log_after_a_chain_of_compactions",
    ),
}
"""What users complain of most, where no model is needed to show it."""

_ROWS = {**_FOUND_IN_OTHERS, **_OPEN_IN_CODEX, **_USERS_PAINS}


@pytest.mark.parametrize("row", _ROWS)
def test_each_known_fault_has_its_test(row: str) -> None:
    """Every row names a test that there is."""
    file, name = _ROWS[row]
    assert name in _names(_TESTS / file)


def _names(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_each_edge_case_is_in_the_table() -> None:
    """No case is forgotten here: every test of the files that are about them has a row."""
    named = set(_ROWS.values())
    for file in (_CASES, _REPORTS, _WORKER):
        there = {(file, name) for name in _names(_TESTS / file) if name.startswith("test_")}
        assert there - named == set()
