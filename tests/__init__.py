"""The promises of Bilag, each with a test that can fail."""
