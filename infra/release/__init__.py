"""`make release-check`: all that can be said of a release before it has a tag. It leaves what would be published in dist/."""
