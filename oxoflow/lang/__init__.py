"""Read workflow text and turn it into jobs: pure functions, no disk, no process."""
