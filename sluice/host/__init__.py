"""The host: the program in which handlers run, a child process of the consumer."""
