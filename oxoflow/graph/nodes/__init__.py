"""Do what each kind of node does: one module per family, found by name in `table`."""
