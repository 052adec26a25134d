"""Hold the places where jobs go: each runs an attempt of a job to its end (`engine.placing`)."""
