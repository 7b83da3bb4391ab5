"""What every feature needs of HTTP: middleware, keys and scopes, reading requests, answers, problems, OpenAPI."""
