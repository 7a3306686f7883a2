"""Which tests of the contracts no store on a server can pass, and why: what the protocol cannot say."""

from __future__ import annotations

_GC = "the protocol removes nothing for good"

REGISTRY_DIFFERS = {
    "test_a_version_knows_who_made_it": "the protocol takes no user of a version",
    "test_a_source_that_names_no_version_is_a_usage_error": "servers know stages as sources",
}
MODELS_DIFFER = {
    "test_the_message_of_a_status_is_kept": "the protocol has no message of a status",
    "test_deleted_models_are_found_and_purged": _GC,
}
INPUTS_DIFFER = {"test_a_purged_run_leaves_nothing": _GC}
