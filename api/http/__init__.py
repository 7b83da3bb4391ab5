"""HTTP for every feature: the wrapper, keys and scopes, reading requests, making answers, problems, OpenAPI."""
