"""From desired and actual rows to the changes between them: pure functions."""
