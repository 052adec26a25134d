"""Read and write TOML text with its comments, spelling and places: what a parser drops."""
