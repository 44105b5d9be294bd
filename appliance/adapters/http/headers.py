"""Owns the headers that every answer carries.

Never in here: headers that depend on what was asked.
"""

CONTENT_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
)
"""Nothing but our own files, and no inline script or style, runs in the page; nobody frames it."""

COMMON = {
    "cache-control": "no-store",
    "content-security-policy": CONTENT_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""A default: what an answer sets itself (the page its `cache-control`) stands."""
