"""The gateway: SMTP in, verdicts carried out, the program around them."""
