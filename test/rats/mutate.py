#!/usr/bin/env python3
"""Removes one check at a time and shows that the tests notice.

A mutation is a place in the source (exact text, once in its file) and what it becomes without
the check. For each, the module is rebuilt in a scratch copy and the forgery tests run: they
must fail. Prints a table; exits 1 if a mutation survives or its text is not found.

usage: mutate.py SOURCE_ROOT [PATTERN]
"""
import os
import shutil
import subprocess
import sys
import tempfile

TRUE = "(true)"


def drop(expr):
    """The condition counts as met."""
    return (expr, TRUE)


MUTATIONS = {
    "src/rats/dcap/quote.c": [
        drop("q->version < 3 || q->version > 5"[0:0] or "") if False else
        ("if (q->version < 3 || q->version > 5)", "if (q->version < 3)"),
        ("if (q->version < 3 || q->version > 5)", "if (q->version > 5)"),
        ("if (q->key_type != 2)", "if (false)"),
        ("if (q->tee_type != TEE_SGX && (q->tee_type != TEE_TDX || q->version == 3))", "if (false)"),
        ("if (!span_equal(vendor, SPAN(intel_vendor, sizeof(intel_vendor))))", "if (false)"),
        ("if (type == 0 || type >= ARRAY_LEN(sizes) || size != sizes[type])",
         "if (type >= ARRAY_LEN(sizes))"),
        ("if (outer_type != CERT_QE_REPORT)", "if (false)"),
        ("if (outer_size != s.n)", "if (false)"),
        ('return s.n == 0 ? NULL : "signature data is longer than its parts";', "return NULL;"),
    ],
}
