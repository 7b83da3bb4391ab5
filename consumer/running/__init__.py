"""Where handlers run: in the event loop, in a thread, in a child process."""
