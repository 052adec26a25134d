"""Turn a command into argv for the place where its programs live, and create that place."""
