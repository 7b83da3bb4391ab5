"""Check for settings under which Redis works well until one day it refuses all writes.

Every key of ours has a time to live and may go at any moment, so whatever Redis evicts, no answer can be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping


def is_cluster(found: Mapping[str, str]) -> str:
    """What is wrong with a node of a Redis Cluster, and what to do; empty for any other Redis."""
    if found.get("cluster_enabled") != "1":
        return ""
    return (
        "SLUICE_REDIS_URL leads to a Redis Cluster, which spreads keys over its nodes: most commands would be refused. "
        "Remedy: use one Redis, or one with replicas and Sentinels (redis+sentinel://), without cluster-enabled"
    )


def refuses_writes(found: Mapping[str, str]) -> str:
    """What happens when its memory is full, and what to do; empty if it evicts, has no bound, or does not say."""
    if found.get("maxmemory_policy") != "noeviction" or found.get("maxmemory", "0") == "0":
        return ""
    return (
        "Redis has maxmemory-policy = noeviction: once its memory is full nothing is cached and nobody who waits is "
        "woken. Remedy: CONFIG SET maxmemory-policy allkeys-lru, and the same in its redis.conf"
    )


def stops_after_snapshot(found: Mapping[str, str]) -> str:
    """What happens when a snapshot fails, and what to do; empty if nothing does, or it does not say."""
    if found.get("stop-writes-on-bgsave-error") != "yes" or not found.get("save"):
        return ""
    return (
        "Redis has stop-writes-on-bgsave-error = yes and takes snapshots: once one fails, on a full disk, nothing is "
        'cached and nobody who waits is woken. Remedy: CONFIG SET save "", and the same in its redis.conf'
    )
