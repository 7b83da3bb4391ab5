"""One job: submit it, look it up, wait for it, cancel, retry or delete it."""
