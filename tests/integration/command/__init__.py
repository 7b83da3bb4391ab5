"""The words of the command `sluice` that speak to the API, on a real stack."""
