"""The exit statuses of the command, the same for every word."""

from __future__ import annotations

DONE, FAILED, REFUSED, NOT_FOUND, NOT_ALLOWED, OVERLOADED, AWAY, CANCELLED, TIMED_OUT = range(9)
INTERRUPTED = 130
MEANINGS = {
    DONE: "done",
    FAILED: "the job failed",
    REFUSED: "wrong usage, or the server refused what was sent",
    NOT_FOUND: "not found, or no longer kept",
    NOT_ALLOWED: "the key is not valid, or lacks a scope",
    OVERLOADED: "over a rate or overloaded, after several tries",
    AWAY: "the server, or what it needs, is away",
    CANCELLED: "the job was cancelled",
    TIMED_OUT: "the time to wait was up; stderr names the job",
    INTERRUPTED: "Ctrl-C; stderr says whether the job goes on",
}

OF_EVERY_WORD = (DONE, REFUSED, NOT_FOUND, NOT_ALLOWED, OVERLOADED, AWAY, INTERRUPTED)
OF_AN_ENDING = (FAILED, CANCELLED, TIMED_OUT)
"""Of words that wait for jobs."""
