"""The HTTP parts that every feature uses: middleware, keys and scopes, reading requests, answers, problems, OpenAPI."""
