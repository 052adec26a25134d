"""Hold the places where jobs go."""
