"""`make schemathesis`: requests made up from the OpenAPI document, sent by three identities to a stack of their own."""
