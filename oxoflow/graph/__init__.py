"""Run OxiFY graphs: nodes and guarded edges on the scheduler that rules use."""
