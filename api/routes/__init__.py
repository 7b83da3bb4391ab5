"""The routes: thin, each a few lines over the flows."""
