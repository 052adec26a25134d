"""Plan and run jobs: knows no user, no HTTP and no server database."""
