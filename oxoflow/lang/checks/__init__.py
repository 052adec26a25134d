"""Check a readable workflow for errors, one group of checks a module; `validate` orders them."""
