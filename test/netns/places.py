"""Tests that are for gateways on hosts, or for one in an enclave, only; and why: said when they are left out."""

# With ENG_ENTG=occlum: files, and tests of others.
HOST_ONLY = {"test_capture.py": "the agent's capture; no gateway takes part",
             "test_attack_tool.py": "the attacker's tool; no gateway takes part",
             "test_hardware.py": "gateways on hosts; SGX is in test_occlum_chain.py"}
HOST_ONLY_TESTS = {
    **dict.fromkeys((
        "test_second_with_the_same_prefix", "test_reload_closes_whom_it_refuses_and_nobody_else",
        "test_bad_policy_on_reload_keeps_the_old_one", "test_grants_that_were_widened_count_at_once"),
        "other policies at run time; an enclave's are in its image"),
    **dict.fromkeys(("test_appraiser_is_killed", "test_prover_worker_is_killed"),
                    "processes that an enclave has as threads"),
    **dict.fromkeys(("test_when_descriptors_run_out", "test_without_descriptors_somebody_may_still_ask_why"),
                    "a limit of the process; the jail's is another one"),
    "test_no_lock_is_taken_for_packets": "a library is put in front, which no enclave would load",
    **dict.fromkeys(("test_nobody_reads_the_log", "test_started_without_standard_files"),
                    "standard files of an enclave are its host's, which may stop it anyway"),
    "test_tpm_that_goes_away_is_noticed": "the gateway's TPM; what the enclave's device does: test_occlum_chain.py",
}
# What needs an enclave, and runs with it only.
ENCLAVE_ONLY = {"test_occlum_chain.py": "entg-occlum: make check-occlum"}
