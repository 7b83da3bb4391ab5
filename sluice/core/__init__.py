"""What a job is: values, rules and ports. No driver, no framework, no clock of its own."""
