"""The hostile kinds, by what they do; each says beside it how its jobs have to end."""
